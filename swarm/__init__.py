"""A local agent-swarm orchestrator: plan a task as a graph of steps, run them side by side, merge the results.

    result = await swarm.run("task.yaml")
    print(result.report.text)

A map of the package, from the ground up:

    errors, safe, frozen        the tree of errors; what may reach a terminal; what values are made of
    reading                     texts read strictly: YAML 1.2 with the place of every key
    chat, agent, plan, task     what is said to a model; a role; steps; what the user wants
    files                       tasks, agents, plans and inputs read from files
    graph, events, state        questions about the graph; the facts of a run, and their fold
    journal, folder, measure    the file of facts; the run's folder; how parallel a run was
    endpoints, tools            who completes a request; what a model may use
    executor, prompt, lint,     what an attempt is; its words; what is wrong with a plan;
    answers, loop               what an answer says; its turns
    assign, agenda, scheduler   a ready step made an attempt; who runs next; the task group
    forecast                    what a run would take, and whether a swarm is worth it
    executors                   where attempts run
    prepare, report, result     all a run needs, checked; what it has to say
    run                         the composition root
    views, cli                  what people see
    testing                     doubles for all of it, public
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swarm.agent import Agent
    from swarm.errors import SwarmError
    from swarm.plan import Plan, Step
    from swarm.report import Report
    from swarm.result import Result
    from swarm.run import Run, resume, run
    from swarm.state import State
    from swarm.task import Model, Task
    from swarm.tools.functions import tool

__version__ = "0.1.0"

__all__ = [
    "Agent",
    "Model",
    "Plan",
    "Report",
    "Result",
    "Run",
    "State",
    "Step",
    "SwarmError",
    "Task",
    "__version__",
    "resume",
    "run",
    "tool",
]

_HOMES = {
    "Agent": "swarm.agent",
    "Model": "swarm.task",
    "Plan": "swarm.plan",
    "Report": "swarm.report",
    "Result": "swarm.result",
    "Run": "swarm.run",
    "State": "swarm.state",
    "Step": "swarm.plan",
    "SwarmError": "swarm.errors",
    "Task": "swarm.task",
    "resume": "swarm.run",
    "run": "swarm.run",
    "tool": "swarm.tools.functions",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its home when it is first asked for (PEP 562), so that importing stays cheap."""
    if name in _HOMES:
        value = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return value
    raise AttributeError(f"module 'swarm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


class _Package(ModuleType):
    """Keeps `swarm.run` the function: the import system puts a loaded submodule under its name into its package."""

    @property
    def run(self) -> Any:
        return import_module("swarm.run").run

    @run.setter
    def run(self, module: ModuleType) -> None:
        """Leave the name to the function; the module is there by `from swarm.run import …`."""


sys.modules[__name__].__class__ = _Package
