"""Test doubles for programs that use swarm. They are public, so that users can test as we do.

`Scripted` answers from a list and `Function` from a callable. `Faulty` fails at random from a seed.
`Limited` has a rate limit, and `BusyServer` queues what is too much for it. None of them uses a
network. `FakeServer` is a real endpoint on loopback, for tests of the wire. `virtual_time` lets
hours pass immediately.
"""

from swarm.testing.busy_server import BusyServer
from swarm.testing.clock import virtual_time
from swarm.testing.doubles import Function, Scripted, reply
from swarm.testing.fake import Answer, FakeServer, Received
from swarm.testing.faulty import Faulty
from swarm.testing.limited import Limited

__all__ = [
    "Answer",
    "BusyServer",
    "FakeServer",
    "Faulty",
    "Function",
    "Limited",
    "Received",
    "Scripted",
    "reply",
    "virtual_time",
]
