"""Checks of outputs by Python functions, without a model."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import anyio.to_thread

from swarm.attempt.prompt import written
from swarm.attempt.types import Attempt, Executor, Note
from swarm.base.errors import AnswerError, ToolError
from swarm.base.text import clip
from swarm.base.values import Json
from swarm.record.outcome import Outcome
from swarm.spec.agent import is_function

Check = Callable[..., Any]
"""A function, or a coroutine function, of an output, or of an output and its sources. See `verdict_of`."""
REASON_CHARACTERS = 1000
"""Maximum characters of a reason, as of a critic's."""


class Checking:
    """Executor around another: calls a function for a step that checks the output of another one."""

    def __init__(self, inner: Executor, checks: Mapping[str, Check]) -> None:
        """Take the functions by name."""
        self._inner = inner
        self._checks = checks

    async def execute(self, attempt: Attempt, note: Note) -> Outcome:
        """Return the verdict of a function, or run any other attempt. Raise `ToolError` if the function fails."""
        if not is_function(attempt.agent):
            return await self._inner.execute(attempt, note)
        name = attempt.agent.name
        if attempt.step.judges is None:
            raise AnswerError(f"{name} is a Python function: it checks outputs, and does no work", may_help=False)
        if name not in self._checks:
            raise ToolError(f"the check {name} was not given\nhint: pass `checks={{{name!r}: …}}`")
        output = next(each.output for each in attempt.given if each.step == attempt.step.judges)
        try:
            found = await _called(self._checks[name], output, _sources(attempt))
            return Outcome(output=verdict_of(name, found))
        except Exception as error:
            raise ToolError(f"the check {name} failed: {type(error).__name__}: {clip(str(error))}") from error


def verdict_of(name: str, found: Any) -> dict[str, Json]:
    """Return a verdict as a critic gives it.

    `None`, True, an empty text and an empty list are no objection; False, a text and a list of texts are. Raise
    `TypeError` for anything else.
    """
    if found is False:
        reasons = [f"{name} does not accept it"]
    elif found is None or found is True:
        reasons = list[str]()
    elif isinstance(found, str):
        reasons = [found] if found.strip() else []
    else:
        reasons = _reasons(found)
    verdict = "contradicted" if reasons else "supported"
    return {"verdict": verdict, "reasons": [reason[:REASON_CHARACTERS] for reason in reasons]}


def _reasons(found: Any) -> list[str]:
    """Return a list of reasons as it is. Raise `TypeError` for anything else."""
    if isinstance(found, list | tuple):
        listed = cast("Sequence[object]", found)
        texts = [each for each in listed if isinstance(each, str)]
        if len(texts) == len(listed):
            return texts
    kind = type(cast("object", found)).__name__
    raise TypeError(f"it returned a {kind}; expected a bool, a reason or a list of reasons")


async def _called(check: Check, output: Json, sources: Mapping[str, str]) -> object:
    """Call a function with as much as it takes; one that is no coroutine function in a thread, since it may be slow."""
    given = (output, sources) if _takes_sources(check) else (output,)
    if inspect.iscoroutinefunction(check):
        return await check(*given)
    return await anyio.to_thread.run_sync(lambda: check(*given), abandon_on_cancel=True)


def _takes_sources(check: Check) -> bool:
    try:
        inspect.signature(check).bind("output", "sources")
    except (TypeError, ValueError):
        return False
    return True


def _sources(attempt: Attempt) -> dict[str, str]:
    """Return the texts that the work read, by name: inputs, and outputs of other steps."""
    inputs = {each.name: each.text for each in attempt.inputs if each.medium == "text"}
    return inputs | {each.step: written(each.output) for each in attempt.given if each.step != attempt.step.judges}
