"""The facts of a running run that every live view shows: on a terminal, in plain lines and in a notebook."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

from swarm.base.values import Json
from swarm.record.state import State
from swarm.record.steps import OVER, Status, StepState
from swarm.spec.plan import Step, role_of
from swarm.views.board import Activity, Board, Sign, last_words
from swarm.views.left import Left, left
from swarm.views.words import clock, counted, dollars, one_line, short

OFFLINE = "offline"
"""The built-in endpoint: it has no limit, and answers immediately."""
TASK_CHARACTERS, TASK_SHOWN = 600, 200
"""Characters of what a step was asked that are kept, and shown: a secret is removed before it is cut."""
CHARACTERS_PER_TOKEN = 4
"""Characters per token of an answer that is being written, for its token count so far."""
BAR_ORDER = (
    Status.DONE,
    Status.FAILED,
    Status.LIMITED,
    Status.CANCELLED,
    Status.SKIPPED,
    Status.RUNNING,
    Status.READY,
    Status.WAITING,
)
"""The states of steps in the order of the bar and of the counts: finished, running, not started."""
WAITS: dict[Activity, str] = {
    "slots": "waiting for a slot",
    "rate_limit": "waiting for its turn",
    "retry": "retrying",
    "budget": "waiting for budget",
    "approval": "waiting for approval",
}
"""What an agent waits for, in words."""
_LIMITED = "rate limited"
"""The same as waiting for its turn, once an endpoint has refused a call."""
_IN_FLIGHT = frozenset[Activity](("wire", "text", "thought", "call"))
"""What an agent does while its call is in flight."""
_WORKS: dict[Activity, str] = {
    "starts": "working",
    "wire": "calling",
    "text": "writing",
    "thought": "thinking",
    "call": "calling a tool",
    "tool": "running a tool",
}


@dataclass(frozen=True, slots=True)
class RunningAgent:
    """A running agent."""

    id: str
    role: str
    doing: str
    """What it does or waits for, in a few words."""
    waits: bool
    quiet: float
    """Seconds since its last sign of life; while it waits, seconds since then."""
    running: float
    """Seconds since its attempt started."""
    tokens: int
    words: str
    """Last words of its model, or its last tool call. Not safe to show yet."""
    critical: bool = False
    """Whether it is on the chain of steps that decides how long the run still takes."""
    task: str = ""
    """What it was asked, until it has words: the item of an instance, else its prompt. Not safe to show yet."""


@dataclass(frozen=True, slots=True)
class EndpointUse:
    """An endpoint, and the calls in flight there."""

    name: str
    used: int | None
    """None if a journal is all that is known of the run."""
    allowed: int | None
    """Maximum parallel calls; None if it is not known."""
    why: str
    """Why the maximum changed last; empty if it did not."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A run at one moment."""

    run: str
    goal: str
    t: float
    """Seconds of the run so far."""
    counts: dict[Status, int]
    """Number of real steps by status, in the order of the bar; none that is 0."""
    agents: tuple[RunningAgent, ...]
    """Running agents: those that decide how long the run takes, then by start."""
    models: tuple[str, ...]
    endpoints: tuple[EndpointUse, ...]
    repeated: int
    """Calls and attempts that failed and were made again."""
    used: tuple[str, ...]
    """What the run has used of each limit: tokens, money, time."""
    waiting: dict[str, int]
    """Number of agents that wait, by what they wait for."""
    left: float | None
    """Seconds that the run may still take; None if that is not known."""
    limits: tuple[str, ...]
    """Limits that were reached."""

    @property
    def total(self) -> int:
        """Number of real steps."""
        return sum(self.counts.values())

    @property
    def over(self) -> int:
        """Number of real steps that have ended."""
        return sum(count for status, count in self.counts.items() if status in OVER)


def calls_at(endpoint: EndpointUse) -> str:
    """Return the calls in flight at an endpoint, and the maximum: `8 of 16 calls`."""
    if endpoint.used is None:
        return "" if endpoint.allowed is None else f"maximum {counted(endpoint.allowed, 'call')}"
    if endpoint.allowed is None:
        return counted(endpoint.used, "call")
    return f"{endpoint.used:,} of {counted(endpoint.allowed, 'call')}"


