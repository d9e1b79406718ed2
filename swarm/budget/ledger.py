"""What a run may spend: a ledger of reservations, pure and synchronous.

    limit  =  spent  +  held  +  kept  +  room
              settled   in flight  the report's   what else may start

Before a call its worst case is reserved, each call with a handle of its own; after it the handle is settled with what
the call used. For any behaviour of any model spent + held + kept ≤ limit at every moment, as long as no call uses more
than its worst case; and an endpoint that honours the output cap, which is always sent, cannot, for no tokenizer makes
more tokens than `weigh` counts. A claim beyond both the worst case and what can be seen of the answer is absurd, and is
charged the worst case. An answer that really is longer than its cap is charged what it is, because that will be billed:
only then may `spent` pass the limit, by the excess of the calls in flight, and nothing more can be reserved. What is
kept for the report shrinks then, and only then.

Money is counted in whole millionths of a millionth of a dollar, so that sums are exact in any order.
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
"""Of a limit, what is kept for the report at least: 15 %, as of `limits.seconds`."""
REPORT_INPUT = 16_384
"""Tokens of input that the report's call is kept room for, where that is no more than half of the limit: its
instructions and some pages of what the steps gave, counted from above."""

MESSAGE_FRAME = 16
"""Tokens around a message: roles and marks take 3 to 10 in the chat templates that are published."""
REQUEST_FRAME = 192
"""Tokens that templates add of their own: a default system prompt, today's date; at most some 100 are known of."""
TOOLS_FRAME = 640
"""Tokens of the hidden prompt that explains tools: Anthropic documents 264 to 530 for its models (2025)."""
PICTURE_TOKENS = 16_384
"""Of one picture: the most that a published vision model takes by default (Qwen2.5-VL); most take under 5,000."""
MEDIA_FRAME = 1_024
MEDIA_CHARACTERS = 16
"""Characters of base64 a token of sound or film: 32 tokens a second of speech at 6 kbit/s are one in 31."""
MEDIA_MOST = 1_048_576
"""Tokens of one sound or film: more than any model reads at once."""
LONGEST_TOKEN = 256
"""Bytes of the longest entry of a vocabulary: runs of 128 spaces are known. A count below one token for so many bytes
is no count."""


@dataclass(frozen=True)
class Amount:
    """Tokens and money."""

    tokens: int = 0
    picos: int = 0
    """Millionths of a millionth of a dollar."""

    def of(self, limit: LimitName) -> int:
        """Give the part that a limit is about."""
        return self.tokens if limit == "tokens" else self.picos


# Worst cases


@dataclass(frozen=True)
class Weight:
    """The input of a request, in tokens, from above."""

    tokens: int
    visible: int
    """Bytes of its words, media left out."""
    marks: tuple[tuple[bytes, int], ...]
    """After each message: a hash of the request as far as there, and how many of the tokens are that far."""

    def bounded(self, known: Mapping[bytes, int]) -> int:
        """Count from above with what is known of requests that began alike.

        Those had so many tokens in all, so what they have in common has no more; what comes after it is counted.
        """
        found = (known[mark] + self.tokens - upto for mark, upto in self.marks if mark in known)
        return min(self.tokens, *found, self.tokens)


def worst_input(request: Request) -> int:
    """Count the input of a request from above, in tokens; see `weigh`."""
    return weigh(request).tokens


