"""What all parts of a page share: the run, its figures, and where its links lead."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote

from swarm.record import events as e
from swarm.record.recorded import Recorded
from swarm.record.state import State
from swarm.record.steps import StepState
from swarm.results.lanes import Bar, bars
from swarm.results.measure import Parallelism
from swarm.results.result import Result
from swarm.results.timeline import Timeline
from swarm.results.why import Reason, reasons
from swarm.views.page.boxes import FoldedGraph, fold
from swarm.views.page.html import Html, html
from swarm.views.page.moments import Curve, curves

TEXTS_CHARACTERS = 4_000_000
"""Maximum characters of all prompts, turns and outputs of a page, about: a browser opens it at
once."""
LEAST_CHARACTERS, MOST_CHARACTERS = 300, 20_000
"""Bounds of the characters of one text on a page. The whole text is in a file of the run."""


@dataclass(frozen=True)
class PageScene:
    """A run as a page draws it."""

    found: Recorded
    result: Result
    base: str | None = ""
    """Path from the page to the folder of the run, with a slash at its end; empty if the page is
    in it. None for a page that is served: its browser can open no file."""

    @property
    def state(self) -> State:
        """The state of the run."""
        return self.found.state

    @property
    def parallelism(self) -> Parallelism:
        """The figures of the run."""
        return self.result.parallelism

    @cached_property
    def timeline(self) -> Timeline:
        """The steps on the clock of the run."""
        return Timeline(self.state)

    @cached_property
    def critical(self) -> frozenset[str]:
        """The steps on the critical path."""
        return frozenset(self.parallelism.critical_path)

    @cached_property
    def reasons(self) -> tuple[Reason, ...]:
        """What most of the time and the cost was spent on."""
        return reasons(self.timeline, self.parallelism.workers)

    def named(self, words: str, steps: Sequence[str]) -> Html:
        """Return words about steps; if they are those of one step, as a link to it."""
        if len(steps) != 1 or steps[0] not in self.state.steps or not words.startswith(steps[0]):
            return html("{}", words)
        return html('<a href="#s{}">{}</a>', self.state.steps[steps[0]].order, words)

    @cached_property
    def graph(self) -> FoldedGraph:
        """The steps, alike ones in one box."""
        return fold(self.timeline, self.parallelism.critical_path)

    @cached_property
    def bars(self) -> tuple[Bar, ...]:
        """The attempts on their slots."""
        return tuple(bars(self.timeline))

    @cached_property
    def curves(self) -> tuple[Curve, ...]:
        """Calls and waits over time."""
        return curves(self.timeline, self.found.events)

    @cached_property
    def groups(self) -> tuple[tuple[StepState, ...], ...]:
        """The boxes with more than one step."""
        return tuple(box.steps for box in self.graph.boxes if len(box.steps) > 1)

    @cached_property
    def _group_of(self) -> Mapping[str, int]:
        return {group[0].id: n for n, group in enumerate(self.groups)}

    @cached_property
    def events_of(self) -> Mapping[str, Sequence[e.Event]]:
        """The events of each step, in order."""
        found: dict[str, list[e.Event]] = {}
        for event in self.found.events:
            step = getattr(event, "step", None)
            if step is not None:
                found.setdefault(step, []).append(event)
        return found

    @cached_property
    def _links(self) -> dict[str, Html]:
        return {}

    @cached_property
    def most(self) -> int:
        """Maximum characters of one text: fewer, the more texts there are."""
        texts = 2 * len(self.state.steps) + sum(s.turns for s in self.state.steps.values())
        return min(MOST_CHARACTERS, max(LEAST_CHARACTERS, TEXTS_CHARACTERS // max(1, texts)))

    def place(self, steps: Sequence[StepState]) -> str:
        """Return the place of the page for some steps: the panel of one, or that of their group."""
        if len(steps) == 1:
            return f"#s{steps[0].order}"
        group = self._group_of.get(steps[0].id)
        return "#steps" if group is None or len(self.groups[group]) != len(steps) else f"#g{group}"

    def link(self, step: str) -> Html:
        """Return a step's id as a link to its panel."""
        made = self._links.get(step)
        if made is None:
            s = self.state.steps.get(step)
            made = html("{}", step) if s is None else html('<a href="#s{}">{}</a>', s.order, step)
            self._links[step] = made
        return made

    def file(self, name: str, words: str) -> Html:
        """Return a link to a file of the run, or the path of the file if there can be none."""
        if self.base is None:
            return html("<code>{}</code>", self.result.folder / name)
        return html('<a href="{}">{}</a>', self.base + quote(name), words)

    def took(self, s: StepState) -> float:
        """Return the seconds of a step, without waiting."""
        return self.timeline.seconds.get(s.id, 0.0)
