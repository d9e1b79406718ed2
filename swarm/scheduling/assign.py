"""Attempts of ready steps: the role, the model, the rights and the inputs of each.

Rights only shrink on the way down: a step gets the tools that it requests, that its agent has and
that the run grants.
"""

import hashlib
from collections.abc import Callable, Container, Mapping, Sequence

from swarm.attempt.parts import narrowed
from swarm.attempt.prompt import written
from swarm.attempt.reading import room_to_read
from swarm.attempt.support import unfounded_lines
from swarm.attempt.types import Attempt, Given, Missing, Stated, determining, part_digest
from swarm.base.errors import AttemptError, NoRoomError
from swarm.base.text import clip, cut
from swarm.base.values import Json, canonical
from swarm.planning.brief import Brief, InputBrief, RoleBrief
from swarm.record.densities import UNKNOWN
from swarm.record.state import State
from swarm.record.steps import Status, StepState
from swarm.scheduling.grants import granted_tools, wanted_tools, with_opened
from swarm.scheduling.label_flow import LabelFlow
from swarm.scheduling.merging import merge_attempt, wanted_table
from swarm.scheduling.outputs import Outputs
from swarm.scheduling.resources import RunResources
from swarm.scheduling.told import told
from swarm.spec.agent import Agent, asked_for
from swarm.spec.chat import estimate_tokens
from swarm.spec.files import fill
from swarm.spec.labels import DEFAULT, Access, Placement, medium_of
from swarm.spec.plan import PLAN_STEP, Step, before_of, chosen
from swarm.spec.task import Input

ABOUT_CHARACTERS = 120
"""Maximum characters of a step's prompt that the readers of its output see."""
LEAST_READ_TOKENS = 256
"""Minimum tokens of inputs in a brief: a plan for smaller inputs is not useful."""
FRAME_TOKENS = 200
"""Approximate tokens of a prompt that are not inputs."""


