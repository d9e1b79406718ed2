"""How parallel a run was, in words a person understands."""

from swarm.measure import Parallelism, Waiting
from swarm.views.words import counted, one_line, seconds, some

ON_PATH = 8
"""Steps of the critical path that are named: the first and the last of more."""


def speed(p: Parallelism) -> str:
    """Say what was reached and what could have been."""
    if p.work_seconds <= 0:
        return "no step took any time"
    return f"{p.speedup:.1f} times as fast as one worker, {p.ideal_speedup:.1f} times with a worker for every step"


def width(p: Parallelism) -> str:
    """Say how many ran at once."""
    return f"{counted(p.workers, 'worker')} allowed, at most {p.peak} at once, {p.mean:.1f} on average"


def path(p: Parallelism) -> str:
    """Name who was on the critical path."""
    if not p.critical_path:
        return ""
    names = p.critical_path
    shown = names if len(names) <= ON_PATH else (*names[: ON_PATH // 2], "…", *names[-ON_PATH // 2 :])
    return f"critical path, {seconds(p.critical_path_seconds)}: {' → '.join(one_line(name) for name in shown)}"


def flags(p: Parallelism) -> list[str]:
    """Write each flag with its evidence."""
    return [f"{flag.kind.replace('_', ' ')}: {one_line(flag.message)}" for flag in p.evidence]


def paragraph(p: Parallelism) -> list[str]:
    """Write all there is to say, a line each."""
    slowest = sorted(p.path, key=lambda each: -each.seconds)[:3]
    shares = some([f"{each.step} {each.share:.0%} of it" for each in slowest], 3)
    lines = [
        f"{seconds(p.seconds)} for {seconds(p.work_seconds)} of work",
        speed(p),
        width(p),
        path(p) + (f" ({shares})" if shares else ""),
        _bound(p),
        _waits(p.waiting),
        f"{counted(p.total_steps, 'turn')} in all, {p.critical_steps:,} of them one after the other",
        *(f"! {flag}" for flag in flags(p)),
    ]
    return [line for line in lines if line.strip()]


def _waits(waiting: Waiting) -> str:
    causes = (
        (waiting.needs, "for steps they need"),
        (waiting.slots, "for a slot"),
        (waiting.retry, "before trying again"),
        (waiting.rate_limit or 0.0, "for busy endpoints"),
    )
    waits = [f"{seconds(value)} {what}" for value, what in causes if value > 0]
    return f"steps waited, added up: {', '.join(waits)}" if waits else "no step waited"


def _bound(p: Parallelism) -> str:
    if p.bound_seconds <= 0:
        return ""
    how = "within" if p.bound_share <= 1 else "over"
    with_ = counted(p.workers, "worker")
    return f"{how} Graham's bound for {with_}, {seconds(p.bound_seconds)}: it took {p.bound_share:.0%} of that"
