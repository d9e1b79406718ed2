"""A first plan that a swarm would not speed up becomes the work of one agent."""

from swarm.attempt.types import Attempt, Executor, Note
from swarm.forecast.advice import as_one_agent
from swarm.record.outcome import Outcome


class OneAgent:
    """Executor around another: follows the advice on the first plan of a run (`swarm: auto`).

    It is outside of the cache, so that the cache stores the planner's own plan. It decides before
    the outcome becomes an event, so that a resumed or replayed run has the same decision.
    """

    def __init__(self, inner: Executor, *, goal: str) -> None:
        self._inner = inner
        self._goal = goal

    async def execute(self, attempt: Attempt, note: Note) -> Outcome:
        """Run an attempt. Replace a first plan by one step if it would not be faster or better."""
        outcome = await self._inner.execute(attempt, note)
        brief = attempt.brief
        if brief is None or not brief.first or outcome.agents or not self._goal:
            return outcome
        one_agent = as_one_agent(outcome.spawned, self._goal, brief, workers=brief.limits.usual_workers)
        if one_agent is None:
            return outcome
        step, why = one_agent
        plan = {"steps": [step.model_dump(mode="json", exclude_defaults=True)]}
        return outcome.model_copy(update={"output": plan, "spawned": (step,), "notes": (*outcome.notes, why)})
