"""What the user wants: a task, its models and its limits. Reading one from a file is `swarm.spec.files`."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_serializer
from pydantic.json_schema import SkipJsonSchema

from swarm.base.values import Frozen, Id, Json
from swarm.spec.chat import Medium
from swarm.spec.plan import Plan, Step

FORMAT = 1
"""The version of the task format that this package reads."""


class Price(Frozen):
    """List price of a model in US dollars per million tokens."""

    input: float = Field(default=0.0, ge=0)
    """Input that is not cached."""
    output: float = Field(default=0.0, ge=0)
    """Output, reasoning included."""
    cached: float | None = Field(default=None, ge=0)
    """Input taken from the endpoint's own cache; the input price where absent."""


class Model(Frozen):
    """An endpoint, a model name and their settings, under an alias; or a pool of other aliases (`use` alone)."""

    endpoint: str | None = None
    """A base URL, a provider's name, or `offline`."""
    name: str | None = None
    """The model's own name, as its endpoint knows it."""
    key: SecretStr | tuple[SecretStr, ...] | None = None
    """An API key or several, as references: `${NAME}`."""
    calls: int | None = Field(default=None, ge=1, le=10_000)
    """Most calls at once."""
    rpm: int | None = Field(default=None, ge=1)
    """Most calls a minute."""
    tpm: int | None = Field(default=None, ge=1)
    """Most tokens a minute."""
    max_tokens: int = Field(default=4096, ge=1)
    """Output cap of one call. It is always sent. Of a model in a file the default is a quarter of its context."""
    context: int | None = Field(default=None, ge=256)
    """Tokens the model can read and write in one call; else known, probed or learnt."""
    price: Price | None = None
    """What it costs, where the list price is not what you pay."""
    takes: tuple[Medium, ...] | None = None
    """Media it can read, beside text."""
    deadline: float = Field(default=300.0, gt=0, le=86_400)
    """Seconds for one call, however many bytes trickle in. Of a model in a file the default is 1,200."""
    stream: bool = False
    """Whether answers are streamed; some endpoints think only when they are. Of a model in a file they are."""
    params: dict[str, Json] = Field(default_factory=dict)
    """Sampling parameters, sent as given. None is sent that is not here."""
    extra: dict[str, Json] = Field(default_factory=dict)
    """Fields of the request body, passed through."""
    hedge: bool = False
    """Whether a straggling call may be made twice, the first answer winning."""
    warm: bool = False
    """Whether calls that begin alike wait, a moment, for the first token of the first of them, for a prefix cache. Off,
    because it pays only where cached input is cheaper and answers are streamed (`bench/prefix.py`)."""
    use: tuple[Id, ...] | None = Field(default=None, min_length=1)
    """Other aliases, in order; the next when one refuses or is down."""

    @field_serializer("key")
    def _hide(self, key: SecretStr | tuple[SecretStr, ...] | None) -> str | None:
        return None if key is None else "***"

    @property
    def keys(self) -> tuple[str, ...]:
        """The API keys in clear. For the wire only."""
        if self.key is None:
            return ()
        return tuple(k.get_secret_value() for k in (self.key if isinstance(self.key, tuple) else (self.key,)))


class InputSpec(Frozen):
    """An input with more to say than its path."""

    path: str
    """A file, or a glob, relative to the task file."""
    label: Id | None = None
    """A label of `labels:`; the data goes only to the models listed there."""
    as_: Annotated[Medium | None, Field(alias="as")] = None
    """What it is, where the file type does not say."""
    name: str | None = None
    """What plans and reports call it; default: the path as written."""


