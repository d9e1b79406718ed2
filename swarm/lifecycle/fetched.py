"""Inputs that are addresses: fetched by the rules of the web tool, once a run.

A task allows them with `web:` or `tools: [web]`, a caller with `--fetch`. What came is an artifact
of the run, and a fact of its journal: a resume and a replay read that, because the address may give
something else by then.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from itertools import chain
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

import anyio

from swarm.base.errors import Problem, TaskError
from swarm.base.machine import is_installed
from swarm.base.text import clip
from swarm.lifecycle.grants import located
from swarm.lifecycle.options import Options
from swarm.readers.encodings import named
from swarm.readers.kinds import HTML, MIMES, PLAIN, kind_of
from swarm.record.events import KeptFact
from swarm.spec.files.contents import FetchedInput
from swarm.spec.files.inputs import EntryError, Fetch, is_address
from swarm.spec.task import Task
from swarm.spec.web import Web
from swarm.tools.web.addresses import AddressRules, RefusedError, target_of
from swarm.tools.web.fetch import Fetcher, WebAnswer
from swarm.tools.web.kit import FAILED, NAME, NEEDS, PACKAGES, rules_of

MOST_BYTES = 50_000_000
"""Maximum bytes of one address. An agent may fetch a tenth: a person has chosen this one."""
SECONDS = 60.0
"""Maximum seconds of one address, redirects and the wait for other addresses of its host not included."""
MOST_ADDRESSES = 200
"""Maximum addresses of a run: more would take minutes, at one request a second and host."""
AT_ONCE = 8
"""Hosts that are asked at once."""
_KEPT_FROM_RUN = "start a new run to fetch it again"


def addresses(task: Task, options: Options) -> tuple[str, ...]:
    """Return the inputs of a task and its caller that are addresses, as they are written, each once."""
    own = (entry if isinstance(entry, str) else entry.path for entry in task.inputs)
    return tuple(dict.fromkeys(path for path in chain(own, map(str, options.inputs)) if is_address(path)))


def may_fetch(task: Task, options: Options) -> bool:
    """Return whether inputs may be addresses: if the task speaks of the web, or the caller says so."""
    return options.fetch or task.web is not None or any(entry.partition("_")[0] == NAME for entry in task.tools)


async def fetch_of(task: Task, options: Options) -> Fetch | None:
    """Fetch the addresses among the inputs, and return what finds them. None if no address may be an input.

    What a recorded run fetched is taken from there. A replay, and a caller that only looks, send nothing.
    Raise `TaskError` if the rules of the task are wrong.
    """
    if not may_fetch(task, options):
        return None
    _rules(task)
    plain = {address: _plain(address) for address in addresses(task, options)}
    found = await _found(task, options, dict.fromkeys(each for each in plain.values() if isinstance(each, str)))
    return partial(_looked_up, plain, found)


def unfetched(task: Task, options: Options) -> Fetch | None:
    """Return what finds every address, none of them fetched yet. None if no address may be an input."""
    if not may_fetch(task, options):
        return None
    plain = {address: _plain(address) for address in addresses(task, options)}
    found = {url: _pending(url) for url in plain.values() if isinstance(url, str)}
    return partial(_looked_up, plain, found)


def _plain(address: str) -> str | RefusedError:
    """Return an address in its plain form, or what is wrong with it."""
    try:
        return target_of(address).url
    except RefusedError as error:
        return error


def _looked_up(
    plain: Mapping[str, str | RefusedError], found: Mapping[str, FetchedInput], address: str
) -> FetchedInput:
    url = plain[address]
    if isinstance(url, RefusedError):
        raise EntryError(f"`{clip(address)}` cannot be fetched: {url}")
    return found[url]


async def _found(task: Task, options: Options, urls: Iterable[str]) -> dict[str, FetchedInput]:
    """Return what each address gave: in the recorded run, now, or nothing yet."""
    found: dict[str, FetchedInput] = {}
    new: list[str] = []
    for url in urls:
        if (fact := options.kept.get(url)) is not None:
            found[url] = _recalled(fact, options)
        elif options.is_replay:
            found[url] = _missing(url, f"was not fetched by the recorded run\nhint: {_KEPT_FROM_RUN}")
        elif not options.sends:
            found[url] = _pending(url)
        else:
            new.append(url)
    if not new:
        return found
    if len(new) > MOST_ADDRESSES:
        raise TaskError(Problem(f"{len(new):,} addresses; maximum {MOST_ADDRESSES:,}", key="inputs"))
    if not all(map(is_installed, PACKAGES)):
        return found | {url: _missing(url, f"is an address; fetching it {NEEDS}") for url in new}
    return found | await _fetch_all(task, new)


def _recalled(fact: KeptFact, options: Options) -> FetchedInput:
    if fact.because or options.kept_content is None:
        return _missing(fact.path, fact.because)
    return FetchedInput(options.kept_content(fact.sha256), fact.name, fact.path)


def _pending(url: str) -> FetchedInput:
    return FetchedInput(b"", "", url, is_pending=True)


def _missing(url: str, because: str) -> FetchedInput:
    return FetchedInput(b"", "", url, because)


async def _fetch_all(task: Task, urls: Iterable[str]) -> dict[str, FetchedInput]:
    """Fetch addresses: those of one host one after the other, as its turns would let them anyway."""
    fetcher = Fetcher(_rules(task), most=MOST_BYTES, seconds=SECONDS)
    found: dict[str, FetchedInput] = {}
    turns = anyio.Semaphore(AT_ONCE)

    async def fetch(mine: Iterable[str]) -> None:
        async with turns:
            for url in mine:
                found[url] = await _fetched(fetcher, url)

    hosts: dict[str, list[str]] = {}
    for url in urls:
        hosts.setdefault(target_of(url).origin, []).append(url)
    async with anyio.create_task_group() as tasks:
        for mine in hosts.values():
            tasks.start_soon(fetch, mine)
    return found


def _rules(task: Task) -> AddressRules:
    try:
        return rules_of(task.web or Web())
    except TaskError as error:
        raise TaskError(*located(task, error.problems)) from None


async def _fetched(fetcher: Fetcher, url: str) -> FetchedInput:
    """Return what an address gives, or why it gives nothing."""
    try:
        answer = await fetcher.get(url)
    except RefusedError as error:
        because, hint = str(error), "hint: look at the address in a browser, or download it and name the file"
        if "not a public address" in because:
            hint = "hint: to allow it, list it in the task: `web: {private: [ADDRESS]}`"
        return _missing(url, f"cannot be fetched: {because}\n{hint}")
    if answer.status >= FAILED:
        return _missing(url, f"cannot be fetched: it answered with status {answer.status}\n{_advice(answer.status)}")
    name = _name_of(answer)
    return FetchedInput(_in_utf8(answer, name), name, url)


def _advice(status: int) -> str:
    if status in (401, 402, 403, 407):
        return "hint: no key and no cookie is sent; download it with your browser, and name the file"
    if status in (404, 410):
        return "hint: look for the new address"
    return "hint: try again later, or download it and name the file"


def _name_of(answer: WebAnswer) -> str:
    """Return a name for what came: the last part of its address, with an ending that its type stands for."""
    name = PurePosixPath(unquote(urlsplit(answer.url).path)).name or "page"
    ending = next((ending for ending, mime in MIMES.items() if mime == _TYPES.get(answer.kind, answer.kind)), "")
    if not ending or MIMES.get(PurePosixPath(name).suffix.lower()) == MIMES[ending]:
        return name
    return name + ending


_TYPES = {"application/xhtml+xml": "text/html", "text/x-markdown": "text/markdown", "text/json": "application/json"}
"""Other names of types."""


def _in_utf8(answer: WebAnswer, name: str) -> bytes:
    """Return what came; a text whose encoding only the header names in UTF-8, so that it is known from here on."""
    if not answer.charset or kind_of(answer.content, name) not in (HTML, PLAIN):
        return answer.content
    said = named(answer.content, answer.charset)
    return answer.content if said is None else said.text.encode("utf-8", "replace")
