"""A planner's plan that a swarm would not help becomes one agent's work, before it joins the graph."""

from swarm.attempt.types import Attempt, Executor, Note
from swarm.forecast.advice import as_one_agent
from swarm.record.outcome import Outcome


class OneAgent:
    """Another executor, around one: takes the advice on the run's first plan (`swarm: auto`).

    It is the outermost one, so that a cache holds what the planner said, whatever the task makes of it; and it acts
    before the outcome is an event, so that resuming and replaying find the decision made.
    """

    def __init__(self, inner: Executor, *, goal: str) -> None:
        self._inner = inner
        self._goal = goal

    async def execute(self, attempt: Attempt, note: Note) -> Outcome:
        """Carry out an attempt; put one step in place of a plan that is no better than that."""
        outcome = await self._inner.execute(attempt, note)
        brief = attempt.brief
        if brief is None or not brief.first or outcome.agents or not self._goal:
            return outcome
        alone = as_one_agent(outcome.spawned, self._goal, brief, workers=brief.limits.workers)
        if alone is None:
            return outcome
        step, why = alone
        made = {"steps": [step.model_dump(mode="json", exclude_defaults=True)]}
        return outcome.model_copy(update={"output": made, "spawned": (step,), "notes": (*outcome.notes, why)})
