"""Where a claim of a report comes from: the steps it cites, down to those that read inputs, and the lines they read."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain

from swarm.attempt.citations import check_report
from swarm.attempt.evidence.check import ReportClaim
from swarm.attempt.evidence.places import may_agree
from swarm.attempt.evidence.sources import SourceText
from swarm.attempt.evidence.statements import Statement
from swarm.base.errors import Problem, RunNotFoundError
from swarm.base.places import place_of
from swarm.base.values import Frozen, Json
from swarm.record.folder import RunFolder
from swarm.record.recorded import recorded
from swarm.record.state import State
from swarm.record.steps import Status, StepState
from swarm.results.claims import CheckedClaim, check_report_of, published
from swarm.results.input_texts import InputTexts
from swarm.scheduling.assign import Assigner
from swarm.scheduling.resources import RunResources
from swarm.spec.plan import before_of, chosen
from swarm.spec.task import Task
from swarm.spec.yaml.explain import meant
from swarm.texts.figures import Quantity
from swarm.texts.passages import Sentence, markdown_passages
from swarm.texts.terms import squeezed, words_of

ALIKE = 0.5
"""Minimum share of the words of a sentence in a line that is taken as its place."""
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
    text: str
    """The sentence or row."""


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


class Provenance(Frozen):
    """A claim with everything behind it."""

    claim: CheckedClaim
    steps: tuple[ClaimStep, ...]


def provenance_of(folder: RunFolder, claim: str) -> Provenance:
    """Return what is behind a claim of a recorded run: `c7`, `u2`, or `7` for `c7`. Raise `RunNotFoundError`."""
    state = recorded(folder).state
    parameters: dict[str, Json] = state.task.get("parameters") or {}
    assigner = Assigner(state, RunResources(task=Task(goal="-", parameters=parameters)), folder.load)
    name = f"c{claim}" if claim.isdigit() else claim.lower()
    last = state.steps.get(state.report_step or "")
    value = None if last is None or last.status is not Status.DONE else assigner.output_of(last)
    claims = check_report_of(state, value, assigner.output_of, assigner.about).claims if isinstance(value, str) else ()
    found = next((each for each in claims if each.id == name), None)
    if found is None:
        wrong = f"the report of run {state.run} has no claim `{name[:20]}`{meant(name, [each.id for each in claims])}"
        raise RunNotFoundError(Problem(f"{wrong}\nhint: list the claims with `swarm show {state.run} --claims`"))
    return provenance(state, found, assigner.output_of, InputTexts(state, folder))


def provenance(
    state: State,
    claim: ReportClaim,
    output_of: Callable[[StepState], Json],
    inputs: Mapping[str, str],
) -> Provenance:
    """Return the steps behind a claim and the places in their inputs.

    `inputs` are the texts of the run's inputs by name, as they were during the run.
    """
    found = [_step(state, state.steps[name], claim, output_of, inputs) for name in _leaves(state, claim, output_of)]
    return Provenance(claim=published([claim])[0], steps=tuple(found))


def _leaves(state: State, claim: ReportClaim, output_of: Callable[[StepState], Json]) -> list[str]:
    """Return the steps that a claim cites, with the steps below in place of stand-ins and partial reports."""
    found: dict[str, None] = {}
    stack = [name for name in reversed(claim.steps) if name in state.steps]
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


def _step(
    state: State,
    s: StepState,
    claim: ReportClaim,
    output_of: Callable[[StepState], Json],
    inputs: Mapping[str, str],
) -> ClaimStep:
    own = [each for each in claim.found if each.source.name == s.id]
    text = own[0].passage.text if own else ""
    output = output_of(s)
    if not text and isinstance(output, str):
        place = place_in(output, claim.text, Statement(_sentence(claim.text)).figures)
        text = "" if place is None else place.text
    places = [found for name in _read(s, inputs) if (found := _place(s, name, inputs[name], text or claim.text))]
    return ClaimStep(
        step=s.id,
        through=_through(state, s.id),
        status=str(s.status),
        model=s.model,
        endpoint=s.endpoint,
        turns=s.turns,
        text=text.strip(),
        places=tuple(places),
    )


def _read(s: StepState, inputs: Iterable[str]) -> Sequence[str]:
    """Return the names of the inputs that a step reads."""
    if s.step.part is not None:
        return [name for name in inputs if name == s.step.part.name]
    if s.step.inputs is None:
        is_alone = not before_of(s.step) and s.step.instance_of is None
        return list(inputs) if is_alone else ()
    return chosen(s.step.inputs, inputs)


def _place(s: StepState, name: str, text: str, said: str) -> InputPlace | None:
    found = place_in(text, said, Statement(_sentence(said)).figures)
    if found is None:
        return None
    first = text.count("\n", 0, found.start) + 1
    part = s.step.part
    if part is not None and not part.lines[0] <= first <= part.lines[1]:
        return None
    page = text.count("\f", 0, found.start) + 1 if "\f" in text else None
    last = first + found.text.count("\n")
    place = place_of(text, found.start)
    if place is not None and place.unit == "page":
        page = place.number
    at = "" if place is None else place.words
    return InputPlace(input=name, first_line=first, last_line=last, page=page, at=at, text=found.text.strip())


def _sentence(text: str) -> Sentence:
    return Sentence(0, len(text), text)


def place_in(text: str, said: str, figures: Sequence[Quantity]) -> Sentence | None:
    """Return the passage of a text that says the same as a sentence: with its figures, else with most of its words."""
    wanted = words_of(said)
    all_passages = [each for each in markdown_passages(text) if each.kind != "heading"]
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
