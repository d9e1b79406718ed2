"""A task with its inputs, models and limits. `swarm.spec.files` reads one from a file.

The docstrings of fields are the descriptions in the JSON Schema of a task file, which editors show.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, StringConstraints, WithJsonSchema, field_serializer
from pydantic.json_schema import SkipJsonSchema

from swarm.base.values import Frozen, Id, Json, is_empty
from swarm.spec.chat import Medium
from swarm.spec.otel import Otel
from swarm.spec.plan import Plan, Step
from swarm.spec.servers import Server, ServerName
from swarm.spec.web import Web

FORMAT = 1
"""Version of the task format that this release reads."""


PlaceName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][A-Za-z0-9_.-]{0,69}$")]
"""Name of a model or of a place in `labels`. Names of functions may have capital letters: `tool.readFile`."""


class Price(Frozen):
    """Price of a model in US dollars per million tokens."""

    input: float = Field(default=0.0, ge=0)
    """Price of input that is not cached, in USD per million tokens. Example: 0.6. [default: 0]"""
    output: float = Field(default=0.0, ge=0)
    """Price of output, reasoning included, in USD per million tokens. Example: 2.5. [default: 0]"""
    cached: float | None = Field(default=None, ge=0)
    """Price of input from the endpoint's cache, in USD per million tokens. [default: the price of
    `input`]"""


class Model(Frozen):
    """A model under an alias: endpoint, name and settings; or a pool of other aliases, with `use` only."""

    endpoint: str | None = None
    """Base URL, provider name, `local:PATH` for a GGUF file, or `offline`. Example:
    `http://127.0.0.1:8000/v1`."""
    name: str | None = None
    """Name of the model at its endpoint. Example: `qwen3-32b`."""
    key: SecretStr | tuple[SecretStr, ...] | None = None
    """API key, or a list of keys, as references to the environment. Example:
    `"${MOONSHOT_API_KEY}"`. [default: the provider's own variable]"""
    calls: int | None = Field(default=None, ge=1, le=10_000)
    """Maximum parallel calls. Example: 8. [default: measured during the run]"""
    rpm: int | None = Field(default=None, ge=1)
    """Maximum calls per minute. [default: no limit]"""
    tpm: int | None = Field(default=None, ge=1)
    """Maximum tokens per minute, input and output. [default: no limit]"""
    max_tokens: int = Field(default=4096, ge=1)
    """Maximum output tokens per call; always sent. [default: 4096; for `local:` models a quarter of
    the context]"""
    context: int | None = Field(default=None, ge=256)
    """Context size: tokens of prompt and answer per call. [default: the known, probed or learnt
    size]"""
    price: Price | None = None
    """Your price. [default: the list price, if it is known]"""
    takes: tuple[Medium, ...] | None = None
    """Media that the model accepts in addition to text. Example: `[image]`. [default: what is known
    of the model]"""
    deadline: float = Field(default=300.0, gt=0, le=86_400)
    """Maximum seconds per call, streaming included. [default: 300; for `local:` models 1200]"""
    stream: bool = False
    """Stream the answers. Some endpoints reason only in streamed answers. [default: false; for
    `local:` models true]"""
    params: dict[str, Json] = Field(default_factory=dict)
    """Sampling parameters, sent unchanged. Example: `{temperature: 0}`. [default: none are sent]"""
    extra: dict[str, Json] = Field(default_factory=dict)
    """More fields of the request body, sent unchanged. Example: `{service_tier: flex}`. [default:
    none]"""
    small: bool | None = None
    """Treat it as a small model: short prompts, temperature 0 unless `params` sets it, and plan and
    report by the built-in endpoint unless their agents name a model. [default: true for `local:`
    models, else false]"""
    hedge: bool = False
    """Make a slow call twice and use the first answer. [default: false]"""
    warm: bool = False
    """Let calls that share a prefix wait for the first token of the first one, so that they hit the
    endpoint's prefix cache. Useful only if cached input is cheaper and answers are streamed.
    [default: false]"""
    use: tuple[Id, ...] | None = Field(default=None, min_length=1)
    """Aliases of a pool, in order. The next one is used if one refuses or is down. Example:
    `[local, strong]`."""

    @field_serializer("key")
    def _hide(self, key: SecretStr | tuple[SecretStr, ...] | None) -> str | None:
        return None if key is None else "***"

    @property
    def keys(self) -> tuple[str, ...]:
        """API keys in clear. For the wire only."""
        if self.key is None:
            return ()
        keys = self.key if isinstance(self.key, tuple) else (self.key,)
        return tuple(key.get_secret_value() for key in keys)


class InputSpec(Frozen):
    """An input with settings."""

    path: str
    """File or glob, relative to the task file. Example: `notes/*.md`."""
    label: Id | None = None
    """Label of `labels:`. The data reaches only the models that are listed there."""
    as_: Annotated[Medium | None, Field(alias="as")] = None
    """Medium of the file. [default: according to the file name ending]"""
    name: str | None = None
    """Name in plans and reports. [default: the path]"""


def size_of(value: object) -> object:
    """Return a size such as `512MB` in bytes; anything else as it is."""
    found = re.fullmatch(r"(\d{1,6})\s*([kMG]?)B", value) if isinstance(value, str) else None
    return value if found is None else int(found[1]) * {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}[found[2]]


Bytes = Annotated[
    int,
    BeforeValidator(size_of),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^[0-9]{1,6} ?[kMG]?B$"}]}),
]
"""A number of bytes, or a text such as `512MB`."""


class PythonSpec(Frozen):
    """What the tool `python` may use."""

    venv: Path | None = None
    """Folder of a venv whose Python and packages are used. [default: those that run swarm]"""
    memory: Annotated[Bytes, Field(ge=64_000_000, le=1_000_000_000_000)] = 1_000_000_000
    """Memory of each process, and of all processes of a step together, in bytes. Example: 512MB.
    [default: 1_000_000_000]"""
    seconds: float = Field(default=30.0, gt=0, le=86_400)
    """Maximum seconds of a call, without waiting for a processor. [default: 30]"""
    processes: int = Field(default=32, ge=4, le=10_000)
    """Maximum processes and threads of a step. [default: 32]"""
    disk: Annotated[Bytes, Field(ge=1_000_000, le=1_000_000_000_000)] = 256_000_000
    """Files of a step, in bytes. Example: 64MB. [default: 256_000_000]"""
    network: bool = False
    """Let the code use the network: then `python` is a place of `labels`. [default: false]"""
    ask: bool | None = None
    """Whether a person must allow each call. [default: as `approve` of the task says]"""


USUAL_WORKERS = 16
"""Attempts in parallel that are assumed for `workers: auto` before a run."""
MOST_WORKERS = 300
"""Maximum attempts in parallel with `workers: auto`: what one process serves without being the slow part."""


class Limits(Frozen):
    """Limits of a run. Every default is finite, except `usd`, which requires known prices."""

    workers: Literal["auto"] | Annotated[int, Field(ge=1, le=10_000)] = "auto"
    """Maximum attempts in parallel. `auto`: as many as the endpoints can use, maximum 300. [default: auto]"""
    steps: int = Field(default=256, ge=1, le=1_000_000)
    """Maximum steps of the run, instances of `each` and later plans included. [default: 256]"""
    depth: int = Field(default=32, ge=1, le=10_000)
    """Maximum steps in the longest chain of one plan. [default: 32]"""
    rounds: int = Field(default=3, ge=1, le=1000)
    """Maximum plans of the run: the first, and those that planner steps add. [default: 3]"""
    turns: int = Field(default=20, ge=1, le=1000)
    """Maximum model calls per attempt. [default: 20]"""
    tokens: int | None = Field(default=5_000_000, ge=1)
    """Maximum tokens of the run, input and output. `null`: no limit. [default: 5_000_000]"""
    usd: float | None = Field(default=None, gt=0)
    """Maximum cost of the run in US dollars; requires a known price for every model. Example: 0.5.
    [default: none]"""
    seconds: float | None = Field(default=86_400.0, gt=0)
    """Maximum seconds of the run, report included. `null`: no limit. [default: 86_400]"""

    @property
    def usual_workers(self) -> int:
        """Attempts in parallel that plans and forecasts assume: nobody knows yet what `auto` will be."""
        return USUAL_WORKERS if self.workers == "auto" else self.workers


class Reference(Frozen):
    """A value from the environment."""

    path: tuple[str | int, ...]
    """Path in the task, such as `("models", "strong", "key")`."""
    text: str
    """Text in the file, such as `${MOONSHOT_API_KEY}`."""
    value: SecretStr = Field(exclude=True)
    """The value with everything filled in. A value that changed since is not written as its
    reference again."""
    secrets: tuple[SecretStr, ...] = Field(default=(), exclude=True)
    """The values of its variables."""


class Task(Frozen):
    """A task: goal, inputs, models and limits."""

    version: Literal[1] = FORMAT
    """Version of this format. [default: 1]"""
    goal: str | None = None
    """Question to answer or work to do; `{name}` inserts a parameter. Required unless `plan` is
    set. Example: `How much memory does each service need?`"""
    inputs: tuple[str | InputSpec, ...] = ()
    """Files that agents may read: paths, globs or mappings, relative to the task file. Example:
    `[notes/*.md]`."""
    parameters: dict[Id, str | int | float | bool] = Field(default_factory=dict)
    """Values for `{name}` in the goal and in prompts; `--set name=value` overrides one. Example:
    `{audience: engineers}`."""
    models: dict[Id, Model] = Field(default_factory=dict)
    """Models by alias; `default` is used unless a step or an agent names another one. [default: the
    model that swarm finds] Example: `{default: kimi/kimi-k2.5}`."""
    agents: Path | None = None
    """Folder of agent files that add to the built-in agents or replace them. Example: `./agents`."""
    tools: tuple[str, ...] = ()
    """Names of the tools that the run grants: functions, kits such as `files`, single tools of a kit.
    Each agent uses a subset. [default: none]"""
    web: Web | None = None
    """What the tools of the kit `web` may fetch, and with which search service. Example:
    `{hosts: ["*.europa.eu"]}`."""
    mcp: dict[ServerName, Server] = Field(default_factory=dict, exclude_if=is_empty)
    """MCP servers by name, with the tools of each that the run may use. Example: `{notes: {command:
    [notes-server, ./data], reads: [./data], tools: {search: read}}}`."""
    python: PythonSpec | None = None
    """What the tool `python` may use. Example: `{memory: 512MB, seconds: 10}`. [default: see its keys]"""
    limits: Limits = Limits()
    """Limits of the run. Example: `{workers: 8, tokens: 400_000}`."""
    labels: dict[Id, tuple[PlaceName, ...]] = Field(default_factory=dict)
    """For each label, the models and the places of tools that its data may reach. Example:
    `{private: [local, mcp.notes]}`."""
    otel: Otel | None = None
    """Collector that gets the run as OpenTelemetry spans while it works. Example: `{url:
    "http://127.0.0.1:4318"}`."""
    approve: Literal["auto", "ask", "tools", "all"] = "auto"
    """`ask`: show the plan and its estimate, and run it after approval. `tools`: ask about each call
    of a tool that does more than read. `all`: both. `auto`: run without approval. [default: auto]"""
    patience: float = Field(default=600.0, ge=0, le=86_400)
    """Seconds for which calls wait for an endpoint that has answered and cannot be reached any more. Example: 1800.
    [default: 600]"""
    on_failure: Literal["continue", "stop"] = "continue"
    """`stop`: a failed step ends the run, unless the step is optional. `continue`: independent
    steps still run. [default: continue]"""
    swarm: Literal["auto", "always", "never"] = "auto"
    """`auto`: one agent does the work if the plan gains nothing from a swarm. `never`: no planner,
    one agent. `always`: run the plan as it is. [default: auto]"""
    report: Literal["sections", "summary"] | None = None
    """Form of a report that does not fit one answer of its model. `sections`: as many sections as
    it needs, joined without a model, with a summary above. `summary`: one answer, made from partial
    reports. [default: sections if most outputs are instances of an `each` or have a schema]"""
    output: tuple[str, ...] | str = ()
    """Files to write: `.md` for the report, `.csv` or `.jsonl` for its table, `.json` for the
    result object. Example: `[report.md, rows.csv]`."""
    plan: Plan | tuple[Step, ...] | str | None = None
    """Plan to run instead of calling the planner: a plan, a list of steps, or the path of a plan
    file."""
    folder: SkipJsonSchema[Path] = Field(default=Path(), exclude=True)
    """Folder of relative paths. Set by the loader; not a key of the file."""
    warnings: SkipJsonSchema[tuple[str, ...]] = Field(default=(), exclude=True)
    """Warnings about the file, each with its place. Set by the loader."""
    references: SkipJsonSchema[tuple[Reference, ...]] = Field(default=(), exclude=True, repr=False)
    """Values from the environment, so that a secret is written as its reference again. Set by the
    loader."""
    origin: SkipJsonSchema[Any] = Field(default=None, exclude=True, repr=False)
    """The `strict.Document` of the file, which has the place of every key. Set by the loader."""
    plan_origin: SkipJsonSchema[Any] = Field(default=None, exclude=True, repr=False)
    """The `strict.Document` of the plan file, if there is one. Set by the loader."""

    @property
    def asks_about_plan(self) -> bool:
        """Whether the plan runs only after approval."""
        return self.approve in ("ask", "all")

    @property
    def asks_about_tools(self) -> bool:
        """Whether a person must allow each call of a tool that does more than read, unless the tool says otherwise."""
        return self.approve in ("tools", "all")


TaskSource = str | Path | Task | Mapping[str, Json]
"""A task of a Python program: a task file, a `Task`, or a mapping with the keys of a task file."""


class Input(Frozen):
    """An input file with its content."""

    name: str
    """Name in plans; unique in the run."""
    medium: Medium = "text"
    mime: str = "text/plain"
    label: Id | None = None
    text: str = ""
    """Content of a text file."""
    base64: str = ""
    """Content of an image, audio or video file."""
    sha256: str = ""
    """Hash of the bytes of the file."""
    size: int = 0
    """Size in bytes: of the text if the file was converted to one, else of the file."""
    kind: str = ""
    """Kind of document, such as `PDF`; empty for a text in UTF-8 and for a medium."""
    unit: str = ""
    """What its marks count: `page`, `slide`, `sheet`, `chapter` or `cell`; empty if it has none."""
    count: int = 0
    """Number of those."""
    reader: str = ""
    """Version of the reader that made the text; empty if the bytes are the text."""
    text_sha256: str = ""
    """Hash of the text that the reader made."""
    columns: str = ""
    """Summary of the columns of a table, for planners."""
    path: str = ""
    """Absolute path of the file if its name is not its path in the folder of the task; `-` for standard input."""


class UnreadInput(Frozen):
    """A file, or pages of it, that no step can read."""

    name: str
    """Name as the user wrote it."""
    because: str
    """The reason, in words that follow the name: `is encrypted`."""
    size: int = 0
    """Size of the file in bytes."""
