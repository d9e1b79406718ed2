"""Memory of what endpoints rejected, so that the first request of a later run is already right.

A dialect learns from rejections (`dialect`). What it learns of a model at a base URL is true for
every alias of that model, so a run shares it. For later runs of the project it is stored next to
the cache of finished steps, in `.swarm/cache/endpoints.json`, readable by its owner only.

An entry has a hash of URL and model name as its key. It holds the day, the answer form, the name of
the output cap, its largest value, what messages may not have, the rejected parameters, each with a
hash of its value, the context size that refusals taught, and how many calls at once turned out to
be right. It holds no request, no answer, no address and no key. Entries expire after `DAYS`,
because servers are upgraded.

The file is written under another name and then renamed, so it is complete or absent. If runs end at
the same time, the last one to write keeps the entries that the others wrote before it read the
file. An unreadable file is replaced; a file of a newer version is not changed.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from pydantic import Field, ValidationError

from swarm.base.private import read_private, write_private
from swarm.base.text import listing
from swarm.base.values import Frozen, Json, digest, text_digest
from swarm.spec.providers import CapField, Rung
from swarm.spec.task import Model

FILE = "endpoints.json"
"""Name of the file."""
FORMAT = 1
"""Version of its format. A file with a higher number is not read."""
DAYS = 7
"""Days until an entry expires, from the first rejection in it."""
MOST_BYTES = 4_000_000
"""Maximum bytes read: about ten thousand entries. A longer file counts as unreadable."""


@dataclass
class Learnt:
    """What one model at one endpoint has rejected so far, and its sizes. Shared by all callers of that model."""

    form: Rung | None = None
    """The rung by which answer forms are requested now; None if no rung was rejected."""
    cap: CapField | None = None
    """Its name of the output cap; None if it accepts the provider's usual one."""
    usage: bool = True
    """False if it rejects a request for the usage of a stream."""
    refused: frozenset[str] = frozenset()
    """Rejected parameters, each as `mark` writes it: another value may be accepted."""
    system: bool = True
    """False if it knows no system role, or requires users and assistants in turn."""
    replay: bool = True
    """False if it rejects its own reasoning when it is sent back."""
    most: int | None = None
    """Its largest output cap in tokens; None if none was rejected."""
    stream: bool = False
    """True if it, or a gateway before it, only streams long answers."""
    context: int | None = None
    """The context size in tokens that its refusals taught; None if none did."""
    stated: int | None = None
    """The context size that was stated then; None if none was. The one above holds as long as this one is stated."""
    width: int | None = None
    """Calls at once that turned out to be right; None if a run has not found out."""

    @property
    def words(self) -> str:
        """What is done because of all that, for people; empty if nothing was learnt."""
        names = sorted(marked.partition("=")[0] for marked in self.refused)
        parts = [
            f"output format {self.form}" if self.form else "",
            f"output cap {self.cap}" if self.cap else "",
            "" if self.usage else "no usage of streams",
            f"without {listing(names)}" if names else "",
            "" if self.system else "no system role",
            "" if self.replay else "reasoning not sent back",
            f"output cap at most {self.most:,}" if self.most else "",
            "streamed" if self.stream else "",
            f"reads {self.context:,} tokens at once" if self.context else "",
            f"{self.width} calls at once" if self.width else "",
        ]
        return ", ".join(filter(None, parts))

    def context_if(self, stated: int | None) -> int | None:
        """Return the context size that refusals taught, unless another size is stated by now."""
        return self.context if self.stated == stated else None

    def copy(self) -> "Learnt":
        """Return a copy that does not change with this one."""
        return replace(self)


def mark(name: str, value: Json) -> str:
    """Return a parameter's name with a hash of its value, which does not reveal the value."""
    return f"{name}={digest(value)[:8]}"


class _Entry(Frozen):
    day: date
    """The day of the first rejection."""
    form: Rung | None = None
    cap: CapField | None = None
    usage: bool = True
    refused: tuple[str, ...] = ()
    system: bool = True
    replay: bool = True
    most: int | None = None
    stream: bool = False
    context: int | None = Field(default=None, ge=1)
    stated: int | None = Field(default=None, ge=1)
    width: int | None = Field(default=None, ge=1)


