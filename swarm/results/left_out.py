"""What no step of a run read: parts of inputs and outputs that did not fit a prompt."""

from collections.abc import Iterable, Iterator
from typing import Literal

from swarm.base.text import listing
from swarm.base.values import Frozen
from swarm.record.state import State
from swarm.record.steps import Status, StepState
from swarm.spec.task import UnreadInput

NAMED = 3
"""Names in the line about what was left out; the others are counted."""
NAMED_UNREAD = 12
"""Inputs that could not be read and are named with their reason; the others are counted."""


class LeftOut(Frozen):
    """An input or an output that was not read completely."""

    of: Literal["input", "output"]
    name: str
    """Name of the input, or id of the step whose output it is."""
    read: int
    """Bytes of it that were shown to a model: by the step that read most of it."""
    total: int
    """All its bytes."""
    because: str = ""
    """Why no step could read it at all; empty for something that was read in part."""


def left_out(state: State) -> tuple[LeftOut, ...]:
    """Return what the steps of a run did not read, each input and output once, in plan order of the readers."""
    found: dict[tuple[str, str], LeftOut] = {}
    for s in state.real_steps():
        for each in s.outcome.unread:
            key = (each.of, each.name)
            read = max(each.read, found[key].read) if key in found else each.read
            found[key] = LeftOut(of=each.of, name=each.name, read=read, total=each.total)
    for each in _unread_parts(state):
        found.setdefault((each.of, each.name), each)
    return (*found.values(), *not_read(state))


def not_read(state: State) -> tuple[LeftOut, ...]:
    """Return the inputs that no step could read: encrypted files, archives, pages that are pictures."""
    unread = () if state.started is None else state.started.unread
    return tuple(LeftOut(of="input", name=each.name, read=0, total=each.size, because=_reason(each)) for each in unread)


def _reason(unread: UnreadInput) -> str:
    """Return why an input was not read, without what to do about it."""
    return unread.because.partition("\n")[0].partition("; to read it:")[0]


def _unread_parts(state: State) -> Iterator[LeftOut]:
    """Yield the texts that were read in parts, and of which a part has no output."""
    parts: dict[tuple[str, str, str], list[StepState]] = {}
    for s in state.real_steps():
        if s.step.part is not None:
            parts.setdefault((s.step.part.kind, s.step.part.name, s.by), []).append(s)
    for (of, name, _), readers in parts.items():
        pieces = [part for s in readers if (part := s.step.part) is not None]
        unread = sum(map(_unread_bytes, readers))
        total = max(part.end for part in pieces)
        if unread:
            yield LeftOut(of="input" if of == "input" else "output", name=name, read=total - unread, total=total)


def _unread_bytes(s: StepState) -> int:
    """Return the bytes that only this part has, if it has no output."""
    part = s.step.part
    return part.end - part.own if part is not None and s.over and s.status is not Status.DONE else 0


def left_out_line(found: Iterable[LeftOut]) -> str:
    """Return one line about everything that was left out; empty if nothing was."""
    every = list(found)
    line = _in_part(entry for entry in every if not entry.because)
    unread = not_read_line(every)
    return f"{line}; {unread[:1].lower()}{unread[1:]}" if line and unread else line or unread


def _in_part(found: Iterable[LeftOut]) -> str:
    """Return a line about what was read in part; empty if nothing was."""
    entries = list(found)
    if not entries:
        return ""
    kinds = {of: sum(entry.of == of for entry in entries) for of in ("input", "output")}
    what = listing(f"{count:,} {of}{'s' if count > 1 else ''}" for of, count in kinds.items() if count)
    read, total = sum(entry.read for entry in entries), sum(entry.total for entry in entries)
    names = listing((entry.name for entry in entries), NAMED)
    return f"{read:,} of {total:,} bytes of {what} were read: {names}"


def not_read_line(found: Iterable[LeftOut]) -> str:
    """Return one line about the inputs that no step could read; empty if there are none."""
    unread = [f"{entry.name} {entry.because}" for entry in found if entry.because]
    if not unread:
        return ""
    more = f"; and {len(unread) - NAMED_UNREAD:,} more" if len(unread) > NAMED_UNREAD else ""
    return f"Not read: {'; '.join(unread[:NAMED_UNREAD])}{more}"
