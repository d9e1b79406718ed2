"""Where a claim of a report comes from: the steps it cites, down to those that read inputs, and the lines they read."""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain

from swarm.attempt.citations import check_report
from swarm.attempt.evidence.check import ReportClaim
from swarm.attempt.evidence.places import may_agree
from swarm.attempt.evidence.sources import SourceText
from swarm.attempt.evidence.statements import Statement
from swarm.attempt.prompt import written
from swarm.base.errors import Problem, RunNotFoundError
from swarm.base.long_text import LongText
from swarm.base.places import place_of
from swarm.base.text import cut
from swarm.base.values import Frozen, Json
from swarm.record.events import Event, TurnTaken
from swarm.record.folder import RunFolder
from swarm.record.recorded import recorded
from swarm.record.state import State
from swarm.record.steps import Status, StepState
from swarm.results.claims import CheckedClaim, check_report_of, published
from swarm.results.input_texts import InputTexts
from swarm.results.table import report_body, table_of
from swarm.scheduling.assign import Assigner
from swarm.scheduling.resources import RunResources
from swarm.spec.chat import Data, Message, Text, ToolCall
from swarm.spec.plan import before_of, chosen
from swarm.spec.task import Task
from swarm.spec.yaml.explain import meant
from swarm.texts.figures import Quantity
from swarm.texts.passages import Sentence, markdown_passages, passages
from swarm.texts.terms import squeezed, words_of

ALIKE = 0.5
"""Minimum share of the words of a sentence in a line that is taken as its place."""
MOST_STEPS = 50
"""Maximum steps behind a claim that are shown."""
MOST_OUTPUTS = 5
"""Maximum outputs that a step read which are shown: those with the sentence most alike."""
ARGUMENT_CHARACTERS = 300
"""Maximum characters of the arguments of a call that are shown."""
_ADDRESS = re.compile(r"https?://[^\s\"'<>()\[\]]+")
MOST_PASSAGES = 5000
"""Maximum passages of an input that are compared with a sentence without figures."""


class InputPlace(Frozen):
    """Lines of an input."""

    input: str
    """Name of the input."""
    first_line: int
    """From 1."""
    last_line: int
    page: int | None = None
    """Page, from 1, if the text has page breaks or is that of a document with pages."""
    at: str = ""
    """Place in a document, in words: `page 3, line 12`, `sheet Costs, row 17`. Empty for other texts."""
    opened_page: int | None = None
    """Page, from 1, as the tool `read` numbers them, if the step opened the input instead of reading all of it."""
    text: str
    """The sentence or row."""


class OutputPlace(Frozen):
    """A sentence of an output that a step read."""

    step: str
    """The step that wrote the output."""
    opened_page: int | None = None
    """Page, from 1, as the tool `read` numbers them, if the output was opened."""
    text: str


class ToolPlace(Frozen):
    """A sentence of the result of a tool."""

    tool: str
    arguments: str
    """The arguments of the call, as the model wrote them."""
    address: str = ""
    """The web address in the arguments, or the nearest one before the sentence in the result."""
    text: str


class ClaimStep(Frozen):
    """A step behind a claim."""

    step: str
    through: tuple[str, ...] = ()
    """Partial reports that passed its output on, from the first one up."""
    status: str
    model: str
    """Alias of the model."""
    endpoint: str
    turns: int
    """Number of its turns; `swarm show RUN STEP` shows them."""
    text: str = ""
    """The sentence of its output that the claim repeats; empty if it was not found."""
    places: tuple[InputPlace, ...] = ()
    """Places of that sentence in the inputs of the step. Empty if they are not found, or have changed since."""
    outputs: tuple[OutputPlace, ...] = ()
    """Places of that sentence in the outputs that the step read. Their steps follow in the list."""
    tools: tuple[ToolPlace, ...] = ()
    """Places of that sentence in the results of the tools that the step called."""


class Provenance(Frozen):
    """A claim with everything behind it."""

    claim: CheckedClaim
    steps: tuple[ClaimStep, ...]


def provenance_of(folder: RunFolder, claim: str) -> Provenance:
    """Return what is behind a claim of a recorded run: `c7`, `u2`, or `7` for `c7`. Raise `RunNotFoundError`."""
    run = recorded(folder)
    state = run.state
    parameters: dict[str, Json] = state.task.get("parameters") or {}
    assigner = Assigner(state, RunResources(task=Task(goal="-", parameters=parameters)), folder.load)
    name = f"c{claim}" if claim.isdigit() else claim.lower()
    last = state.steps.get(state.report_step or "")
    body = None
    if last is not None and last.status is Status.DONE:
        body = report_body(last, assigner.output_of(last), table_of(state, assigner))
    outputs = assigner.output_of
    claims = () if body is None else check_report_of(state, body, outputs, assigner.about).claims
    found = next((each for each in claims if each.id == name), None)
    if found is None:
        wrong = f"the report of run {state.run} has no claim `{name[:20]}`{meant(name, [each.id for each in claims])}"
        raise RunNotFoundError(Problem(f"{wrong}\nhint: list the claims with `swarm show {state.run} --claims`"))
    way = _Way(state, found, assigner.output_of, InputTexts(state, folder), run.events)
    return Provenance(claim=published([found])[0], steps=way.steps())


