"""The facts of a running run in one line, for a log or a terminal without a live view."""

from swarm.record.steps import Status
from swarm.views.facts import EndpointUse, Moment, RunningAgent, calls_at
from swarm.views.words import clock, counted, one_line

NAMED = 2
"""Maximum running agents that a line names."""
ENDPOINTS = 2
"""Maximum endpoints that a line names."""


def heartbeat(facts: Moment) -> str:
    """Return what runs, what is waited for, the endpoints, the retries and the time left."""
    parts = [f"running: {_agents(facts)}"]
    waiting = facts.counts.get(Status.WAITING, 0) + facts.counts.get(Status.READY, 0)
    parts.append(f"{waiting:,} waiting")
    parts += [f"{count:,} {words}" for words, count in facts.waiting.items()]
    parts += [_calls(each) for each in facts.endpoints[:ENDPOINTS]]
    if facts.repeated:
        parts.append(f"{counted(facts.repeated, 'call')} retried")
    if facts.left is not None:
        parts.append(f"about {clock(facts.left)} left")
    return "; ".join(parts)


def _agents(facts: Moment) -> str:
    named = ", ".join(_agent(agent) for agent in facts.agents[:NAMED])
    more = len(facts.agents) - NAMED
    if not named:
        return "nothing"
    return f"{named} and {more:,} more" if more > 0 else named


def _agent(agent: RunningAgent) -> str:
    return f"{one_line(agent.id, 40)} ({agent.doing}, {int(agent.quiet)} s)"


def _calls(endpoint: EndpointUse) -> str:
    why = f" ({one_line(endpoint.why, 60)})" if endpoint.why else ""
    return f"{one_line(endpoint.name, 40)} {calls_at(endpoint)}{why}"
