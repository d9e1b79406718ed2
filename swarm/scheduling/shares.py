"""The shares of a critic whose work and sources do not fit one prompt, and what is done again.

    a.1 in sections: a.1.1, a.1.2, a.1.0     a.2.1, a.2.2, a.2.3: each reads one, and its sources
    a.1 with more sources than fit           a.2.1, a.2.2: the work and some of the sources
    … and a longer work than fits            a.2.1, a.2.2: a piece of the work and its sources
    the verdict                              a.2.0: by rule, without a call (`attempt.verdicts`)

A share is a critic, so one that is too much is expanded again. If a share of a work in sections
finds a contradiction, only that section is written anew, with its reasons: the others are requested
as before, so the cache has them.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from swarm.attempt.parts import LEAST_PIECE, frame_of_part, pieces_of
from swarm.attempt.prompt import phrase, reading_of
from swarm.attempt.reading import ASSUMED_CONTEXT, Item, Reading, room_to_answer
from swarm.attempt.types import Attempt
from swarm.attempt.verdicts import VERDICT, verdict_in
from swarm.base.text import listing
from swarm.record.state import State
from swarm.record.steps import Status, StepState
from swarm.scheduling.checks import also_read, last_of, sources_of
from swarm.scheduling.expand import Expansion
from swarm.scheduling.tree import SHARE_OF_ROOM, Read, group
from swarm.spec.chat import BYTES_PER_TOKEN
from swarm.spec.plan import Part, Step, before_of

LENGTH = 8
"""The verdict of a share may have one part in this many of the context, and at least `LEAST_LENGTH` tokens: with half
of a small context kept for it, sections and their sources would not fit."""
LEAST_LENGTH = 256
"""Minimum output cap of a verdict in tokens: a few reasons."""
OF_ROOM = 2
"""A work longer than one part in this many of the room is cut, so that there is room for its
sources, too."""
NAMED = 20
"""Maximum verdicts that the prompt of a repeated section names."""


class CriticShares:
    """Maker of the shares of critics."""

    def __init__(self, state: State, draft: Callable[[StepState], Attempt]) -> None:
        self._state = state
        self._draft = draft

    def of(self, s: StepState, attempt: Attempt, reading: Reading, reads: Sequence[Read]) -> Expansion | None:
        """Return the shares of a critic that does not fit one prompt, or None if there is no space for them."""
        work = self._state.steps[s.step.judges or ""]
        writers = [writer for writer in writers_of(self._state, work) if writer.status is Status.DONE]
        if len(writers) > 1:
            steps = [self._on(s, attempt, writer, n) for n, writer in enumerate(writers, 1)]
        else:
            steps = self._by_sources(s, attempt, reading, reads)
        return Expansion((*steps, _verdict(s, steps)), "last") if len(steps) > 1 else None

    def _on(self, s: StepState, attempt: Attempt, writer: StepState, number: int) -> Step:
        """Return the share that judges the output of one of the steps that wrote the work."""
        step = writer.step
        prompt = step.prompt or phrase(attempt.wording, "step_text")
        return self._share(s, attempt, number).model_copy(
            update={
                "prompt": phrase(attempt.wording, "check", prompt=prompt, work=step.id),
                "after": (step.id, *self._read_by(step)),
                "inputs": sources_of(step),
                "item": step.item,
                "part": step.part,
                "judges": step.id,
            }
        )

    def _read_by(self, step: Step) -> Iterable[str]:
        """Return the steps that are the sources of a step: neither its earlier answer, nor the verdicts on it."""
        steps = self._state.steps
        return (name for name in before_of(step) if name != step.redoes and steps[name].step.judges is None)

    def _by_sources(self, s: StepState, attempt: Attempt, reading: Reading, reads: Sequence[Read]) -> list[Step]:
        """Return shares that read the work, or a piece of it, each with some of the sources."""
        name, piece = str(s.step.judges), s.step.part
        work = next(item for item in reading.items if item.name == name)
        if piece is not None and piece.name != name:
            piece = None
        bare = self._share(s, attempt, 1)
        bare = bare.model_copy(update={"after": (name,), "inputs": (), "part": piece})
        room = reading_of(self._draft(StepState(bare, s.id, s.order))).left
        if piece is None and OF_ROOM * work.total > room:
            return self._by_pieces(s, attempt, work, room // OF_ROOM)
        left = int(SHARE_OF_ROOM * (room - work.total))
        if left < LEAST_PIECE:
            return []
        sources = list(filter(lambda read: read.name != name, reads))
        if piece is None:  # a step reads one piece of one text
            sources = self._in_pieces(attempt, reading, sources, left)
        groups = group(sources, left)
        return [_reading(bare, piece, f"{s.id}.{n}", members) for n, members in enumerate(groups, 1)]

    def _by_pieces(self, s: StepState, attempt: Attempt, work: Item, most: int) -> list[Step]:
        """Return shares that read a piece of the work each, and all sources."""
        most = max(1, most - frame_of_part(attempt, work.name))
        pieces = pieces_of(attempt, work, most, shares=False)
        return [self._piece(s, attempt, each, n) for n, each in enumerate(pieces, 1)]

    def _in_pieces(self, attempt: Attempt, reading: Reading, sources: Sequence[Read], most: int) -> list[Read]:
        """Return sources, those of more than `most` tokens as pieces of them."""
        items = {(item.kind, item.name): item for item in reading.items if item.splittable}
        found: list[Read] = []
        for read in sources:
            item = items.get((read.kind, read.name))
            is_long = item is not None and read.size > most
            found += self._pieces(attempt, item, most) if item is not None and is_long else [read]
        return found

    def _pieces(self, attempt: Attempt, item: Item, most: int) -> list[Read]:
        frame = frame_of_part(attempt, item.name)
        return [
            Read(item.kind, item.name, -(-(piece.head + piece.end - piece.start) // BYTES_PER_TOKEN) + frame, "", piece)
            for piece in pieces_of(attempt, item, most - frame)
        ]

    def _piece(self, s: StepState, attempt: Attempt, piece: Part, number: int) -> Step:
        """Return the share that judges one piece of the work, with all sources."""
        after = (s.step.judges or "", *(name for name in before_of(s.step) if name != s.step.judges))
        update = {"after": after, "inputs": s.step.inputs, "part": piece}
        return self._share(s, attempt, number).model_copy(update=update)

    def _share(self, s: StepState, attempt: Attempt, number: int) -> Step:
        """Return a share that reads nothing yet."""
        wording, prompt = attempt.wording, s.step.prompt
        if phrase(wording, "check_share", prompt="") not in prompt:
            prompt = phrase(wording, "check_share", prompt=prompt)
        context = attempt.context or ASSUMED_CONTEXT
        return Step(
            id=f"{s.id}.{number}",
            agent=s.step.agent,
            prompt=prompt,
            output=VERDICT,
            model=s.step.model,
            tools=(),
            retries=s.step.retries,
            item=s.step.item,
            partial_of=s.id,
            judges=s.step.judges,
            length=min(room_to_answer(context, attempt.settings), max(LEAST_LENGTH, context // LENGTH)),
        )


def _reading(share: Step, part: Part | None, name: str, members: Sequence[Read]) -> Step:
    """Return a share with the sources that it reads next to the work, or next to a `part` of it."""
    read = [each.name for each in members if each.kind != "input"]
    return share.model_copy(
        update={
            "id": name,
            "after": (share.judges, *read),
            "inputs": tuple(each.name for each in members if each.kind == "input"),
            "part": part or next((each.part for each in members if each.part is not None), None),
        }
    )


def _verdict(s: StepState, shares: Sequence[Step]) -> Step:
    """Return the step that makes one verdict of those of the shares, without a call."""
    return Step(
        id=f"{s.id}.0",
        agent=s.step.agent,
        after=tuple(share.id for share in shares),
        inputs=(),
        output=VERDICT,
        merge="list",
        tools=(),
        partial_of=s.id,
        judges=s.step.judges,
    )


def writers_of(state: State, s: StepState) -> list[StepState]:
    """Return the steps that wrote an output, over all levels: the step itself, or its sections and shares.

    What code puts together is no step of these.
    """
    if s.kind != "stand_in" or s.combine in ("checked", "majority", "list"):
        return [] if s.step.merge is not None else [s]
    return list(chain.from_iterable(writers_of(state, state.steps[name]) for name in s.children))


def redone(state: State, s: StepState, attempt: Attempt) -> Expansion | None:
    """Return the steps that do contradicted work again if it was done by several and some of them were right.

    Those that nobody contradicted are the same steps under other ids.
    """
    old, verdict = state.steps.get(s.step.redoes or ""), also_read(state, s)
    if old is None or verdict is None or old.kind != "stand_in" or old.combine in (None, "checked", "majority", "list"):
        return None
    wrong = _contradicted(state, state.steps[verdict.by], old)
    if not wrong:
        return None
    ids = {name: f"{s.id}{name.removeprefix(old.id)}" for name in old.children}
    steps = [_again(state.steps[name].step, s.id, ids, wrong.get(name, []), attempt) for name in old.children]
    return Expansion(tuple(steps), old.combine)


def _again(step: Step, by: str, ids: dict[str, str], verdicts: list[str], attempt: Attempt) -> Step:
    """Return a step of contradicted work once more; with verdicts against it, it reads these and its old answer."""
    after = tuple(ids.get(name, name) for name in step.after if name != step.redoes)
    update: dict[str, object] = {"id": ids[step.id], "partial_of": by, "after": after}
    if verdicts:
        check = listing(verdicts, NAMED)
        prompt = phrase(attempt.wording, "check_again", prompt=step.prompt, work=step.id, check=check)
        update |= {"prompt": prompt, "redoes": step.id}
        update |= {"after": (*after, step.id, *verdicts[:NAMED])}
    return step.model_copy(update=update)


def _contradicted(state: State, critic: StepState, old: StepState) -> dict[str, list[str]]:
    """Return the children of a work that shares of its critic contradicted, each with these shares."""
    found: dict[str, list[str]] = {}
    if critic.kind != "stand_in" or critic.step.judges != old.id:
        return found
    for name in critic.children:
        share = state.steps[name]
        judged = share.step.judges or ""
        if share.step.merge is not None or verdict_in(last_of(state, share).outcome.output) != "contradicted":
            continue
        for above in state.lineage(judged):
            if above != judged and above == old.id:
                break
            if above in old.children:
                found.setdefault(above, []).append(name)
                break
    return found
