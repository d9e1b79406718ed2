"""The limits of one endpoint with one key: unknown at first, and measured while it works.

An endpoint may limit the calls in flight, the calls that begin per minute, or both, and say so with
a 429 that does not say which. Or it queues what is too much, and answers late. So there are three
limits. Slots are bound by answers (`width.py`), and cut by 429s with additive growth after that
(AIMD; Chiu and Jain 1989). A pace (`pace.py`) is learnt from 429s, too. Bursts, rows, episodes and
what "admitted" means are defined in `refusals.py`.

**Growth.** Before the first 429, and again when a width that was too much turned out not to be,
trials decide (`width.Trial`). In between, a round is as many answers as there are slots.

| after | slots |
| --- | --- |
| a round with 80 % of the slots in use | 5 % more |
| a round with fewer in use | unchanged: a limit that is not reached says nothing |
| an answer in `COOL_SECONDS` after a rate limit, or while it asks to wait | not counted |
| growth to the width that last was too much | one less, for a minute, or 15 s the first time; \
then that width is tried |
| a round at that width | trials, as at first: it was not too much |

New slots are opened two per answer, so a rate limit comes before all of them are used. However they
grow, there are never more slots than are answered in half a deadline (`width.Bound`).

**Rate limits.** The first case that applies decides (`refusals.Case`).

| # | a rate limit | effect |
| --- | --- | --- |
| 1 | first of an episode, in the round after growth, with the former slots in flight or more | slots: \
those admitted. The growth was a trial, so nothing more is cut |
| 2 | with a pace, of which nine tenths were admitted | the pace: those admitted in the minute |
| 3 | with fewer in flight than before, but as many in a minute | calls per minute are limited: \
the cuts of the episode are undone, and the pace is what was admitted, 8 at least |
| 4 | again in an episode, with as many in flight | slots: those admitted |
| 5 | any other first of an episode, unless fewer are in flight and fewer were admitted in the minute \
| slots × 0.8, or those admitted if that is less; 8 at least if none was |
| 6 | any other | none: the endpoint has a bad time, or others use it as well |

"Fewer" is a fifth less. Case 3 requires three rate limits in a row within 3 s or more, or two rows
15 s apart with as many calls in the minute before each. A rate limit of the same burst is not
judged: its call was not admitted. If it comes after the cut, one less was admitted. The refusal of
the one slot that was added to a known width takes it back, and only its own call waits. An overload
cuts nothing, but starts `COOL_SECONDS`. Any other fault says nothing about a limit.

A wrong decision is corrected later. A pace that is too low is raised after a minute (`pace.py`).
Slots that are too few are restored by case 3, and while slots are too many the next 429 says so.

**Start.** `shared.py` says where slots start. If that is too many, case 5 leaves what was admitted
of the first burst. So a hundred slots at an endpoint for ten cost one burst, not eleven
cuts 15 s apart.

Each change of slots is reported with its reason. A pace is reported when it is learned, when it
falls, and when it has risen by a tenth.
"""

from math import ceil, inf
from typing import NamedTuple

import anyio

from swarm.endpoints.traffic.bucket import Permit
from swarm.endpoints.traffic.ceiling import HOLD_SECONDS, Ceiling
from swarm.endpoints.traffic.flights import Flight, Flights
from swarm.endpoints.traffic.opening import Emit, OpenedSlots
from swarm.endpoints.traffic.pace import Pace
from swarm.endpoints.traffic.refusals import AS_MANY, COOL_SECONDS, Case, Refusal, Refusals
from swarm.endpoints.traffic.width import NARROWED_SECONDS, USED, Bound, Trial

DEADLINE = 300.0
"""Seconds of a deadline if none is given: the default of a model."""
START = 8
"""Slots at first if no number is given, and those that a first burst leaves of which none was admitted: others may have
used up a quota."""
KEEPS = 0.8
"""Share of the slots that a cut leaves."""
GROWS = 0.05
"""Share of the slots that a round adds after the first rate limit."""
SURVIVES_SECONDS, ADMITTED_SECONDS = 0.25, 1.0
"""Minimum seconds after which a call without a refusal counts as admitted, next to one refusal and
between two; or twice the seconds of the refusal."""


