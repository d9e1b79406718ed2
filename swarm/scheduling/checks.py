"""Checks and votes: a step with `check` or `vote` becomes the steps that do its work and judge it.

    work with `check: critic`        work.1 (the work), work.2 (the critic)
    … if the critic contradicts it   work.3 (the work again, with the reasons), work.4 (the critic), at most twice
    work with `vote: 3`              work.1, work.2, work.3 (the same step, independent of each other)
    … without a majority             work.0 (a critic chooses one of them)

All of them are ordinary steps: queued, cached, budgeted, labelled, resumed and replayed like any
other. What follows a verdict is spawned by the outcome of the critic, in the same event. A critic
sees the work and what the work read, not how it was made. If a critic fails, the work is unchecked,
not refuted.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from swarm.attempt.merge import normal
from swarm.attempt.prompt import phrase
from swarm.attempt.verdicts import VERDICT, Verdict, reasons_in, verdict_in
from swarm.base.values import Json
from swarm.record.outcome import Outcome
from swarm.record.state import State
from swarm.record.steps import Status, StepState
from swarm.scheduling.expand import Expansion
from swarm.scheduling.votes import voted
from swarm.spec.plan import Step, before_of

REPEATS = 2
"""Maximum number of times that contradicted work is done again: models rarely correct themselves
later."""
CRITIC = "critic"
"""Name of the built-in role that chooses among votes without a majority."""


@dataclass(frozen=True)
class Judged:
    """The verdict on the work of a step."""

    step: str
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    repeats: int = 0
    """Number of times that the work was done again."""


def _no_output(s: StepState) -> Json:
    return s.outcome.output


class Checks:
    """Maker of the steps that check and vote."""

    def __init__(self, wording: Mapping[str, str], output_of: Callable[[StepState], Json] = _no_output) -> None:
        """`output_of` returns the output of a vote."""
        self._wording = wording
        self._output_of = output_of

    def before(self, expand: Callable[[StepState], Expansion | None], state: State) -> Callable[..., Expansion | None]:
        """Return a function that expands a step for its checks and votes first, then as `expand` says."""

        def asked(s: StepState) -> Expansion | None:
            mine = None if s.transcript else self.expanded(s.step)
            if mine is None or any(step.id in state.steps for step in mine.steps):
                return expand(s)
            return mine

        return asked

    def expanded(self, step: Step) -> Expansion | None:
        """Return the steps that do and judge the work of a step, or None if it has neither `check` nor `vote`."""
        if isinstance(step.check, str):
            work = self._work(step, 1, step.prompt, before=())
            return Expansion((work, self._critic(step, 2, work)), "checked")
        if step.vote is not None:
            return Expansion(tuple(_ballot(step, n) for n in range(1, step.vote + 1)), "majority")
        return None

    def follow_up(self, state: State, s: StepState, outcome: Outcome | None) -> tuple[Step, ...]:
        """Return the steps that the outcome of a step leads to: the work again, or a critic that chooses.

        None for a step that failed: it may have been the last vote.
        """
        if s.step.judges is not None:
            critic = _whole_of(state, s)
            parent = state.steps.get(critic.step.partial_of or "")
            if outcome is None or parent is None or parent.combine != "checked":
                return ()
            return self._again(critic, s, parent.step, outcome)
        parent = _voted_by(state, s) if s.step.ballot is not None else None
        return () if parent is None else self._chooser(state, s, parent, outcome)

    def _again(self, critic: StepState, last: StepState, step: Step, outcome: Outcome) -> tuple[Step, ...]:
        """Return the work and its critic once more.

        `last` gave the verdict: the critic, or its last partial.
        """
        number = int(critic.id.rpartition(".")[2])
        if verdict_in(outcome.output) != "contradicted" or number >= 2 * (REPEATS + 1):
            return ()
        prompt = phrase(self._wording, "check_again", prompt=step.prompt, work=critic.step.judges, check=last.id)
        # The critic is settled only with what it spawned, so the work cannot wait for it: see
        # `also_read`.
        work = self._work(step, number + 1, prompt, before=(critic.step.judges or "",))
        return work, self._critic(step, number + 2, work)

    def _work(self, step: Step, number: int, prompt: str, *, before: Sequence[str]) -> Step:
        """Return a step that does the work.

        It comes after what the work before it had, which has ended.
        """
        update = {"id": f"{step.id}.{number}", "prompt": prompt, "check": None, "partial_of": step.id}
        work = step.model_copy(update=update)
        again: dict[str, object] = {"after": (*work.after, *before), "redoes": before[0] if before else None}
        again["inputs"] = sources_of(step)  # a step that comes after another one reads no inputs by default
        return work.model_copy(update=again) if before else work

    def _critic(self, step: Step, number: int, work: Step) -> Step:
        """Return the step that judges the work: it reads the work and all that the work read."""
        asked = step.prompt or phrase(self._wording, "step_text")
        return Step(
            id=f"{step.id}.{number}",
            agent=cast("str", step.check),
            prompt=phrase(self._wording, "check", prompt=asked, work=work.id),
            needs=(work.id,),
            after=before_of(step),
            inputs=sources_of(step),
            output=VERDICT,
            tools=(),
            item=step.item,
            partial_of=step.id,
            judges=work.id,
        )

    def _chooser(self, state: State, last: StepState, parent: StepState, outcome: Outcome | None) -> tuple[Step, ...]:
        """Return the critic that chooses among votes, if all have ended and some part of them has no majority.

        `last` ended the last vote with this outcome, or failed. It is the vote, or a share of one.
        """
        ballot, step = _ballot_of(state, last, parent), parent.step
        others = [state.steps[name] for name in parent.children if name != ballot.id]
        if not all(each.settled for each in others) or not _ends(state, ballot, last):
            return ()
        votes = self._votes(others, ballot, last, outcome)
        ids = sorted(votes, key=lambda name: state.steps[name].order)
        if len(ids) < 2 or voted([votes[name] for name in ids], key=step.key or ()).is_decided:
            return ()
        # The last vote is settled only with what it spawned, so nothing can wait for it: `also_read`.
        return (self._choosing(step, ids, tuple(name for name in ids if name != ballot.id)),)

    def _votes(
        self, others: Iterable[StepState], ballot: StepState, last: StepState, outcome: Outcome | None
    ) -> dict[str, Json]:
        """Return the outputs of votes, by step."""
        votes = {each.id: self._output_of(each) for each in others if each.status is Status.DONE}
        if outcome is not None:
            votes[ballot.id] = self._output_with(ballot, last, outcome)
        return votes

    def _output_with(self, ballot: StepState, last: StepState, outcome: Outcome) -> Json:
        """Return the output of a vote as it will be once this outcome of its last share is recorded."""
        if ballot is last:
            return outcome.output
        before = last.outcome, last.status
        last.outcome, last.status = outcome, Status.DONE
        try:
            return self._output_of(ballot)
        finally:
            last.outcome, last.status = before

    def _choosing(self, step: Step, ids: list[str], before: tuple[str, ...]) -> Step:
        schema: dict[str, Json] = {
            "type": "object",
            "properties": {"choice": {"enum": ids}},
            "required": ["choice"],
        }
        return Step(
            id=f"{step.id}.0",
            agent=CRITIC,
            prompt=phrase(self._wording, "choose", prompt=step.prompt),
            after=(*before, *before_of(step)),
            inputs=sources_of(step),
            output=schema,
            tools=(),
            item=step.item,
            partial_of=step.id,
            judges=step.id,
        )


def sources_of(step: Step) -> tuple[str, ...] | None:
    """Return the inputs of a step that reads what another one reads, but comes after it: all, if that one read all."""
    reads_all = step.inputs is None and not before_of(step) and step.instance_of is None
    return ("*",) if reads_all else step.inputs


def _ballot(step: Step, number: int) -> Step:
    """Return one of the independent attempts.

    Its number is part of its key, or the cache would answer all but one.
    """
    update = {"id": f"{step.id}.{number}", "vote": None, "partial_of": step.id, "ballot": number}
    return step.model_copy(update=update)


def has_majority(outputs: Sequence[Json]) -> bool:
    """Check whether more than half of the outputs are equal. Spelling, blanks and the form of figures do not count."""
    counts = Counter(map(normal, outputs))
    return 2 * max(counts.values(), default=0) > len(outputs)


def _voted_by(state: State, s: StepState) -> StepState | None:
    """Return the voted step of a vote, or of a share of one."""
    above = (state.steps[name] for name in state.lineage(s.id))
    return next((each for each in above if each.combine == "majority"), None)


def _ballot_of(state: State, s: StepState, parent: StepState) -> StepState:
    """Return the vote of `parent` that a step is, or does a share of."""
    while s.by != parent.id and s.by in state.steps:
        s = state.steps[s.by]
    return s


def _ends(state: State, ballot: StepState, last: StepState) -> bool:
    """Return whether a vote ends with a step: nothing else is left of it."""
    steps = [ballot]
    while steps:
        s = steps.pop()
        if not s.over and s is not last and s.kind != "stand_in":
            return False
        steps += [state.steps[name] for name in s.children]
    return True


# Reading of what happened


def works(state: State, s: StepState) -> list[tuple[StepState, StepState]]:
    """Return the attempts at the work of a checked step, each with its critic, in order."""
    found: list[tuple[StepState, StepState]] = []
    names = s.children
    while len(names) >= 2:
        work, critic = state.steps[names[0]], state.steps[names[1]]
        found.append((work, critic))
        names = last_of(state, critic).children
    return found


def _whole_of(state: State, s: StepState) -> StepState:
    """Return the step that a step is the last partial of, over all levels; itself if it is none."""
    parent = state.steps.get(s.by)
    while parent is not None and parent.combine == "last" and parent.children[-1] == s.id:
        s, parent = parent, state.steps.get(parent.by)
    return s


def last_of(state: State, s: StepState) -> StepState:
    """Return the step that gives the output of a step: itself, or over all levels the last of its partials."""
    while s.combine == "last":
        s = state.steps[s.children[-1]]
    return s


def last_work(state: State, s: StepState) -> StepState | None:
    """Return the last work of a checked step that has an output."""
    done = [work for work, _ in works(state, s) if work.status is Status.DONE]
    return done[-1] if done else None


def judged(state: State) -> tuple[Judged, ...]:
    """Return the verdicts on all checked steps, in plan order."""
    found: list[Judged] = []
    for s in state.steps.values():
        if s.kind != "stand_in" or s.combine != "checked":
            continue
        rounds = works(state, s)
        done = [(work, critic) for work, critic in rounds if work.status is Status.DONE]
        if not done:
            continue
        _, critic = done[-1]
        found.append(_judged_by(s.id, last_of(state, critic), len(done) - 1))
    return tuple(found)


def _judged_by(step: str, critic: StepState, repeats: int) -> Judged:
    if critic.status is not Status.DONE:
        return Judged(step, "unchecked", repeats=repeats)
    output = critic.outcome.output
    return Judged(step, verdict_in(output), tuple(reasons_in(output)), repeats)


def also_read(state: State, s: StepState) -> StepState | None:
    """Return the step that spawned a step and is read by it, too: the critic of work, the last vote before a choice."""
    spawner = state.steps.get(s.by)
    if spawner is None or spawner.kind == "stand_in" or s.step.partial_of is None:
        return None
    if spawner.step.ballot is not None and s.step.judges is not None:
        voted_step = _voted_by(state, spawner)
        return None if voted_step is None else _ballot_of(state, spawner, voted_step)
    return spawner if spawner.step.judges is not None and s.step.judges is None else None


def judged_child(state: State, s: StepState) -> StepState | None:
    """Return the step whose output a checked or voted step passes on, or None if the majority decides."""
    return last_work(state, s) if s.combine == "checked" else chosen_ballot(state, s)


def unfounded_in(state: State, s: StepState) -> tuple[str, ...]:
    """Return what of the output of a step is in nothing that was read for it: of equal votes, what each of them has."""
    if s.kind != "stand_in":
        return s.outcome.unfounded
    if s.combine not in ("checked", "majority"):
        return ()
    if (child := judged_child(state, s)) is not None:
        return unfounded_in(state, child)
    votes = [state.steps[name].outcome.unfounded for name in s.children if state.steps[name].status is Status.DONE]
    return tuple(each for each in votes[0] if all(each in vote for vote in votes)) if votes else ()


def chosen_ballot(state: State, s: StepState) -> StepState | None:
    """Return the vote that a critic chose, if there was no majority."""
    chooser = state.steps.get(f"{s.id}.0")
    if chooser is None or chooser.step.judges != s.id:
        return None
    output = last_of(state, chooser).outcome.output
    choice = cast("dict[str, Any]", output).get("choice") if isinstance(output, dict) else None
    return state.steps.get(str(choice))
