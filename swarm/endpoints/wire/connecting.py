"""Whether a call has left this machine: one that ends while it still connects has cost nothing."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Leaving:
    """A try of a call, before and after it has a connection."""

    connects: bool = False
    """Whether it waits for its connection: nothing of it was sent."""


leaving: ContextVar[Leaving | None] = ContextVar("leaving", default=None)
"""The try that is being made. Transports that do not know when they connect leave it as it is."""
