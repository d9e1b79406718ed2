"""Everything that can go wrong, as one tree.

    SwarmError
    ├── InputError               what the user wrote is wrong; nothing was spent
    │   ├── TaskError            a task file, an argument, an input
    │   ├── AgentError           an agent file
    │   └── PlanError            a plan: written by hand, or by a planner that could not mend it
    ├── AttemptError             why one attempt at a step did not succeed
    │   ├── EndpointError        the endpoint
    │   │   ├── EndpointBusy     trying again may help
    │   │   └── EndpointRefused  trying again cannot help
    │   ├── AnswerError          the model answered, and the answer cannot be used
    │   ├── ToolError            a tool
    │   └── LimitError           a limit of the task
    ├── JournalError             a journal that cannot be read or written
    ├── RunNotFoundError         no such run
    ├── RunInUseError            another process owns the run
    ├── ApprovalNeededError      a plan waits for a person, and there is none
    └── BugError                 ours

A message says what is wrong, where, and what to do next. Foreign exceptions become ours at one boundary each: the
wire in `swarm.endpoints`, files in `swarm.spec.yaml.strict` and `swarm.spec.task`, tools in `swarm.tools`.
"""

from dataclasses import dataclass


class SwarmError(Exception):
    """Base of every error this package raises on purpose."""

    exit_code = 1
    """What the command exits with when this error ends it (see `swarm --help`)."""


@dataclass(frozen=True)
class Problem:
    """One error in what a user or a model wrote.

    A check that looks at a value gives the `path` of the error. The document that the value was read from turns it into
    `where` and `key`, which are shown (`swarm.spec.yaml.strict.Document.located`).
    """

    message: str
    """The error, what is allowed, and the nearest allowed name."""
    where: str = ""
    """Place to show, such as `task.yaml:3:1`; empty if there is no file."""
    key: str = ""
    """Dotted path of the wrong key to show, such as `steps.2.needs`."""
    path: tuple[str | int, ...] = ()
    """Path of the wrong value inside its document, such as `("steps", 2, "needs")`."""
    on_key: bool = False
    """True if the key at `path` is wrong, not its value."""
    position: tuple[int, int] | None = None
    """Line and column, if they are not those of `path`: the second of two equal keys."""

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.key, self.message) if part)


class InputError(SwarmError):
    """What the user wrote is wrong. All problems found are in `problems`, in the order of the file."""

    exit_code = 2

    def __init__(self, *problems: Problem | str) -> None:
        self.problems = tuple(p if isinstance(p, Problem) else Problem(p) for p in problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class TaskError(InputError):
    """A task file, an argument or an input is wrong."""


class AgentError(InputError):
    """An agent file is wrong."""


class PlanError(InputError):
    """A plan is wrong. `spent` is true when a planner was paid for it; the exit code is then 1."""

    def __init__(self, *problems: Problem | str, spent: bool = False) -> None:
        super().__init__(*problems)
        self.spent = spent
        self.exit_code = 1 if spent else 2


class AttemptError(SwarmError):
    """Why one attempt at a step did not succeed. The scheduler turns it into a `StepFailed` event."""

    kind = "failed"
    """One word for machines, such as `rate_limited`, `context_length`, `truncated`; listed in `swarm.record.events`."""
    may_help = False
    """Whether another attempt at the step may help."""
    stops = False
    """Whether no other step can succeed either (a spent quota, a bad key): nothing new starts."""
    goes_on = False
    """Whether the next attempt may go on with the turns that this one has paid for: they are not to blame."""

    def __init__(self, message: str, *, kind: str | None = None) -> None:
        super().__init__(message)
        if kind is not None:
            self.kind = kind


class EndpointError(AttemptError):
    """An endpoint did not complete a request."""

    kind = "endpoint"
    calls = 0
    """Calls that were made in vain, where more is known than that there was one."""

    def __init__(self, message: str, *, kind: str | None = None, endpoint: str = "", status: int | None = None) -> None:
        super().__init__(message, kind=kind)
        self.endpoint = endpoint
        self.status = status


class EndpointBusy(EndpointError):  # noqa: N818 - the words of the contract
    """Trying again may help: a rate limit, an overload, a lost connection, a malformed body."""

    kind = "busy"
    may_help = True
    goes_on = True

    def __init__(
        self,
        message: str,
        *,
        kind: str | None = None,
        endpoint: str = "",
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, kind=kind, endpoint=endpoint, status=status)
        self.retry_after = retry_after
        """Seconds the endpoint asked to wait, or None."""


class EndpointRefused(EndpointError):  # noqa: N818 - the words of the contract
    """Trying again cannot help: a bad request, a bad key, a spent quota, an unknown model."""

    kind = "refused"

    def __init__(
        self,
        message: str,
        *,
        kind: str | None = None,
        endpoint: str = "",
        status: int | None = None,
        stops: bool = False,
    ) -> None:
        super().__init__(message, kind=kind, endpoint=endpoint, status=status)
        self.stops = self.goes_on = stops


class AnswerError(AttemptError):
    """The model answered, and the answer cannot be used: empty, truncated, refused, of the wrong form."""

    kind = "answer"
    may_help = True

    def __init__(self, message: str, *, kind: str | None = None, may_help: bool = True) -> None:
        super().__init__(message, kind=kind)
        self.may_help = may_help


class ToolError(AttemptError):
    """A tool could not do what it was asked. Inside an attempt its message goes back to the model."""

    kind = "tool"


class LimitError(AttemptError):
    """A limit of the run was reached; the step is `limited`, not failed."""

    kind = "limit"
    goes_on = True

    def __init__(self, message: str, *, limit: str, value: float) -> None:
        super().__init__(message)
        self.limit = limit
        """Which one, by its name in `limits:`."""
        self.value = value


class JournalError(SwarmError):
    """A journal cannot be read, or cannot be written."""


class RunNotFoundError(InputError):
    """No run has that id, prefix or folder."""


class RunInUseError(SwarmError):
    """Another process owns the run."""

    exit_code = 75


class ApprovalNeededError(SwarmError):
    """A plan needs a person's approval, and there is nobody to ask."""

    exit_code = 5


class BugError(SwarmError):
    """A broken promise of this package, never of its user."""

    exit_code = 70
