"""Doubles for tests of anything built on this package: public, so that users test the same way we do.

`Scripted` answers from a list, `Function` from a callable; neither touches a network, a clock or a random number.
"""

from swarm.testing.doubles import Function, Scripted, reply

__all__ = ["Function", "Scripted", "reply"]