def weigh(request: Request) -> Weight:
    """Count the input of a request from above, in tokens: one for each byte of UTF-8, and frames.

    A byte-level tokenizer never makes more tokens than bytes, and one with byte fallback neither; English prose has
    about four bytes a token, figures, rare scripts and emoji come near one. Tools, forms and calls may be laid out anew
    by a template: they count as indented JSON in ASCII. What comes back verbatim (reasoning) counts as it is.
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
    """Count what a message has beside its words, and take it into the hash."""
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
    """Count the bytes of all that can be seen of an answer, reasoning included: it has no more tokens than that."""
    calls = sum(len(call.name) + len(call.arguments.encode("utf-8", "replace")) for call in message.tool_calls)
    made = sum(each.size for each in message.made)
    raw = len(canonical(message.raw)) if message.raw else 0
    return len(message.text.encode("utf-8", "replace")) + calls + made + raw


def _arguments(written: str) -> int:
    plain = len(written.encode("utf-8", "replace"))
    try:
        return max(plain, _laid_out(json.loads(written)))
    except (ValueError, RecursionError):
        return plain


def _laid_out(value: Json) -> int:
    return len(json.dumps(value, indent=4, ensure_ascii=True))


def output_cap(model: Model, asked: int | None = None) -> int:
    """Give the most output tokens that one call may give: the cap that is sent, for each answer that is asked for.

    A cap among the model's own fields (`params`, `extra`) is sent in place of `max_tokens`, and so counts in its place.
    """
    body: Mapping[str, Json] = {**model.params, **model.extra}
    own = [body[name] for name in ("max_tokens", "max_completion_tokens") if name in body]
    caps = [cap for cap in own if isinstance(cap, int)] or [asked or model.max_tokens]
    answers = [body[name] for name in ("n", "best_of") if isinstance(body.get(name), int)]
    return max(caps) * max(1, *answers, 1)


def report_share(limit: int, call: int) -> int:
    """Size what is kept for the report: the worst case of its call, at least 15 % of the limit, at most half of it."""
    return min(limit // 2, max(ceil(limit * REPORT_PART), call))


# The ledger


@dataclass
class Pot:
    """One limit, and what became of it."""

    limit: int
    spent: int = 0
    kept: int = 0
    """For the report, not yet in one of its reservations."""
    held: int = 0
    """In reservations that are open."""

    def __post_init__(self) -> None:
        self._shrink()

    def room(self, *, report: bool) -> int:
        """Say how much could be reserved now."""
        return self.limit - self.spent - self.held - (0 if report else self.kept)

    def most(self, *, report: bool) -> int:
        """Say how much could be reserved once every open reservation was given back unused."""
        return self.room(report=report) + self.held

    def hold(self, amount: int, *, report: bool) -> int:
        """Reserve; give how much of it came out of what is kept for the report."""
        kept = min(self.kept, amount) if report else 0
        self.kept -= kept
        self.held += amount
        return kept

    def settle(self, amount: int, used: int, kept: int) -> None:
        """Close a reservation of `amount`, of which `kept` was the report's: charge what was used, free the rest."""
        self.held -= amount
        self.spent += used
        self.kept += max(0, min(kept, amount - used))
        self._shrink()

    def _shrink(self) -> None:
        self.kept = max(0, min(self.kept, self.limit - self.spent - self.held))


@dataclass
class Reservation:
    """What one call may use at most, until it is settled."""

    worst: Amount
    ledger: "Ledger" = field(repr=False)
    kept: dict[LimitName, int] = field(default_factory=dict[LimitName, int])
    """Of it, what was taken out of the report's share."""
    open: bool = True

    def settle(self, used: Amount) -> None:
        """Charge what the call used. Once only."""
        if not self.open:
            raise BugError("a reservation was settled twice")
        self.open = False
        self.ledger.close(self, used)

    def release(self) -> None:
        """Give it back: the call was not made."""
        self.settle(Amount())


class Ledger:
    """Every limit of a run on what it spends."""

    def __init__(
        self, limits: Mapping[LimitName, int], *, spent: Amount | None = None, keep: Amount | None = None
    ) -> None:
        """Begin with what was spent before, by a run that goes on, and with what is kept for the report."""
        spent, keep = spent or Amount(), keep or Amount()
        self.pots: dict[LimitName, Pot] = {
            name: Pot(limits[name], spent=spent.of(name), kept=keep.of(name)) for name in LIMITS if name in limits
        }

    def reserve(self, worst: Amount, *, report: bool = False) -> Reservation | None:
        """Reserve the worst case of a call; None where that does not fit now."""
        if any(worst.of(name) > pot.room(report=report) for name, pot in self.pots.items()):
            return None
        reservation = Reservation(worst, self)
        for name, pot in self.pots.items():
            reservation.kept[name] = pot.hold(worst.of(name), report=report)
        return reservation

    def exceeded(self, worst: Amount, *, report: bool = False) -> LimitName | None:
        """Name a limit that such a call will not fit, whatever becomes of the calls in flight; None if it may."""
        return next((name for name, pot in self.pots.items() if worst.of(name) > pot.most(report=report)), None)

    def close(self, reservation: Reservation, used: Amount) -> None:
        """Charge a reservation that is settled; see `Reservation.settle`."""
        for name, pot in self.pots.items():
            pot.settle(reservation.worst.of(name), used.of(name), reservation.kept[name])

    @property
    def overdrawn(self) -> LimitName | None:
        """Name a limit that was passed, because an endpoint used more than it was asked to; None if none was."""
        return next((name for name, pot in self.pots.items() if pot.spent > pot.limit), None)
