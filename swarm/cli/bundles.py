"""Options that several commands share, written once: a dataclass in a command's signature."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from functools import wraps
from typing import Annotated, Any, get_args, get_origin, get_type_hints

Signature = list[inspect.Parameter]


@dataclass(frozen=True)
class Option:
    """An option for a field of a dataclass that does not know the command line."""

    annotation: Any
    """The `Annotated` type that typer reads."""
    read: Callable[[Any], Any] | None = None
    """Returns the value of the field from that of the option. None if they are the same."""


@dataclass(frozen=True)
class OptionsOf:
    """Options for fields of a dataclass: the second argument of `Annotated` in a command's signature."""

    fields: Mapping[str, Option]


@dataclass(frozen=True)
class _Bundle:
    """A dataclass in a signature, and its options by field."""

    made: Callable[..., Any]
    fields: Mapping[str, Option]

    @property
    def parameters(self) -> Signature:
        """The options as parameters. Their default is that of the field, or None if that is made by a factory."""
        kind = inspect.Parameter.KEYWORD_ONLY
        return [
            inspect.Parameter(name, kind, default=getattr(self.made, name, None), annotation=option.annotation)
            for name, option in self.fields.items()
        ]

    def make(self, given: dict[str, Any]) -> Any:
        """Take the values of the options out of `given` and return the dataclass."""
        values: dict[str, Any] = {}
        for name, option in self.fields.items():
            value = given.pop(name)
            values[name] = value if option.read is None else option.read(value)
        return self.made(**values)


def with_bundles(command: Callable[..., int]) -> Callable[..., int]:
    """Replace each dataclass in a command's signature by its options, because typer reads signatures.

    An option is a field whose type is `Annotated`, or one that an `OptionsOf` lists. Other fields keep their defaults.
    """
    signature = inspect.signature(command)
    found = {name: _bundle_of(parameter.annotation) for name, parameter in signature.parameters.items()}
    bundles = {name: bundle for name, bundle in found.items() if bundle is not None}

    @wraps(command)
    def bundled(**given: Any) -> int:
        for name, bundle in bundles.items():
            given[name] = bundle.make(given)
        return command(**given)

    parameters: Signature = []
    for name, parameter in signature.parameters.items():
        parameters += bundles[name].parameters if name in bundles else [parameter]
    keywords = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    setattr(bundled, "__signature__", signature.replace(parameters=keywords))  # noqa: B010 - typer reads it
    bundled.__annotations__ = {}
    return bundled


def _bundle_of(annotation: Any) -> _Bundle | None:
    """Return the bundle that an annotation in a signature names, or None if it names an option or something else."""
    if get_origin(annotation) is Annotated:
        made, *others = get_args(annotation)
        listed = next((other for other in others if isinstance(other, OptionsOf)), None)
        return None if listed is None else _Bundle(made, listed.fields)
    if not (isinstance(annotation, type) and is_dataclass(annotation)):
        return None
    hints = get_type_hints(annotation, include_extras=True).items()
    return _Bundle(annotation, {name: Option(hint) for name, hint in hints if get_origin(hint) is Annotated})
