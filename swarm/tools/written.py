"""The value of a tool as text: a small one at once, a large one in a thread, piece by piece.

An encoder that makes 46 MB at once holds every other step for a second, also from a thread.
"""

from itertools import chain
from typing import Any, cast

import anyio.to_thread

from swarm.base.values import Json, canonical, canonical_pieces

MOST_AT_ONCE = 5_000
"""Maximum values in a value that is written at once; a text counts as one per 200 characters."""
_CHARACTERS = 200


async def written(value: Json, most: int) -> tuple[str, int]:
    """Return a value as text of at most `most` bytes, and the bytes of all of it: a text as it is, others as JSON.

    Raise what the encoder raises for a value that is no JSON.
    """
    if isinstance(value, str):
        return _kept(value.encode("utf-8", "replace"), most)
    if is_small(value):
        return _kept(canonical(value), most)
    return await anyio.to_thread.run_sync(_in_pieces, value, most, abandon_on_cancel=True)


def is_small(value: Any) -> bool:
    """Return whether a value is written quickly, without looking at all of a large one."""
    left = MOST_AT_ONCE
    waiting = [value]
    while waiting and left > 0:
        each = waiting.pop()
        left -= 1 + (len(each) // _CHARACTERS if isinstance(each, str | bytes) else 0)
        inner = _inside(each)
        left -= len(inner)
        if left > 0:
            waiting += inner
    return left > 0


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        found = cast("dict[Any, Any]", value)
        return list(chain(found.keys(), found.values()))
    if isinstance(value, list | tuple | set | frozenset):
        return list(cast("list[Any]", value))
    return [] if isinstance(value, str | bytes | type) else list(getattr(value, "__dict__", {}).values())


def _in_pieces(value: Json, most: int) -> tuple[str, int]:
    kept = bytearray()
    total = 0
    for piece in canonical_pieces(value):
        data = piece.encode("utf-8", "replace")
        total += len(data)
        if len(kept) < most:
            kept += data
    return kept[:most].decode("utf-8", "ignore"), total


def _kept(whole: bytes, most: int) -> tuple[str, int]:
    return whole[:most].decode("utf-8", "ignore"), len(whole)
