"""Search services as data: what is sent to them, and where the results are in their answers."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, cast
from urllib.parse import urlencode

from pydantic_core import from_json

from swarm.base.errors import Problem, TaskError
from swarm.base.text import listing
from swarm.base.values import Json
from swarm.spec.web import Search
from swarm.spec.yaml.explain import meant
from swarm.tools.web.addresses import RefusedError

MOST_RESULTS = 20
"""Maximum results of one search."""
TEXT_CHARACTERS = 600
"""Maximum characters of a result's text."""


@dataclass(frozen=True)
class Service:
    """One search service, as a task or `search.toml` describes it."""

    settings: Search
    url: str
    key: str
    price: float | None
    """US dollars a search; None if it is unknown."""
    is_own: bool
    """Whether the task names its address: then it may be in the own network."""

    def request(self, query: str, count: int) -> tuple[str, dict[str, str], bytes | None]:
        """Return the address, the headers and the body of a search."""
        values = {"url": self.url.rstrip("/"), "key": self.key, "q": query, "n": str(count)}
        settings = self.settings
        headers = {name: _filled(text, values) for name, text in settings.header.items()}
        if settings.post is None:
            asked = {name: _filled(text, values) for name, text in settings.query.items()}
            return f"{_filled(settings.get or '', values)}?{urlencode(asked)}", headers, None
        body = {name: _typed(_filled(text, values)) for name, text in settings.json_body.items()}
        return (
            _filled(settings.post, values),
            {"Content-Type": "application/json", **headers},
            json.dumps(body).encode(),
        )

    def results(self, content: bytes, count: int) -> str:
        """Return the results of an answer for a model. Raise RefusedError if there are none in it."""
        try:
            rows = _at(from_json(content), self.settings.rows)
        except ValueError:
            raise RefusedError("the search service did not answer in JSON") from None
        if not isinstance(rows, list):
            raise RefusedError("the answer of the search service has no list of results")
        found = [self._shown(n, row) for n, row in enumerate(cast("list[Json]", rows)[:count], 1)]
        return "\n\n".join(found) or "Nothing was found."

    def _shown(self, n: int, row: Json) -> str:
        settings = self.settings
        parts = (_words(_at(row, name)) for name in (settings.title, settings.link, settings.text))
        title, link, text = parts
        return f"{n}. {title}\n{link}\n{text[:TEXT_CHARACTERS]}"


def service_of(search: Search) -> Service:
    """Return the service that a task names or describes. Raise `TaskError`."""
    settings = search if search.use is None else _with_known(search, search.use)
    address = settings.get or settings.post
    if address is None or (settings.get is not None and settings.post is not None):
        raise TaskError(Problem("needs `use`, or one of `get` and `post`", key="web.search"))
    key = "" if settings.key is None else settings.key.get_secret_value()
    _check_filled(settings, {"url": settings.url or "", "key": key})
    price = 0.0 if settings.price is None and not settings.paid else settings.price
    is_own = any((search.url, search.get, search.post))
    return Service(settings, settings.url or "", key, price, is_own)


def _with_known(search: Search, name: str) -> Search:
    """Return the settings of a known service, with what the task says in addition."""
    known = _known()
    if name not in known:
        message = f'"{name[:40]}" is not known; known: {listing(sorted(known))}{meant(name, known)}'
        raise TaskError(Problem(f"{message}, or `get`, `rows` … of your own", key="web.search.use"))
    given = {field: getattr(search, field) for field in search.model_fields_set}
    return Search.model_validate(known[name]).model_copy(update=given)


def _check_filled(settings: Search, values: Mapping[str, str]) -> None:
    """Raise `TaskError` if a request needs a value that is not there."""
    texts = (settings.get or settings.post or "", *settings.header.values(), *settings.query.values())
    for name, value in values.items():
        if not value and any(f"{{{name}}}" in text for text in texts):
            example = {"key": 'key: "${SEARCH_KEY}"', "url": 'url: "http://127.0.0.1:8888"'}[name]
            words = f"{settings.use or 'this service'} needs it, for example `{example}`"
            raise TaskError(Problem(words, key=f"web.search.{name}"))


def _known() -> Mapping[str, dict[str, Any]]:
    return tomllib.loads(files("swarm.tools.web").joinpath("search.toml").read_text(encoding="utf-8"))


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value) if name != "q" else text
    return text.replace("{q}", values["q"])  # last: a query may contain braces


def _typed(text: str) -> Json:
    return int(text) if text.isdecimal() else text


def _at(value: Json, path: str) -> Json:
    """Return the value at a dotted path, or None."""
    for name in path.split("."):
        value = cast("dict[str, Json]", value).get(name) if isinstance(value, dict) else None
    return value


def _words(value: Json) -> str:
    return " ".join(str(value).split()) if isinstance(value, str | int | float) else ""