class _Way:
    """The way from a claim down to what its steps read."""

    def __init__(
        self,
        state: State,
        claim: ReportClaim,
        output_of: Callable[[StepState], Json],
        inputs: Mapping[str, str],
        events: Sequence[Event],
    ) -> None:
        """Keep what is looked into. `inputs` are the texts of the inputs by name, as they were during the run."""
        self._state = state
        self._claim = claim
        self._output_of = output_of
        self._inputs = inputs
        self._events = events

    def steps(self) -> tuple[ClaimStep, ...]:
        """Return the steps that the claim cites, each followed by those whose outputs it has the sentence from."""
        found: dict[str, ClaimStep] = {}
        queue = deque(self._first())
        while queue and len(found) < MOST_STEPS:
            name, said, through = queue.popleft()
            if name not in found:
                found[name] = self._step(self._state.steps[name], said, through)
                text = found[name].text or said
                queue += [(each.step, text, (name, *through)) for each in found[name].outputs]
        return tuple(found.values())

    def _first(self) -> list[tuple[str, str, tuple[str, ...]]]:
        """Return the steps that the claim cites; if none, those whose outputs have its figures."""
        said = self._claim.text
        if self._claim.steps:
            leaves = _leaves(self._state, self._claim.steps, self._output_of)
            return [(name, said, _through(self._state, name)) for name in leaves]
        if not _values(_figures(said)):
            return []
        last = self._state.steps[self._state.report_step or ""]
        return [(each.step, said, ()) for each in self._outputs(last, said)]

    def _step(self, s: StepState, said: str, through: tuple[str, ...]) -> ClaimStep:
        own = [each for each in self._claim.found if each.source.name == s.id]
        output = written(self._output_of(s))
        text = own[0].passage.text if own else _sentence_in(output, said)
        places = (_place(s, name, self._inputs[name], text or said) for name in _read(s, self._inputs))
        return ClaimStep(
            step=s.id,
            through=through,
            status=str(s.status),
            model=s.model,
            endpoint=s.endpoint,
            turns=s.turns,
            text=text.strip(),
            places=tuple(filter(None, places)),
            outputs=tuple(self._outputs(s, text or said)),
            tools=tuple(_tool_places(self._events, s.id, text or said)),
        )

    def _outputs(self, s: StepState, said: str) -> list[OutputPlace]:
        """Return the sentences of the outputs that a step read which say the same, the most alike first."""
        leaves = _leaves(self._state, before_of(s.step), self._output_of)
        done = (self._state.steps[name] for name in leaves)
        writers = [each for each in done if each.status is Status.DONE and each.kind != "planner"]
        texts = {each.id: written(self._output_of(each)) for each in writers}
        found = {name: text for name in texts if (text := _sentence_in(texts[name], said))}
        wanted = words_of(said)
        best = sorted(found, key=lambda name: -len(wanted & words_of(found[name])))[:MOST_OUTPUTS]
        return [
            OutputPlace(
                step=name,
                opened_page=_opened_page(s, "output", name, texts[name], found[name]),
                text=found[name].strip(),
            )
            for name in best
        ]


def _leaves(state: State, names: Iterable[str], output_of: Callable[[StepState], Json]) -> list[str]:
    """Return steps, with the steps below in place of stand-ins and partial reports."""
    found: dict[str, None] = {}
    stack = [name for name in reversed(tuple(names)) if name in state.steps]
    seen: set[str] = set()
    while stack:
        name = stack.pop()
        if name in seen:
            continue
        seen.add(name)
        below = _below(state, state.steps[name], output_of)
        stack.extend(reversed(below))
        if not below:
            found[name] = None
    return list(found)


def _below(state: State, s: StepState, output_of: Callable[[StepState], Json]) -> Sequence[str]:
    if s.kind == "stand_in":
        return s.children
    if s.step.partial_of is None or s.step.part is not None:
        return ()
    output = output_of(s)
    return check_report(output, state.steps).cited if isinstance(output, str) else ()


def _through(state: State, name: str) -> tuple[str, ...]:
    """Return the partial reports that read the output of a step, one level after another."""
    found: dict[str, None] = {}
    level = [name]
    while level:
        readers = [
            s.id
            for s in state.steps.values()
            if s.step.partial_of is not None and s.step.part is None and not set(level).isdisjoint(before_of(s.step))
        ]
        level = [reader for reader in readers if reader not in found]
        found.update(dict.fromkeys(level))
    return tuple(found)


