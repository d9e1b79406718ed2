"""What a run may spend: a ledger of reservations, pure and synchronous.

    limit  =  spent  +  held  +  kept  +  room
              settled   in flight  the report's   what else may start

The worst case of a call is reserved before the call, each with a reservation of its own; afterwards
the reservation is settled with the usage of the call. Whatever a model does, spent + held + kept ≤
limit at every moment, as long as no call uses more than its worst case. A call to an endpoint that
honours the output cap, which is always sent, cannot: no tokenizer makes more tokens than `weigh`
counts.

A report of more than the worst case and more than the visible answer is implausible: the worst case
is charged. An answer that really is longer than its cap is charged in full, because it will be
billed. Only then may `spent` pass the limit, by the excess of the calls in flight; nothing more can
be reserved after that. Only then does the part kept for the report shrink. It grows with what the
report will have to read (`swarm.executors.tree_reserve`).

Money is counted in picodollars (10⁻¹² USD), so that sums are exact in any order.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from hashlib import sha256
from math import ceil
from typing import Any, Literal

from swarm.base.errors import BugError
from swarm.base.values import Json, canonical
from swarm.spec.chat import Media, Message, Request
from swarm.spec.task import Model

LimitName = Literal["tokens", "usd"]
LIMITS: tuple[LimitName, ...] = ("tokens", "usd")

REPORT_PART = Fraction(3, 20)
"""Smallest part of a limit that is kept for the report: 15 %, as for `limits.seconds`."""
REPORT_INPUT = 16_384
"""Input tokens reserved for the call of the report, as an upper bound: its instructions and some
pages of outputs. Less is reserved if this is more than half of the limit."""

MESSAGE_FRAME = 16
"""Tokens around a message: roles and marks take 3 to 10 in published chat templates."""
REQUEST_FRAME = 192
"""Tokens that a template adds, such as a default system prompt or the date; known ones add up to
100."""
TOOLS_FRAME = 640
"""Tokens of the hidden prompt for tools: Anthropic documents 264 to 530 for its models (2025)."""
PICTURE_TOKENS = 16_384
"""Tokens of one image: the default maximum of the vision model with the highest published one
(Qwen2.5-VL). Most models take under 5,000."""
MEDIA_FRAME = 1_024
"""Tokens added for each sound or video, an allowance for what its format adds."""
MEDIA_CHARACTERS = 16
"""Characters of base64 per token of sound or video. Speech at 6 kbit/s with 32 tokens per second
has 31, so this is half of the densest known case."""
MEDIA_MOST = 1_048_576
"""Maximum tokens of one sound or video: no model reads more at once."""
MOST_NESTED = 1_000
"""Maximum levels of JSON that Python reads: its recursion limit."""
LAID_OUT_CHARACTERS = 16_384
"""Maximum characters of a tool call's arguments that are laid out to count them."""
LONGEST_TOKEN = 256
"""Bytes of the longest token of a vocabulary: runs of 128 spaces are known. A reported count below
one token per 256 bytes is not plausible."""


@dataclass(frozen=True)
class Amount:
    """Tokens and money."""

    tokens: int = 0
    picos: int = 0
    """Money in picodollars."""

    def of(self, limit: LimitName) -> int:
        """Return the part that a limit is about."""
        return self.tokens if limit == "tokens" else self.picos


# Worst cases


@dataclass(frozen=True)
class Weight:
    """An upper bound of the input of a request, in tokens."""

    tokens: int
    visible: int
    """Bytes of its text, without media."""
    marks: tuple[tuple[bytes, int], ...]
    """After each message: a hash of the request as far as there, and how many of the tokens are
    that far."""

    def bounded(self, known: Mapping[bytes, int]) -> int:
        """Return an upper bound of the tokens, given the counts of requests with the same prefix.

        The shared prefix has at most as many tokens as that whole request had; the rest is bounded
        by its bytes.
        """
        bounds = [known[mark] + self.tokens - upto for mark, upto in self.marks if mark in known]
        return min([self.tokens, *bounds])


def worst_input(request: Request) -> int:
    """Return an upper bound of the input of a request, in tokens; see `weigh`."""
    return weigh(request).tokens


