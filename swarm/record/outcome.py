"""The outcome of an attempt: one value, in events, cache entries and the state."""

from swarm.base.values import Frozen, Json
from swarm.spec.agent import Agent
from swarm.spec.chat import MediaFile, Usage
from swarm.spec.plan import Step


class Outcome(Frozen):
    """What an attempt that succeeded gave."""

    output: Json
    spawned: tuple[Step, ...] = ()
    agents: tuple[Agent, ...] = ()
    usage: Usage = Usage()
    cached: bool = False
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    media: tuple[MediaFile, ...] = ()
    """What the answer has beside words."""
