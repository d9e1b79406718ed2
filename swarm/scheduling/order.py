"""The order of ready steps: what their durations are averaged by, and which of them come before others."""

from swarm.base.values import Json
from swarm.planning.graph import topological_order
from swarm.record.state import State
from swarm.spec.plan import Step, before_of


def instance(step: Step, number: int, item: Json) -> Step:
    """Return the instance of an `each` step for one item of its list."""
    inputs = (item,) if step.each == "inputs" else step.inputs
    update = {"id": f"{step.id}.{number}", "each": None, "item": item, "instance_of": step.id, "inputs": inputs}
    return step.model_copy(update=update)


def duration_key(step: Step) -> str:
    """Return the key for averages of durations: the `each` step of an instance, else the agent."""
    if step.merge is not None:
        return "merge"
    return step.instance_of or f"agent {step.agent}"


def ordered(names: list[str], state: State) -> list[str]:
    """Return steps in an order in which each comes after those it waits for."""
    inside = set(names)
    waits: dict[str, int] = {}
    for name in names:
        waits[name] = sum(1 for before in before_of(state.steps[name].step) if before in inside)
    return topological_order(waits, lambda name: state.steps[name].waiters)
