"""Compressed bodies: the bytes decide, and what they unpack to is bounded. No input or output.

Plain bytes are requested, but some gateways compress all the same, and others write labels that
mean nothing: `utf-8`, `none`, `aws-chunked`, an empty one.
"""

import zlib
from typing import Any

from swarm.endpoints.wire.faults import Fault
from swarm.endpoints.wire.shapes import BadAnswer

MOST_RATIO = 100
"""Maximum bytes per compressed byte. JSON and text reach 10 to 20."""
FREE_BYTES = 1_000_000
"""Bytes up to which the ratio does not matter: repetitive texts are short."""
UNREADABLE = frozenset({"br", "zstd", "compress", "x-compress"})
"""Encodings that cannot be unpacked without another library."""
LAYERS = 3
"""Maximum encodings of one body, one in the other."""
_DEFLATE = frozenset({"deflate", "x-deflate", "zlib"})
_ZLIB = (b"\x78\x01", b"\x78\x9c", b"\x78\xda")
"""First bytes of deflated bodies: no text has them."""
_GZIP = b"\x1f\x8b"
_TEXT = b'{[<"dDeirn:\xef \t\r\n'
"""First bytes of plain answers: JSON, web pages, fields of a stream, `null`, a byte order mark."""


class Inflated:
    """The plain bytes of a body, from its bytes as they arrive."""

    def __init__(self, label: str, most: int, *, layers: int = LAYERS) -> None:
        """`label` is the header `Content-Encoding`; `most` is the maximum number of plain bytes."""
        self._encodings = {part.partition(";")[0].strip(" \t\"'").lower() for part in label.split(",")}
        self.most = most
        self._inner = Inflated("", most, layers=layers - 1) if layers > 1 else None
        """What unpacks the result once more: some gateways compress what is compressed."""
        self._held = b""
        self._decided = False
        self._inflater: Any = None
        self._read = 0
        self._written = 0

    def feed(self, chunk: bytes) -> bytes:
        """Return the plain bytes of a chunk. Raise `BadAnswer` if they are too many, or corrupt."""
        if not self._decided:
            self._held += chunk
            if len(self._held) < 2:
                return b""
            chunk = self._decide()
        return self._plain(chunk)

    def end(self) -> bytes:
        """Return the last plain bytes. Raise `BadAnswer` if the compressed body is cut."""
        rest = b"" if self._decided else self._plain(self._decide())
        if self._inflater is not None and self._inner is not None:
            rest += self._inner.end()
        if self._inflater is not None and not self._inflater.eof:
            raise BadAnswer(Fault(status=200, kind="malformed", text="the compressed answer is incomplete"))
        return rest

    def _decide(self) -> bytes:
        """Choose how the body is unpacked by its first bytes, and return them."""
        start, self._held, self._decided = self._held, b"", True
        if start.startswith(_GZIP):
            self._inflater = zlib.decompressobj(wbits=31)
        elif start[:2] in _ZLIB:
            self._inflater = zlib.decompressobj(wbits=15)
        elif self._encodings & _DEFLATE and start[:1] not in _bytes(_TEXT):
            has_head = len(start) > 1 and start[0] & 15 == 8 and int.from_bytes(start[:2]) % 31 == 0
            self._inflater = zlib.decompressobj(wbits=15 if has_head else -15)
        elif self._encodings & UNREADABLE and start and start[:1] not in _bytes(_TEXT):
            name = min(self._encodings & UNREADABLE)
            text = f"the answer is compressed ({name}), but plain bytes were requested"
            raise BadAnswer(Fault(status=200, kind="malformed", text=text))
        return start

    def _plain(self, chunk: bytes) -> bytes:
        if self._inflater is not None:
            self._read += len(chunk)
            try:
                chunk = self._unpacked(chunk)
            except zlib.error as error:
                text = f"the compressed answer is corrupt: {error}"
                raise BadAnswer(Fault(status=200, kind="malformed", text=text)) from None
        self._written += len(chunk)
        if self._written > self.most:
            self._refuse(f"over {self.most} bytes")
        if self._inflater is not None and self._written > max(FREE_BYTES, MOST_RATIO * self._read):
            self._refuse(f"it unpacks to over {MOST_RATIO} times its size")
        if self._inflater is None or self._inner is None:
            return chunk
        self._inner.most = self.most
        return self._inner.feed(chunk)

    def _unpacked(self, chunk: bytes) -> bytes:
        """Return what a piece unpacks to. Another gzip file may follow the first one; other bytes are ignored."""
        found = b""
        while chunk and self._written + len(found) <= self.most:
            found += self._inflater.decompress(chunk, self.most - self._written - len(found) + 1)
            if not self._inflater.eof:
                return found
            chunk = self._inflater.unused_data
            if not chunk.startswith(_GZIP):
                return found
            self._inflater = zlib.decompressobj(wbits=31)
        return found

    def _refuse(self, text: str) -> None:
        raise BadAnswer(Fault(status=200, kind="too_large_response", text=text))


def _bytes(values: bytes) -> set[bytes]:
    return {bytes([value]) for value in values}
