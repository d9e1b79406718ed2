"""Tools made of Python functions: `@tool` reads the name, the parameters and the docstring."""

import functools
import inspect
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Any, Generic, ParamSpec, TypedDict, TypeVar, Unpack, cast, get_args, overload

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from swarm.base.errors import TaskError, ToolError
from swarm.base.values import ID_PATTERN, Json
from swarm.spec.chat import ToolSpec
from swarm.tools.called import called
from swarm.tools.kinds import Alone, Effect, Tool, ToolContext, ToolResult
from swarm.tools.place import Place

P = ParamSpec("P")
R = TypeVar("R")

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""Names of tools that endpoints accept."""
MOST_ERRORS = 10
"""Maximum number of errors in arguments that a model sees in one result."""
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
"""Kinds of parameters that cannot be passed by name."""
LITERAL_KEYS = frozenset({"default", "const", "enum", "examples"})
"""Keys of a schema that hold values, not schemas."""


@dataclass(frozen=True)
class FunctionTool(Tool, Generic[P, R]):
    """A function that models may call. Python code can still call it as before."""

    function: Callable[P, R] = field(kw_only=True)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself."""
        return self.function(*args, **kwargs)


class ToolSettings(TypedDict, total=False):
    """What `@tool` takes in addition to the function. What is left out follows from the `effect`."""

    name: str
    """Another name for the model. [default: that of the function]"""
    effect: Effect
    """The most that the tool does outside the run. [default: `read`]"""
    seconds: float
    """Deadline of one call. [default: 60]"""
    label: str | None
    """A label of the task's `labels` that all results carry."""
    stable: bool | None
    """Whether a result may be kept for later runs."""
    shared: bool | None
    """Whether one call may serve all steps that ask the same."""
    alone: Alone | None
    """Which calls wait for a call: `no`, `step` or `run`."""
    price: float
    """US dollars per call."""
    ask: bool | None
    """Whether a person must allow each call. [default: as the task's `approve` says]"""


@overload
def tool(function: Callable[P, R], /) -> FunctionTool[P, R]: ...


@overload
def tool(**settings: Unpack[ToolSettings]) -> Callable[[Callable[P, R]], FunctionTool[P, R]]: ...


def tool(function: Callable[..., Any] | None = None, /, **settings: Unpack[ToolSettings]) -> Any:
    """Make a tool of a function with typed arguments, sync or async. Use it as `@tool` or `@tool(effect="write")`.

    The docstring describes the tool to the model, its `Args:` the arguments. Arguments are
    checked strictly against their types before the function is called. A parameter annotated with
    `ToolContext` or `Place` receives the call or the place of the attempt; models do not see it.
    Text that the function returns reaches the model as it is, a `ToolResult` as its parts, any
    other value as JSON. The settings are those of `ToolSettings`: `name`, `effect`, `seconds`, `label`,
    `stable`, `shared`, `alone`, `price` and `ask`. A sync function runs in a thread; if it is still running
    after `seconds`, it is left behind, not stopped. Raise `TaskError` for a function that cannot be a tool.
    """
    traits: dict[str, Any] = {"effect": "read", **settings}
    name = traits.pop("name", None)
    if traits.get("stable") and traits["effect"] == "network":
        raise TaskError("a tool of effect `network` cannot be `stable`: what it reads changes outside of the run")
    make = functools.partial(_make, name=name, traits=traits)
    return make if function is None else make(function)


def _make(function: Callable[..., Any], *, name: str | None, traits: dict[str, Any]) -> FunctionTool[..., Any]:
    named: Any = name if name is not None else getattr(function, "__name__", "")
    if not isinstance(named, str) or not NAME.fullmatch(named):
        hint = "" if named else "\nhint: name it: `@swarm.tool(name=…)`"
        raise TaskError(
            f"{named!r} cannot be the name of a tool: letters, digits, _ and -, maximum 64 characters{hint}"
        )
    if not callable(function) or inspect.isclass(function):
        raise TaskError(f"tool {named}: {function!r} is no function")
    _check_traits(named, traits)
    _check_parameters(function, named)
    contexts, places = _parameters_of(function, ToolContext), _parameters_of(function, Place)
    try:
        adapter: TypeAdapter[dict[str, Any]] = TypeAdapter(cast("Any", _collector(function, (*contexts, *places))))
        schema = adapter.json_schema()
    except (PydanticUserError, NameError) as error:
        raise TaskError(f"tool {named}: an argument's type has no JSON Schema: {error}") from error
    description, arguments = _described(function)
    parameters = tidied(schema)
    for argument, words in arguments.items():
        if argument in parameters.get("properties", {}):
            parameters["properties"][argument].setdefault("description", words)

    async def run(text: str, context: ToolContext) -> Json | ToolResult:
        values = _read(adapter, text)
        values.update({**dict.fromkeys(contexts, context), **dict.fromkeys(places, context.place)})
        return await called(function, values)

    spec = ToolSpec(name=named, description=description, parameters=parameters)
    if contexts or places:
        traits = traits | {"shared": bool(traits.get("shared"))}  # what it gives depends on the step that asks
    check = functools.partial(_read, adapter)
    return FunctionTool(spec, run, function=function, check=check, **traits)