class Assigner:
    """Maker of the attempts of a run."""

    def __init__(self, state: State, resources: RunResources, load: Callable[[str], Json]) -> None:
        self._state = state
        self._resources = resources
        self._outputs = Outputs(state, load, self.about)
        self._inputs = {each.name: each for each in resources.inputs}
        self._hashes: dict[str, str] = {}
        labels = {each.label for each in resources.inputs if each.label is not None}
        labels.update(resources.access.tool_labels.values())
        self._label_flow = LabelFlow(state, self._own_labels, labels)
        self._is_plain = not labels and all(each.medium == "text" for each in resources.inputs)

    def attempt_of(self, s: StepState) -> Attempt:
        """Return the next attempt at a step.

        Raise `LimitError` if the step would make more plans than `limits.rounds`. Raise
        `AttemptError` of kind `label` or `media` if no model may see, or accepts, its inputs.
        """
        return told(self._attempt(s, self._label_flow.of(s)))

    def draft(self, s: StepState) -> Attempt:
        """Return the attempt at a step that need not be in the graph yet, as far as sizes go. Raise the same."""
        return self._attempt(s, self._label_flow.would_have(s))

    def _attempt(self, s: StepState, labels: tuple[str, ...]) -> Attempt:
        state, resources, step = self._state, self._resources, s.step
        if step.merge is not None:
            return self._spanned(merge_attempt(state, s, *self.given_to(s), labels))
        agent = state.agents.get(step.agent)
        if agent is None:  # its file was removed since the step was planned
            raise AttemptError(f"there is no agent `{clip(step.agent)}`: add its file again", kind="unknown_agent")
        limits = resources.task.limits
        plans = s.kind == "planner"
        if plans and state.plans >= limits.rounds:
            message = f"limits.rounds: the run has made {limits.rounds} plans, the maximum"
            raise NoRoomError(message, limit="rounds", value=limits.rounds)
        granted, barred = granted_tools(step, agent, resources, labels)
        inputs = () if plans else self.inputs_of(step)
        place = self.place_of(step, agent, labels, inputs)
        model = place.model
        agent, wording = self._prompts_for(agent, model)
        given, missing = self.given_to(s)
        inputs, given = narrowed(step, inputs, given)
        settings = self._settings_of(place)
        endpoints = self._endpoints_of(place)
        attempt = Attempt(
            run=state.run,
            step=step.model_copy(update={"prompt": self.prompt_of(step)}),
            attempt=s.attempt + 1,
            failed=_misfit(s),
            agent=agent,
            model=model,
            settings=settings,
            goal=fill(resources.task.goal or "", resources.task.parameters),
            given=given,
            missing=missing,
            unfounded=unfounded_lines(given) if agent.output == "report" else (),
            inputs=inputs,
            tools=granted,
            barred=barred,
            tools_key=resources.tools_key(granted) if granted else "",
            takes=resources.access.taken_by(place.members),
            turns=min(agent.turns or limits.turns, limits.turns),
            context=self._contexts().get(model),
            density=self._density(step, model, inputs),
            stated=self._stated(model, plans),
            brief=self.brief_for(s) if plans else None,
            wording=dict(wording),
            transcript=tuple(s.transcript),
            turns_taken=s.turns_taken,
            seconds_left=None if limits.seconds is None else max(0.0, limits.seconds - state.t),
            labels=labels,
            endpoints=endpoints,
            shared=self._shared(agent, wording, settings, endpoints),
        )
        return self._spanned(with_opened(attempt, s, state, resources))

    def _spanned(self, attempt: Attempt) -> Attempt:
        """Return an attempt with the ids of its trace and its span."""
        trace = self._state.first.trace if self._state.first is not None else ""
        span = hashlib.sha256(f"{trace}/{attempt.step.id}/{attempt.attempt}".encode()).hexdigest()[:16]
        return attempt.model_copy(update={"trace": trace, "span": span})

    def _endpoints_of(self, place: Placement) -> tuple[str, ...] | None:
        """Return the identities of the endpoints of a place, or None if one of them has none."""
        found = [self._resources.identities.get(member, "") for member in place.members]
        named = [identity for identity in found if identity is not None]
        return tuple(named) if len(named) == len(found) else None

    def _prompts_for(self, agent: Agent, model: str) -> tuple[Agent, Mapping[str, str]]:
        """Return the instructions and phrases for an agent on a model: for a small model, the short ones."""
        small = self._resources.small
        if model not in self._resources.small_models:
            return agent, self._resources.wording
        variant = small.agents.get(agent.name)
        if variant is None:
            return agent, small.wording
        return agent.model_copy(update={"instructions": variant.instructions}), small.wording

    def _shared(
        self,
        agent: Agent,
        wording: Mapping[str, str],
        settings: dict[str, Json],
        endpoints: tuple[str, ...] | None,
    ) -> dict[str, str]:
        """Return the hashes of the parts that siblings share. Each is computed once."""
        hashes, resources = self._hashes, self._resources
        if "goal" not in hashes:
            hashes["goal"] = part_digest(fill(resources.task.goal or "", resources.task.parameters))
        phrases = "wording" if wording is resources.wording else "small wording"
        if phrases not in hashes:
            hashes[phrases] = part_digest(dict(wording))
        role, model = f"{phrases} agent {agent.name}", f"model {canonical(settings)!r}"
        endpoint = f"endpoint {endpoints}"
        if role not in hashes:
            hashes[role] = part_digest(determining(agent))
        if model not in hashes:
            hashes[model] = part_digest(settings)
        if endpoint not in hashes:
            hashes[endpoint] = part_digest(endpoints)
        shared = {"agent": hashes[role], "model": hashes[model], "endpoint": hashes[endpoint]}
        return shared | {"goal": hashes["goal"], "wording": hashes[phrases]}

    def labels_of(self, s: StepState, *, spawned: bool = True) -> tuple[str, ...]:
        """Return the labels of what a step wrote, and with `spawned` of what the steps wrote that it spawned."""
        return self._label_flow.output_of(s) if spawned else self._label_flow.would_have(s)

    def prompt_of(self, step: Step) -> str:
        """Return the step's prompt with parameters and item filled in."""
        parameters = self._resources.task.parameters
        if step.instance_of is None and (step.partial_of is None or step.item is None):
            return fill(step.prompt, parameters)
        return fill(step.prompt, parameters, step.item)

    def place_of(self, step: Step, agent: Agent, labels: tuple[str, ...], inputs: tuple[Input, ...]) -> Placement:
        """Return the model for a step with these labels and inputs. Raise `AttemptError`."""
        alias = self.model_of(step, agent)
        access = self._resources.access
        if self._is_plain:
            return Placement(alias, access.behind(alias))
        media = sorted({medium_of(each.medium, each.size) for each in inputs} - {"text"})
        place = access.place(alias, labels, media, named=step.model is not None)
        if place is None:
            kind, words = access.refusal(alias, labels, media, named=step.model is not None)
            raise AttemptError(words, kind=kind)
        return place

    def _settings_of(self, place: Placement) -> dict[str, Json]:
        settings = self._resources.settings
        if place.members == self._resources.access.behind(place.model):
            return dict(settings.get(place.model, {}))
        return {"use": [settings.get(member, {}) for member in place.members]}

    def _own_labels(self, s: StepState) -> set[str]:
        """Return the labels of the inputs that a step reads, and of the tools that it may call.

        A tool's label counts from the start of the step, whether or not the tool is called: it depends on the task
        and the plan only, so a resumed run finds the same labels. An `each` step reads and calls nothing: its
        instances do.
        """
        agent = self._state.agents.get(s.step.agent)
        if s.step.each is not None or s.step.merge is not None:
            return set()
        labels: set[str] = set()
        if agent is not None:
            known = self._resources.access.tool_labels
            labels.update(known[tool] for tool in self.tools_of(s.step, agent) if tool in known)
        if s.kind != "planner":
            labels.update(each.label for each in self.inputs_of(s.step) if each.label is not None)
        return labels

    def model_of(self, step: Step, agent: Agent) -> str:
        """Return the alias of a step, else of its agent if the task has it, else `default`.

        If `default` is a small model, the built-in endpoint writes plans and reports in its place.
        """
        if step.model is not None:
            return step.model
        if agent.model is not None and agent.model in self._resources.settings:
            return agent.model
        if step.judges is not None:
            worker = self._state.steps[step.judges].model or DEFAULT
            return next((alias for alias in self._resources.critics if alias != worker), DEFAULT)
        is_for_people = agent.output in ("plan", "report") and step.output is None
        return self._resources.built_in if is_for_people and self._resources.built_in else DEFAULT

    def aliases_ahead(self) -> tuple[str, ...]:
        """Return the aliases that the unfinished steps will need, or may need.

        If no plan is to come and no input restricts the choice, they are those that the steps request. Otherwise they
        are all aliases except the members of pools that no role requests: a pool checks its own members.
        """
        agents = self._state.agents
        ahead = [s for s in self._state.steps.values() if not s.over and s.step.merge is None]
        unfinished = [s for s in ahead if s.step.agent in agents]
        requested = [self.model_of(s.step, agents[s.step.agent]) for s in unfinished]
        plans_to_come = any(s.kind == "planner" for s in unfinished)
        if self._is_plain and not plans_to_come:
            return tuple(dict.fromkeys(requested))
        models = self._resources.task.models
        by_roles = [agent.model if agent.model in models else DEFAULT for agent in agents.values()]
        return tuple(dict.fromkeys((*requested, *map(str, by_roles), *self._resources.outside_pools)))

    def tools_of(self, step: Step, agent: Agent) -> tuple[str, ...]:
        """Return the tools that a step may use, if no label bars one."""
        return wanted_tools(step, agent, self._resources)

    def inputs_of(self, step: Step) -> tuple[Input, ...]:
        """Return the inputs that a step names; without names, all if it waits for no other step."""
        if step.inputs is None:
            alone = not before_of(step) and step.instance_of is None
            return self._resources.inputs if alone else ()
        return tuple(self._inputs[name] for name in chosen(step.inputs, self._inputs))

    def output_of(self, s: StepState) -> Json:
        """Return the output of a step; for a stand-in, the combination of its children's outputs."""
        return self._outputs.of(s)

    def given_to(self, s: StepState) -> tuple[tuple[Given, ...], tuple[Missing, ...]]:
        """Return the outputs that a step reads, in plan order, and the missing ones."""
        return self._outputs.given_to(s)

    def text_of(self, kind: str, name: str) -> str | None:
        """Return the text of an input, or of the output of a step (`kind`), as it is now. None if there is none."""
        if kind == "input":
            found = self._inputs.get(name)
            return None if found is None else found.text
        s = self._state.steps.get(name)
        return None if s is None or s.status is not Status.DONE else written(self.output_of(s))

    def read_by(self, s: StepState) -> tuple[Given | Missing, ...]:
        """Return the same in one order: as the step reads them."""
        return self._outputs.read_by(s)

    def brief_for(self, s: StepState) -> Brief:
        """Return what a planner must know about the run and its limits."""
        state, resources = self._state, self._resources
        first, reads = s.id == PLAN_STEP, self._reads(self._contexts())
        return Brief(
            roles=tuple(self._role_brief(agent) for agent in self._roles_for(s)),
            inputs=tuple(InputBrief.of(each).sized(reads) for each in resources.inputs),
            models=tuple(resources.settings) or ("default",),
            tools=resources.tools,
            groups=dict(resources.tool_groups),
            about=dict(resources.tool_about),
            limits=resources.task.limits,
            known=() if first else tuple(state.steps),
            barred=() if first else self._barred(s),
            steps_left=max(0, state.steps_left(resources.task.limits.steps)),
            reads=reads,
            access=None if self._is_plain else self._access_for(s),
            table=wanted_table(resources.task, resources.wording, has_file=resources.has_table_file) if first else None,
            first=first,
        )

    def _roles_for(self, s: StepState) -> list[Agent]:
        """Return the roles that a planner may use.

        The first plan was made before any plan brought roles, so its brief has none of these: on a resume it must have
        the key that it had.
        """
        granted = set(self._resources.tools)
        agents = [a for a in self._state.agents.values() if not a.needs_tools or self._granted(a, granted)]
        if s.id != PLAN_STEP:
            return agents
        brought: set[str] = set()
        for other in self._state.steps.values():
            brought.update(agent.name for agent in other.outcome.agents)
        return [agent for agent in agents if agent.name not in brought]

    def _role_brief(self, agent: Agent) -> RoleBrief:
        tools = self._granted(agent, set(self._resources.tools))
        return RoleBrief(name=agent.name, description=agent.description, tools=tools, open=agent.open)

    def _granted(self, agent: Agent, granted: Container[str]) -> tuple[str, ...]:
        """Return the tools that a role asks for and the run grants."""
        asked = asked_for(agent, self._resources.tools, self._resources.tool_groups)
        return tuple(tool for tool in asked if tool in granted)

    def _contexts(self) -> dict[str, int]:
        """Return the known context sizes by model alias: stated ones, and smaller ones from refusals."""
        sizes = dict(self._resources.contexts)
        for alias, learnt in self._state.contexts.items():
            sizes[alias] = min(learnt, sizes.get(alias, learnt))
        return sizes

    def _density(self, step: Step, model: str, inputs: Sequence[Input]) -> float:
        """Return the density of what a step reads: that for which its piece was cut, or more after a refusal."""
        refused = self._state.densities.refused(model, [each.name for each in inputs])
        return max(step.density or UNKNOWN, refused)

    def _stated(self, model: str, plans: bool) -> Stated | None:
        """Return the sizes that the key of an attempt has in place of those that refusals taught."""
        if not self._state.contexts:
            return None
        contexts = self._resources.contexts
        return Stated(context=contexts.get(model), reads=self._reads(contexts) if plans else None)

    def _reads(self, contexts: Mapping[str, int]) -> int | None:
        """Return how many tokens of inputs a step can read; None if no context size is known."""
        resources = self._resources
        has_tools = bool(resources.tools)
        rooms = [
            room_to_read(size, resources.settings.get(alias, {}), tools=has_tools) for alias, size in contexts.items()
        ]
        if not rooms:
            return None
        agent = self._state.agents.get(Step.model_fields["agent"].default)
        always_read = (
            resources.wording.get("rules", ""),
            agent.instructions if agent is not None else "",
            resources.task.goal or "",
        )
        taken = sum(map(estimate_tokens, always_read)) + FRAME_TOKENS
        return max(LEAST_READ_TOKENS, max(rooms) - taken)

    def _access_for(self, s: StepState) -> Access:
        """Return which models may see which labels, for a planner and for the lint of its plan."""
        state, known = self._state, self._resources.settings
        steps = () if s.id == PLAN_STEP else tuple(state.steps.values())
        carried = {other.id: self._label_flow.output_of(other) for other in steps}
        roles = {agent.name: agent.model for agent in self._roles_for(s) if agent.model in known}
        return self._resources.access.model_copy(
            update={
                "roles": roles,
                "carried": {name: labels for name, labels in carried.items() if labels},
                "inherited": self._label_flow.of(s) if s.id in state.steps else (),
            }
        )

    def _barred(self, s: StepState) -> tuple[str, ...]:
        """Return the steps that are over only when the steps that this planner spawns are over."""
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
        """Return the prompt of a step in one line."""
        line = " ".join(self.prompt_of(step).split())
        return cut(line, ABOUT_CHARACTERS)


def _misfit(s: StepState) -> str:
    """Return why the answer of the attempt before did not fit; empty if it failed otherwise, or not at all."""
    return s.error.message if s.error is not None and s.error.kind == "form" else ""