def _read(s: StepState, inputs: Iterable[str]) -> Sequence[str]:
    """Return the names of the inputs that a step reads."""
    if s.step.part is not None:
        return [name for name in inputs if name == s.step.part.name]
    if s.step.inputs is None:
        is_alone = not before_of(s.step) and s.step.instance_of is None
        return list(inputs) if is_alone else ()
    return chosen(s.step.inputs, inputs)


def _sentence_in(output: str, said: str) -> str:
    """Return the sentence or record of an output that says the same as a sentence; empty if none does."""
    found = place_in(output, said, _figures(said))
    return "" if found is None else found.text


def _figures(text: str) -> Sequence[Quantity]:
    return Statement(_sentence(text)).figures


def _opened_page(s: StepState, of: str, name: str, text: str, sentence: str) -> int | None:
    """Return the page of a sentence, as the tool `read` numbers them, if a step opened the text."""
    if not any((each.of, each.name) == (of, name) for each in s.outcome.opened):
        return None
    return next((page.number for page in LongText(name, text).pages if sentence in page.text), None)


def _tool_places(events: Iterable[Event], step: str, said: str) -> Iterator[ToolPlace]:
    """Yield the places of a sentence in the results of the tools that a step called."""
    seen: set[tuple[str, str]] = set()
    for call, message in _results(events, step):
        text = "\n".join(part.text for part in message.parts if isinstance(part, Data | Text))
        found = place_in(text, said, _figures(said))
        if found is not None and (call.name, found.text) not in seen:
            seen.add((call.name, found.text))
            arguments = cut(" ".join(call.arguments.split()), ARGUMENT_CHARACTERS)
            address = _address(call.arguments, text[: found.start])
            yield ToolPlace(tool=call.name, arguments=arguments, address=address, text=found.text.strip())


def _results(events: Iterable[Event], step: str) -> Iterator[tuple[ToolCall, Message]]:
    """Yield each call of a step with its result."""
    calls: dict[str, ToolCall] = {}
    for event in events:
        for message in event.messages if isinstance(event, TurnTaken) and event.step == step else ():
            calls.update((call.id, call) for call in message.tool_calls)
            call = calls.get(message.tool_call_id or "")
            if message.role == "tool" and call is not None:
                yield call, message


def _address(arguments: str, before: str) -> str:
    found = _ADDRESS.findall(arguments)[:1] or _ADDRESS.findall(before)[-1:]
    return found[0] if found else ""


def _place(s: StepState, name: str, text: str, said: str) -> InputPlace | None:
    found = place_in(text, said, _figures(said), markdown_passages)
    if found is None:
        return None
    first = text.count("\n", 0, found.start) + 1
    part = s.step.part
    if part is not None and not part.lines[0] <= first <= part.lines[1]:
        return None
    page = text.count("\f", 0, found.start) + 1 if "\f" in text else None
    lines = text[found.start : found.end].strip()
    last = first + lines.count("\n")
    place = place_of(text, found.start)
    if place is not None and place.unit == "page":
        page = place.number
    at = "" if place is None else place.words
    return InputPlace(
        input=name,
        first_line=first,
        last_line=last,
        page=page,
        at=at,
        opened_page=_opened_page(s, "input", name, text, lines),
        text=lines,
    )


def _sentence(text: str) -> Sentence:
    return Sentence(0, len(text), text)


def place_in(
    text: str,
    said: str,
    figures: Sequence[Quantity],
    split: Callable[[str], list[Sentence]] = passages,
) -> Sentence | None:
    """Return the passage of a text that says the same as a sentence: with its figures, else with most of its words."""
    wanted = words_of(said)
    all_passages = [each for each in split(text) if each.kind != "heading"]
    values = _values(figures)
    if values:
        found = [each for each in all_passages if _has(each, figures, values)]
        return max(found, key=lambda each: _alike(each, wanted), default=None)
    best = max(all_passages[:MOST_PASSAGES], key=lambda each: _alike(each, wanted), default=None)
    is_same = best is not None and (_alike(best, wanted) >= ALIKE or squeezed(said) in squeezed(best.text))
    return best if is_same else None


def _values(figures: Iterable[Quantity]) -> set[float | str]:
    return set(chain.from_iterable(figure.values or (figure.code,) for figure in figures))


def _has(passage: Sentence, figures: Sequence[Quantity], values: set[float | str]) -> bool:
    """Whether a passage has one of some figures."""
    if not any(c.isdigit() for c in passage.text):
        return False
    theirs = SourceText("", passage.text).occurrences
    own = [each.figure for each in theirs if values.intersection(each.figure.values or (each.figure.code,))]
    return any(may_agree(one, other) for one, other in _pairs(own, figures))


def _pairs(some: Iterable[Quantity], others: Sequence[Quantity]) -> Iterator[tuple[Quantity, Quantity]]:
    for one in some:
        for other in others:
            if set(one.values) & set(other.values) or (one.code and one.code == other.code):
                yield one, other


def _alike(passage: Sentence, wanted: frozenset[str]) -> float:
    return len(wanted & words_of(f"{passage.context} {passage.text}")) / max(1, len(wanted))
