"""The rehearsal of a plan: who reads what, and how much, before anything is sent.

A rehearsal makes the decisions of a run and the prompts of its attempts, with the real inputs. Only
the answers are made up: each has the length of similar steps in earlier runs, else a usual one. So
what a step reads is known, whatever the plan: its inputs, the outputs it is given, its share of a
list. What does not fit a context is read in parts or reduced, as it would be, by steps that are
part of the rehearsal.

A step that is in the cache costs nothing, and its readers get its real output. So the steps after
it can be looked up, too.

Tokens are expected ones, `EXPECTED_BYTES` each; those of limits and contexts are upper estimates.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from swarm.attempt.opening import opened_bytes, with_calls
from swarm.attempt.prompt import messages, reading_of, wanted, written
from swarm.attempt.types import Attempt
from swarm.base.errors import AttemptError
from swarm.base.long_text import PAGE_BYTES
from swarm.base.values import Json
from swarm.forecast.expect import Experience, Like, ServedBy, Source
from swarm.forecast.simulate import ITEMS, MOST_STEPS
from swarm.record import events as e
from swarm.record.cache import Cache
from swarm.record.outcome import Outcome
from swarm.record.state import State
from swarm.record.steps import StepState
from swarm.scheduling.assign import Assigner
from swarm.scheduling.checks import Checks
from swarm.scheduling.reduction import Reduction
from swarm.scheduling.resources import RunResources
from swarm.scheduling.scheduler import Rules, Scheduler
from swarm.spec.agent import Agent
from swarm.spec.chat import Media, Message, Request, request_tokens
from swarm.spec.plan import Step
from swarm.spec.task import Limits, Price

EXPECTED_BYTES = 3.8
"""Bytes of UTF-8 per token, as expected: English prose has 4 to 4.5, tables, code and other languages 3 to 3.5."""
MESSAGE_TOKENS = 4
"""Tokens of the frame of a message."""
TOOL_TOKENS = 100
"""Tokens of the schema of a tool."""
USUAL_ANSWERS: Mapping[str, int] = {"text": 250, "json": 200, "report": 600, "plan": 400}
"""Tokens of an answer by its kind, without experience: one to three paragraphs; a plan of some ten steps."""
TOOL_TURNS = 3
"""Calls of an attempt with tools, without experience: it looks for something, opens it and answers."""
PAGES = 2
"""Pages in the conversation of an attempt that looks things up, on average over its calls."""
START_SECONDS = 0.5
"""Seconds until a call is read: the round trip and a queue."""
READ_RATE = 5_000.0
"""Input tokens per second."""
WRITE_RATE = 50.0
"""Output tokens per second of one call."""
WORD = "word "
"""What made-up answers consist of."""


@dataclass(frozen=True)
class Rehearsed:
    """What one step is expected to use."""

    input_tokens: int = 0
    output_tokens: int = 0
    calls: int = 0
    seconds: float = 0.0
    usd: float | None = 0.0
    """US dollars, or None if the price is unknown."""
    is_cached: bool = False
    is_cut: bool = False
    """Whether the step cannot read everything that it is given."""
    opens: int = 0
    """Bytes of the long texts in which it looks things up."""
    is_stated: bool = False
    """Whether its seconds are from the plan."""
    source: Source = "sizes"
    """Where its seconds, or else the length of its answer, are from."""

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True)
class Rehearsal:
    """What the steps of a plan are expected to use."""

    steps: Mapping[str, Rehearsed]
    """By id, in the order of their starts; instances and shares of a step by their own ids."""
    state: State
    has_unknown_lists: bool = False
    """Whether the length of a list is assumed."""
    merged_tokens: int = 0
    """Tokens of a report that is merged without a model; 0 if a model writes it."""

    def seconds_of(self, step: Step) -> float:
        """Return the seconds of an attempt at a step; 0 for one that stands for others."""
        found = self.steps.get(step.id)
        return 0.0 if found is None else found.seconds

    @property
    def paid(self) -> list[Rehearsed]:
        """The steps that call a model."""
        return [each for each in self.steps.values() if each.calls]

    @property
    def cached(self) -> int:
        """Number of steps in the cache."""
        return sum(each.is_cached for each in self.steps.values())

    @property
    def tokens(self) -> int:
        """Input and output of all steps."""
        return sum(each.tokens for each in self.steps.values())

    @property
    def usd(self) -> float | None:
        """Price of all steps in US dollars, or None if that of one is unknown."""
        prices = [each.usd for each in self.steps.values()]
        known = [price for price in prices if price is not None]
        return sum(known) if len(known) == len(prices) else None


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Everything but the plan that a rehearsal depends on."""

    resources: RunResources
    agents: Iterable[Agent]
    """The roles of the task and of the plan."""
    experience: Experience
    cache: Cache | None = None
    """The cache that the run will use; None without one."""
    prices: Mapping[str, Price | None]
    """By model alias."""
    items: int = ITEMS
    """Assumed length of lists that are not known yet."""

    def for_one_agent(self) -> "Scene":
        """Return the same for one agent: only runs with its very prompt are similar, and no list is assumed."""
        return replace(self, experience=self.experience.of_equal_prompts())


