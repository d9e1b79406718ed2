"""Something that completes one chat request: a protocol of one verb.

A pool, a limit, a cache and a fake are other classes with the same verb, wrapped around one
another. `router` puts them together for a run:

    wire                            one try of one call: what goes out, what comes in, what goes wrong
    care                            when it is called, and called again: slots, quotas, waits, stragglers
    lanes, pool, warm               what models share; several as one; siblings after the first one's first token
    guard, budget                   what a model may see; what a call may cost
    preflight, probe, choose        which models there are, and what they can do, before anything is paid
    providers                       what is known of each provider, as data
    offline, local                  the one that is always there; models in files on this machine
"""

from typing import Protocol

from swarm.spec.chat import Reply, Request


class Endpoint(Protocol):
    """Completes one chat request. Raises EndpointBusy if trying again may help, EndpointRefused if it cannot."""

    async def complete(self, request: Request) -> Reply:
        """Give the model's answer to a request."""
        ...
