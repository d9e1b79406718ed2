"""What a planner must know, and what its plan is checked against."""

from swarm.base.values import Frozen, Id
from swarm.spec.labels import Access
from swarm.spec.task import Limits


class RoleBrief(Frozen):
    """A role as a planner sees it."""

    name: str
    description: str
    tools: tuple[str, ...] = ()


class InputBrief(Frozen):
    """An input as a planner sees it: never the whole of it."""

    name: str
    medium: str
    size: int
    label: str | None = None
    first_line: str = ""


class Brief(Frozen):
    """What a planner must know, and what its plan is checked against."""

    roles: tuple[RoleBrief, ...]
    inputs: tuple[InputBrief, ...] = ()
    models: tuple[str, ...] = ("default",)
    tools: tuple[str, ...] = ()
    limits: Limits = Limits()
    known: tuple[Id, ...] = ()
    """Steps the run has already; new ones may need them, and may not reuse their ids."""
    barred: tuple[Id, ...] = ()
    """Of those, the planner's own step, what spawned it, and what waits for one of them: they are over only when the
    new steps are, so a new step that waited for one would wait for ever."""
    steps_left: int = 256
    """How many more steps the run may have."""
    reads: int | None = None
    """Tokens of inputs that a step can read, about; None where no model says how much it reads."""
    access: Access | None = None
    """Which models may see and can take what, where the inputs have labels or are more than text."""
    first: bool = True
    """Whether this is the run's first plan, which must end in the report."""
