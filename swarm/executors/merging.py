"""Outputs merged without a model."""

import anyio.to_thread

from swarm.attempt.merge import merged_of
from swarm.attempt.types import Attempt, Executor, Note
from swarm.attempt.verdicts import merged_verdict
from swarm.base.errors import AttemptError
from swarm.base.text import listing
from swarm.base.values import canonical
from swarm.record.outcome import Outcome, Unread

MOST_AT_ONCE = 200_000
"""Maximum characters of outputs that are merged in the event loop, which takes a few hundredths of a second. More are
merged in a thread, so that the calls in flight do not wait."""
MOST_NAMED = 5
"""Maximum steps that a message names."""


class Merging:
    """Executor around another: merges the outputs that a step with `merge` reads, without a call."""

    def __init__(self, inner: Executor) -> None:
        self._inner = inner

    async def execute(self, attempt: Attempt, note: Note) -> Outcome:
        """Merge outputs, or run any other attempt. Raise `AttemptError` of kind `merge` if nothing can be merged."""
        if attempt.step.merge is None:
            return await self._inner.execute(attempt, note)
        if sum(len(str(each.output)) for each in attempt.given) <= MOST_AT_ONCE:
            return outcome_of(attempt)
        return await anyio.to_thread.run_sync(outcome_of, attempt)


def outcome_of(attempt: Attempt) -> Outcome:
    """Return the outcome of a step with `merge`. Raise `AttemptError` of kind `merge` if no output can be merged."""
    if attempt.step.judges is not None:
        return Outcome(output=merged_verdict(attempt.given, attempt.missing))
    found = merged_of(attempt)
    if len(found.unread) == len(attempt.given):
        what = "no step before it has an output" if not attempt.given else "no output of the steps before it has rows"
        steps = [each.step for each in attempt.missing] or list(found.unread)
        raise AttemptError(f"{what}: {listing(steps, MOST_NAMED)}", kind="merge")
    sizes = {each.step: len(canonical(each.output)) for each in attempt.given if each.step in found.unread}
    unread = tuple(Unread(of="output", name=step, read=0, total=size) for step, size in sizes.items())
    left_out = tuple(f"the output of {step}: it has no rows" for step in sizes)
    return Outcome(output=found.value, left_out=left_out, unread=unread)