def weigh(request: Request) -> Weight:
    """Return an upper bound of the input of a request: one token per byte of UTF-8, and frames.

    A byte-level tokenizer never makes more tokens than bytes, and one with byte fallback neither;
    English prose has about four bytes a token, figures, rare scripts and emoji come near one.
    Tools, forms and calls may be laid out anew by a template: they count as indented JSON in ASCII.
    What comes back verbatim (reasoning) counts as it is.
    """
    tools = [tool.model_dump(mode="json") for tool in request.tools]
    form = None if request.form is None else request.form.model_dump(mode="json")
    total, visible = REQUEST_FRAME, 0
    if tools:
        total += TOOLS_FRAME + sum(_laid_out(tool) for tool in tools)
    if form is not None:
        total += _laid_out(form)
    so_far = sha256(canonical([tools, form]))
    marks: list[tuple[bytes, int]] = []
    for message in request.messages:
        text = message.text.encode("utf-8", "replace")
        more = _beside_text(message, so_far)
        so_far.update(b"%s %d\n%s" % (message.role.encode(), len(text), text))
        total += MESSAGE_FRAME + len(text) + more
        visible += len(text)
        marks.append((so_far.digest(), total))
    return Weight(total, visible, tuple(marks))


def _beside_text(message: Message, so_far: Any) -> int:
    """Return the tokens of a message that are not text, and add them to the hash."""
    total = 0
    for part in message.parts:
        if isinstance(part, Media):
            so_far.update(part.base64.encode())
            size = min(MEDIA_FRAME + len(part.base64) // MEDIA_CHARACTERS, MEDIA_MOST)
            total += PICTURE_TOKENS if part.medium == "image" else size
    for call in message.tool_calls:
        so_far.update(canonical(call))
        total += MESSAGE_FRAME + len(call.id) + len(call.name) + _arguments(call.arguments)
    if message.raw:
        raw = canonical(message.raw)
        so_far.update(raw)
        total += len(raw)
    return total


def visible_output(message: Message) -> int:
    """Return the bytes of the visible answer, reasoning included: it cannot have more tokens."""
    calls = sum(len(call.name) + len(call.arguments.encode("utf-8", "replace")) for call in message.tool_calls)
    made = sum(each.size for each in message.made)
    raw = len(canonical(message.raw)) if message.raw else 0
    return len(message.text.encode("utf-8", "replace")) + calls + made + raw


def _arguments(written: str) -> int:
    """Return the most that arguments take if a template lays them out anew.

    To lay out long ones would take seconds, or more memory than there is if they are also deep. So
    each bracket, comma and colon counts as a line with the deepest possible indentation.
    """
    plain = len(written.encode("utf-8", "replace"))
    if len(written) > LAID_OUT_CHARACTERS:
        deep = min(MOST_NESTED, written.count("[") + written.count("{"))
        escaped = 6 * len(written) if not written.isascii() else len(written)
        return 2 * escaped + sum(map(written.count, "[]{},:")) * (2 + 4 * deep)
    try:
        return max(plain, _laid_out(json.loads(written)))
    except (ValueError, RecursionError):
        return plain


def _laid_out(value: Json) -> int:
    return len(json.dumps(value, indent=4, ensure_ascii=True))


def output_cap(model: Model, asked: int | None = None) -> int:
    """Return the maximum output tokens of one call: the cap that is sent, for each answer.

    A cap among the model's own fields (`params`, `extra`) is sent in place of `max_tokens`, and so
    counts in its place.
    """
    body: Mapping[str, Json] = {**model.params, **model.extra}
    own = [body[name] for name in ("max_tokens", "max_completion_tokens") if name in body]
    caps = [cap for cap in own if isinstance(cap, int)] or [asked or model.max_tokens]
    answers = [body[name] for name in ("n", "best_of") if isinstance(body.get(name), int)]
    return max(caps) * max(1, *answers, 1)


def report_share(limit: int, call: int) -> int:
    """Return the part kept for the report: the worst case of its call, 15 to 50 % of the limit."""
    return min(limit // 2, max(ceil(limit * REPORT_PART), call))


# The ledger


@dataclass
class Pot:
    """One limit, and how much of it is spent, held and kept."""

    limit: int
    spent: int = 0
    kept: int = 0
    """Kept for the report, and not yet in one of its reservations."""
    held: int = 0
    """In open reservations."""

    def __post_init__(self) -> None:
        self._share = self.kept
        self._shrink()

    def whole(self, *, report: bool) -> int:
        """Return how much could be reserved before anything was spent."""
        return self.limit - (0 if report else self._share)

    def room(self, *, report: bool) -> int:
        """Return how much can be reserved now."""
        return self.limit - self.spent - self.held - (0 if report else self.kept)

    def most(self, *, report: bool) -> int:
        """Return how much could be reserved if every open reservation was released unused."""
        return self.room(report=report) + self.held

    def keep(self, amount: int) -> None:
        """Keep at least so much for the report, or as much of it as is left."""
        self.kept = max(self.kept, min(amount, self.limit - self.spent - self.held))

    def hold(self, amount: int, *, report: bool) -> int:
        """Reserve an amount; return how much of it was kept for the report."""
        kept = min(self.kept, amount) if report else 0
        self.kept -= kept
        self.held += amount
        return kept

    def settle(self, amount: int, used: int, kept: int) -> None:
        """Close a reservation of `amount`: charge what was used, release the rest.

        Of the amount, `kept` came from the report's part and goes back to it if unused.
        """
        self.held -= amount
        self.spent += used
        self.kept += max(0, min(kept, amount - used))
        self._shrink()

    def _shrink(self) -> None:
        self.kept = max(0, min(self.kept, self.limit - self.spent - self.held))


@dataclass
class Reservation:
    """The worst case of one call, until the call is settled."""

    worst: Amount
    ledger: "Ledger" = field(repr=False)
    kept: dict[LimitName, int] = field(default_factory=dict[LimitName, int])
    """How much of it came from the part kept for the report, by limit."""
    open: bool = True

    def settle(self, used: Amount) -> None:
        """Charge what the call used. Raise `BugError` if it was settled before."""
        if not self.open:
            raise BugError("a reservation was settled twice")
        self.open = False
        self.ledger.close(self, used)

    def release(self) -> None:
        """Release it: the call was not made."""
        self.settle(Amount())


class Ledger:
    """The limits of a run on what it spends."""

    def __init__(
        self, limits: Mapping[LimitName, int], *, spent: Amount | None = None, keep: Amount | None = None
    ) -> None:
        """Take the limits, what a resumed run spent before, and what is kept for the report."""
        spent, keep = spent or Amount(), keep or Amount()
        self.pots: dict[LimitName, Pot] = {
            name: Pot(limits[name], spent=spent.of(name), kept=keep.of(name)) for name in LIMITS if name in limits
        }

    def reserve(self, worst: Amount, *, report: bool = False) -> Reservation | None:
        """Reserve the worst case of a call; return None if it does not fit now."""
        if self.lacking(worst, report=report) is not None:
            return None
        reservation = Reservation(worst, self)
        for name, pot in self.pots.items():
            reservation.kept[name] = pot.hold(worst.of(name), report=report)
        return reservation

    def lacking(self, worst: Amount, *, report: bool = False) -> LimitName | None:
        """Return a limit that has no space for such a call now, or None."""
        return next((name for name, pot in self.pots.items() if worst.of(name) > pot.room(report=report)), None)

    @property
    def any_held(self) -> bool:
        """Whether any call is in flight."""
        return any(pot.held for pot in self.pots.values())

    def exceeded(self, worst: Amount, *, report: bool = False) -> LimitName | None:
        """Return a limit that such a call exceeds even with no call in flight, or None."""
        return next((name for name, pot in self.pots.items() if worst.of(name) > pot.most(report=report)), None)

    def too_large(self, worst: Amount, *, report: bool = False) -> bool:
        """Return whether such a call exceeds a limit even before anything was spent."""
        return any(worst.of(name) > pot.whole(report=report) for name, pot in self.pots.items())

    def close(self, reservation: Reservation, used: Amount) -> None:
        """Charge a settled reservation; see `Reservation.settle`."""
        for name, pot in self.pots.items():
            pot.settle(reservation.worst.of(name), used.of(name), reservation.kept[name])

    @property
    def overdrawn(self) -> LimitName | None:
        """Return a limit that was passed because an endpoint ignored its output cap, or None."""
        return next((name for name, pot in self.pots.items() if pot.spent > pot.limit), None)
