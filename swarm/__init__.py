"""A local agent-swarm orchestrator: plan a task as a graph of steps, run them in parallel, merge the results.

    result = await swarm.run("task.yaml")
    print(result.text)

A map of the package, from the ground up:

    base            values, errors, redaction, clocks, files, addresses: what every package uses
    spec            what people write: tasks, plans, agents, messages; how their files are read; known providers
    record          what happened: events, their fold, the journal, the run folder, the cache
    planning        a plan before it runs: the planner's brief, the graph, the linter
    tools           what a model may use
    local_models    models in files on this machine
    endpoints       who completes a request: router, pool, the wire, retries and limits, the offline endpoint
    budget          what a run may spend: reservations, prices, meters
    attempt         one attempt: its prompt, its turns, the judging of its answers
    scheduling      who runs next: every decision, and the task group that carries them out
    results         a finished run: report, provenance, parallelism
    forecast        what a run would take, and whether a swarm is worth it
    views           what people see
    exports         a finished run as files
    executors       where attempts run
    lifecycle       a run from start to end: prepare, run, resume, replay
    cli             the command
    testing         public doubles for all of it
"""

from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any

from swarm.base.version import __version__

if TYPE_CHECKING:
    from swarm.base.errors import SwarmError
    from swarm.endpoints import Endpoint
    from swarm.lifecycle.api import resume, resume_sync, run, run_sync
    from swarm.lifecycle.run import Run
    from swarm.record.state import State
    from swarm.results.finished import FinishedStep
    from swarm.results.report import Report
    from swarm.results.result import Result
    from swarm.spec.agent import Agent
    from swarm.spec.chat import Reply, Request
    from swarm.spec.plan import Plan, Step
    from swarm.spec.task import Model, Task
    from swarm.tools.functions import tool

__all__ = [
    "Agent",
    "Endpoint",
    "FinishedStep",
    "Model",
    "Plan",
    "Reply",
    "Report",
    "Request",
    "Result",
    "Run",
    "State",
    "Step",
    "SwarmError",
    "Task",
    "__version__",
    "resume",
    "resume_sync",
    "run",
    "run_sync",
    "tool",
]

_HOMES = {
    "Agent": "swarm.spec.agent",
    "Endpoint": "swarm.endpoints",
    "FinishedStep": "swarm.results.finished",
    "Model": "swarm.spec.task",
    "Plan": "swarm.spec.plan",
    "Reply": "swarm.spec.chat",
    "Report": "swarm.results.report",
    "Request": "swarm.spec.chat",
    "Result": "swarm.results.result",
    "Run": "swarm.lifecycle.run",
    "State": "swarm.record.state",
    "Step": "swarm.spec.plan",
    "SwarmError": "swarm.base.errors",
    "Task": "swarm.spec.task",
    "resume": "swarm.lifecycle.api",
    "resume_sync": "swarm.lifecycle.api",
    "run": "swarm.lifecycle.api",
    "run_sync": "swarm.lifecycle.api",
    "tool": "swarm.tools.functions",
}


if not TYPE_CHECKING:  # A type checker that saw `__getattr__` would accept every name.

    def __getattr__(name: str) -> Any:
        """Load a public name from its home at its first use (PEP 562), so that importing stays cheap."""
        if name in _HOMES:
            value = globals()[name] = getattr(import_module(_HOMES[name]), name)
            return value
        near = get_close_matches(name, _HOMES, n=1)
        advice = f"; did you mean {near[0]!r}?" if near else ""
        raise AttributeError(f"module 'swarm' has no attribute {name!r}{advice}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *_HOMES})
