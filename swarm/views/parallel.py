"""The parallelism of a run, in words."""

from swarm.results.measure import Parallelism
from swarm.results.waiting import Waiting
from swarm.views.words import counted, one_line, seconds, some

ON_PATH = 8
"""Maximum steps of the critical path that are named: the first and the last of more."""


SHORT_SECONDS = 1.0
"""Seconds below which a run says nothing about speed: most of them are the program's own. Nobody notices less."""
SHOWN_SECONDS = 0.005
"""Minimum seconds of a wait that is named: less is written as 0 s."""
NONE = 1.05
"""Speed-up below which there is none: the error of its second digit."""


def is_short(p: Parallelism) -> bool:
    """Whether a run was so short that rates and ratios of its time mean nothing: they are those of the program."""
    return p.seconds < SHORT_SECONDS


def speed(p: Parallelism) -> str:
    """Return the speed-up of a run, or that there is none. Return nothing if it is unknown or means nothing."""
    if is_short(p):
        return ""
    if p.work_seconds <= 0:
        return "Speed-up: none (no step took any time)"
    if p.speedup is None or p.one_worker_seconds is None:
        return ""
    about = "about " if p.is_estimated else ""
    how = "estimated from calls that ran alone; " if p.is_estimated else ""
    if p.speedup < NONE:
        return f"Speed-up: none ({how}one worker would have taken {about}{seconds(p.one_worker_seconds)})"
    return f"Speed-up: {about}{p.speedup:.1f}× ({how}best possible: {p.ideal_speedup:.1f}×)"


def calls(p: Parallelism) -> str:
    """Return how many calls were answered in parallel, and per second."""
    if p.calls_peak == 0:
        return ""
    rate = "" if p.answers_per_second is None or is_short(p) else f"; {p.answers_per_second:,.1f} answers per second"
    return f"Calls in flight: peak {p.calls_peak:,}, mean {p.calls_mean:.1f}{rate}"


def width(p: Parallelism) -> str:
    """Return how many workers were allowed and used."""
    return f"Workers: maximum {p.workers:,}, peak {p.peak:,}, mean {p.mean:.1f}"


def path(p: Parallelism) -> str:
    """Return the steps on the critical path."""
    if not p.critical_path or p.critical_path_seconds < SHOWN_SECONDS:
        return ""
    names = p.critical_path
    half = ON_PATH // 2
    shown = names if len(names) <= ON_PATH else (*names[:half], "…", *names[-half:])
    steps = " → ".join(one_line(name) for name in shown)
    return f"Critical path, {seconds(p.critical_path_seconds)}: {steps}"


def flags(p: Parallelism) -> list[str]:
    """Return each flag with its evidence."""
    return [f"{flag.kind.replace('_', ' ')}: {one_line(flag.message)}" for flag in p.evidence]


def paragraph(p: Parallelism) -> list[str]:
    """Return all figures, one per line."""
    slowest = sorted(p.path, key=lambda each: -each.seconds)[:3]
    shares = some([f"{each.step} {each.share:.0%}" for each in slowest], 3)
    way = path(p)
    brief = "; too short for a speed-up" if is_short(p) else ""
    lines = [
        f"Time: {seconds(p.seconds)} for {seconds(p.work_seconds)} of calls and tools{brief}",
        speed(p),
        calls(p),
        width(p),
        f"{way} (longest: {shares})" if way and shares else way,
        _bound(p),
        _waits(p.waiting),
        f"Turns: {p.total_steps:,} in total, {p.critical_steps:,} of them in sequence",
        *(f"! {flag}" for flag in flags(p)),
    ]
    return [line for line in lines if line.strip()]


def _waits(waiting: Waiting) -> str:
    causes = (
        (waiting.needs, "for dependencies"),
        (waiting.slots, "for a free worker"),
        (waiting.endpoint_slots, "for a free slot of the endpoint"),
        (waiting.rate_limit, "for rate-limited endpoints"),
        (waiting.retry, "before a retry"),
        (waiting.budget, "for the budget"),
        (waiting.equal_step, "for an equal step"),
        (waiting.other, "for failed calls and the program itself"),
    )
    waits = [f"{seconds(value)} {what}" for value, what in causes if value >= SHOWN_SECONDS]
    whole = f" {seconds(waiting.total)} =" if len(waits) > 1 else ""
    return f"Waiting, sum over steps:{whole} {' + '.join(waits) or 'none'}"


def _bound(p: Parallelism) -> str:
    if p.bound_seconds <= 0 or is_short(p):
        return ""
    how = "within" if p.bound_share <= 1 else "over"
    workers = counted(p.workers, "worker")
    bound = seconds(p.bound_seconds)
    return f"Graham's bound for {workers}: {bound}; the run took {p.bound_share:.0%} of it ({how} the bound)"
