"""Options of a run: everything that a caller can set in addition to the task."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # The command reads this class for `--help`, which must not import what a run needs.
    from swarm.endpoints import Endpoint
    from swarm.record.events import Event, KeptFact
    from swarm.spec.plan import PlanSource
    from swarm.spec.task import Model
    from swarm.tools import Kit, Tool
    from swarm.tools.approval import Approver

PLACEHOLDER = "unset"
"""Value of an unset variable in a run that makes no call."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Everything that a caller can set in addition to the task."""

    endpoint: "Endpoint | str | None" = None
    """Base URL, provider name, `offline`, or an object with the verb `complete`."""
    model: str | None = None
    """Name of the model at that endpoint."""
    workers: int | Literal["auto"] | None = None
    """Maximum number of steps running in parallel."""
    limits: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Limits by name. They override those of the task."""
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Parameters by name. They override those of the task."""
    plan: "PlanSource | None" = None
    """Plan or plan file, to be run without a planner."""
    outputs: "Sequence[str | Path] | None" = None
    """Files to write the report to, instead of those of the task. They may be outside of the task's folder."""
    inputs: "Sequence[str | Path]" = ()
    """Paths, globs, folders and addresses to read in addition to those of the task, relative to `inputs_folder`."""
    inputs_folder: str | Path = ""
    """Folder of those paths. Empty for the current one."""
    strict: bool = False
    """Whether an input that cannot be read is an error. Else it is left out and named."""
    stdin: "Callable[[], bytes] | None" = None
    """Returns standard input, for an input `-`. None if the caller has none."""
    fetch: bool = False
    """Whether inputs may be addresses although the task says nothing about the web."""
    sends: bool = True
    """Whether addresses are fetched. False for what only looks at a task: an address is then an empty input."""
    kept: "Mapping[str, KeptFact]" = field(default_factory=dict[str, "KeptFact"])
    """What a recorded run read once, by path: standard input and addresses."""
    kept_content: "Callable[[str], bytes] | None" = None
    """Returns the bytes of that by their hash. None for a new run."""
    tools: "Sequence[Callable[..., Any] | Tool | Kit]" = ()
    """Python functions and kits of tools that the run grants."""
    checks: "Mapping[str, Callable[..., Any]]" = field(default_factory=dict[str, "Callable[..., Any]"])
    """Python functions that check outputs, by the name that `check` of a step has."""
    approve: "Approver | bool | None" = None
    """Asks a person about a call of a tool. True: everything is approved. None: nobody can answer."""
    runs: str | Path | None = None
    """Folder of the runs. None for `.swarm/runs` next to the task."""
    may_replace: bool = False
    """Whether outputs may replace files that a glob of the inputs finds: they were checked when the run was started."""
    on_event: "Callable[[Event], Any] | None" = None
    """Receives each event of the run as it is recorded."""
    otlp: str | None = None
    """Address of a collector that gets the spans of the run, instead of the one of the task."""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    """Environment of `${NAME}` in `models:` and of the providers' keys."""
    text: str | None = None
    """Text of the task file if it is not in a file."""
    cache: bool | str | Path | None = None
    """Whether the cache of the project is read and written, or the folder of another cache. None for the value with
    which a resumed run was started, else True."""
    models: "Mapping[str, Model]" = field(default_factory=dict[str, "Model"])
    """Models of a recorded run: those of a task that names none, if `endpoint` is not set either.

    What that run learnt of their endpoints holds for a model at the same address, too.
    """
    preflight: bool = True
    """Whether models that are needed later are checked before the first paid call."""
    from_python: bool = False
    """Whether Python code set these. Messages then name arguments, not options of the command."""
    is_replay: bool = False
    """Whether a recorded run is repeated: no call is made, and no kit of tools opens."""
    needs_keys: bool = True
    """Whether an unset variable is an error. False if no call will be made."""

    @property
    def uses_cache(self) -> bool:
        """Whether a cache is read and written."""
        return self.cache is not False

    @property
    def cache_folder(self) -> Path | None:
        """Folder of a cache that is not the project's; None for that one, or for no cache."""
        return Path(self.cache) if isinstance(self.cache, str | Path) else None


class AnyVariable(dict[str, str]):
    """Environment for runs that make no call: an unset variable has its default, else a placeholder."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(environ)

    def __contains__(self, name: object) -> bool:
        return True

    def __getitem__(self, name: str) -> str:
        return super().get(name) or PLACEHOLDER

    def get(self, name: str, default: Any = None) -> Any:
        """Return a variable; if it is unset or empty, the default, or the placeholder if there is none."""
        return super().get(name) or (PLACEHOLDER if default is None else default)
