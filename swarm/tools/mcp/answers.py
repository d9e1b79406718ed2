"""A server's answer as the result of a tool: words and pictures, in order."""

import base64
import binascii
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from swarm.base.errors import ToolError
from swarm.base.redaction import safe_text
from swarm.base.values import canonical
from swarm.spec.chat import Data, MediaFile
from swarm.tools.kinds import ToolResult, made_file, words

if TYPE_CHECKING:
    from mcp.types import CallToolResult

ERROR_CHARACTERS = 2000
"""Maximum characters of an error that a model sees."""
FILE_BYTES = 16 * 1024 * 1024
"""Maximum bytes of a picture or file in an answer."""
NAME_CHARACTERS = 200
"""Maximum characters of a server's name for a picture or file."""


def result_of(name: str, answer: "CallToolResult", clean: Callable[[str], str]) -> ToolResult:
    """Return the result of a call. Raise `ToolError` with the server's words if it says that the call failed.

    An answer has its data twice, as parts and as a structure: the parts are taken, and the structure if there are none.
    """
    parts = tuple(_parts(name, answer.content, clean))
    if not parts and answer.structured_content is not None:
        parts = (words(name, clean(safe_text(canonical(answer.structured_content).decode()))),)
    result = ToolResult(parts or (words(name, ""),))
    if answer.is_error:
        raise ToolError(result.text[:ERROR_CHARACTERS] or "the call failed, and the server does not say why")
    return result


def _parts(name: str, content: Any, clean: Callable[[str], str]) -> Iterator[Data | MediaFile]:
    """Yield the parts of an answer. Words that stand together become one part."""
    text: list[str] = []
    for number, block in enumerate(content, 1):
        part = _part(name, number, block)
        if isinstance(part, str):
            text.append(clean(safe_text(part)))
            continue
        if text:
            yield words(name, "\n".join(text))
            text = []
        yield part
    if text:
        yield words(name, "\n".join(text))


def _part(name: str, number: int, block: Any) -> str | MediaFile:
    match block.type:
        case "text":
            return block.text
        case "image" | "audio":
            return _file(f"{name}-{number}", block.data, block.mime_type)
        case "resource_link":
            return f"link: {block.uri} {block.name or ''}".rstrip()
        case "resource":
            inner = block.resource
            if hasattr(inner, "text"):
                return inner.text
            return _file(str(inner.uri), inner.blob, inner.mime_type or "")
        case other:
            return f"[{other}: this kind of content is not supported]"


def _file(name: str, data: str, mime: str) -> str | MediaFile:
    name = safe_text(name)[-NAME_CHARACTERS:].replace("/", "_")
    if len(data) * 3 // 4 > FILE_BYTES:
        return f"[{name}: more than {FILE_BYTES:,} bytes, left out]"
    try:
        return made_file(name, base64.b64decode(data, validate=True), safe_text(mime)[:NAME_CHARACTERS])
    except binascii.Error:
        return f"[{name}: not valid base64, left out]"
