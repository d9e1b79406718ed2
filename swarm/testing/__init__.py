"""Doubles for tests of anything built on this package: public, so that users test the same way we do.

`Scripted` answers from a list, `Function` from a callable, `Faulty` fails by a seed, `Limited` takes only so much; none
of them touches a network. `FakeServer` is a real endpoint on loopback, for what the wire does. `virtual_time` makes
hours pass at once.
"""

from swarm.testing.clock import virtual_time
from swarm.testing.doubles import Function, Scripted, reply
from swarm.testing.fake import Answer, FakeServer, Received
from swarm.testing.faulty import Faulty
from swarm.testing.limited import Limited

__all__ = [
    "Answer",
    "FakeServer",
    "Faulty",
    "Function",
    "Limited",
    "Received",
    "Scripted",
    "reply",
    "virtual_time",
]