class FactFinder:
    """Collects the facts of one run. What is expensive is computed once per second."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._left = Left()
        self._left_at = -1.0
        self._tasks: dict[str, str] = {}

    def facts(self, state: State, now: float) -> Moment:
        """Return the facts at the time `now` of the run's clock."""
        real = list(state.real_steps())
        counts = Counter(s.status for s in real)
        limits = _inside(state.task, "limits")
        self._estimate(state, now, _whole(limits.get("workers")) or 1)
        running = [s for s in real if _runs(s)]
        agents = sorted((self._agent(s, now) for s in running), key=lambda each: (not each.critical, -each.running))
        return Moment(
            run=state.run,
            goal=state.goal,
            t=now,
            counts=_in_bar_order(counts),
            agents=tuple(agents),
            models=tuple(_models(state)),
            endpoints=tuple(self._endpoints(state, now, running)),
            repeated=self._board.repeated + self._board.failed_attempts,
            used=tuple(_used(state, limits)),
            waiting=dict(Counter(agent.doing for agent in agents if agent.waits)),
            left=self._left.seconds,
            limits=tuple(state.limits_reached),
        )

    def _estimate(self, state: State, now: float, workers: int) -> None:
        """Estimate what is left, if the last estimate is too old."""
        if not self._left_at <= now < self._left_at + 1:
            self._left, self._left_at = left(state, now, workers), now

    def _agent(self, s: StepState, now: float) -> RunningAgent:
        sign = self._board.signs.get(s.id) or _recorded(s)
        doing, waits = _doing(sign, now)
        if sign.doing == "rate_limit" and self._board.is_limited:
            doing = _LIMITED
        return RunningAgent(
            id=s.id,
            role=role_of(s.step),
            doing=doing,
            waits=waits,
            quiet=max(0.0, now - (sign.since if waits else sign.at)),
            running=max(0.0, now - s.spans[-1].start),
            tokens=s.usage.tokens + sign.characters // CHARACTERS_PER_TOKEN,
            words=sign.words,
            task="" if sign.words else self._task(s.step),
            critical=s.id in self._left.critical,
        )

    def _task(self, step: Step) -> str:
        """Return what a step was asked. An item may be large, so it is written once."""
        if step.id not in self._tasks:
            self._tasks[step.id] = task_of(step)
        return self._tasks[step.id]

    def _endpoints(self, state: State, now: float, running: list[StepState]) -> Iterator[EndpointUse]:
        """Yield each endpoint of the models in use, with its calls in flight."""
        models = _models_of(state)
        allowed = _allowed(state, models)
        used: Counter[str] = Counter()
        for s in running:
            sign = self._board.signs.get(s.id)
            used[_label(models.get(s.model, {})) or s.endpoint] += sign is not None and sign.doing in _IN_FLIGHT
        for name in dict.fromkeys((*allowed, *used, *state.slots)):
            change = self._board.slots.get(name)
            if name and name != OFFLINE:
                why = "" if change is None else change.why
                away = state.away.get(name)
                if away is not None and away.since is not None:
                    why = f"gone for {clock(now - away.since)}: {away.why}"
                calls = used[name] if self._board.is_live else None
                yield EndpointUse(name, calls, state.slots.get(name, allowed.get(name)), why)


def _runs(s: StepState) -> bool:
    """Return whether an attempt at a step runs. A stand-in runs, too, but has none."""
    return s.status is Status.RUNNING and bool(s.spans) and s.spans[-1].end is None


def _in_bar_order(counts: Mapping[Status, int]) -> dict[Status, int]:
    return {status: counts[status] for status in BAR_ORDER if counts[status]}


def _allowed(state: State, models: Mapping[str, Mapping[str, Json]]) -> dict[str, int | None]:
    """Return the maximum parallel calls of the endpoints that were used, as far as the task says them."""
    most = _whole(_inside(state.task, "limits").get("workers"))
    used = (
        (_label(model), _whole(model.get("calls"))) for alias, model in models.items() if alias in state.usage_by_alias
    )
    return {label: calls or most for label, calls in used if label}


def _recorded(s: StepState) -> Sign:
    """Return the last sign of life of an attempt that the state has."""
    span = s.spans[-1]
    at = max([span.start, *(call.end for call in s.calls[-1:])])
    answers = (message for message in reversed(s.transcript) if message.role == "assistant")
    last = next(answers, None)
    return Sign(span.attempt, at, since=at, words="" if last is None else last_words(last))


def _doing(sign: Sign, now: float) -> tuple[str, bool]:
    """Return what an agent does, and whether that is waiting."""
    if sign.doing == "retry" and sign.until > now:
        return f"retrying in {sign.until - now:.0f} s", True
    if sign.doing in WAITS:
        return WAITS[sign.doing], True
    if sign.doing == "tool" and sign.tools:
        return f"tool {one_line(sign.tools[0].name, 20)}", False
    return _WORKS[sign.doing], False


def task_of(step: Step) -> str:
    """Return the start of what a step was asked: what it has in contrast to similar steps."""
    if step.instance_of is None:
        return step.prompt[:TASK_CHARACTERS]
    item = step.item if isinstance(step.item, str) else json.dumps(step.item, ensure_ascii=False)
    return item[:TASK_CHARACTERS]


def _label(model: Mapping[str, Json]) -> str:
    """Return the host and port of a model's endpoint; empty if there is none."""
    address = model.get("endpoint")
    if not isinstance(address, str):
        return ""
    found = urlsplit(address)
    host = found.hostname or address
    try:
        return f"{host}:{found.port}" if found.port else host
    except ValueError:
        return host


def _inside(value: Mapping[str, Json], key: str) -> dict[str, Json]:
    """Return the mapping under a key; an empty one if there is none."""
    found = value.get(key)
    return cast("dict[str, Json]", found) if isinstance(found, dict) else {}


def _whole(value: Json) -> int | None:
    return value if isinstance(value, int) else None


def _models_of(state: State) -> dict[str, dict[str, Json]]:
    """Return the models of the task as it was recorded, by alias."""
    models = _inside(state.task, "models")
    return {alias: _inside(models, alias) for alias in models}


def _models(state: State) -> Iterator[str]:
    """Yield the models of a task: `default: qwen3 at 127.0.0.1:8000`."""
    for alias, model in _models_of(state).items():
        name, where = model.get("name") or "", _label(model)
        words = " at ".join(filter(None, (str(name), where)))
        yield f"{alias}: {words}" if words else str(alias)


def _used(state: State, limits: Mapping[str, Json]) -> Iterator[str]:
    tokens = limits.get("tokens")
    most = f" of {short(tokens)}" if isinstance(tokens, int | float) else ""
    yield f"{short(state.usage.tokens)}{most} tokens"
    usd = limits.get("usd")
    if isinstance(usd, int | float):
        yield f"{dollars(state.usage.cost)} of {dollars(usd)}"
    elif state.usage.cost:
        yield dollars(state.usage.cost)
