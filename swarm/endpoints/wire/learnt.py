"""What endpoints would not have, remembered: whoever asks next asks right away as they want it.

A dialect learns from refusals (`dialect`). What it learns of one model at one base URL holds for every
alias of it, so it is shared in a run; and for a later run of the project, so it is kept in a file beside the cache of
finished steps: `.swarm/cache/endpoints.json`, readable by its owner only. In it, by a hash of URL and name, stand the
day, the form, the name of the cap, and refused parameters with a hash of their values: nothing that was asked or
answered, no address, no key. After `DAYS` an entry is forgotten, and a server that was upgraded is tried again.

The file is written beside and renamed, so it is whole or not there; of runs that end together the last one to write
keeps what the others wrote before it read. One that is broken is made anew; one of a newer version is left alone.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from pydantic import Field, ValidationError

from swarm.base.files import write_file
from swarm.base.text import listing
from swarm.base.values import Frozen, Json, digest, text_digest
from swarm.spec.providers import CapField, Rung
from swarm.spec.task import Model

FILE = "endpoints.json"
FORMAT = 1
DAYS = 7
"""How long something is remembered, from the day it was first learnt."""
MOST_BYTES = 4_000_000
"""Of the file: some ten thousand entries."""


@dataclass
class Learnt:
    """What one model at one endpoint would not have, as far as is known. Shared by all who speak to it."""

    form: Rung | None = None
    """The rung of the ladder that forms are asked for by now; None where none was refused."""
    cap: CapField | None = None
    """What it calls the output cap, where it refused the usual name."""
    usage: bool = True
    """Whether it lets itself be asked for the usage of a stream."""
    refused: frozenset[str] = frozenset()
    """Parameters, each as `mark` writes it: another value may be taken."""

    @property
    def words(self) -> str:
        """Tell it to people: what is done instead of what was refused; empty where nothing was."""
        names = sorted(marked.partition("=")[0] for marked in self.refused)
        told = [
            f"asked for forms by {self.form}" if self.form else "",
            f"the cap is called {self.cap}" if self.cap else "",
            "" if self.usage else "no usage of streams",
            f"without {listing(names)}" if names else "",
        ]
        return ", ".join(filter(None, told))

    def copy(self) -> "Learnt":
        """Keep it as it is now."""
        return Learnt(self.form, self.cap, self.usage, self.refused)


def mark(name: str, value: Json) -> str:
    """Name a parameter with its value, but do not tell the value."""
    return f"{name}={digest(value)[:8]}"


class _Entry(Frozen):
    day: date
    """When the first of it was learnt."""
    form: Rung | None = None
    cap: CapField | None = None
    usage: bool = True
    refused: tuple[str, ...] = ()


class _Book(Frozen):
    format: Literal[1] = FORMAT
    endpoints: dict[str, _Entry] = Field(default_factory=dict)


def _today() -> date:
    return datetime.now(UTC).date()  # noqa: TID251 - days of a calendar; a run computes nothing from it


class Memory:
    """What is learnt of every model of a run, and what earlier runs have left."""

    def __init__(self, file: Path | None = None, *, today: Callable[[], date] = _today) -> None:
        """Read what is remembered in a file; without one, what is learnt is forgotten with the run."""
        self.warning = ""
        """What is wrong with the file, for people."""
        self._file = file
        self._today = today
        self._learnt: dict[str, Learnt] = {}
        self._before: dict[str, Learnt] = {}
        self._days: dict[str, date] = {}
        for name, entry in self._read().items():
            self._days[name] = entry.day
            self._before[name] = Learnt(entry.form, entry.cap, entry.usage, frozenset(entry.refused))

    @property
    def known(self) -> int:
        """Models of which something is remembered from earlier runs."""
        return len(self._before)

    def of(self, model: Model) -> Learnt:
        """Give what is known of a model whose base URL and name are set; the same object for all its aliases."""
        name = _name(model)
        if name not in self._learnt:
            self._learnt[name] = self._before[name].copy() if name in self._before else Learnt()
        return self._learnt[name]

    def save(self) -> None:
        """Write down what is new. A disk that takes nothing is no reason for a run to fail: it is learnt again."""
        new = {name: each for name, each in self._learnt.items() if each != self._before.get(name, Learnt())}
        if self._file is None or not new:
            return
        entries = self._read()
        if not self._file_is_ours:
            return
        for name, each in new.items():
            refused = tuple(sorted(each.refused))
            day = self._days.get(name, self._today())
            entries[name] = _Entry(day=day, form=each.form, cap=each.cap, usage=each.usage, refused=refused)
        written = {name: entry.model_dump(mode="json", exclude_defaults=True) for name, entry in entries.items()}
        try:
            write_file(self._file, json.dumps({"format": FORMAT, "endpoints": written}).encode())
        except OSError:
            return

    def clear(self) -> None:
        """Forget what earlier runs have left."""
        if self._file is not None:
            self._file.unlink(missing_ok=True)

    def _read(self) -> dict[str, _Entry]:
        """Give the entries that are young enough; note what is wrong with the file."""
        self._file_is_ours = True
        if self._file is None or not self._file.is_file():
            return {}
        about = f"{self._file}: what is remembered of endpoints"
        try:
            content = self._file.read_bytes()[: MOST_BYTES + 1]
            found: Any = json.loads(content)
            if isinstance(found, dict) and _number(cast("Mapping[str, Any]", found).get("format")) > FORMAT:
                self._file_is_ours = False
                self.warning = f"{about} was written by a newer version; it is not used, and stays as it is"
                return {}
            entries = _Book.model_validate(found).endpoints
        except (OSError, ValueError, RecursionError, ValidationError):
            self.warning = f"{about} cannot be read; it is learnt anew"
            return {}
        today = self._today()
        return {name: entry for name, entry in entries.items() if 0 <= (today - entry.day).days < DAYS}


def _number(value: Any) -> int:
    return value if type(value) is int else FORMAT


def _name(model: Model) -> str:
    """Name a model at its endpoint by a hash; credentials in an address are no part of it."""
    address = urlsplit(model.endpoint or "")
    host = address.netloc.rpartition("@")[2].lower()
    return text_digest(f"{address.scheme}://{host}{address.path.rstrip('/')}\n{model.name}")
