"""Sound in an answer: pieces of base64 put together, checked, and made a file that players know.

A whole answer has it in `message.audio`, a stream in pieces in `delta.audio`; the words that are spoken come beside it
as `transcript`, or as the answer's text. Streamed sound is bare samples, whatever was asked for: OpenAI streams `pcm16`
only, and what Qwen-Omni calls `wav` has no head either. Both are 16-bit, little-endian, one channel, 24,000 a second.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from struct import pack
from typing import cast

from pydantic import BaseModel

from swarm.base.values import Json
from swarm.spec.chat import MediaFile
from swarm.spec.task import Model

MOST_SOUND = 32_000_000
"""Bytes of the sound of one answer: eleven minutes of samples, far above what an output cap allows."""
SAMPLES_A_SECOND = 24_000
HEAD_BYTES = 44
BYTES_A_TOKEN: Mapping[str, int] = {"audio/wav": 960}
"""Fifty tokens a second, the most that is documented, are 960 bytes of samples each."""
FEWEST_BYTES_A_TOKEN = 60
"""The same for what is compressed, down to 24 kbit/s."""

_MAGIC = ((b"RIFF", "audio/wav"), (b"fLaC", "audio/flac"), (b"OggS", "audio/ogg"), (b"ID3", "audio/mpeg"))
"""How files begin that say themselves what they are."""
_MIMES: Mapping[str, str] = {"mp3": "audio/mpeg", "flac": "audio/flac", "opus": "audio/ogg", "aac": "audio/aac"}
"""What a format that was asked for is, where the bytes do not say; any other is bare samples."""
_BLANK = re.compile(r"\s+")
_SEGMENT = re.compile(r"[^=]+=*")


class Heard(BaseModel):
    """The sound of a message, or a piece of it, on the wire."""

    data: str | None = None
    transcript: str | None = None


@dataclass
class Sound:
    """The sound of an answer, as it comes."""

    asked: str = ""
    """The format that was asked for."""
    transcript: list[str] = field(default_factory=list[str])
    made: MediaFile | None = None
    """The file, once it is whole."""
    heard: bool = False
    """Whether anything came."""
    _pieces: list[str] = field(default_factory=list[str])
    _characters: int = 0

    def add(self, heard: Heard) -> bool:
        """Add what came; true if it was anything. Raises `OverflowError` where that is more than `MOST_SOUND`."""
        if heard.transcript:
            self.transcript.append(heard.transcript)
        if heard.data:
            self._pieces.append(heard.data)
            self._characters += len(heard.data)
            if self._characters > MOST_SOUND * 4 // 3:
                raise OverflowError(f"a sound over {MOST_SOUND:,} bytes")
        self.heard = self.heard or bool(heard.data or heard.transcript)
        return bool(heard.data or heard.transcript)

    def settle(self) -> None:
        """Make the file of all pieces. Raises `ValueError` where they are no base64."""
        content = decoded(self._pieces)
        self._pieces.clear()
        if content:
            mime, content = _file(content, self.asked)
            self.made = MediaFile(
                medium="audio", mime=mime, sha256=sha256(content).hexdigest(), size=len(content), content=content
            )

    @property
    def tokens(self) -> int:
        """Estimate its output tokens from above."""
        if self.made is None:
            return 0
        return -(-self.made.size // BYTES_A_TOKEN.get(self.made.mime, FEWEST_BYTES_A_TOKEN))


def asked_sound(model: Model) -> str | None:
    """Name the format of the sound that a model's own fields ask for; None where they ask for words only."""
    body: dict[str, Json] = {**model.params, **model.extra}
    modalities, audio = body.get("modalities"), body.get("audio")
    if not isinstance(modalities, list) or "audio" not in modalities:
        return None
    wanted = cast("dict[str, Json]", audio).get("format") if isinstance(audio, dict) else None
    return wanted if isinstance(wanted, str) else ""


def decoded(pieces: list[str]) -> bytes:
    """Decode base64 that was cut anywhere, or whose pieces were each padded. Raises `ValueError` where it is none."""
    text = _BLANK.sub("", "".join(pieces))
    segments: list[str] = _SEGMENT.findall(text)
    if segments and "=" not in segments[-1]:  # some leave the last padding out
        segments[-1] += "=" * (-len(segments[-1]) % 4)
    if sum(map(len, segments)) < len(text):
        raise ValueError("padding stands where base64 begins")
    return b"".join(base64.b64decode(segment, validate=True) for segment in segments)


def _file(content: bytes, asked: str) -> tuple[str, bytes]:
    """Give the type of a sound, and its bytes as a file: bare samples get a head."""
    mime = next((mime for magic, mime in _MAGIC if content.startswith(magic)), None) or _MIMES.get(asked)
    return ("audio/wav", _head(len(content)) + content) if mime is None else (mime, content)


def _head(size: int) -> bytes:
    """Write the head of a WAV file of 16-bit samples in one channel (Microsoft and IBM's RIFF, 1991)."""
    form = pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, SAMPLES_A_SECOND, 2 * SAMPLES_A_SECOND, 2, 16)
    return pack("<4sI4s", b"RIFF", HEAD_BYTES - 8 + size, b"WAVE") + form + pack("<4sI", b"data", size)
