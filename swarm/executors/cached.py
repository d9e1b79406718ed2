"""Outcomes that were paid for already, from the run's own journal or the project's cache."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from itertools import chain

from swarm.attempt.types import Attempt, Executor, Note
from swarm.base.errors import JournalError
from swarm.base.values import Json
from swarm.executors.turns import Turns
from swarm.record import events as e
from swarm.record.cache import Cache, Entry
from swarm.record.densities import UNKNOWN
from swarm.record.outcome import Outcome
from swarm.spec.chat import MediaFile, Message


class Cached:
    """Executor around another: returns a known outcome if nothing that determines it has changed."""

    def __init__(
        self,
        inner: Executor,
        *,
        known: Mapping[str, Outcome],
        cache: Cache | None,
        is_repeatable: Callable[[Attempt], bool],
        is_stable: Callable[[str], bool],
        is_refused: Callable[[Attempt], bool] = lambda _: False,
        clean: Callable[[str], str],
        content: Callable[[str], bytes],
    ) -> None:
        """Take the outcomes that this run has already, by key, and the cache; None does not use it.

        Attempts that are not repeatable, or whose endpoint has no identity, are neither taken from
        the cache nor stored in it, and two that are equal both run. So do two that may call a tool of
        which `is_stable` says that its results change; an outcome is stored only if none was called, and if a person
        allowed all its calls: `is_refused` says of an attempt that ended whether one was not allowed. `clean`
        removes secrets from a text; `content` returns an artifact of this run by its hash.
        """
        self._inner = inner
        self._known = known
        self._cache = cache
        self._is_repeatable = is_repeatable
        self._is_stable = is_stable
        self._is_refused = is_refused
        self._clean = clean
        self._content = content
        self._turns = Turns()

    async def execute(self, attempt: Attempt, note: Note) -> Outcome:
        """Return the known outcome; if there is none, run the attempt and store its outcome.

        While an equal attempt is running, here or in another process, wait for its outcome.
        """
        known = self._known_outcome(attempt)
        if known is not None:
            return known.reused()
        cache = self._cache
        if cache is None or attempt.endpoints is None or not self._is_repeatable(attempt):
            return await self._inner.execute(attempt, note)
        entry = cache.get(attempt.key)
        if entry is not None:
            return entry.outcome.reused()
        if not all(map(self._is_stable, attempt.tools)):
            return await self._run(cache, attempt, note)
        async with self._turns.at(attempt.key, cache.lock_of(attempt.key)):
            entry = cache.get(attempt.key)
            if entry is not None:
                return entry.outcome.reused()
            return await self._run(cache, attempt, note)

    def _known_outcome(self, attempt: Attempt) -> Outcome | None:
        """Return the outcome that this run has already. Journals of earlier versions do not say of which endpoint."""
        if not self._known:
            return None
        return self._known.get(attempt.key) or self._known.get(attempt.key_anywhere)

    async def _run(self, cache: Cache, attempt: Attempt, note: Note) -> Outcome:
        """Run an attempt and store its outcome."""
        called = set(_called(attempt.transcript))

        def noting(fact: e.Stamped) -> None:
            if isinstance(fact, e.TurnTaken):
                called.update(_called(fact.messages))
            note(fact)

        outcome = await self._inner.execute(attempt, noting)
        if not all(map(self._is_stable, called)) or self._is_refused(attempt):
            return outcome
        # No later run may rely on an answer that may be incomplete, or that was made of less than its key says: after
        # a refusal had taught a smaller context.
        is_smaller = attempt.stated is not None or attempt.density != UNKNOWN
        if not outcome.doubts and not (is_smaller and outcome.left_out):
            cache.put(self.entry_of(attempt, outcome))
        return outcome

    def entry_of(self, attempt: Attempt, outcome: Outcome) -> Entry:
        """Return what the cache keeps of an outcome: without secrets, with its media."""
        entry = Entry(
            key=attempt.key,
            parts=attempt.parts,
            step=attempt.step.id,
            agent=attempt.agent.name,
            run=attempt.run,
            outcome=outcome,
        )
        written = entry.model_dump_json()
        cleaned = self._clean(written)
        entry = entry if cleaned == written else Entry.model_validate_json(cleaned)
        return entry.with_media(tuple(self._whole(each) for each in outcome.media))

    def _whole(self, made: MediaFile) -> MediaFile:
        """Return a medium with its bytes, which an interrupted attempt has only in a file."""
        if made.content:
            return made
        # If the file was removed, the answer is valid, but the cache does not store it.
        with suppress(JournalError):
            return made.model_copy(update={"content": self._content(made.sha256)})
        return made


def _called(messages: Iterable[Message]) -> Iterable[str]:
    """Return the names of the tools that messages call."""
    calls = chain.from_iterable(message.tool_calls for message in messages)
    return (call.name for call in calls)


def known_outcomes(events: Iterable[e.Stamped], load: Callable[[str], Json]) -> dict[str, Outcome]:
    """Return the outcomes of the finished steps of a journal, by key."""
    keys: dict[str, str] = {}
    known: dict[str, Outcome] = {}
    for event in events:
        if isinstance(event, e.StepStarted):
            keys[event.step] = event.key
        elif isinstance(event, e.StepFinished) and keys.get(event.step):
            known[keys[event.step]] = event.outcome.loaded(load)
    return known
