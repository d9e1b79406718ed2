"""The tree of errors, and the problems that errors of input carry.

    SwarmError
    ├── InputError               what the user wrote is invalid; nothing was spent
    │   ├── TaskError            a task file, an argument, an input
    │   ├── AgentError           an agent file
    │   ├── UntrustedRunError    a run folder that was started elsewhere
    │   └── PlanError            a plan: by hand, or by a planner that could not correct it
    ├── AttemptError             why one attempt at a step did not succeed
    │   ├── EndpointError        the endpoint
    │   │   ├── EndpointBusy     a retry may help
    │   │   └── EndpointRefused  a retry cannot help
    │   ├── AnswerError          the model answered, and the answer cannot be used
    │   ├── ToolError            a tool
    │   └── LimitError           a limit of the task
    ├── JournalError             a journal that cannot be read or written
    ├── RunNotFoundError         no such run
    ├── RunInUseError            another process owns the run
    ├── ApprovalNeededError      a plan needs approval, and there is no terminal
    └── BugError                 an internal error

A message names the error, its place and what to do next. Exceptions of other libraries become
errors of this tree at one boundary each: the wire in `swarm.endpoints`, files in
`swarm.spec.yaml.strict` and `swarm.spec.files`, tools in `swarm.tools`.
"""

from dataclasses import dataclass


class SwarmError(Exception):
    """The base of every error that this package raises on purpose."""

    exit_code = 1
    """The exit code of the command if this error ends it (see `swarm --help`)."""


@dataclass(frozen=True)
class Problem:
    """One error in what a user or a model wrote.

    A check that looks at a value gives the `path` of the error. The document that the value was
    read from turns it into `where` and `key`, which are shown
    (`swarm.spec.yaml.strict.Document.located`).
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
    """An error in what the user wrote. `problems` holds all of them, in the order of the file."""

    exit_code = 2

    def __init__(self, *problems: Problem | str) -> None:
        self.problems = tuple(p if isinstance(p, Problem) else Problem(p) for p in problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class TaskError(InputError):
    """An error in a task file, an argument or an input."""


class AgentError(InputError):
    """An error in an agent file."""


class PlanError(InputError):
    """An error in a plan. `spent` is true if a planner was paid for it; the exit code is then 1."""

    def __init__(self, *problems: Problem | str, spent: bool = False) -> None:
        super().__init__(*problems)
        self.spent = spent
        self.exit_code = 1 if spent else 2


class AttemptError(SwarmError):
    """The failure of one attempt at a step. The scheduler turns it into a `StepFailed` event."""

    kind = "failed"
    """One word for machines, such as `rate_limited` or `truncated`: a key of
    `swarm.base.error_kinds`."""
    may_help = False
    """True if another attempt at the step may help."""
    stops = False
    """True if no other step can succeed either (an exhausted quota, a bad key): nothing new
    starts."""
    goes_on = False
    """True if the next attempt may continue with the turns of this one: they did not cause the
    failure."""

    def __init__(self, message: str, *, kind: str | None = None) -> None:
        super().__init__(message)
        if kind is not None:
            self.kind = kind


class EndpointError(AttemptError):
    """An endpoint did not complete a request."""

    kind = "endpoint"
    calls = 0
    """Failed calls, if more than one is known."""

    def __init__(
        self,
        message: str,
        *,
        kind: str | None = None,
        endpoint: str = "",
        status: int | None = None,
    ) -> None:
        super().__init__(message, kind=kind)
        self.endpoint = endpoint
        self.status = status


class EndpointBusy(EndpointError):  # noqa: N818 - the words of the contract
    """A fault that a retry may fix: a rate limit, an overload, a lost connection."""

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
        self.reply: object = None
        """The `Reply` that may be incomplete, if there is one: it is accepted if its fault repeats."""


class EndpointRefused(EndpointError):  # noqa: N818 - the words of the contract
    """A fault that no retry fixes: a bad request, a bad key, an exhausted quota."""

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
        self.context: int | None = None
        """Context size in tokens that the refusal of a too long request teaches, or None."""
        self.density: float | None = None
        """How many times as many tokens as estimated the part of a text has that was refused, or None."""


class AnswerError(AttemptError):
    """An answer that cannot be used: empty, truncated, refused, or not in the output format."""

    kind = "answer"
    may_help = True

    def __init__(self, message: str, *, kind: str | None = None, may_help: bool = True) -> None:
        super().__init__(message, kind=kind)
        self.may_help = may_help


class ToolError(AttemptError):
    """A failed tool call. Inside an attempt, its message is sent back to the model."""

    kind = "tool"


class LimitError(AttemptError):
    """A limit of the run that was reached. The step is then `limited`, not failed."""

    kind = "limit"
    goes_on = True

    def __init__(self, message: str, *, limit: str, value: float) -> None:
        super().__init__(message)
        self.limit = limit
        """The name of the limit in `limits:`."""
        self.value = value


class NoRoomError(LimitError):
    """A call that does not fit what is left of a limit.

    Its step is limited, and the others continue: the limit of the run is reached when nothing that
    is ready fits.
    """


class TooLargeError(LimitError):
    """A call that would not fit a limit of which nothing was spent. Its step has failed."""

    kind = "too_large"
    goes_on = False


class JournalError(SwarmError):
    """A journal that cannot be read or written."""


class RunNotFoundError(InputError):
    """An id, prefix or folder that belongs to no run."""


class UntrustedRunError(InputError):
    """A run folder that was not started here. `proposal` shows what a resumed run would use, a line each."""

    def __init__(self, *problems: Problem | str, proposal: tuple[str, ...] = ()) -> None:
        super().__init__(*problems)
        self.proposal = proposal


class RunInUseError(SwarmError):
    """A run that another process owns."""

    exit_code = 75


class ApprovalNeededError(SwarmError):
    """A plan that needs approval, without a terminal to ask for it."""

    exit_code = 5


class BugError(SwarmError):
    """An internal error: a bug of this package, never of its user."""

    exit_code = 70
