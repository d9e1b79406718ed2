"""Approval of single calls: what a person is asked, and what they may answer."""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

import anyio.to_thread

from swarm.tools.kinds import Effect

Answer = Literal["yes", "no", "always"]
"""`always` also allows later calls of the tool in the run, by steps without labels that this step does not carry."""


@dataclass(frozen=True)
class Question:
    """A call that runs only if a person allows it."""

    step: str
    """Id of the step whose model made the call."""
    agent: str
    tool: str
    """Name of the tool in the task."""
    arguments: str
    """The arguments as the model wrote them: text of a model, which may be anything. Known secrets are hidden."""
    effect: Effect = "read"
    """The most that the tool does outside of the run."""
    goes_to: str = ""
    """Place that the arguments go to; empty if they stay in the run."""
    labels: tuple[str, ...] = ()
    """Labels of the data that the step reads: the arguments may contain such data."""
    again: bool = False
    """Whether the same call may have taken place already, before the run was interrupted."""
    waiting: int = 0
    """Number of questions that wait for this one."""


@dataclass(frozen=True)
class CallDecision:
    """A person's answer."""

    answer: Answer
    reason: str = ""
    """Why not, for the model."""

    @property
    def allows(self) -> bool:
        """Whether the call may run."""
        return self.answer != "no"


Approver = Callable[[Question], Awaitable[CallDecision | None]]
"""Asks a person, or a program in their place. None: nobody can answer."""


def approver_of(function: Callable[[Question], Any]) -> Approver:
    """Return an approver that calls a function of the caller, or a coroutine function.

    If it raises, the call is not allowed. A function that is not a coroutine function runs in a thread, so that it may
    wait for a person.
    """

    async def approve(question: Question) -> CallDecision | None:
        try:
            if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):
                return _decision(await function(question))
            # Cancellation point: the thread is left behind, its answer is dropped.
            return _decision(await anyio.to_thread.run_sync(function, question, abandon_on_cancel=True))
        except Exception as error:  # noqa: BLE001 - code of the caller; without an answer nothing is allowed
            return CallDecision("no", f"nobody could be asked: {type(error).__name__}: {error}")

    return approve


def _decision(said: object) -> CallDecision:
    """Return what a function answered as a decision. Anything that is not a clear yes is no."""
    if isinstance(said, CallDecision):
        return said
    if said is True or said in ("yes", "always"):
        return CallDecision("yes" if said is True else cast("Answer", said))
    if isinstance(said, str) and said != "no":
        return CallDecision("no", said)
    return CallDecision("no")
