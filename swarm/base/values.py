"""Values that cross a boundary: frozen models, JSON, and hashes of content."""

import hashlib
import json
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints
from pydantic_core import to_jsonable_python

Json = Any
"""A JSON value: null, bool, int, float, str, list or dict. A recursive alias would cost pydantic
20 times the time."""

ID_PATTERN = r"^[a-z0-9][a-z0-9_.-]{0,63}$"
"""Pattern of the ids of steps, agents and models: safe as a file name, in a URL and in square
brackets."""

MOST_DEPTH = 64
"""Maximum levels of lists and mappings in a value that is read. JSON Schemas take 10 to 20; at
1,000, parsers recurse too deep."""

Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]


class Frozen(BaseModel):
    """A value that is checked when it is made, never changes, and has only declared fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


def canonical(value: Json) -> bytes:
    """Return the canonical bytes of a JSON value: keys sorted, no spaces; models as their JSON."""
    return _CANONICAL.encode(value).encode("utf-8", "replace")


def canonical_pieces(value: Json) -> Iterator[str]:
    """Yield the canonical form in pieces: slower, but other threads run between them."""
    return _CANONICAL.iterencode(value)


def _dumped(value: object) -> Json:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return to_jsonable_python(value)


_CANONICAL = json.JSONEncoder(default=_dumped, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
"""The encoder of `canonical`. Making one costs more than encoding a short value."""


def digest(value: Json) -> str:
    """Return the SHA-256 of a JSON value: 64 hexadecimal digits, over its canonical form."""
    return hashlib.sha256(canonical(value)).hexdigest()


def text_digest(text: str) -> str:
    """Return the SHA-256 of a text: 64 hexadecimal digits, over its UTF-8."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


# Fields that came later are not written while they have nothing to say: records of earlier versions keep their bytes.


def is_none(value: object) -> bool:
    """Return whether a field is not written: `exclude_if` of a field whose default is None."""
    return value is None


def is_empty(value: object) -> bool:
    """Return whether a field is not written: `exclude_if` of a field whose default is 0, empty or false."""
    return not value
