"""The texts of a run's inputs, read again afterwards: only if their files are what they were."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from swarm.base.beneath import open_regular
from swarm.base.errors import SwarmError
from swarm.readers.encodings import NotTextError, decode
from swarm.readers.extract import Extractor
from swarm.readers.read import version_of
from swarm.readers.texts import Texts
from swarm.readers.zips import UnreadableError
from swarm.record.events import InputFact
from swarm.record.folder import RunFolder
from swarm.record.state import State

MOST_BYTES = 100_000_000
"""Maximum bytes of a file that is read again: the largest input."""
STDIN = "-"
"""Path of an input that was standard input. Its bytes, and those of addresses, are artifacts of the run."""
TEXTS = ".swarm/cache/texts"
"""Folder of the texts of documents, next to the task."""


class InputTexts(Mapping[str, str]):
    """The text inputs of a run by name. Each is read when it is asked for, and is empty if it has changed since."""

    def __init__(self, state: State, folder: RunFolder) -> None:
        first, started = state.first, state.started
        self._base = Path(first.folder) if first is not None and first.folder else None
        facts = () if started is None or self._base is None else started.inputs
        self._facts = {fact.name: fact for fact in facts if fact.medium == "text"}
        self._kept = frozenset(fact.path for fact in (() if started is None else started.kept))
        self._folder = folder
        self._known: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        fact = self._facts[name]
        if name not in self._known:
            self._known[name] = self._text(fact)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._facts)

    def __len__(self) -> int:
        return len(self._facts)

    def is_document(self, name: str) -> bool:
        """Return whether a text was made from a document, so that its lines are not those of the file."""
        return not self._facts[name].reader.startswith("text-") and bool(self._facts[name].reader)

    def _text(self, fact: InputFact) -> str:
        content = self._content(fact)
        if content is None or hashlib.sha256(content).hexdigest() != fact.sha256:
            return ""
        if not fact.reader:
            return content.decode("utf-8-sig", "replace")
        with suppress(UnreadableError, NotTextError, OSError):
            text = self._read(fact, content)
            return text if hashlib.sha256(text.encode("utf-8", "replace")).hexdigest() == fact.text_sha256 else ""
        return ""

    def _content(self, fact: InputFact) -> bytes | None:
        assert self._base is not None
        try:
            if fact.path == STDIN or fact.path in self._kept:
                return self._folder.content(fact.sha256)
            with os.fdopen(open_regular(self._base / (fact.path or fact.name)), "rb") as file:
                return file.read(MOST_BYTES)
        except (OSError, ValueError, SwarmError):
            return None

    def _read(self, fact: InputFact, content: bytes) -> str:
        """Return the text of a document as its reader made it: stored, or made again by the same version."""
        if not self.is_document(fact.name):
            return decode(content, fact.name).text
        assert self._base is not None
        stored = Texts(self._base / TEXTS).get(fact.sha256, fact.reader)
        if stored is not None:
            return stored.text
        reader = fact.reader.partition("-")[0]
        if version_of(reader) != fact.reader:
            return ""
        with Extractor() as extractor:
            return extractor.read(reader, content, fact.name).text
