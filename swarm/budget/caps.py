"""Output caps of calls for which a limit leaves little space: a smaller cap instead of a refusal.

The worst case of a call has two parts. Its input is bounded by its bytes, and nothing can lower
that. Its output is bounded by the cap that is sent, 4,096 tokens by default, while most answers are
much shorter. So if the worst case does not fit now, the cap shrinks to what similar calls really
took, with a margin. The smaller cap is both reserved and sent: whatever the model does, what is
reserved and what is spent stay below the limit. An answer that the smaller cap truncates is
requested again with the whole cap.

| the whole cap | similar calls | the call |
| --- | --- | --- |
| fits | | is sent as it is |
| does not fit now | are known | is sent with twice their longest answer, at least with that answer |
| does not fit now | are unknown, others are in flight | waits for the first of these |
| does not fit now | are unknown, none is in flight | is sent with what is left, if that is enough for an answer |
"""

from collections.abc import Callable
from dataclasses import dataclass

from swarm.budget.ledger import Amount, Reservation, weigh
from swarm.budget.meter import Meters
from swarm.spec.chat import Reply, Request

MARGIN = 2
"""Factor above the longest answer of similar calls: answers to the same prompt differ by less."""
LEAST_CAP = 64
"""Minimum cap in tokens that is sent if similar calls are known: a shorter answer is not worth its call."""
LEAST_UNKNOWN = 256
"""The same if they are not known: a few sentences."""


@dataclass(frozen=True)
class Chosen:
    """How a call is sent."""

    cap: int | None = None
    """A smaller output cap; None for the whole one."""
    waits: bool = False
    """Whether to wait for a call in flight, and to choose again."""
    held: Reservation | None = None
    """What is reserved for it; None if it must wait for its turn, or will be refused."""


class Caps:
    """What similar calls took, and the caps that follow from it."""

    def __init__(self, meters: Meters) -> None:
        self.meters = meters
        self._longest: dict[tuple[str, ...], int] = {}

    def learn(self, like: tuple[str, ...], reply: Reply, cap: int) -> None:
        """Remember how long an answer was. A truncated one would have been longer than its cap."""
        took = 2 * cap if reply.finish == "length" else reply.usage.output_tokens
        self._longest[like] = max(took, self._longest.get(like, 0))

    def choose(self, like: tuple[str, ...], request: Request) -> Chosen:
        """Choose the cap of a call, and reserve its worst case if that fits now.

        `like` is what similar calls have in common.
        """
        ledger, weight, whole = self.meters.queue.ledger, weigh(request), self.meters.cap(request)

        def most(cap: int) -> Amount:
            return self.meters.most(request.model_copy(update={"max_tokens": cap}), weight)

        held = ledger.reserve(most(whole))
        if held is not None:
            return Chosen(held=held)
        longest = self._longest.get(like)
        if longest is None and ledger.any_held:
            return Chosen(waits=True)
        least = min(whole, LEAST_UNKNOWN if longest is None else max(LEAST_CAP, longest))
        highest = whole if longest is None else min(whole, max(LEAST_CAP, MARGIN * longest))
        cap = largest(least, highest, lambda cap: ledger.exceeded(most(cap)) is None)
        return Chosen(cap if cap < whole else None, held=ledger.reserve(most(cap)))


def largest(low: int, high: int, fits: Callable[[int], bool]) -> int:
    """Return the largest number from `low` to `high` that fits, by bisection; else `low`."""
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle):
            low = middle
        else:
            high = middle - 1
    return low
