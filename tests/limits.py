"""An adaptive limit for tests of a pace, not of how it is learned."""

from swarm.endpoints.traffic.limit import Limit


class Paced(Limit):
    """A limit that learns a pace when the test says so."""

    def learn(self, calls: int) -> None:
        """Limit the calls of any minute from now on."""
        self._pace.learn(calls, 0.0)