class _Growth(NamedTuple):
    """The slots, and how they grow."""

    size: int
    limited: bool
    """True after the first rate limit: growth is additive."""
    too_much: float
    """The width that last was too much; infinite if none was."""


class Limit(OpenedSlots):
    """The slots and the pace of one endpoint with one key; enter it for each call.

    `async with limit:` waits for a slot. The caller reports what happens to a call: `sent`, then
    `answered`, `refused` or `strained`; and `begin` before the next one.
    """

    def __init__(
        self,
        name: str = "",
        *,
        start: int = START,
        most: int | None = None,
        deadline: float = DEADLINE,
        emit: Emit = lambda _: None,
    ) -> None:
        """Start with `start` slots, from 1 to `most`. `name` is the endpoint, for people.

        `deadline` is the least of the models that share the limit, in seconds.
        """
        self._most: float = inf if most is None else most
        super().__init__(name, max(1, int(min(start, self._most))), emit)
        self.flights = Flights()
        """Its calls on the wire."""
        self._bound = Bound(deadline)
        self._trial = Trial()
        self._limited: bool = False
        self._ceiling = Ceiling()
        self._peak = 0
        """Most slots in use in this round."""
        self._answers = 0
        """Answers in this round."""
        self._counts_from = -inf
        """When answers count again."""
        self._size_before_growth: int | None = None
        """The slots before the last growth; None once its round is over."""
        self._before_episode = _Growth(self._size, self._limited, self._ceiling.at)
        self._refusals = Refusals()
        self._pace = Pace()
        self._reported_pace: int | None = None
        self._start = self._size
        self._admitted = 0
        """Calls in flight that were admitted at the last cut, as far as is known."""
        self._was_too_wide = False
        """Whether a width turned out to be too much."""

    @property
    def full(self) -> bool:
        """Whether the pace has no space left for another call."""
        return self._pace.full

    @property
    def trying(self) -> bool:
        """Whether the width is on trial: then its calls say nothing by being slow."""
        return self._trial.running or self._bound.narrow

    def found(self, before: int | None) -> int | None:
        """Return the width for a later run to know; `before`, the known one, if nothing was found out.

        A width that is still on trial is not known to be right. A run that was never too wide may
        have had too few calls for more, so it lowers nothing; if it never grew either, it has only
        seen its own maximum.
        """
        width = self._trial.width or self._size
        if self._was_too_wide:
            return width
        return max(width, before or 0) if width > self._start else before

    # The pace

    async def join(self, permit: Permit) -> None:
        """Wait until the pace has space for a call, and take it."""
        permit.pace = self._pace, await self._pace.take(1)
        permit.parts.append(permit.pace)

    def join_now(self, permit: Permit) -> bool:
        """Take a call's part of the pace if there is space and no caller waits. Return whether."""
        taken = self._pace.take_now(1)
        if taken is not None:
            permit.pace = self._pace, taken
            permit.parts.append(permit.pace)
        return taken is not None

    # Observations

    def sent(self, seconds: float = DEADLINE, left: float | None = None) -> Flight:
        """Note that a call is being sent, with a deadline of `seconds`; `left` is what is left of the first one."""
        flight = self.flights.begin(seconds, left)
        self._peak = max(self._peak, self.in_use)
        self._refusals.sent(self.in_use, self._pace.begun)
        return flight

    def answered(self, flight: Flight, tokens: int = 1) -> None:
        """Count an answer with that many tokens of output."""
        self.flights.end(flight, answered=True)
        self._refusals.ended(flight.place, admitted=True)
        self._refusals.answered(flight.at)
        self._open()
        now = anyio.current_time()
        seconds = now - flight.at
        self._bound.note(flight.place, seconds)
        if self._narrows(now) or now < self._counts_from:
            return
        if not self._limited:
            if self._trial.note(flight, seconds, tokens, self._size):
                self._try(now)
            return
        self._answers += 1
        if self._answers < self._size:
            return
        used = self._peak >= USED * self._size
        self._start_round()
        self._size_before_growth = None
        if used:
            self._grow(now)

    def timed_out(self, flight: Flight) -> bool:
        """Note a call without an answer in time. Return whether that was because too much was in flight."""
        self.flights.end(flight, answered=False)
        now = anyio.current_time()
        self._bound.note(flight.place, now - flight.at, timed_out=True)
        most = self._bound.most
        self._narrows(now)
        return flight.place > most

    def left(self, flight: Flight) -> None:
        """Note a call that ended otherwise: cancelled, or with a fault that says nothing about the width."""
        self.flights.end(flight, answered=False)

    def is_lone(self, flight: Flight, wait: float | None = None) -> bool:
        """Note a rate limit. Return whether only its own call has to wait.

        That is so if it says nothing about the limits, or only that one slot more was one too many. `wait` is the
        number of seconds that the endpoint asks to wait.
        """
        self._refusals.ended(flight.place, admitted=False)
        lasting = self.flights.lasting(max(SURVIVES_SECONDS, 2 * (anyio.current_time() - flight.at)))
        if self._refusals.is_lone(flight.place, wait, lasting):
            return True
        before = self._size_before_growth
        one_more = self._limited and before is not None and before < flight.place <= self._size == before + 1
        if not one_more or not self._refusals.is_short(wait):
            return False
        self._size_before_growth = None
        self._start_round()
        size = self._size - 1
        self._cut(size, size, f"rate limit after growth: {size} in flight were accepted")
        return True

    def refused(self, flight: Flight, wait: float | None = None) -> None:
        """Note what a rate limit that is not lone says."""
        self.flights.end(flight, answered=False)
        self._cool(wait)
        self._ceiling.asked = wait or 0.0
        lasts = max(ADMITTED_SECONDS, 2 * (anyio.current_time() - flight.at))
        if self.flights.lasting(lasts, since=self._refusals.last_at):
            self._refusals.admitted()
        if self._refusals.is_late(flight.at):
            self._admitted -= 1
            if 0 < self._admitted < self._size:
                self._cut(self._admitted, self._admitted, f"rate limit: {self._admitted} in flight were accepted")
        if self._refusals.refused(flight.at):
            self._judge()
            self._refusals.note(flight.at, max(flight.others, self.in_use - 1), self._pace.begun)

    def strained(self, flight: Flight | None = None, wait: float | None = None) -> None:
        """Note an overload: no cut, but no growth for a while either."""
        if flight is not None:
            self.flights.end(flight, answered=False)
        self._cool(wait)

    def begin(self) -> None:
        """Apply what the last rate limit means, before calls queue for slots again."""
        self._judge()
        learnt, reported = self._pace.learnt or 0, self._reported_pace
        if reported is not None and AS_MANY * learnt >= reported:
            self._report_pace(self._size, "")

    # Decisions

    def _cool(self, wait: float | None) -> None:
        """Start a round that counts once the endpoint has recovered."""
        cool = anyio.current_time() + max(COOL_SECONDS, wait or 0.0)
        self._counts_from = max(self._counts_from, cool)
        self._start_round()

    def _start_round(self) -> None:
        self._answers, self._peak = 0, self.in_use

    def _judge(self) -> None:
        """Decide what was too much at the last rate limit, and change that."""
        refusal = self._refusals.judged()
        if refusal is None:
            return
        before_growth, self._size_before_growth = self._size_before_growth, None
        if refusal.first:
            self._before_episode = _Growth(self._size, self._limited, self._ceiling.at)
        calls = refusal.calls
        match self._case(refusal, before_growth):
            case Case.TRIAL:
                why = f"rate limit after growth: {calls} in flight were accepted"
                self._cut(min(calls, self._size - 1), calls, why)
            case Case.PACE | Case.QUOTA:
                self._learn(max(START, refusal.minute))
            case Case.AGAIN:
                self._cut(calls, calls, f"rate limit again: {calls} in flight were accepted")
            case Case.FIRST:
                self._cut_first(calls)
            case Case.OTHER:
                pass

    def _case(self, refusal: Refusal, before_growth: int | None) -> Case:
        """Return the first case of the table that applies to a rate limit."""
        calls = refusal.calls
        if refusal.first and before_growth is not None and calls >= before_growth:
            return Case.TRIAL
        if refusal.minute >= AS_MANY * (self._pace.learnt or inf):
            return Case.PACE
        if refusal.fewer and refusal.repeats_a_minute:
            return Case.QUOTA
        if not refusal.first:
            return Case.AGAIN if calls > 0 and not refusal.fewer else Case.OTHER
        return Case.OTHER if refusal.bad_time else Case.FIRST

    def _cut_first(self, calls: int) -> None:
        """Cut at the first rate limit of an episode."""
        size = max(1, min(self._size - 1, round(self._size * KEEPS)))
        least = calls or START
        if least < size:
            why = f"rate limit: {calls} in flight were accepted"
            self._cut(least, calls, why)
        else:
            self._cut(size, calls, "rate limit")

    def _cut(self, size: int, admitted: int, why: str) -> None:
        size = max(1, min(size, self._size))
        self._admitted = admitted
        self._was_too_wide = True
        self._limited = True
        self._trial.restart(self.flights.last)
        self._ceiling.lower(max(admitted, size) + 1)
        self._change(size, why)

    def _learn(self, minute: int) -> None:
        """Learn a pace, and undo the cuts of this episode: calls in flight were not the cause."""
        self._pace.learn(minute, self._refusals.seconds)
        size = self._size
        if self._before_episode.size > size:
            self._size, self._limited, self._ceiling.at = self._before_episode
        if self._pace.learnt != self._reported_pace or self._size != size:
            self._report_pace(size, "calls per minute are limited, not calls in flight: ")

    def _grow(self, now: float) -> None:
        """Add slots after a round; stop below the width that was too much, while it is on hold."""
        if self._size >= self._ceiling.at:
            self._limited, self._ceiling.at = False, inf
            self._trial.restart(self.flights.last)
            self._try(now)
            return
        size = min(self._size + ceil(self._size * GROWS), self._most, self._bound.allows(self._size, self._most))
        size = self._ceiling.under(size)
        if size > self._size:
            self._widen(int(size), "no rate limit")

    def _try(self, now: float) -> None:
        """Try a larger width, keep one that was tried, or take it back."""
        size = self._size
        most = self._bound.allows(size, self._most)
        self._size_before_growth = None
        wanted = self._trial.decide(size, most, self.flights)
        self._bound.tried(size, wanted)
        if wanted < size:
            self._was_too_wide = True
            self._trial.rest(now + HOLD_SECONDS)
            self._change(wanted, f"{size} in flight gave no more answers a second")
        elif wanted > size:
            self._widen(wanted, "trying whether more in flight gives more answers a second")
            if self._trial.clear:
                self._open(self._size)

    def _narrows(self, now: float) -> bool:
        """Narrow to what is answered in half a deadline, or take that back. Return whether the width changed."""
        size, bound = self._size, self._bound
        narrow, wide = bound.narrowed(size), bound.restored(size)
        if narrow is None and wide is None:
            return False
        self._trial.restart(self.flights.last)
        if wide is not None:
            self._was_too_wide = False
            size = int(min(wide, self._most, self._ceiling.at - 1))
            self._widen(size, "answers are not quicker with fewer in flight")
        elif narrow is not None:
            self._was_too_wide = True
            self._trial.rest(now + NARROWED_SECONDS)
            self._size_before_growth = None
            self._change(narrow, f"answers take {bound.seconds:.1f} s, too long for the deadline")
        return True

    def _widen(self, size: int, why: str) -> None:
        self._size_before_growth = self._size
        self._bound.grown()
        self._change(size, why)

    # Reports

    def _report_pace(self, before: int, why: str) -> None:
        self._reported_pace = self._pace.learnt
        self._report(before, f"{why}{self._reported_pace} calls per minute are accepted")