def rehearse(steps: Iterable[Step], scene: Scene) -> Rehearsal:
    """Return what each step of a plan is expected to use. Raise `PlanError` if it waits for unknown steps."""
    return _Stage(tuple(steps), scene).run()


class _Stage:
    """One rehearsal."""

    def __init__(self, steps: tuple[Step, ...], scene: Scene) -> None:
        self.state = State()
        self._scene = scene
        self._steps = steps
        self._lists = {step.each for step in steps if isinstance(step.each, str)}
        self._found: dict[str, Rehearsed] = {}
        self._known_lists: set[str] = set()
        """Steps whose list is in the cache."""
        self._made_up: set[str] = set()
        """Steps whose output is made up."""
        self._assigner = Assigner(self.state, scene.resources, _unloadable)
        names = tuple(each.name for each in scene.resources.inputs)
        rules = Rules(limits=Limits(steps=MOST_STEPS), inputs=names)
        expander = Reduction(self.state, self._assigner, scene.resources.task.report).expander
        expand = Checks(scene.resources.wording).before(expander, self.state)
        self._scheduler = Scheduler(self.state, self.state.apply, rules, self._assigner.output_of, expand)

    def run(self) -> Rehearsal:
        """Rehearse every step that becomes ready."""
        agents = tuple(self._scene.agents)
        self.state.apply(e.RunStarted(run="rehearsal", trace="", versions={}, task={}, agents=agents))
        self.state.apply(e.StepsAdded(by="task", steps=self._steps))
        while (s := self._scheduler.take()) is not None:
            self._play(s)
        unknown = any(name != "inputs" and name not in self._known_lists for name in self._lists)
        return Rehearsal(self._found, self.state, unknown, self._merged_tokens())

    def _merged_tokens(self) -> int:
        report = self.state.steps.get(self.state.report_step or "")
        if report is None or report.step.merge is None:
            return 0
        return round(len(written(report.outcome.output).encode()) / EXPECTED_BYTES)

    def _play(self, s: StepState) -> None:
        try:
            attempt: Attempt | None = self._assigner.attempt_of(s)
        except AttemptError:  # no model may read it: then it costs nothing
            attempt = None
        number = s.attempt + 1
        self.state.apply(e.StepStarted(step=s.id, attempt=number, span="", model=attempt.model if attempt else ""))
        outcome = Outcome(output="")
        self._found[s.id] = Rehearsed()
        if attempt is not None:
            outcome, self._found[s.id] = self._played(s, attempt)
        if not self._found[s.id].is_cached:
            self._made_up.add(s.id)
        self._scheduler.finished(s.id, number, outcome)

    def _played(self, s: StepState, attempt: Attempt) -> tuple[Outcome, Rehearsed]:
        if s.step.merge is not None:
            return Outcome(output="".join(written(given.output) for given in attempt.given)), Rehearsed()
        entry = self._entry_of(attempt)
        if entry is not None:
            self._known_lists.add(s.id)
            return entry.model_copy(update={"spawned": (), "cached": True}), Rehearsed(is_cached=True)
        found = self._expected(attempt)
        return Outcome(output=self._made_up_output(s, found.output_tokens)), found

    def _entry_of(self, attempt: Attempt) -> Outcome | None:
        """Return the stored outcome of an attempt. Its key is known only if it reads nothing that is made up."""
        cache, seen = self._scene.cache, self._made_up
        if cache is None or attempt.endpoints is None or any(given.step in seen for given in attempt.given):
            return None
        entry = cache.get(attempt.key)
        return None if entry is None else entry.outcome

    def _expected(self, attempt: Attempt) -> Rehearsed:
        served = ServedBy(attempt.parts["endpoint"], attempt.parts["model"])
        like = self._scene.experience.like(attempt.step, served)
        prompt = messages(attempt)
        taken = _tokens(prompt.messages) + TOOL_TOKENS * len(attempt.tools) + _page_tokens(attempt)
        calls: float = TOOL_TURNS if with_calls(attempt) else 1
        calls = calls if like is None else like.calls
        given = _answer_tokens(attempt, like, taken)
        if _repeats(self.state, attempt.step) and like is None:
            given = min(attempt.step.length or taken, sum(item.tokens for item in reading_of(attempt).items))
        read = round(taken * max(1.0, calls))
        stated = attempt.step.seconds
        source: Source = "sizes" if like is None else "earlier runs"
        seconds = START_SECONDS * calls + read / READ_RATE + given / WRITE_RATE
        if like is not None:
            seconds = like.seconds
        price = self._scene.prices.get(attempt.model)
        return Rehearsed(
            input_tokens=read,
            output_tokens=given,
            calls=max(1, round(calls)),
            seconds=seconds if stated is None else stated,
            usd=None if price is None else (read * price.input + given * price.output) / 1_000_000,
            is_cut=bool(prompt.left_out),
            opens=opened_bytes(attempt),
            is_stated=stated is not None,
            source=source if stated is None else "plan",
        )

    def _made_up_output(self, s: StepState, tokens: int) -> Json:
        text = WORD * max(1, round(tokens * EXPECTED_BYTES / len(WORD)))
        if s.id not in self._lists:
            return text
        return [f"item {n}" for n in range(1, self._scene.items + 1)]


