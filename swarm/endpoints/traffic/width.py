"""How wide an endpoint is, by its answers: a server that queues never says that it has too much to do.

By Little's law, the calls in flight when a call is sent (n, itself included) over the seconds of
its answer (l) are the answers a second, of a server that queues and of an idle one alike, at once
and while the number changes. So Σn / Σl of a few calls is a rate that needs no rounds and no clock.

**Bound.** No more in flight than are answered in half a deadline: ½ · deadline · Σn / Σl of the
last `SEEN` calls. Calls that timed out enter with the time they took. It narrows at once, but not
before as many calls have ended as there are slots: the first answers of a burst to an idle server
read as those of a narrow one. To narrow is a trial, too. If the answers a second fall with the
width, the server does not queue, its answers only take long: then the former width comes back, and
holds until a call times out. If answers with more in flight take no longer than those with fewer,
it is not narrowed at all.

**Trial.** After a quarter of the width in answers (`LEAST` at least) to calls that went after the
last change with nearly all slots in use, their R = Σ(n · tokens) / Σl decides:

| R, compared with the R of the width before | next |
| --- | --- |
| nothing to compare with | the width doubles |
| 15 % more after a doubling, in proportion after less | the growth is kept, and the width doubles again |
| twice as many after a doubling, or nearly: nothing waits | the next width is four times as much, open at once |
| less than that | back to the width before, for a minute; trials are by half from then on |

Tokens are those of the answer, 1 where they are unknown: an endpoint may be slower for longer
answers.
"""

from collections import deque
from dataclasses import dataclass
from math import inf, isinf

import anyio

from swarm.endpoints.traffic.flights import Flight, Flights

SEEN = 32
"""Calls that the bound is made of."""
SHARE = 0.5
"""Share of a deadline in which all that is in flight should be answered."""
LEAST = 8
"""Minimum answers that decide a trial, or whether to narrow was of use."""
FEWER = 0.75
"""Share of the calls in flight, below which there are clearly fewer."""
STEP = 0.1
"""Minimum share by which the bound narrows: less is noise."""
SLOWER = 1.25
"""Factor by which answers take longer when the endpoint itself became slower."""
GAIN = 0.15
"""Share by which answers a second must rise for a doubling to be kept."""
USED = 0.8
"""Share of the slots that must be in use when a call is sent, for its answer to count."""
NARROWED_SECONDS = 15.0
"""Seconds without a trial after the bound has narrowed."""
HALF = 0.5
"""The same in a round that has nothing to compare with: the first calls find an empty endpoint."""
FIRST, LATER = 2.0, 1.5
"""Factors of a trial: until one was taken back, and after that."""
ALIKE, SPREAD = 1.15, 1.6
"""Factors up to which answers take alike: with more in flight and with fewer; the slowest and the quickest."""
FEW = 4
"""Minimum calls with fewer in flight that those with more are compared with."""
LONG = 2.0
"""Seconds from which a call without an answer waits long, as a multiple of the mean of those with one."""
CLEAR, CLEARLY = 0.85, 4.0
"""Share of a gain in proportion from which nothing waits yet, and the factor of the next trial then."""


@dataclass
class Sum:
    """Calls, added up."""

    calls: int = 0
    places: int = 0
    seconds: float = 0.0

    def add(self, place: int, seconds: float) -> None:
        """Add a call."""
        self.calls += 1
        self.places += place
        self.seconds += seconds

    @property
    def rate(self) -> float:
        """Answers a second; infinite as long as nothing is known."""
        return self.places / self.seconds if self.seconds > 0 else inf

    @property
    def mean(self) -> float:
        """Mean seconds."""
        return self.seconds / max(1, self.calls)

    @property
    def place(self) -> float:
        """Mean calls in flight."""
        return self.places / max(1, self.calls)


