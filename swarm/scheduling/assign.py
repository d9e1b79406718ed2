"""A ready step made an attempt: its role, its model, its rights, and what it may read.

Rights only shrink on the way down: of the tools a step asks for, it gets those its agent has, of those the run grants.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from swarm.attempt.prompt import room_to_read
from swarm.attempt.types import Attempt, Given, Missing, determining, part_digest
from swarm.base.errors import AttemptError, LimitError
from swarm.base.text import cut
from swarm.base.values import Json, canonical
from swarm.planning.brief import Brief, InputBrief, RoleBrief
from swarm.record.state import State, Status, StepState
from swarm.scheduling.label_flow import LabelFlow
from swarm.spec.agent import Agent, asked_for
from swarm.spec.chat import estimate_tokens
from swarm.spec.files import fill
from swarm.spec.labels import DEFAULT, Access, Place, medium_of
from swarm.spec.plan import PLAN_STEP, Step, before_of, chosen, sinks
from swarm.spec.task import Input, Task

ABOUT_CHARACTERS = 120
"""How much of a step's prompt is told to those who read its output."""
FIRST_LINE_CHARACTERS = 200
"""How much of an input a planner sees."""
FRAME_TOKENS = 200
"""What the words around inputs take in a prompt, and the step's own, about."""


@dataclass(frozen=True)
class RunResources:
    """What a run has: all that attempts are made of, beside the state."""

    task: Task
    inputs: tuple[Input, ...] = ()
    wording: Mapping[str, str] = field(default_factory=dict[str, str])
    settings: Mapping[str, dict[str, Json]] = field(default_factory=dict[str, dict[str, Json]])
    """By model alias: what determines an answer."""
    contexts: Mapping[str, int] = field(default_factory=dict[str, int])
    """By model alias: tokens it can read and write in one call, where known."""
    access: Access = Access()  # noqa: RUF009 - frozen
    """What each model may see and can take."""
    outside_pools: tuple[str, ...] = ()
    """Aliases that no pool uses."""
    tools: tuple[str, ...] = ()
    """Granted to the run."""
    tool_labels: Mapping[str, str] = field(default_factory=dict[str, str])
    """Labels of the results of tools, by name of the tool."""
    tools_key: Callable[[tuple[str, ...]], str] = ",".join
    """Hashes the schemas of some tools."""


