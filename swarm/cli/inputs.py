"""The inputs of a task as `swarm check` shows them: kind, size in tokens, pages, and what could not be read."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from swarm.base.redaction import safe_text
from swarm.base.text import clip

if TYPE_CHECKING:
    from swarm.base.values import Json
    from swarm.spec.task import Input, UnreadInput

LISTED = 200
"""Maximum inputs that are listed; the others are counted. `--json` has all."""
MOST_KIND = 24
"""Maximum characters of a kind in the list."""


def input_facts(each: "Input") -> "dict[str, Json]":
    """Return an input for programs, without its content."""
    return {
        "name": each.name,
        "medium": each.medium,
        "kind": kind_of(each),
        "size": each.size,
        "tokens": tokens_of(each),
        "unit": each.unit or None,
        "count": each.count or None,
        "columns": None if each.label or not each.columns else each.columns,
        "label": each.label,
    }


def kind_of(each: "Input") -> str:
    """Return the kind of an input for people: `PDF`, `text`, `image`."""
    return each.kind or each.medium


def tokens_of(each: "Input") -> int:
    """Return the approximate tokens of an input."""
    from swarm.spec.chat import estimate_tokens, media_tokens

    return estimate_tokens(each.text) if each.medium == "text" else media_tokens(each.base64)


def input_lines(inputs: "Sequence[Input]") -> list[str]:
    """Return the inputs for people, a line each."""
    tokens = sum(map(tokens_of, inputs))
    lines = [f"inputs: {len(inputs)}, {sum(each.size for each in inputs):,} bytes, about {tokens:,} tokens"]
    kinds = [_about(each) for each in inputs[:LISTED]]
    width = max(map(len, kinds), default=0)
    for each, about in zip(inputs, kinds, strict=False):
        label = f"  ({each.label})" if each.label else ""
        lines.append(f"  {tokens_of(each):>9,} tokens  {about:<{width}}  {safe_text(each.name)}{label}")
    if len(inputs) > LISTED:
        lines.append(f"  and {len(inputs) - LISTED:,} more")
    return lines


def _about(each: "Input") -> str:
    """Return the kind of an input and its pages."""
    kind = kind_of(each)[:MOST_KIND]
    if not each.unit:
        return kind
    return f"{kind}, {each.count:,} {each.unit}{'' if each.count == 1 else 's'}"


def unread_lines(unread: "Sequence[UnreadInput]") -> list[str]:
    """Return what could not be read for people, a line each with its reason and another with what to do."""
    if not unread:
        return []
    lines = [f"not read: {len(unread)}"]
    for each in unread:
        because, _, hint = each.because.partition("\n")
        lines.append(f"  `{clip(each.name)}` {because}")
        lines += [f"    {hint}"] if hint else []
    return lines
