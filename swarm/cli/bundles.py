"""Options that several commands share, written once: a dataclass in a command's signature."""

import inspect
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import wraps
from typing import Annotated, Any, get_origin, get_type_hints

Signature = list[inspect.Parameter]


def with_bundles(command: Callable[..., int]) -> Callable[..., int]:
    """Replace each dataclass in a command's signature by its options, because typer reads signatures.

    An option is a field whose type is `Annotated`. Other fields keep their defaults.
    """
    signature = inspect.signature(command)
    bundles: dict[str, type] = {
        parameter.name: parameter.annotation
        for parameter in signature.parameters.values()
        if isinstance(parameter.annotation, type) and is_dataclass(parameter.annotation)
    }

    @wraps(command)
    def bundled(**given: Any) -> int:
        for name, bundle in bundles.items():
            given[name] = bundle(**{option.name: given.pop(option.name) for option in _options(bundle)})
        return command(**given)

    parameters: Signature = []
    for parameter in signature.parameters.values():
        parameters += _options(parameter.annotation) if parameter.name in bundles else [parameter]
    keywords = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    setattr(bundled, "__signature__", signature.replace(parameters=keywords))  # noqa: B010 - typer reads it
    bundled.__annotations__ = {}
    return bundled


def _options(bundle: type) -> Signature:
    """List the fields of a bundle that are options."""
    return [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=getattr(bundle, name), annotation=annotation)
        for name, annotation in get_type_hints(bundle, include_extras=True).items()
        if get_origin(annotation) is Annotated
    ]
