"""Simulations, estimates, and the comparison of two runs, as plain aligned text."""

from collections.abc import Iterable, Sequence

from swarm.forecast.advice import Advice, Estimate
from swarm.forecast.trees import Tree
from swarm.forecast.widths import Width, Widths
from swarm.results.compare import RunPair, Side, StepPair
from swarm.views.words import counted, one_line, seconds, short, some, table, wrapped

MOST_ROWS = 200
"""Maximum steps of a comparison that are listed: more would not be read."""


def widths_table(found: Widths) -> str:
    """Return a simulation as a table: one line per number of workers."""
    drawn = found.seeds > 1
    head = ["WORKERS", "TIME", "BOUND", "SPEED-UP", *(["P10", "P90"] if drawn else [])]
    fails = any(width.done < 1 for width in found.widths)
    priced = any(width.usd is not None for width in found.widths)
    head += (["DONE"] if fails else []) + (["USD"] if priced else [])
    rows = [_width(width, drawn=drawn, fails=fails, priced=priced) for width in found.widths]
    over = f", {counted(found.seeds, 'random trial')}" if drawn else ""
    about = (
        f"{counted(found.steps, 'step')}, {seconds(found.work_seconds)} of work, critical path "
        f"{seconds(found.critical_path_seconds)}{over}"
    )
    return "\n".join((about, table(head, rows, right=range(len(head))))) + "\n"


def _width(width: Width, *, drawn: bool, fails: bool, priced: bool) -> list[str]:
    workers = width.workers if isinstance(width.workers, str) else f"{width.workers:,}"
    row = [workers, seconds(width.seconds), seconds(width.bound_seconds), f"{width.speedup:.2f}"]
    row += [seconds(width.spread.p10), seconds(width.spread.p90)] if drawn else []
    row += [f"{width.done:.0%}"] if fails else []
    return row + ([usd(width.usd)] if priced else [])


def usd(price: float | None) -> str:
    """Return a price."""
    return "unknown" if price is None else f"{price:,.4f}"


def advice_lines(advice: Advice, worst_tokens: int | None = None, worst_usd: float | None = None) -> list[str]:
    """Return the estimate of a plan, its worst case, and the advice."""
    known = {"plan": "the plan", "earlier runs": "similar steps in earlier runs"}
    known |= {"sizes": "the sizes of inputs and usual answers", "default": "default durations"}
    sources = some([known.get(source, source) for source in advice.expected_from], 3)
    lists = "; list lengths are assumed" if advice.is_estimate else ""
    rows = [("swarm", *_estimate(advice.swarm)), ("one agent", *_estimate(advice.one_agent))]
    lines = [
        f"Estimate (from {sources}{lists}):",
        *table(("", "TIME", "TOKENS", "USD"), rows, right=(1, 2, 3), indent="  ").splitlines(),
    ]
    if advice.cached:
        lines.append(f"Cache: {advice.cached:,} of {counted(advice.steps, 'step')} are in the cache and cost nothing")
    if worst_tokens is not None:
        price = "" if worst_usd is None else f", {worst_usd:,.4f} USD"
        lines.append(f"Worst case: {worst_tokens:,} tokens{price}")
    return [*lines, wrapped(f"Advice: {advice.verdict}: {one_line(advice.reason)}")]


def tree_lines(trees: Iterable[Tree]) -> list[str]:
    """Return which steps become several because of what they read, a line each."""
    return [wrapped(_tree_line(tree)) for tree in trees]


def opened_lines(opened: Iterable[tuple[str, int]]) -> list[str]:
    """Return which steps look things up in long texts instead of reading all, a line each."""
    return [
        wrapped(f"Opens: {step} looks things up in {bytes_of:,} bytes of long texts, page by page")
        for step, bytes_of in opened
    ]


def _tree_line(tree: Tree) -> str:
    levels = f" in {counted(tree.levels, 'level')}"
    if tree.kind == "parts":
        who = tree.step if tree.whole == 1 else f"{tree.step} (of {tree.whole:,} instances each)"
        return f"Reads: {who} reads texts that are too long for one prompt: {counted(tree.partials, 'part')}{levels}"
    size = f" outputs of about {tree.tokens // tree.reads:,} tokens" if tree.reads else ""
    what = tree.kind.removesuffix("s") if tree.partials == 1 else tree.kind
    reads = f"{tree.reads:,}{size}" if tree.reads else "inputs that are too much for one prompt"
    return f"Reads: {tree.step} reads {reads}: {tree.partials:,} {what}{levels}"


def limit_line(limit: int | None, expected: int) -> list[str]:
    """Return the line that a plan is expected to use more tokens than its limit allows, if it is."""
    if limit is None:
        return []
    words = f"Limit: limits.tokens is {limit:,}, fewer than the {expected:,} expected: some steps may not run, and the"
    return [wrapped(f"{words} report will have what was found before. Raise it to have all")]


def _estimate(each: Estimate) -> tuple[str, str, str]:
    return seconds(each.seconds), f"{each.tokens:,}", usd(each.usd)


def comparison(pair: RunPair) -> str:
    """Return two runs compared: the figures, then the steps that differ."""
    one, other = pair.before, pair.after
    rows = [
        ("status", one.status, other.status, ""),
        _timed("time", one.seconds, other.seconds),
        _timed("work", *pair.work_seconds),
        _timed("critical path", *pair.critical_path_seconds),
        ("tokens", f"{one.tokens:,}", f"{other.tokens:,}", f"{other.tokens - one.tokens:+,}"),
        ("USD", usd(one.usd), usd(other.usd), _price_change(one.usd, other.usd)),
    ]
    head = ("", *(one_line(run) for run in pair.runs), "CHANGE")
    counts = ", ".join(f"{count:,} {change}" for change, count in pair.counts.items())
    moved = [step for step in pair.steps if step.change != "same"]
    sections = [table(head, rows, right=(1, 2, 3)), f"steps: {counts}"]
    if moved:
        sections.append(_moved(moved))
    return "\n\n".join(sections) + "\n"


def _moved(moved: Sequence[StepPair]) -> str:
    rows = [
        (step.step, step.change, *_both(step.before, step.after), some(step.differs, 6)) for step in moved[:MOST_ROWS]
    ]
    shown = table(("STEP", "", "TIME", "TOKENS", "CHANGED INPUTS"), rows, right=(2, 3))
    more = len(moved) - len(rows)
    return f"{shown}\n… {more:,} more" if more > 0 else shown


def _both(before: Side | None, after: Side | None) -> tuple[str, str]:
    sides = [side for side in (before, after) if side is not None]
    return " → ".join(seconds(side.seconds) for side in sides), " → ".join(short(side.tokens) for side in sides)


def _timed(name: str, one: float, other: float) -> tuple[str, str, str, str]:
    sign = "+" if other >= one else "-"
    return name, seconds(one), seconds(other), f"{sign}{seconds(abs(other - one))}"


def _price_change(one: float | None, other: float | None) -> str:
    return "" if one is None or other is None else f"{other - one:+,.4f}"
