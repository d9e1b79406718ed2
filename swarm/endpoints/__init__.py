"""Something that completes one chat request: a protocol of one verb.

A pool, a limit, a cache and a test double are other classes with the same verb, wrapped around each
other. For a run, `router` assembles them:

    route                        a model as it is served: address, name, keys, dialect, price
    wire                         one try of one call: the request, the answer, the fault
    traffic                      when a call is made and repeated: slots, quotas, waits, hedges
    account, guard               who pays for a call; what a model may see and accepts
    pool, prefix_cache           several endpoints as one; siblings after the first one's first token
    wiring, router               what the wrappers need and their order; from an alias to its endpoint
    preflight, probe, choose     checks before a run is paid for; which model a run uses
    offline                      the built-in endpoint
"""

from typing import Protocol

from swarm.spec.chat import Reply, Request


class Endpoint(Protocol):
    """Completes one chat request.

    Raises `EndpointBusy` if another try may help, `EndpointRefused` if it cannot.
    """

    async def complete(self, request: Request) -> Reply:
        """Return the model's answer to a request."""
        ...
