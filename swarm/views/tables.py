"""Runs, one run, one step and a plan as plain aligned text: the same on a terminal, in a pipe and in a file."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

from swarm.base.errors import PlanError, Problem, RunNotFoundError
from swarm.base.values import Json
from swarm.planning import graph
from swarm.planning.lint import Finding
from swarm.record import events as e
from swarm.record.state import State
from swarm.record.steps import Status, StepState
from swarm.results.left_out import left_out, left_out_line
from swarm.results.measure import Parallelism, cost
from swarm.results.timeline import Timeline
from swarm.results.why import reasons
from swarm.spec.chat import MediaFile, Message, Usage
from swarm.spec.plan import Step, role_of
from swarm.views.parallel import paragraph
from swarm.views.progress import outcome
from swarm.views.steps import FOLDED, ended_alike, steps_table
from swarm.views.why import why_lines
from swarm.views.words import absences, block, counted, dollars, one_line, seconds, size, some, table, wrapped

GOAL_CHARACTERS = 300
"""Maximum characters of a goal."""
NEEDS_NAMED = 3
"""Maximum dependencies of a step that a table names."""


class RunRow(Protocol):
    """A run in a list of runs."""

    @property
    def run(self) -> str:
        """Its id."""
        ...

    @property
    def status(self) -> str:
        """How it ended, or that it has not ended."""
        ...

    @property
    def goal(self) -> str:
        """Its goal."""
        ...

    @property
    def steps(self) -> int:
        """Number of its steps."""
        ...

    @property
    def done(self) -> int:
        """Number of its steps that are done."""
        ...

    @property
    def at(self) -> float:
        """Start time in seconds since 1970; 0 if unknown."""
        ...

    @property
    def seconds(self) -> float:
        """Seconds it took, or has taken so far."""
        ...


def runs_table(rows: Iterable[RunRow], sizes: Mapping[str, int] | None = None) -> str:
    """Return runs in the given order: id, status, steps, time, size (by id, if known), start (UTC), goal."""
    head = ["RUN", "STATUS", "DONE", "TIME", *(["SIZE"] if sizes is not None else []), "STARTED", "GOAL"]
    made: list[list[str]] = []
    for row in rows:
        cells = [row.run, row.status, f"{row.done}/{row.steps}", seconds(row.seconds)]
        cells += [] if sizes is None else [size(sizes.get(row.run, 0))]
        made.append([*cells, _when(row.at), row.goal])
    return table(head, made, right=range(2, len(head) - 2))


def _when(at: float) -> str:
    try:
        return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}" if at > 0 else ""
    except (OverflowError, OSError, ValueError):  # a journal may hold any number
        return ""


def run_table(
    state: State, parallelism: Parallelism, *, sort: str = "", everything: bool = True, status: str = ""
) -> str:
    """Return one run: what took most, its steps, its errors, what each model used, how parallel it was.

    `sort` and `everything` are those of `steps_table`. `status` says how the run ended, or that it has not
    [default: as the state knows it].
    """
    real = list(state.real_steps())
    timeline = Timeline(state)
    sections = [
        "\n".join(_about_run(state, status)),
        "\n".join(why_lines(reasons(timeline, parallelism.workers))),
        steps_table(state, sort, everything=everything),
        _section("not done", list(_not_done(real, everything=everything))),
        _section("left out", [one_line(line) for line in filter(None, [left_out_line(left_out(state))])]),
        _section("notes", _by_step(real, _notes)),
        _section("media", _by_step(real, lambda s: [_file(made) for made in s.outcome.media])),
        f"usage\n{_usage(state)}",
        "\n".join(["parallelism", *(wrapped(line, "  ") for line in paragraph(parallelism))]),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _about_run(state: State, status: str) -> Iterator[str]:
    finished = state.finished
    status = status or ("not finished" if finished is None else finished.status)
    because = f" ({one_line(finished.because)})" if finished is not None and finished.because else ""
    yield f"run {one_line(state.run)}: {status}{because}, {seconds(state.t)}"
    if state.goal.strip():
        yield f"goal: {one_line(state.goal, GOAL_CHARACTERS)}"
    if state.resumed:
        yield f"resumed {counted(state.resumed, 'time')}"
    for name, value in state.limits_reached.items():
        yield f"limit {one_line(name)} reached: {value:,g}"
    for name, away in state.away.items():
        yield f"{one_line(name)}: {absences(away)}"


def _by_step(steps: Iterable[StepState], texts: Callable[[StepState], Iterable[str]]) -> list[str]:
    """Return texts about steps, each after the id of its step."""
    lines: list[str] = []
    for s in steps:
        lines += [one_line(f"{s.id}: {text}") for text in texts(s)]
    return lines


def _section(title: str, lines: Sequence[str]) -> str:
    return "\n".join((title, *(f"  {line}" for line in lines))) if lines else ""


def _not_done(real: Iterable[StepState], *, everything: bool) -> Iterator[str]:
    """Yield the steps without an output, and why; those that ended alike in one line, unless `everything` is shown."""
    found = list(real)
    bad = [[s] for s in found if s.over and s.status is not Status.DONE] if everything else ended_alike(found)
    for group in bad:
        yield one_line(f"{some([s.id for s in group], NEEDS_NAMED)} {outcome(group[0])}")


def _notes(s: StepState) -> list[str]:
    seen = (each.words for each in s.outcome.opened)
    gaps = (f"omitted: {what}" for what in s.outcome.gaps)
    return [*s.outcome.notes, *s.outcome.doubts, *seen, *gaps]


def _usage(state: State) -> str:
    costs = cost(state)
    used = list(costs.aliases.items())
    if len(used) != 1:
        used.append(("all", costs.run))
    if len(costs.agents) > 1:
        used += [(f"by {name}", each) for name, each in costs.agents.items()]
    failed = costs.run.unanswered_tokens > 0
    rows = [(one_line(name), *_used(each, failed=failed)) for name, each in used]
    head = ["MODEL", "CALLS", "INPUT", "OUTPUT", "CACHED", "USD", *(["UNANSWERED", "UP TO USD"] if failed else [])]
    lines = [table(head, rows, right=range(1, len(head)), indent="  ")]
    if failed:
        lines.append("  UNANSWERED: tokens that may have been billed for failed calls, not part of the others")
    return "\n".join([*lines, *_prices(state)])


def _used(usage: Usage, *, failed: bool) -> list[str]:
    """Return the columns of a usage; with `failed`, also those of calls without an answer."""
    counts = (usage.calls, usage.input_tokens, usage.output_tokens, usage.cached_tokens)
    row = [*(f"{count:,}" for count in counts), _price(usage.usd)]
    return [*row, f"{usage.unanswered_tokens:,}", _price(usage.unanswered_cost)] if failed else row


def _prices(state: State) -> Iterator[str]:
    """Return the prices per million tokens, and their sources."""
    prices = {} if state.started is None else state.started.prices
    for alias, price in prices.items():
        if price is None:
            yield f"  price of {one_line(alias)}: unknown (set `price:` in the task)"
        elif price.get("source") != "free":
            kinds = [kind for kind in ("input", "cached", "output") if price.get(kind)]
            about = ", ".join(f"{kind} {price[kind]}" for kind in kinds) or "0"
            source = f"source: {price.get('source')}"
            yield "  " + one_line(f"price of {alias}, USD per million tokens: {about} ({source})")


def _price(usd: float | None) -> str:
    return "unknown" if usd is None else f"{usd:,.4f}"


def step_page(state: State, step: str, events: Iterable[e.Stamped]) -> str:
    """Return one step: its prompt, each turn with its tool calls and its usage, its output.

    `events` may be all events of the run. Raise `RunNotFoundError` if the run has no such step.
    """
    s = state.steps.get(step)
    if s is None:
        known = some(list(state.steps), 10)
        wrong = f"run {one_line(state.run)} has no step {one_line(step, 80)}; its steps: {known}"
        raise RunNotFoundError(Problem(wrong))
    sections = [
        "\n".join(_about(s)),
        _titled("prompt", s.step.prompt),
        *_told(step, events),
        _titled("output", _text(s.outcome.output)) if s.status is Status.DONE and s.outcome.artifact is None else "",
        _section("notes", [one_line(note) for note in _notes(s)]),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _titled(title: str, text: str) -> str:
    return f"{title}\n{block(text)}" if text.strip() else ""


def _text(value: Json) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def _who(s: StepState) -> str:
    if s.step.merge is not None:
        return f"{role_of(s.step)}, no model"
    return f"agent {one_line(s.step.agent)}, model {one_line(s.model) or '-'}"


def _asked(step: Step) -> str:
    """Return what a step does, for a table: its prompt, or the key of a merge."""
    return step.prompt if step.key is None else f"key: {', '.join(step.key)}"


def _about(s: StepState) -> list[str]:
    step = s.step
    spawned = f", spawned {counted(len(s.children), 'step')}" if s.children else ""
    lines = [
        f"step {one_line(s.id)}: {one_line(outcome(s)) if s.over else s.status.value}{spawned}",
        f"{_who(s)}, {counted(s.attempt, 'attempt')}, {counted(s.turns, 'turn')}, {_tokens(s.usage)}",
        f"added by {one_line(s.by)}",
    ]
    named = (
        ("needs", step.needs),
        ("after", step.after),
        ("inputs", step.inputs or ()),
        ("tools", step.tools or ()),
    )
    lines += [f"{name}: {one_line(', '.join(given))}" for name, given in named if given]
    if step.instance_of is not None:
        lines.append(f"item: {one_line(_text(step.item))}")
    if s.outcome.artifact is not None:
        lines.append(f"output: artifacts/{one_line(s.outcome.artifact)}")
    return [*lines, *(f"media: {_file(made)}" for made in s.outcome.media)]


def _file(made: MediaFile) -> str:
    name = f"{one_line(made.name)}, " if made.name else ""
    return f"{name}{one_line(made.mime)}, {counted(made.size, 'byte')}: artifacts/{made.sha256}"


def _tokens(usage: Usage) -> str:
    cached = f" ({usage.cached_tokens:,} cached)" if usage.cached_tokens else ""
    guess = ", estimated" if usage.estimated else ""
    paid = f", {dollars(usage.cost)}" if usage.cost else ""
    return f"{usage.input_tokens:,} tokens in{cached}, {usage.output_tokens:,} out{guess}{paid}"


def _told(step: str, events: Iterable[e.Stamped]) -> list[str]:
    """Return the turns of a step, and the start and failure of each attempt."""
    told: list[str] = []
    number = 0
    for event in events:
        match event:
            case e.StepStarted() if event.step == step:
                model = one_line(event.model)
                told.append(f"attempt {event.attempt} started at {seconds(event.t)} with model {model}")
            case e.TurnTaken() if event.step == step:
                number += event.is_answer or not event.messages
                told.append(_turn(event, number))
            case e.StepFailed() if event.step == step:
                again = "" if event.retry_in is None else f"; retried after {seconds(event.retry_in)}"
                why = one_line(f"{event.error.kind}: {event.error.message}")
                told.append(f"attempt {event.attempt} failed at {seconds(event.t)}: {why}{again}")
            case _:
                pass
    return told


def _turn(event: e.TurnTaken, number: int) -> str:
    form = f", output format {event.form}" if event.form else ""
    head = (
        f"turn {number}: {one_line(event.endpoint) or 'endpoint unknown'}, {seconds(event.seconds)}, "
        f"{_tokens(event.usage)}, finish reason {one_line(event.finish)}{one_line(form)}"
    )
    is_tool = event.messages and not event.is_answer
    lines = [f"tool of turn {number}: {seconds(event.seconds)}" if is_tool else head]
    for message in event.messages:
        lines += _message(message)
    return "\n".join(lines)


def _message(message: Message) -> list[str]:
    who = f"{message.role} {one_line(message.tool_call_id)}" if message.tool_call_id else message.role
    lines = [f"  {who}:\n{block(message.text, indent='    ')}"] if message.text else []
    lines += [f"  {who}: media {_file(made)}" for made in message.made]
    lines += [f"  calls {one_line(call.name)} {one_line(call.arguments)}" for call in message.tool_calls]
    return lines


def plan_table(
    steps: Sequence[Step], findings: Iterable[Finding] = (), stages: Sequence[Sequence[str]] | None = None
) -> str:
    """Return a plan: its steps by stage with their dependencies, its width, its critical path and the findings.

    A stage is the steps that can run in parallel after the stages before it (by default those of `graph.stages`).
    """
    levels, path = _shape(steps, stages)
    order: dict[str, int] = {}
    for n, names in enumerate(levels, 1):
        order |= dict.fromkeys(names, n)
    ranked = sorted(steps, key=lambda step: order.get(step.id, len(levels) + 1))
    rows = list(_planned(ranked, order))
    sections = [
        table(("STAGE", "STEP", "AGENT", "WAITS FOR", "PROMPT"), rows) if rows else "no steps",
        "\n".join(line for line in (_width(steps, levels), path) if line),
        _section("findings", [_found(finding) for finding in findings]),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _planned(steps: Iterable[Step], order: Mapping[str, int]) -> Iterator[tuple[str, ...]]:
    """Yield the row of each step; more than `FOLDED` that differ in their prompts only share one."""
    alike: dict[tuple[str, str, str], list[Step]] = {}
    for s in steps:
        alike.setdefault((str(order.get(s.id, "-")), role_of(s), _needs(s)), []).append(s)
    for (stage, role, needs), group in alike.items():
        if len(group) > FOLDED:
            yield stage, f"{group[0].id} … {group[-1].id} ×{len(group):,}", role, needs, _asked(group[0])
            continue
        for s in group:
            yield stage, s.id, role, needs, _asked(s)


def _shape(steps: Sequence[Step], stages: Sequence[Sequence[str]] | None) -> tuple[Sequence[Sequence[str]], str]:
    """Return the stages, and the critical path in words. A cyclic plan has an error instead of a path."""
    expected = {step.id: 1.0 if step.seconds is None else step.seconds for step in steps}
    try:
        levels = graph.stages(steps) if stages is None else stages
        path = graph.critical_path(steps, expected)
    except PlanError as error:
        return stages or (), one_line(str(error))
    said = all(step.seconds is not None for step in steps)
    took = f", {seconds(path.seconds)} as planned" if said and steps else ""
    names = [one_line(name) for name in path.steps]
    return levels, f"Critical path, {counted(len(names), 'step')}{took}: {' → '.join(names)}" if names else ""


def _width(steps: Sequence[Step], levels: Sequence[Sequence[str]]) -> str:
    many = {step.id: len(step.each) if isinstance(step.each, tuple) else 1 for step in steps}
    width = max((sum(many.get(name, 1) for name in names) for names in levels), default=0)
    side = "at least" if any(isinstance(step.each, str) for step in steps) else "up to"
    return f"{counted(len(steps), 'step')} in {counted(len(levels), 'stage')}, {side} {width:,} in parallel"


def _needs(step: Step) -> str:
    each = ""
    if step.each is not None:
        each = f"{len(step.each)} items" if isinstance(step.each, tuple) else f"each of {step.each}"
    needs = [name for name in step.needs if name != step.each]
    after = f"after {some(step.after, NEEDS_NAMED)}" if step.after else ""
    return "; ".join(part for part in (each, some(needs, NEEDS_NAMED), after) if part)


def _found(finding: Finding) -> str:
    return f"{finding.severity}: {one_line(str(finding), 2 * GOAL_CHARACTERS)}"
