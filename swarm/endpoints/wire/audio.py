"""Audio in an answer: pieces of base64 are joined, checked, and made a file that players accept.

A complete answer has its audio in `message.audio`, a stream has pieces in `delta.audio`. The spoken
words come with it as `transcript`, or as the text of the answer. Streamed audio is bare samples,
whatever format was requested: OpenAI streams `pcm16` only, and what Qwen-Omni calls `wav` has no
header either. Both are 16-bit, little-endian, one channel, 24,000 samples per second.
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
"""Maximum bytes of audio in one answer: eleven minutes of samples, far above any output cap."""
SAMPLES_A_SECOND = 24_000
"""Samples per second of bare samples: what OpenAI and Qwen-Omni send."""
HEAD_BYTES = 44
"""Bytes of the header of a WAV file."""
BYTES_A_TOKEN: Mapping[str, int] = {"audio/wav": 960}
"""Bytes of samples per output token: 50 tokens per second, the highest documented rate."""
FEWEST_BYTES_A_TOKEN = 60
"""Bytes per output token of compressed audio, at 24 kbit/s or more."""

_MAGIC = (
    (b"RIFF", "audio/wav"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
)
"""First bytes of files that identify their own type."""
_MIMES: Mapping[str, str] = {
    "mp3": "audio/mpeg",
    "flac": "audio/flac",
    "opus": "audio/ogg",
    "aac": "audio/aac",
}
"""Types of requested formats, if the bytes say nothing. Any other is bare samples."""
_BLANK = re.compile(r"\s+")
_SEGMENT = re.compile(r"[^=]+=*")
"""A piece of base64 with its padding."""


class Heard(BaseModel):
    """The audio of a message, or a piece of it, on the wire."""

    data: str | None = None
    transcript: str | None = None


@dataclass
class Sound:
    """The audio of an answer while it arrives."""

    asked: str = ""
    """The requested format."""
    transcript: list[str] = field(default_factory=list[str])
    """Pieces of the spoken words."""
    made: MediaFile | None = None
    """The file, once the answer is complete."""
    heard: bool = False
    """True once any data or words have arrived."""
    _pieces: list[str] = field(default_factory=list[str])
    _characters: int = 0

    def add(self, heard: Heard) -> bool:
        """Add a piece. Return True if it held anything. Raise `OverflowError` over `MOST_SOUND`."""
        if heard.transcript:
            self.transcript.append(heard.transcript)
        if heard.data:
            self._pieces.append(heard.data)
            self._characters += len(heard.data)
            if self._characters > MOST_SOUND * 4 // 3:  # 4 characters of base64 hold 3 bytes
                raise OverflowError(f"audio over {MOST_SOUND:,} bytes")
        progress = bool(heard.data or heard.transcript)
        self.heard = self.heard or progress
        return progress

    def settle(self) -> None:
        """Make the file from all pieces. Raise `ValueError` if they are not base64."""
        content = decoded(self._pieces)
        self._pieces.clear()
        if not content:
            return
        mime, content = _file(content, self.asked)
        self.made = MediaFile(
            medium="audio",
            mime=mime,
            sha256=sha256(content).hexdigest(),
            size=len(content),
            content=content,
        )

    @property
    def tokens(self) -> int:
        """Output tokens of the audio, an upper estimate."""
        if self.made is None:
            return 0
        return -(-self.made.size // BYTES_A_TOKEN.get(self.made.mime, FEWEST_BYTES_A_TOKEN))


def asked_sound(model: Model) -> str | None:
    """Return the audio format that a model's own fields request; None for words only."""
    body: dict[str, Json] = {**model.params, **model.extra}
    modalities, audio = body.get("modalities"), body.get("audio")
    if not isinstance(modalities, list) or "audio" not in modalities:
        return None
    wanted = cast("dict[str, Json]", audio).get("format") if isinstance(audio, dict) else None
    return wanted if isinstance(wanted, str) else ""


def decoded(pieces: list[str]) -> bytes:
    """Decode base64 that was cut anywhere, or whose pieces each have their padding.

    Raise `ValueError` if it is not base64.
    """
    text = _BLANK.sub("", "".join(pieces))
    segments: list[str] = _SEGMENT.findall(text)
    if segments and "=" not in segments[-1]:  # some endpoints omit the last padding
        segments[-1] += "=" * (-len(segments[-1]) % 4)
    if sum(map(len, segments)) < len(text):
        raise ValueError("base64 begins with padding")
    return b"".join(base64.b64decode(segment, validate=True) for segment in segments)


def _file(content: bytes, asked: str) -> tuple[str, bytes]:
    """Return the type and the bytes of an audio file. Bare samples get a header."""
    own = next((mime for magic, mime in _MAGIC if content.startswith(magic)), None)
    mime = own or _MIMES.get(asked)
    if mime is None:
        return "audio/wav", _head(len(content)) + content
    return mime, content


def _head(size: int) -> bytes:
    """Write the header of a WAV file of 16-bit samples in one channel (Microsoft and IBM, 1991)."""
    form = pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, SAMPLES_A_SECOND, 2 * SAMPLES_A_SECOND, 2, 16)
    riff = pack("<4sI4s", b"RIFF", HEAD_BYTES - 8 + size, b"WAVE")
    return riff + form + pack("<4sI", b"data", size)