def _check_traits(name: str, traits: Mapping[str, Any]) -> None:
    """Raise `TaskError` for the first setting of a tool that cannot be."""
    for key, value in traits.items():
        if key not in _TRAITS:
            raise TaskError(f"tool {name}: there is no setting {key!r}; there are name, {', '.join(_TRAITS)}")
        is_right, expected = _TRAITS[key]
        if not is_right(value):
            raise TaskError(f"tool {name}: {key} is {value!r}; expected {expected}")


def _is_number(value: Any, *, least: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and value >= least


def _is_flag(value: Any) -> bool:
    return value is None or isinstance(value, bool)


def _is_label(value: Any) -> bool:
    return value is None or (isinstance(value, str) and re.fullmatch(ID_PATTERN, value) is not None)


_TRAITS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "effect": (lambda value: value in get_args(Effect), "`read`, `write`, `exec` or `network`"),
    "seconds": (lambda value: value == inf or _is_number(value, least=0.001), "a number above 0"),
    "label": (_is_label, "a label of the task's `labels`"),
    "stable": (_is_flag, "True or False"),
    "shared": (_is_flag, "True or False"),
    "alone": (lambda value: value is None or value in get_args(Alone), "`no`, `step` or `run`"),
    "price": (lambda value: _is_number(value, least=0), "a number that is not negative"),
    "ask": (_is_flag, "True or False"),
}
"""What the settings of a tool may be, and in words."""


def _check_parameters(function: Callable[..., Any], name: str) -> None:
    """Raise `TaskError` if a parameter cannot be passed by name or has no type."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError) as error:
        raise TaskError(f"tool {name}: its arguments are not known: {error}") from error
    for parameter in parameters:
        if parameter.kind in POSITIONAL:
            raise TaskError(f"tool {name}: argument {parameter.name} cannot be given by name")
        if parameter.annotation is inspect.Parameter.empty:
            raise TaskError(
                f"tool {name}: argument {parameter.name} has no type\nhint: annotate it; models see its type"
            )


def _parameters_of(function: Callable[..., Any], kind: type) -> tuple[str, ...]:
    """Return the names of the parameters annotated with a class of ours, alone or in a union."""
    parameters = inspect.signature(function).parameters.values()
    return tuple(each.name for each in parameters if _is_annotated(each.annotation, function, kind))


def _is_annotated(annotation: Any, function: Callable[..., Any], kind: type) -> bool:
    if isinstance(annotation, str):  # with `from __future__ import annotations`
        annotation = _named(annotation.partition("|")[0].strip(), function)
    return annotation is kind or kind in get_args(annotation)


def _named(dotted: str, function: Callable[..., Any]) -> Any:
    """Return what a dotted name means in the module of a function, or None."""
    first, *rest = dotted.split(".")
    found = getattr(function, "__globals__", {}).get(first)
    for name in rest:
        found = getattr(found, name, None)
    return found


def _collector(function: Callable[..., Any], hidden: Collection[str]) -> Callable[..., dict[str, Any]]:
    """Return a function with the same parameters, except hidden ones, that returns its arguments.

    It serves to check arguments without a call of the tool.
    """

    @functools.wraps(function)
    def collect(**values: Any) -> dict[str, Any]:
        return values

    signature = inspect.signature(function)
    shown = [each for each in signature.parameters.values() if each.name not in hidden]
    vars(collect)["__signature__"] = signature.replace(parameters=shown)
    collect.__annotations__ = {each.name: each.annotation for each in shown}
    return collect


def _read(adapter: TypeAdapter[dict[str, Any]], text: str) -> dict[str, Any]:
    """Return the arguments as values, after a strict check. An empty text is an empty object."""
    body = text.strip() or "{}"
    if not body.startswith("{"):
        raise ToolError("the arguments must be one JSON object", kind="arguments")
    try:
        return adapter.validate_json(body, strict=True)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        places = [".".join(map(str, each["loc"])) or "arguments" for each in found]
        lines = [f"{place}: {each['msg']}" for place, each in zip(places, found, strict=True)]
        more = [f"and {len(lines) - MOST_ERRORS} more"] if len(lines) > MOST_ERRORS else []
        raise ToolError("; ".join([*lines[:MOST_ERRORS], *more]), kind="arguments") from None


def _described(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """Return the description of a function and of its arguments, from its docstring."""
    from docstring_parser import parse

    documented = parse(inspect.getdoc(function) or "")
    paragraphs = (documented.short_description, documented.long_description)
    description = "\n\n".join(each for each in paragraphs if each)
    return description, {p.arg_name: p.description for p in documented.params if p.description}


def tidied(schema: Any) -> Any:
    """Return a schema without titles: they repeat the names, in every prompt."""
    if isinstance(schema, list):
        return [tidied(each) for each in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    return {
        key: value if key in LITERAL_KEYS else tidied(value)
        for key, value in cast("dict[str, Any]", schema).items()
        if not (key == "title" and isinstance(value, str))
    }