def _page_tokens(attempt: Attempt) -> int:
    """Return the expected tokens of pages in the conversation of an attempt."""
    return round(PAGES * PAGE_BYTES / EXPECTED_BYTES) if attempt.opens else 0


def _answer_tokens(attempt: Attempt, like: Like | None, taken: int) -> int:
    """Return the expected tokens of the answers of an attempt whose prompt has `taken` tokens."""
    usual = USUAL_ANSWERS[wanted(attempt).kind] if like is None else round(like.output_tokens)
    stated = attempt.step.tokens
    if like is None and stated is not None and stated > taken:
        usual = stated - taken
    caps = [attempt.step.length, attempt.settings.get("max_tokens")]
    return min([usual, *(cap for cap in caps if isinstance(cap, int))])


def _repeats(state: State, step: Step) -> bool:
    """Return whether a step writes a section, or a smaller one, and so repeats what it reads."""
    parent = state.steps.get(step.partial_of or "")
    if parent is None or not state.reduces(step):
        return False
    return parent.combine == "text" or (parent.combine == "sections" and step.id != f"{parent.id}.0")


def _tokens(prompt: Iterable[Message]) -> int:
    """Return the expected tokens of messages."""
    total = 0.0
    for message in prompt:
        total += MESSAGE_TOKENS + len(message.text.encode("utf-8", "replace")) / EXPECTED_BYTES
        media = tuple(part for part in message.parts if isinstance(part, Media))
        if media:
            total += request_tokens(Request(model="", messages=(message.model_copy(update={"parts": media}),)))
    return round(total)


def _unloadable(artifact: str) -> Json:
    raise AssertionError(f"no output of a rehearsal is in a file: {artifact}")