class Assigner:
    """Makes attempts of ready steps."""

    def __init__(self, state: State, resources: RunResources, load: Callable[[str], Json]) -> None:
        self._state = state
        self._resources = resources
        self._load = load
        self._inputs = {each.name: each for each in resources.inputs}
        self._hashes: dict[str, str] = {}
        labels = {each.label for each in resources.inputs if each.label is not None}
        labels.update(resources.tool_labels.values())
        self._label_flow = LabelFlow(state, self._own_labels, labels)
        self._is_plain = not labels and all(each.medium == "text" for each in resources.inputs)

    def attempt_of(self, s: StepState) -> Attempt:
        """Make the next attempt at a step.

        Raises `LimitError` where a plan too many would be made, and `AttemptError` of kind `label` or `media` where no
        model may see, or takes, what the step would read.
        """
        state, resources, step = self._state, self._resources, s.step
        agent = state.agents[step.agent]
        limits = resources.task.limits
        plans = s.kind == "planner"
        if plans and state.plans >= limits.rounds:
            message = f"limits.rounds: {limits.rounds} plans were made already"
            raise LimitError(message, limit="rounds", value=limits.rounds)
        granted = self.tools_of(step, agent)
        inputs = () if plans else self.inputs_of(step)
        labels = self._label_flow.of(s)
        place = self.place_of(step, agent, labels, inputs)
        model = place.model
        given, missing = self.given_to(s)
        settings = self._settings_of(place)
        number = s.attempt + 1
        trace = state.first.trace if state.first is not None else ""
        return Attempt(
            run=state.run,
            step=step.model_copy(update={"prompt": self.prompt_of(step)}),
            attempt=number,
            agent=agent,
            model=model,
            settings=settings,
            goal=fill(resources.task.goal or "", resources.task.parameters),
            given=given,
            missing=missing,
            inputs=inputs,
            tools=granted,
            tools_key=resources.tools_key(granted) if granted else "",
            turns=min(agent.turns or limits.turns, limits.turns),
            context=resources.contexts.get(model),
            brief=self.brief_for(s) if plans else None,
            wording=dict(resources.wording),
            transcript=tuple(s.transcript),
            turns_taken=s.turns_taken,
            labels=labels,
            shared=self._shared(agent, settings),
            trace=trace,
            span=hashlib.sha256(f"{trace}/{step.id}/{number}".encode()).hexdigest()[:16],
        )

    def _shared(self, agent: Agent, settings: dict[str, Json]) -> dict[str, str]:
        """Hash what siblings share, once."""
        hashes, resources = self._hashes, self._resources
        if "wording" not in hashes:
            hashes["wording"] = part_digest(dict(resources.wording))
            hashes["goal"] = part_digest(fill(resources.task.goal or "", resources.task.parameters))
        role, model = f"agent {agent.name}", f"model {canonical(settings)!r}"
        if role not in hashes:
            hashes[role] = part_digest(determining(agent))
        if model not in hashes:
            hashes[model] = part_digest(settings)
        shared = {"agent": hashes[role], "model": hashes[model]}
        return shared | {name: hashes[name] for name in ("goal", "wording")}

    def prompt_of(self, step: Step) -> str:
        """Fill the step's prompt."""
        parameters = self._resources.task.parameters
        return fill(step.prompt, parameters, step.item) if step.instance_of else fill(step.prompt, parameters)

    def place_of(self, step: Step, agent: Agent, labels: tuple[str, ...], inputs: tuple[Input, ...]) -> Place:
        """Find the model that serves a step, given what it reads. Raises `AttemptError` where there is none."""
        alias = self.model_of(step, agent)
        access = self._resources.access
        if self._is_plain:
            return Place(alias, access.behind(alias))
        media = sorted({medium_of(each.medium, each.size) for each in inputs} - {"text"})
        place = access.place(alias, labels, media, named=step.model is not None)
        if place is None:
            kind, words = access.refusal(alias, labels, media, named=step.model is not None)
            raise AttemptError(words, kind=kind)
        return place

    def _settings_of(self, place: Place) -> dict[str, Json]:
        settings = self._resources.settings
        if place.members == self._resources.access.behind(place.model):
            return dict(settings.get(place.model, {}))
        return {"use": [settings.get(member, {}) for member in place.members]}

    def _own_labels(self, s: StepState) -> set[str]:
        """Return the labels of the inputs that a step reads, and of the tools that it may call.

        A tool's label counts from the start of the step, whether or not the tool is called: it depends on the task
        and the plan only, so a resumed run finds the same labels. A stand-in for instances reads and calls nothing.
        """
        agent = self._state.agents.get(s.step.agent)
        if s.step.each is not None:
            return set()
        labels: set[str] = set()
        if agent is not None:
            known = self._resources.tool_labels
            labels.update(known[tool] for tool in self.tools_of(s.step, agent) if tool in known)
        if s.kind != "planner":
            labels.update(each.label for each in self.inputs_of(s.step) if each.label is not None)
        return labels

    def model_of(self, step: Step, agent: Agent) -> str:
        """Name the alias that a step asks for: its own, else its agent's where the task has it, else `default`."""
        if step.model is not None:
            return step.model
        known = self._resources.settings
        return agent.model if agent.model is not None and agent.model in known else DEFAULT

    def aliases_ahead(self) -> tuple[str, ...]:
        """Name the aliases that the steps that are not over will, or may, need.

        Where all of them are known and nothing they read decides, those that they ask for; else every alias, but for
        members of pools that no role asks for: whether one of them serves is the pool's affair.
        """
        steps = [s.step for s in self._state.steps.values() if not s.over]
        agents = self._state.agents
        asked = [self.model_of(step, agents[step.agent]) for step in steps if step.agent in agents]
        planned = any(agents[step.agent].output == "plan" for step in steps if step.agent in agents)
        if self._is_plain and not planned:
            return tuple(dict.fromkeys(asked))
        models = self._resources.task.models
        roles = [agent.model if agent.model in models else DEFAULT for agent in agents.values()]
        return tuple(dict.fromkeys((*asked, *map(str, roles), *self._resources.outside_pools)))

    def tools_of(self, step: Step, agent: Agent) -> tuple[str, ...]:
        """Name the tools a step may use."""
        role = asked_for(agent, self._resources.tools)
        wanted = role if step.tools is None else step.tools
        return tuple(tool for tool in wanted if tool in role and tool in self._resources.tools)

    def inputs_of(self, step: Step) -> tuple[Input, ...]:
        """Give the inputs a step sees: those it names; else all, if it waits for no other step."""
        if step.inputs is None:
            alone = not before_of(step) and step.instance_of is None
            return self._resources.inputs if alone else ()
        return tuple(self._inputs[name] for name in chosen(step.inputs, self._inputs))

    def output_of(self, s: StepState) -> Json:
        """Give a step's output; for one that stands for its instances, the list of theirs."""
        if s.kind == "stand_in":
            return [self.output_of(self._state.steps[child]) for child in s.children]
        return s.outcome.loaded(self._load).output

    def given_to(self, s: StepState) -> tuple[tuple[Given, ...], tuple[Missing, ...]]:
        """Collect what a step reads, in plan order, and what it would have read.

        A step passes its own output, whatever it spawned; only a planner and an `each` step do not, see `_in_place_of`.
        Where a step has no output, what that step would have read stands in for it: a failure in the middle of the
        graph loses nothing that was done before it.
        """
        steps = self._state.steps
        given: list[Given] = []
        missing: list[Missing] = []
        seen: set[str] = set()
        stack = list(reversed(before_of(s.step)))
        while stack:
            name = stack.pop()
            if name in seen:
                continue
            seen.add(name)
            other = steps[name]
            if in_place := self._in_place_of(other):
                stack.extend(reversed(in_place))
            elif other.status is Status.DONE:
                given.append(Given(step=name, about=self.about(other.step), output=self.output_of(other)))
            else:
                missing.append(Missing(step=name, because=_because(other)))
                stack.extend(reversed(before_of(other.step)))
        return tuple(given), tuple(missing)

    def _in_place_of(self, s: StepState) -> tuple[str, ...]:
        """Name the steps that are read in place of a step: its instances, or the ends of the plan it made."""
        if s.kind == "stand_in":
            return tuple(s.children)
        if s.kind == "plain":
            return ()
        return sinks(tuple(self._state.steps[child].step for child in s.children))

    def brief_for(self, s: StepState) -> Brief:
        """Tell a planner what there is and what is allowed."""
        state, resources = self._state, self._resources
        # The first plan was made before any plan brought roles: a resume must find the brief of that time.
        brought = {agent.name for other in state.steps.values() for agent in other.outcome.agents}
        hidden = brought if s.id == PLAN_STEP else set[str]()
        return Brief(
            roles=tuple(
                RoleBrief(
                    name=a.name,
                    description=a.description,
                    tools=tuple(t for t in asked_for(a, resources.tools) if t in resources.tools),
                )
                for a in state.agents.values()
                if a.name not in hidden
            ),
            inputs=tuple(_input_brief(each) for each in resources.inputs),
            models=tuple(resources.settings) or ("default",),
            tools=resources.tools,
            limits=resources.task.limits,
            known=() if s.id == PLAN_STEP else tuple(state.steps),
            barred=() if s.id == PLAN_STEP else self._barred(s),
            steps_left=max(0, state.steps_left(resources.task.limits.steps)),
            reads=self._reads(),
            access=None if self._is_plain else self._access_for(s),
            first=s.id == PLAN_STEP,
        )

    def _reads(self) -> int | None:
        """Tell how many tokens of inputs a step can read, on the model that reads most."""
        resources = self._resources
        contexts = resources.contexts.items()
        rooms = [
            room_to_read(size, resources.settings.get(alias, {}), tools=bool(resources.tools))
            for alias, size in contexts
        ]
        agent = self._state.agents.get(Step.model_fields["agent"].default)
        told = (
            resources.wording.get("rules", ""),
            agent.instructions if agent is not None else "",
            resources.task.goal or "",
        )
        return max(256, max(rooms) - sum(map(estimate_tokens, told)) - FRAME_TOKENS) if rooms else None

    def _access_for(self, s: StepState) -> Access:
        """Tell a planner, and who checks its plan, which models may see what."""
        state, known = self._state, self._resources.settings
        steps = () if s.id == PLAN_STEP else tuple(state.steps.values())
        carried = {other.id: self._label_flow.output_of(other) for other in steps}
        return self._resources.access.model_copy(
            update={
                "roles": {a.name: a.model for a in state.agents.values() if a.model is not None and a.model in known},
                "carried": {name: labels for name, labels in carried.items() if labels},
                "inherited": self._label_flow.of(s) if s.id in state.steps else (),
            }
        )

    def _barred(self, s: StepState) -> tuple[str, ...]:
        """Name the steps that are over only when what this planner spawns is over."""
        steps = self._state.steps
        barred: dict[str, None] = {}
        stack = [s.id]
        while stack:
            name = stack.pop()
            if name not in barred and name in steps:
                barred[name] = None
                stack += [steps[name].by, *steps[name].waiters]
        return tuple(barred)

    def about(self, step: Step) -> str:
        """Say in one line what a step was asked."""
        line = " ".join(self.prompt_of(step).split())
        return cut(line, ABOUT_CHARACTERS)


def _because(s: StepState) -> str:
    if s.status is Status.SKIPPED:
        return s.because
    return s.error.message if s.error is not None else f"it is {s.status}"


def _input_brief(each: Input) -> InputBrief:
    first = next((line.strip() for line in each.text.splitlines() if line.strip()), "")
    if each.label is not None:
        first = ""  # a planner sees the name of labelled data, never its content
    return InputBrief(
        name=each.name, medium=each.medium, size=each.size, label=each.label, first_line=first[:FIRST_LINE_CHARACTERS]
    )
