"""What every value that crosses a boundary is made of: a frozen model, JSON, and a hash of content."""

import hashlib
import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints
from pydantic_core import to_jsonable_python

Json = Any
"""A JSON value: null, bool, int, float, str, list or dict. (A recursive alias costs pydantic 20 times the time.)"""

ID_PATTERN = r"^[a-z0-9][a-z0-9_.-]{0,63}$"
"""What a step, agent or model alias may be called: safe as a file name, in a URL and between square brackets."""

MOST_DEPTH = 64
"""Maximum levels of lists and mappings in a value that is read. JSON Schemas take 10 to 20; at 1,000, parsers recurse
too deep."""

Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]


class Frozen(BaseModel):
    """A value that is checked when made, never changed, and has no field that is not declared."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


def canonical(value: Json) -> bytes:
    """One byte string per JSON value: keys sorted, no spaces; models count as their JSON."""
    return _CANONICAL.encode(value).encode("utf-8", "replace")


def _dumped(value: object) -> Json:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return to_jsonable_python(value)


_CANONICAL = json.JSONEncoder(default=_dumped, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
"""Made once: making it costs more than writing a short value, and a key has a dozen of those."""


def digest(value: Json) -> str:
    """Name a JSON value by its content: 64 hexadecimal digits of SHA-256 over its canonical form."""
    return hashlib.sha256(canonical(value)).hexdigest()


def text_digest(text: str) -> str:
    """Name a text by its content: 64 hexadecimal digits of SHA-256 over its UTF-8 (lone surrogates replaced)."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
