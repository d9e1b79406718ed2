"""The texts of documents that were read before: a file for each document and version of its reader.

A file is a line with the hash of the rest, then the rest as JSON. One that is damaged, or that
another user could have written, is as if it were not there.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from swarm.base.private import is_plain_folder, read_private, write_private
from swarm.readers.result import Extract

SUFFIX = ".text"
"""Ending of the files."""


class Texts:
    """A folder of texts. Without a folder it has none and keeps none."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def get(self, sha256: str, version: str) -> Extract | None:
        """Return the text of a document by the hash of its bytes, or None if it is not there."""
        if self.folder is None:
            return None
        try:
            check, _, content = read_private(self.folder, _name(sha256, version)).partition(b"\n")
            if hashlib.sha256(content).hexdigest().encode() != check:
                return None
            fields: dict[str, Any] = json.loads(content)
            for name in ("notes", "unread", "damaged"):
                fields[name] = tuple(fields[name])
            return Extract(**fields)
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def put(self, sha256: str, version: str, found: Extract) -> None:
        """Store a text without its pictures. Write errors are ignored: it can be read again."""
        if self.folder is None:
            return
        fields = {name: value for name, value in vars(found).items() if name != "pictures"}
        content = json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace")
        checked = hashlib.sha256(content).hexdigest().encode() + b"\n" + content
        try:
            write_private(self.folder, _name(sha256, version), checked)
        except OSError:
            return

    def size(self) -> tuple[int, int]:
        """Return the number of texts and their bytes."""
        files = self._files()
        return len(files), sum(path.lstat().st_size for path in files)

    def clear(self) -> int:
        """Remove every text, and return their number."""
        files = self._files()
        for path in files:
            path.unlink(missing_ok=True)
        return len(files)

    def _files(self) -> list[Path]:
        if self.folder is None or not is_plain_folder(self.folder):
            return []
        return sorted(self.folder.glob(f"*{SUFFIX}"))


def _name(sha256: str, version: str) -> str:
    return f"{sha256}-{version}{SUFFIX}"