class Bound:
    """The width at which answers come within half a deadline."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._ended: deque[tuple[int, float]] = deque(maxlen=SEEN)
        self._count = 0
        """Calls that ended since the width grew."""
        self._before: tuple[int, Sum] | None = None
        """The width before it was narrowed, and the calls at it; None once that was judged."""
        self._after = Sum()
        """Calls with clearly fewer in flight than those."""
        self._useless = 0
        """A width from which to narrow was of no use."""

    def _seen(self) -> Sum:
        return Sum(len(self._ended), sum(place for place, _ in self._ended), sum(took for _, took in self._ended))

    @property
    def most(self) -> float:
        """Calls in flight that are answered within half a deadline, at least 1."""
        return max(1.0, SHARE * self._deadline * self._seen().rate)

    @property
    def _is_idle(self) -> bool:
        """Whether all answers took alike, with many in flight as with few: nothing waits."""
        ended, half = sorted(self._ended), len(self._ended) // 2
        low, high = Sum(), Sum()
        for n, (place, took) in enumerate(ended):
            (low if n < half else high).add(place, took)
        times = [took for _, took in ended]
        is_spread = half >= FEW and high.place >= 1.5 * low.place
        return is_spread and high.mean <= ALIKE * low.mean and max(times) <= SPREAD * min(times)

    @property
    def seconds(self) -> float:
        """Mean seconds of an answer."""
        return self._seen().mean

    @property
    def narrow(self) -> bool:
        """Whether the width was narrowed, and that is not judged yet."""
        return self._before is not None

    def grown(self) -> None:
        """Note that the width grew: what ended before says little about it."""
        self._count = 0

    def note(self, place: int, seconds: float, *, timed_out: bool = False) -> None:
        """Note a call that was answered or timed out after that many seconds."""
        self._ended.append((place, seconds))
        self._count += 1
        if self._before is not None and place <= FEWER * self._before[1].place:
            self._after.add(place, seconds)
        if timed_out:
            self._useless = 0

    def narrowed(self, size: int) -> int | None:
        """Return a smaller width than `size` if too much is in flight, else None."""
        if self._count < size or size <= self._useless:
            return None
        most = self.most
        if most > size - max(1, STEP * size):
            return None
        if self._is_idle:
            self._useless = size
            return None
        if self._before is None:
            self._before, self._after = (size, self._seen()), Sum()
        return int(most)

    def restored(self, size: int) -> int | None:
        """Return the width before it was narrowed if that was of no use, else None."""
        if self._before is None or self._after.calls < LEAST:
            return None
        (before, wide), self._before = self._before, None
        after = self._after
        helped = after.rate / wide.rate > (1 + after.place / wide.place) / 2
        if size >= before or helped or after.mean > SLOWER * wide.mean:
            return None
        self._useless = before
        return before

    def allows(self, size: int, wanted: float) -> float:
        """Return the width up to which a trial may grow from `size`."""
        return wanted if size <= self._useless or self._is_idle else min(wanted, self.most)

    def tried(self, size: int, wanted: int) -> None:
        """Note a trial at another width, or its end: from a width without a bound, it has none either."""
        if size <= self._useless:
            self._useless = wanted


class Trial:
    """Growth that is kept only if it gives more answers a second."""

    def __init__(self) -> None:
        self.clear = False
        """Whether nothing waited at the width before this one."""
        self._from = 1
        """Number of the first call of this round."""
        self._answers = 0
        self._peak = 0
        """Most calls in flight in this round."""
        self._low, self._high = Sum(), Sum()
        """Its calls with fewer in flight, or those of the width before; and the others."""
        self._work = 0.0
        self._seconds = 0.0
        self._before: tuple[int, float] | None = None
        """The width before this one, with its R."""
        self._factor = FIRST
        self._until = -inf
        """No growth until then."""

    @property
    def running(self) -> bool:
        """Whether the width grew, and that is not judged yet."""
        return self._before is not None

    @property
    def width(self) -> int | None:
        """The width before the one that is on trial, None if none is."""
        return None if self._before is None else self._before[0]

    def restart(self, last: int) -> None:
        """Begin a round that has nothing to compare with, after call `last`."""
        self._before = None
        self._begin(last)

    def rest(self, until: float) -> None:
        """Try nothing until then."""
        self._until = max(self._until, until)

    def note(self, flight: Flight, seconds: float, tokens: int, size: int) -> bool:
        """Count an answer. Return whether the round is complete."""
        if flight.number < self._from:
            return False
        self._peak = max(self._peak, flight.place)
        if self._before is None and flight.place < HALF * size:
            self._low.add(flight.place, seconds)
        elif flight.place >= (HALF if self._before is None else USED) * size:
            self._answers += 1
            self._high.add(flight.place, seconds)
            self._work += flight.place * max(1, tokens)
            self._seconds += seconds
        return self._peak >= USED * size and self._answers >= max(LEAST, size / 4)

    def decide(self, size: int, most: float, flights: Flights) -> int:
        """Return the next width, at most `most`: more for a trial, less if one gave too little."""
        # Calls that wait long while later ones are answered count with what they have waited. A server that answers
        # the newest first would look quick otherwise, however many it never comes to.
        late, last = flights.overtaken(LONG * self._high.mean), flights.last
        self._high.seconds += late
        self._seconds += late
        rate = self._work / self._seconds if self._seconds > 0 else inf
        before, self._before = self._before, None
        low, high = self._low, self._high
        self._begin(last)
        self._low = high
        if before is not None and not isinf(before[1]) and rate < before[1] * (1 + GAIN * (size / before[0] - 1)):
            self._factor = LATER
            return before[0]
        self.clear = self._factor == FIRST and self._is_clear(low, high)
        factor = CLEARLY if self.clear else self._factor
        grown = int(min(max(size + 1, size * factor), most))
        if grown <= size or anyio.current_time() < self._until:
            return size
        self._before = size, rate
        return grown

    @staticmethod
    def _is_clear(low: Sum, high: Sum) -> bool:
        """Return whether answers with more in flight take no longer, or hardly."""
        return low.calls >= FEW and high.rate / low.rate - 1 >= CLEAR * (high.place / low.place - 1)

    def _begin(self, last: int) -> None:
        self._low, self._high = Sum(), Sum()
        self._from, self._answers, self._peak, self._work, self._seconds = last + 1, 0, 0, 0.0, 0.0
