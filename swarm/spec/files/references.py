"""What `models:` takes from the environment, and what of it must never be shown."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, cast
from urllib.parse import parse_qsl, urlsplit

from pydantic import SecretStr

from swarm.base.redaction import MASK, looks_like_key
from swarm.base.values import Json
from swarm.spec.task import Reference, Task
from swarm.spec.yaml.notation import Flaw, Path, at, scalar

_REFERENCE = re.compile(r"\$(\$\{)|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}$\n]*))?\}|(\$\{[^}]{0,40}\}?)")
_PROVIDER_AND_NAME = re.compile(r"(\$\{[^}]*\}|[^/$]+)/(.+)")
_TEXT_FIELDS = {"endpoint", "name", "key", "use", "takes"}
"""Fields of a model that are text: a value from the environment stays text there, whatever it looks like."""
_FREE_FIELDS = {"params", "extra"}
"""Fields with values of any type: a value becomes a number or boolean where its reference stands without quotes."""
_SECRET_NAME = re.compile(r"(?i)key|token|secret|passw|auth|sig|credential|bearer")


class Resolved(NamedTuple):
    """A task's value with its references filled in."""

    value: Json
    references: tuple[Reference, ...]
    flaws: tuple[Flaw, ...]


def resolve(raw: dict[str, Any], plain: Callable[[Path], bool], environ: Mapping[str, str]) -> Resolved:
    """Fill `${NAME}` and `${NAME:-default}` in `models:`. `$${` stands for `${` and is nowhere a reference.

    `plain` tells whether the text at a path stands without quotes. A variable that is unset or empty takes the
    default; without one it is a flaw, as is a reference anywhere else.
    """
    work = _Resolving(plain, environ)
    value = {
        key: work.models(inner) if key == "models" else work.elsewhere(inner, (key,)) for key, inner in raw.items()
    }
    return Resolved(value, tuple(work.references), tuple(work.flaws))


class _Resolving:
    def __init__(self, plain: Callable[[Path], bool], environ: Mapping[str, str]) -> None:
        self._plain = plain
        self._environ = environ
        self.references: list[Reference] = []
        self.flaws: list[Flaw] = []

    def elsewhere(self, value: Json, path: Path) -> Json:
        def escaped(text: str, path: Path) -> Json:
            found = [match for match in _REFERENCE.finditer(text) if match[2]]
            if found:
                wrong = f"`{found[0][0]}` reads the environment, which only `models:` may"
                self.flaws.append(Flaw(path, f"{wrong}; for the text itself write `${found[0][0]}`"))
            return text.replace("$${", "${")

        return _mapped(value, path, escaped)

    def models(self, value: Json) -> Json:
        filled = _mapped(_written_out(value), ("models",), self._filled)
        for model in mapping(filled).values():
            key = mapping(model).get("key")
            if key == "" or any(text == MASK for _, text in texts(key)):
                del model["key"]  # `${NAME:-}`: a server that wants no key; `***`: a key that was not written down
        return filled

    def _filled(self, text: str, path: Path) -> Json:
        if "${" not in text:
            return text
        flaws = len(self.flaws)
        used = False

        def fill(match: re.Match[str]) -> str:
            nonlocal used
            escape, name, default, malformed = match.groups()
            if escape:
                return "${"
            if malformed:
                self.flaws.append(
                    Flaw(path, f"`{malformed}` is not a reference; write ${{NAME}} or ${{NAME:-default}}")
                )
                return ""
            used = True
            if given := self._environ.get(name, default):
                if given.encode("utf-8", "replace").decode() != given:  # a lone surrogate became `?`
                    self.flaws.append(Flaw(path, f"the environment variable {name} holds bytes that are not UTF-8"))
                    return ""
                return given
            if default is None:
                self.flaws.append(Flaw(path, _unset(name, name in self._environ)))
            return default or ""

        filled = _REFERENCE.sub(fill, text)
        if not used:
            return filled
        self.references.append(Reference(path=path, text=text, value=SecretStr(filled)))
        return filled if len(self.flaws) > flaws else self._typed(filled, path)

    def _typed(self, text: str, path: Path) -> Json:
        name = path[2] if len(path) > 2 else ""
        if name in _TEXT_FIELDS or (name in _FREE_FIELDS and not self._plain(path)):
            return text
        try:
            return scalar(text)
        except ValueError as error:
            self.flaws.append(Flaw(path, f"the environment gives {error}"))
            return text