class Limits(Frozen):
    """What a run may take. Every default is finite but `usd`, which needs a price."""

    workers: int = Field(default=16, ge=1, le=10_000)
    """Attempts in flight at once."""
    steps: int = Field(default=256, ge=1, le=1_000_000)
    """Steps of a run, instances and later waves included."""
    depth: int = Field(default=32, ge=1, le=10_000)
    """Steps in the longest chain of one plan."""
    rounds: int = Field(default=3, ge=1, le=1000)
    """Plans of a run: the first, and those that later waves add."""
    turns: int = Field(default=20, ge=1, le=1000)
    """Model calls in one attempt."""
    tokens: int | None = Field(default=5_000_000, ge=1)
    """Input and output tokens of the run."""
    usd: float | None = Field(default=None, gt=0)
    """US dollars of the run, at list price."""
    seconds: float | None = Field(default=86_400.0, gt=0)
    """Seconds of the run, the report included."""


class Reference(Frozen):
    """A value of `models:` that came from the environment."""

    path: tuple[str | int, ...]
    """Where in the task: `("models", "strong", "key")`."""
    text: str
    """What stands in the file: `${MOONSHOT_API_KEY}`."""
    value: SecretStr = Field(exclude=True)
    """What it gave. Only a value that is still that is written down as its reference again."""


class Task(Frozen):
    """What the user wants."""

    version: Literal[1] = FORMAT
    """The version of this format."""
    goal: str | None = None
    """The question to answer or the work to do. Required unless there is a `plan`."""
    inputs: tuple[str | InputSpec, ...] = ()
    """What agents may read: paths and globs relative to the task file, or mappings."""
    parameters: dict[Id, str | int | float | bool] = Field(default_factory=dict)
    """Values for `{name}` in the goal and in prompts; `--set name=value` overrides."""
    models: dict[Id, Model] = Field(default_factory=dict)
    """Models by alias; `default` is used where nothing else is said."""
    agents: Path | None = None
    """A folder of agent files that add to, or override, the built-in ones."""
    tools: tuple[str, ...] = ()
    """What the run may grant; agents ask for a subset."""
    limits: Limits = Limits()
    """What the run may take."""
    labels: dict[Id, tuple[Id, ...]] = Field(default_factory=dict)
    """For a label, the models that data so labelled may reach."""
    approve: Literal["auto", "ask"] = "auto"
    """`ask`: show the plan first, and run it once a person has said yes."""
    on_failure: Literal["continue", "stop"] = "continue"
    """What a failed step does to the rest: nothing, or an end."""
    swarm: Literal["auto", "always", "never"] = "auto"
    """`never`: one agent does it all."""
    output: tuple[str, ...] | str = ()
    """Files to write the report to; `.md` or `.json` by the name's ending."""
    plan: Plan | tuple[Step, ...] | str | None = None
    """A plan, a bare list of steps, or a plan file: the planner is skipped."""
    folder: SkipJsonSchema[Path] = Field(default=Path(), exclude=True)
    """The folder that relative paths are relative to. Set by the loader; not a key of the file."""
    warnings: SkipJsonSchema[tuple[str, ...]] = Field(default=(), exclude=True)
    """What is allowed and better changed, each with its place. Set by the loader."""
    references: SkipJsonSchema[tuple[Reference, ...]] = Field(default=(), exclude=True, repr=False)
    """What the environment gave. Set by the loader; it is how a secret is written down again as its reference."""
    origin: SkipJsonSchema[Any] = Field(default=None, exclude=True, repr=False)
    """The `strict.Document` it was read from, which knows the place of every key. Set by the loader."""
    plan_origin: SkipJsonSchema[Any] = Field(default=None, exclude=True, repr=False)
    """The `strict.Document` of its plan, where that is a file of its own. Set by the loader."""


class Input(Frozen):
    """One file that agents may read, read."""

    name: str
    """The path as plans write it; unique in the run."""
    medium: Medium = "text"
    mime: str = "text/plain"
    label: Id | None = None
    text: str = ""
    """Its words, if it is text."""
    base64: str = ""
    """Its bytes, if it is not."""
    sha256: str = ""
    """Hash of its bytes."""
    size: int = 0
    """Bytes."""