class _Book(Frozen):
    format: Literal[1] = FORMAT
    endpoints: dict[str, _Entry] = Field(default_factory=dict)


def _today() -> date:
    return datetime.now(UTC).date()  # noqa: TID251 - a calendar day; no run depends on it


class Memory:
    """What the models of a run have rejected, in it and in earlier runs."""

    def __init__(self, file: Path | None = None, *, today: Callable[[], date] = _today) -> None:
        """Read the entries of a file. Without a file, nothing outlives the run."""
        self.warning = ""
        """The problem of the file, for people; empty if there is none."""
        self._file = file
        self._today = today
        self._learnt: dict[str, Learnt] = {}
        self._before: dict[str, Learnt] = {}
        self._days: dict[str, date] = {}
        for name, entry in self._read().items():
            self._days[name] = entry.day
            self._before[name] = Learnt(
                entry.form,
                entry.cap,
                entry.usage,
                frozenset(entry.refused),
                entry.system,
                entry.replay,
                entry.most,
                entry.stream,
                entry.context,
                entry.stated,
                entry.width,
            )

    @property
    def known(self) -> int:
        """Number of models with an entry from earlier runs."""
        return len(self._before)

    def of(self, model: Model) -> Learnt:
        """Return what a model has rejected; the same object for all its aliases.

        The base URL and the name of the model are set.
        """
        name = _name(model)
        if name not in self._learnt:
            self._learnt[name] = self._before[name].copy() if name in self._before else Learnt()
        return self._learnt[name]

    def save(self) -> None:
        """Write new entries. Write errors are ignored: a later run learns the same again."""
        before = self._before
        new = {n: each for n, each in self._learnt.items() if each != before.get(n, Learnt())}
        if self._file is None or not new:
            return
        entries = self._read()
        if not self._file_is_ours:
            return
        for name, each in new.items():
            entries[name] = _Entry(
                day=self._days.get(name, self._today()),
                form=each.form,
                cap=each.cap,
                usage=each.usage,
                refused=tuple(sorted(each.refused)),
                system=each.system,
                replay=each.replay,
                most=each.most,
                stream=each.stream,
                context=each.context,
                stated=each.stated,
                width=each.width,
            )
        try:
            write_private(self._file.parent, self._file.name, _written(entries))
        except OSError:
            return

    def clear(self) -> None:
        """Delete the file of earlier runs."""
        if self._file is not None:
            self._file.unlink(missing_ok=True)

    def _read(self) -> dict[str, _Entry]:
        """Return the entries that have not expired. Set `warning` if the file is unusable."""
        self._file_is_ours = True
        if self._file is None or not os.path.lexists(self._file):
            return {}
        about = f"{self._file}: the stored facts about endpoints"
        try:
            content = read_private(self._file.parent, self._file.name, MOST_BYTES + 1)
            found: Any = json.loads(content)
            if _format_of(found) > FORMAT:
                self._file_is_ours = False
                self.warning = f"{about} were written by a newer version; they are ignored"
                return {}
            entries = _Book.model_validate(found).endpoints
        except (OSError, ValueError, RecursionError, ValidationError):
            self.warning = f"{about} cannot be read; they will be replaced"
            return {}
        today = self._today()
        return {n: entry for n, entry in entries.items() if 0 <= (today - entry.day).days < DAYS}


def _written(entries: Mapping[str, _Entry]) -> bytes:
    """Return the content of the file."""
    fields = {n: entry.model_dump(mode="json", exclude_defaults=True) for n, entry in entries.items()}
    return json.dumps({"format": FORMAT, "endpoints": fields}).encode()


def _format_of(found: Any) -> int:
    """Return the number of a file's format; the current one if the file states none."""
    stated = cast("Mapping[str, Any]", found).get("format") if isinstance(found, dict) else None
    return stated if type(stated) is int else FORMAT


def _name(model: Model) -> str:
    """Return the key of a model at its endpoint: a hash of URL and name, without credentials."""
    address = urlsplit(model.endpoint or "")
    host = address.netloc.rpartition("@")[2].lower()
    return text_digest(f"{address.scheme}://{host}{address.path.rstrip('/')}\n{model.name}")
