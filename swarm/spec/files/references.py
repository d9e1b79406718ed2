"""References to the environment in the sections of a task that may have them, and the secrets of a task."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, cast
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel, SecretStr

from swarm.base.errors import Problem
from swarm.base.redaction import MASK, looks_like_key
from swarm.base.settings import cleaned, hidden_character
from swarm.base.text import listing
from swarm.base.values import Json
from swarm.spec.task import Reference, Task
from swarm.spec.yaml.notation import Path, at, scalar

_REFERENCE = re.compile(r"\$(\$\{)|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}$\n]*))?\}|(\$\{[^}]{0,40}\}?)")
_PROVIDER_AND_NAME = re.compile(r"(\$\{[^}]*\}|[^/$]+)/(.+)")
SECTIONS = ("models", "mcp", "web", "otel")
"""Keys of a task whose texts may refer to the environment."""
_TYPED_FIELDS = {"box", "network"}
"""Fields of a server that are no texts."""
_TEXT_FIELDS = {"endpoint", "name", "key", "use", "takes"}
"""Text fields of a model. A value from the environment stays text there, also if it looks like a
number."""
_COPIED_FIELDS = {"endpoint", "name", "use", "takes"}
"""Text fields in which blanks around a value from the environment mean nothing."""
_FREE_FIELDS = {"params", "extra"}
"""Fields with values of any type. A value from the environment becomes a number or boolean if its
reference is not quoted."""
_SECRET_NAME = re.compile(r"(?i)key|token|secret|passw|auth|sig|credential|bearer")


class Resolved(NamedTuple):
    """The value of a task with its references replaced."""

    value: Json
    references: tuple[Reference, ...]
    problems: tuple[Problem, ...]


def resolve(raw: dict[str, Any], plain: Callable[[Path], bool], environ: Mapping[str, str]) -> Resolved:
    """Replace `${NAME}` and `${NAME:-default}` in `SECTIONS`. `$${` is an escaped `${`, everywhere.

    `plain` returns True if the text at a path is not quoted. The default replaces a variable that
    is unset or empty. A problem is such a variable without a default, or a reference elsewhere.
    """
    resolver = _Resolver(plain, environ)
    value: dict[str, Json] = {}
    for key, inner in raw.items():
        if key == "models":
            value[key] = resolver.models(inner)
        elif key in SECTIONS:
            value[key] = resolver.filled(inner, (key,))
        else:
            value[key] = resolver.unescaped(inner, (key,))
    return Resolved(value, tuple(resolver.references), tuple(resolver.problems))


class _Resolver:
    """Replaces references in one task, and collects them with their problems."""

    def __init__(self, plain: Callable[[Path], bool], environ: Mapping[str, str]) -> None:
        self._plain = plain
        self._environ = environ
        self.references: list[Reference] = []
        self.problems: list[Problem] = []

    def unescaped(self, value: Json, path: Path) -> Json:
        """Return a value outside of `SECTIONS`, in which references are errors."""

        def text_without_escapes(text: str, path: Path) -> Json:
            found = [match[0] for match in _REFERENCE.finditer(text) if match[2]]
            if found:
                allowed = listing(f"`{section}:`" for section in SECTIONS)
                message = f"`{found[0]}` reads the environment, which is allowed in {allowed} only"
                self.problems.append(Problem(f"{message}; for literal text write `${found[0]}`", path=path))
            return text.replace("$${", "${")

        return _mapped(value, path, text_without_escapes)

    def models(self, value: Json) -> Json:
        """Return the value of `models:` with its references replaced."""
        filled = _mapped(_expanded(value), ("models",), self._filled)
        for model in mapping(filled).values():
            key = mapping(model).get("key")
            if key == "" or any(text == MASK for _, text in texts(key)):
                del model["key"]  # `${NAME:-}`: the server needs no key; `***`: the key was masked in the journal
        return filled

    def filled(self, value: Json, path: Path) -> Json:
        """Return the value of another section with its references replaced."""
        filled = _mapped(value, path, self._filled)
        search = mapping(mapping(filled).get("search"))
        if path == ("web",) and search.get("key") in ("", MASK):
            del search["key"]  # as in `models:`
        return filled

    def _filled(self, text: str, path: Path) -> Json:
        """Return a text with its references replaced, as a number or boolean if its field takes one."""
        if "${" not in text:
            return text
        problems_before = len(self.problems)
        values: list[SecretStr] = []

        def value_of(match: re.Match[str]) -> str:
            escape, name, default, malformed = match.groups()
            if escape:
                return "${"
            if malformed:
                message = f"`{malformed}` is not a reference; write ${{NAME}} or ${{NAME:-default}}"
                self.problems.append(Problem(message, path=path))
                return ""
            value = self._variable(name, default, path)
            values.append(SecretStr("" if value == default else value))
            return value

        filled = _REFERENCE.sub(value_of, text)
        if not values:
            return filled
        self.references.append(Reference(path=path, text=text, value=SecretStr(filled), secrets=tuple(values)))
        return filled if len(self.problems) > problems_before else self._typed(filled, path)

    def _variable(self, name: str, default: str | None, path: Path) -> str:
        """Return the value of an environment variable, else the default, else nothing and a problem."""
        value = self._environ.get(name, default)
        if value:
            if value.encode("utf-8", "replace").decode() == value:
                return self._copied(name, value, path)
            self.problems.append(Problem(f"the environment variable {name} is not valid UTF-8", path=path))
            return ""
        if default is None:
            state = "is empty" if name in self._environ else "is not set"
            message = f"the environment variable {name} {state}; set it, or add a default: ${{{name}:-…}}"
            self.problems.append(Problem(message, path=path))
        return default or ""

    def _copied(self, name: str, value: str, path: Path) -> str:
        """Return the value of a variable without the blanks around it, if it is an address or a name."""
        if len(path) < 3 or path[2] not in _COPIED_FIELDS or path[:1] != ("models",):
            return value
        value = cleaned(value)
        hidden = hidden_character(value)
        if hidden is not None:
            self.problems.append(Problem(f"the environment variable {name} contains {hidden}", path=path))
        return value

    def _typed(self, text: str, path: Path) -> Json:
        name = path[2] if len(path) > 2 else ""
        if path[:1] != ("models",) and name not in _TYPED_FIELDS:
            return text
        if name in _TEXT_FIELDS or (name in _FREE_FIELDS and not self._plain(path)):
            return text
        try:
            return scalar(text)
        except ValueError as error:
            self.problems.append(Problem(f"the value from the environment is {error}", path=path))
            return text


def _expanded(value: Json) -> Json:
    """Return `models:` with each shorthand expanded: `provider/name`, `URL#name`, `local:PATH` or `offline`."""
    if not isinstance(value, dict):
        return value
    models = cast("dict[str, Any]", value).items()
    return {alias: shorthand(model) if isinstance(model, str) else model for alias, model in models}


def shorthand(text: str) -> dict[str, Json]:
    """Return the settings of a model in shorthand. Its name may contain slashes, or be absent."""
    if text.startswith(("http://", "https://")):
        endpoint, _, name = text.partition("#")
    elif text.startswith("local:"):
        endpoint, name = text, ""
    else:
        found = _PROVIDER_AND_NAME.fullmatch(text)
        endpoint, name = (found[1], found[2]) if found else (text, "")
    return {"endpoint": endpoint, "name": name} if name else {"endpoint": endpoint}


def _mapped(value: Json, path: Path, change: Callable[[str, Path], Json]) -> Json:
    """Return a value in which `change` replaced every text."""
    if isinstance(value, str):
        return change(value, path)
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value).items()
        return {key: _mapped(inner, (*path, key), change) for key, inner in entries}
    if isinstance(value, list):
        return [_mapped(inner, (*path, index), change) for index, inner in enumerate(cast("list[Any]", value))]
    return value


def mapping(value: Json) -> dict[str, Any]:
    """Return a value if it is a mapping, else an empty mapping.

    For values that are not validated yet.
    """
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def texts(value: Json, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield every text in a value, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in cast("dict[str, Any]", value).items():
            yield from texts(inner, (*path, key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(cast("list[Any]", value)):
            yield from texts(inner, (*path, index))


def warnings(raw: dict[str, Any]) -> tuple[Problem, ...]:
    """Return warnings for values in `SECTIONS` that look like keys: they work, but task files get shared."""
    found: list[Problem] = []
    for path, text in texts({section: raw.get(section) for section in SECTIONS}):
        literal = _REFERENCE.sub(lambda match: match[3] or "", text)
        if path[2:3] not in _HASHES and (message := _warning(path[2:3], literal)):
            found.append(Problem(message, path=path))
    return tuple(found)


_HASHES = (("pin",),)
"""Fields of values that look like keys, and are none."""


def _warning(field: Path, literal: str) -> str:
    """Return the warning for the text in a field of a model, without its references; empty if there is none."""
    if field == ("key",) and literal == MASK:
        return "the key is masked in this file; swarm reads the provider's own variable instead"
    if looks_like_key(literal) or (field == ("key",) and literal.startswith("sk-")):
        return "the file contains a key; put it into the environment and write ${NAME} here"
    if field == ("endpoint",) and _url_secrets(literal):
        return "the URL contains a password; put it into the environment and write ${NAME} here"
    return ""


def secrets_of(task: Task) -> tuple[str, ...]:
    """Return every secret of a task in clear, for a `Redactor`.

    Secrets are keys, values from the environment in `params` and `extra`, headers and fields there
    whose names or values look like secrets, passwords and keys in URLs, and of the
    other sections every value from the environment.
    """
    referenced = {reference.path for reference in task.references}
    found: dict[str, None] = dict.fromkeys(_tool_secrets(task))
    for alias, model in task.models.items():
        found |= dict.fromkeys(model.keys)
        found |= dict.fromkeys(_url_secrets(model.endpoint or ""))
        free = {name: getattr(model, name) for name in sorted(_FREE_FIELDS)}
        for path, text in texts(free, ("models", alias)):
            if path in referenced or _is_secret(path[3:], text):
                found[text] = None
    return tuple(text for text in found if text and text != MASK)


def _tool_secrets(task: Task) -> Iterator[str]:
    """Yield the secrets of the other sections: values from the environment, and literal ones that look like secrets."""
    for reference in task.references:
        if reference.path[0] != "models":
            yield from (value.get_secret_value() for value in reference.secrets)
    key = _in_clear(task.web, ("search", "key"))
    if key is not None:
        yield key
    if task.otel is not None:
        yield from _url_secrets(task.otel.url)
        yield from (text for path, text in texts(task.otel.headers) if _is_secret(path, text))
    for server in task.mcp.values():
        yield from _url_secrets(server.url or "")
        for path, text in texts({"env": server.env, "headers": server.headers, "command": server.command}):
            if _is_secret(path[1:], text):
                yield text


def _is_secret(names: Path, text: str) -> bool:
    return looks_like_key(text) or any(_SECRET_NAME.search(str(name)) for name in names)


def as_referenced(task: Task, reference: Reference) -> bool:
    """Check whether a value is still the one from the environment: a model may have been replaced."""
    if reference.path[0] != "models":
        return _in_clear(task, reference.path) == reference.value.get_secret_value()
    _, alias, field, *rest = reference.path
    model = task.models.get(str(alias))
    if model is None:
        return False
    now: Any = getattr(model, str(field), None)
    if field == "key":
        rest, now = rest or [0], model.keys or ("",)
    if isinstance(now, tuple):
        now = list(cast("tuple[Any, ...]", now))
    return at(now, tuple(rest)) == reference.value.get_secret_value()


def _in_clear(value: Any, path: Path) -> Any:
    """Return the value at a path of a model, also if it is hidden; None if there is none."""
    for name in path:
        if isinstance(value, BaseModel):
            value = getattr(value, str(name), None)
        elif isinstance(value, dict):
            value = cast("dict[Any, Any]", value).get(name)
        else:
            inner = cast("tuple[Any, ...]", value) if isinstance(value, tuple) else ()
            value = inner[name] if isinstance(name, int) and name < len(inner) else None
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _url_secrets(url: str) -> tuple[str, ...]:
    try:
        parts = urlsplit(url)
        found = [parts.password or "", (parts.username or "") if parts.password is None else ""]
    except ValueError:
        return ()
    query = parse_qsl(parts.query)
    found += [value for name, value in query if _SECRET_NAME.search(name) or looks_like_key(value)]
    return tuple(filter(None, found))


def masked_url(url: str) -> str:
    """Return a URL with its credentials masked."""
    for secret in _url_secrets(url):
        url = url.replace(secret, MASK)
    return url