def _written_out(value: Json) -> Json:
    """Write out the models that are given in one word: `provider/name`, `URL#name`, `local:PATH` or `offline`."""
    if not isinstance(value, dict):
        return value
    models = cast("dict[str, Any]", value).items()
    return {alias: shorthand(model) if isinstance(model, str) else model for alias, model in models}


def shorthand(text: str) -> dict[str, Json]:
    """Read a model that is given in one word. A name may have slashes of its own; one that is missing is found."""
    if text.startswith(("http://", "https://")):
        endpoint, _, name = text.partition("#")
    elif text.startswith("local:"):
        endpoint, name = text, ""
    else:
        found = _PROVIDER_AND_NAME.fullmatch(text)
        endpoint, name = (found[1], found[2]) if found else (text, "")
    return {"endpoint": endpoint, "name": name} if name else {"endpoint": endpoint}


def _unset(name: str, there: bool) -> str:
    state = "is empty" if there else "is not set"
    return f"the environment variable {name} {state}; set it, or give a default: ${{{name}:-…}}"


def _mapped(value: Json, path: Path, change: Callable[[str, Path], Json]) -> Json:
    """Change every text in a value."""
    if isinstance(value, str):
        return change(value, path)
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value).items()
        return {key: _mapped(inner, (*path, key), change) for key, inner in entries}
    if isinstance(value, list):
        return [_mapped(inner, (*path, index), change) for index, inner in enumerate(cast("list[Any]", value))]
    return value


def mapping(value: Json) -> dict[str, Any]:
    """Give a value if it is a mapping, else an empty one: raw values are looked into before they are checked."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def texts(value: Json, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Give every text in a value, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in cast("dict[str, Any]", value).items():
            yield from texts(inner, (*path, key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(cast("list[Any]", value)):
            yield from texts(inner, (*path, index))


def warnings(raw: dict[str, Any]) -> tuple[Flaw, ...]:
    """Find literals in `models:` that look like keys. They work, and a file with a key in it gets shared."""
    found: list[Flaw] = []
    for path, text in texts(raw.get("models"), ("models",)):
        in_key = len(path) > 2 and path[2] == "key"
        literal = _REFERENCE.sub(lambda match: match[3] or "", text)
        if in_key and literal == MASK:
            found.append(Flaw(path, "the key itself is not in this file; the provider's own variable is read instead"))
        elif looks_like_key(literal) or (in_key and literal.startswith("sk-")):
            found.append(Flaw(path, "a key stands in the file; put it in the environment and write ${NAME} here"))
        elif path[2:] == ("endpoint",) and _url_secrets(literal):
            found.append(Flaw(path, "a password stands in the URL; put it in the environment and write ${NAME} here"))
    return tuple(found)


def secrets_of(task: Task) -> tuple[str, ...]:
    """Give every secret a task holds, in clear, for a `safe.Redactor`.

    These are keys, what the environment gave for `params` and `extra`, headers and fields there whose names or values
    look like secrets, and passwords and keys in endpoint URLs.
    """
    referenced = {reference.path for reference in task.references}
    found: dict[str, None] = {}
    for alias, model in task.models.items():
        found |= dict.fromkeys(model.keys)
        found |= dict.fromkeys(_url_secrets(model.endpoint or ""))
        for name in sorted(_FREE_FIELDS):
            for path, text in texts(getattr(model, name), ("models", alias, name)):
                named = any(_SECRET_NAME.search(str(part)) for part in path[3:])
                if path in referenced or named or looks_like_key(text):
                    found[text] = None
    return tuple(text for text in found if text and text != MASK)


def as_referenced(task: Task, reference: Reference) -> bool:
    """Tell whether a value of `models:` is still the text that its reference gave: a model may have been replaced."""
    _, alias, field, *rest = reference.path
    model = task.models.get(str(alias))
    if model is None:
        return False
    now: Any = getattr(model, str(field), None)
    if field == "key":
        rest, now = rest or [0], model.keys or ("",)
    return (
        at(list(cast("tuple[Any, ...]", now)) if isinstance(now, tuple) else now, tuple(rest))
        == reference.value.get_secret_value()
    )


def _url_secrets(url: str) -> tuple[str, ...]:
    try:
        parts = urlsplit(url)
        found = [parts.password or "", (parts.username or "") if parts.password is None else ""]
    except ValueError:
        return ()
    found += [v for k, v in parse_qsl(parts.query) if _SECRET_NAME.search(k) or looks_like_key(v)]
    return tuple(filter(None, found))


def masked_url(url: str) -> str:
    """Give a URL without the credentials in it."""
    for secret in _url_secrets(url):
        url = url.replace(secret, MASK)
    return url
