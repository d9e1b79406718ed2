"""Python functions as tools: `@tool` reads the name, the arguments and their types, and the docstring."""

import functools
import inspect
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

import anyio.to_thread
from pydantic import PydanticUserError, TypeAdapter, ValidationError

from swarm.base.errors import TaskError, ToolError
from swarm.base.values import Json
from swarm.spec.chat import ToolSpec
from swarm.tools import DEADLINE_SECONDS, Effect, Tool

P = ParamSpec("P")
R = TypeVar("R")

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""What endpoints take for the name of a tool."""
MOST_ERRORS = 10
"""Errors in arguments told at once."""
ERROR_CHARACTERS = 2000
"""Most of a foreign error's words that a model is shown."""
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
"""Parameters that cannot be given by name."""
LITERAL_KEYS = frozenset({"default", "const", "enum", "examples"})
"""Keys of a schema that hold values, not schemas."""


@dataclass(frozen=True)
class FunctionTool(Tool, Generic[P, R]):
    """A function that a model may call, and that can still be called as before."""

    function: Callable[P, R] = field(kw_only=True)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself."""
        return self.function(*args, **kwargs)


@overload
def tool(function: Callable[P, R], /) -> FunctionTool[P, R]: ...


@overload
def tool(
    *, name: str | None = None, effect: Effect = "read", seconds: float = DEADLINE_SECONDS
) -> Callable[[Callable[P, R]], FunctionTool[P, R]]: ...


def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    effect: Effect = "read",
    seconds: float = DEADLINE_SECONDS,
) -> Any:
    """Make a tool of a function with typed arguments, sync or async; use it as `@tool` or `@tool(effect="write")`.

    The docstring describes the tool to the model, its `Args:` the arguments. Arguments are checked strictly against
    their types before the function is called. What it returns reaches the model as it is, if it is text, else as JSON.
    A sync function runs in a thread; one that is still running after `seconds` is left behind, not stopped. Raises
    `TaskError` for a function that cannot be a tool.
    """
    if function is None:
        return functools.partial(_made, name=name, effect=effect, seconds=seconds)
    return _made(function, name=name, effect=effect, seconds=seconds)


def _made(function: Callable[..., Any], *, name: str | None, effect: Effect, seconds: float) -> FunctionTool[..., Any]:
    called: str = name or getattr(function, "__name__", "")
    if not NAME.fullmatch(called):
        raise TaskError(f"{called!r} cannot be the name of a tool: letters, digits, _ and -, at most 64")
    _check_parameters(function, called)
    try:
        adapter: TypeAdapter[dict[str, Any]] = TypeAdapter(cast("Any", _collector(function)))
        schema = adapter.json_schema()
    except (PydanticUserError, NameError) as error:
        raise TaskError(f"tool {called}: an argument's type has no JSON Schema: {error}") from error
    about, arguments = _described(function)
    parameters = _tidy(schema)
    for argument, words in arguments.items():
        if argument in parameters.get("properties", {}):
            parameters["properties"][argument].setdefault("description", words)

    async def run(text: str) -> Json:
        values = _read(adapter, text)
        try:
            if inspect.iscoroutinefunction(function):
                return await cast("Awaitable[Json]", function(**values))
            call = functools.partial(function, **values)
            return await anyio.to_thread.run_sync(call, abandon_on_cancel=True)
        except ToolError:
            raise
        except Exception as error:
            words = str(error)[:ERROR_CHARACTERS]
            raise ToolError(f"{type(error).__name__}: {words}" if words else type(error).__name__) from error

    spec = ToolSpec(name=called, description=about, parameters=parameters)
    return FunctionTool(spec, run, effect, seconds, function=function)


def _check_parameters(function: Callable[..., Any], name: str) -> None:
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in POSITIONAL:
            raise TaskError(f"tool {name}: argument {parameter.name} cannot be given by name")
        if parameter.annotation is inspect.Parameter.empty:
            raise TaskError(f"tool {name}: argument {parameter.name} has no type; a model must be told one")


def _collector(function: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """Make a function of the same arguments that gives them back: what checks them must not call the tool yet."""

    @functools.wraps(function)
    def collect(**values: Any) -> dict[str, Any]:
        return values

    return collect


def _read(adapter: TypeAdapter[dict[str, Any]], text: str) -> dict[str, Any]:
    """Check arguments as the model wrote them. None at all is an empty object."""
    body = text.strip() or "{}"
    if not body.startswith("{"):
        raise ToolError("the arguments must be one JSON object", kind="arguments")
    try:
        return adapter.validate_json(body, strict=True)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        lines = [f"{'.'.join(str(place) for place in e['loc']) or 'arguments'}: {e['msg']}" for e in found]
        more = [f"and {len(lines) - MOST_ERRORS} more"] if len(lines) > MOST_ERRORS else []
        raise ToolError("; ".join([*lines[:MOST_ERRORS], *more]), kind="arguments") from None


def _described(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """Take the description of a function and of its arguments from its docstring."""
    from docstring_parser import parse

    documented = parse(inspect.getdoc(function) or "")
    about = "\n\n".join(part for part in (documented.short_description, documented.long_description) if part)
    return about, {p.arg_name: p.description for p in documented.params if p.description}


def _tidy(schema: Any) -> Any:
    """Take the titles out of a schema: they repeat the names, in every prompt."""
    if isinstance(schema, list):
        return [_tidy(each) for each in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    return {
        key: value if key in LITERAL_KEYS else _tidy(value)
        for key, value in cast("dict[str, Any]", schema).items()
        if not (key == "title" and isinstance(value, str))
    }
