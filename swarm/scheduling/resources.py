"""The resources of a run, from which its attempts are made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from swarm.base.values import Json
from swarm.spec.agent import SmallPrompts
from swarm.spec.labels import Access
from swarm.spec.task import Input, Task


@dataclass(frozen=True)
class RunResources:
    """The resources of a run: everything, except its state, that attempts are made from."""

    task: Task
    inputs: tuple[Input, ...] = ()
    wording: Mapping[str, str] = field(default_factory=dict[str, str])
    settings: Mapping[str, dict[str, Json]] = field(default_factory=dict[str, dict[str, Json]])
    """Settings that determine an answer, by model alias."""
    identities: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    """Identity of the endpoint of each model that is not a pool, by alias; None if its endpoint has none."""
    contexts: Mapping[str, int] = field(default_factory=dict[str, int])
    """Context size in tokens, input and output together, by model alias; only if known."""
    access: Access = Access()  # noqa: RUF009 - frozen
    """The labels each model may see, and the media it accepts."""
    small: SmallPrompts = SmallPrompts()  # noqa: RUF009 - frozen
    """Agents and phrases for small models."""
    small_models: frozenset[str] = frozenset()
    """Aliases of small models."""
    critics: tuple[str, ...] = ()
    """Aliases that can judge the work of another model: those that no pool uses, without the built-in endpoint."""
    without_tools: frozenset[str] = frozenset()
    """Aliases of models that call no tools: the built-in endpoint, and pools with it."""
    built_in: str = ""
    """Alias of the built-in endpoint, which plans and reports for a small `default`; empty if none is needed."""
    outside_pools: tuple[str, ...] = ()
    """Aliases that no pool uses."""
    tools: tuple[str, ...] = ()
    """Names of the tools that the run grants."""
    tool_groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """Names that mean several of them, such as that of a kit, with the tools."""
    tool_about: Mapping[str, str] = field(default_factory=dict[str, str])
    """What tools are for, in a sentence each, as far as it is known."""
    has_table_file: bool = False
    """Whether the table of the run is written to a file of the task's `output`."""
    tools_key: Callable[[tuple[str, ...]], str] = ",".join
    """Returns a hash of the schemas of tools, by their names."""
