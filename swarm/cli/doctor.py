"""`swarm doctor`: what is installed, set and reachable, and what to do about what is not."""

import os
import platform
import shutil
import subprocess
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from swarm.base.errors import InputError
from swarm.base.machine import file_limit, is_installed
from swarm.base.text import listing
from swarm.base.version import __version__
from swarm.cli import options as o
from swarm.cli.streams import answer, answer_json

if TYPE_CHECKING:
    from swarm.endpoints.choose import Choice

Grade = Literal["ok", "missing", "wrong", "note"]
EXTRAS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "files": (
        "text of PDF, sheets and web pages; .xlsx files",
        ("pypdfium2", "python_calamine", "selectolax", "xlsxwriter"),
    ),
    "local": ("model files on this machine", ("xllamacpp",)),
    "mcp": ("tools of MCP servers; `swarm mcp`", ("mcp",)),
    "otel": ("traces as OpenTelemetry spans", ("opentelemetry.sdk", "opentelemetry.exporter")),
    "sandbox": ("the tools `calculate` and `python`", ("pydantic_monty", "sandlock")),
    "web": ("the tools `web_fetch` and `web_search`", ("protego", "selectolax")),
}
"""What each extra is for, and the packages that it installs."""
MODELS, NETWORK = "Models", "Network"
MEGABYTE = 1_000_000
LEAST_SPACE = 500 * MEGABYTE
"""Free bytes below which a long run may not end."""
FEW_FILES = 512
"""Limit of open files below which a run of 300 steps is narrowed."""
WIDTH, INDENT = 100, 26
"""Columns of the page, and those before the words of a observation."""
PROBE_SECONDS = 10.0
"""Maximum seconds of a sandbox that starts and ends."""
WRONG = 1


@dataclass(frozen=True)
class Observation:
    """One thing that was looked at."""

    about: str
    """The heading under which it is shown."""
    name: str
    grade: Grade
    words: str
    remedy: str = ""


def doctor(folder: o.Runs = None, as_json: o.AsJson = False) -> int:
    """Show what is installed, set and reachable.

    Looks at Python, the extras, the sandbox, the model that a run would use, API keys (set or not, never
    their values), proxies, the cache and free space, and says what to do about what is missing. Makes
    no paid call. Exits with 1 if something that is set is wrong.
    """
    found = [*_machine(folder), *_extras(), *_sandboxes(), *_models(), *_network(), *_folder(folder)]
    if as_json:
        answer_json([asdict(each) for each in found])
    else:
        answer(page(found))
    return WRONG if any(each.grade == "wrong" for each in found) else 0


def page(found: list[Observation]) -> str:
    """Return the observations for people, under their headings, and a last line that counts them."""
    sections: dict[str, list[str]] = {}
    for each in found:
        sections.setdefault(each.about, []).extend(_lines(each))
    count = Counter(each.grade for each in found)
    last = "Nothing is missing or wrong."
    if count["wrong"] or count["missing"]:
        last = f"{count['wrong']} wrong, {count['missing']} missing: what helps is below each."
    return "\n".join([*("\n".join([about, *lines, ""]) for about, lines in sections.items()), last])


def _lines(observation: Observation) -> Iterator[str]:
    indent = " " * INDENT
    head = f"  {observation.grade:<8} {observation.name:<14} "
    for text in filter(None, (observation.words, observation.remedy)):
        yield textwrap.fill(text, WIDTH, initial_indent=head, subsequent_indent=indent, break_long_words=False)
        head = indent


def _machine(folder: str | None) -> Iterator[Observation]:
    about = "This machine"
    yield Observation(about, "Python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield Observation(about, "swarm", "ok", f"{__version__} in {Path(__file__).parents[1]}")
    limit = file_limit()
    if limit is None or limit >= FEW_FILES:
        yield Observation(about, "open files", "ok", "no limit" if limit is None else f"at most {limit:,}")
    else:
        words = f"at most {limit:,}: wide runs are narrowed to fit"
        yield Observation(about, "open files", "note", words, "ulimit -n 4096")
    yield _space(about, o.runs_folder(folder))


def _space(about: str, runs: Path) -> Observation:
    where = next(each for each in (runs.absolute(), *runs.absolute().parents) if each.is_dir())
    free = shutil.disk_usage(where).free
    words = f"{free / MEGABYTE:,.0f} MB in {where}"
    if free < LEAST_SPACE:
        remedy = "free some, remove old runs with `swarm rm --older 30d`, or choose another place with --runs DIR"
        return Observation(about, "free space", "wrong", words, remedy)
    if not os.access(where, os.W_OK):
        return Observation(
            about, "free space", "wrong", f"{where} cannot be written", "choose another place with --runs DIR"
        )
    return Observation(about, "free space", "ok", words)


def _extras() -> Iterator[Observation]:
    for extra, (purpose, packages) in EXTRAS.items():
        missing = [name for name in packages if not is_installed(name)]
        if missing:
            remedy = f'pip install "local-agent-swarm[{extra}]"'
            yield Observation("Extras", extra, "missing", f"{purpose} (not installed: {listing(missing)})", remedy)
        else:
            yield Observation("Extras", extra, "ok", purpose)


def _sandboxes() -> Iterator[Observation]:
    about, name = "Sandbox", "bubblewrap"
    program = shutil.which("bwrap")
    if program is None:
        yield Observation(about, name, "missing", "`bwrap` is not on PATH", "install it: `apt install bubblewrap`")
        return
    why = _failure([program, "--ro-bind", "/", "/", "--unshare-all", "true"])
    if why:
        yield Observation(
            about, name, "wrong", f"{program} does not start: {why}", "allow user namespaces, or use sandlock"
        )
    else:
        yield Observation(about, name, "ok", program)


def _failure(command: list[str]) -> str:
    """Return why a command fails, in its own last words; empty if it succeeds."""
    try:
        done = subprocess.run(  # noqa: S603 - a program of this machine, with fixed arguments
            command, capture_output=True, text=True, timeout=PROBE_SECONDS, check=False, env={"PATH": os.defpath}
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    return last if done.returncode else ""


def _models() -> Iterator[Observation]:
    import anyio

    from swarm.endpoints.choose import servers

    yield _used_model()
    for url, names in anyio.run(servers).items():
        yield Observation(MODELS, "local server", "ok", f"{url}: {listing(names, 3)}")
    yield from _keys()


def _used_model() -> Observation:
    """Return which model a run uses that names none."""
    import anyio

    from swarm.endpoints.choose import choose

    async def chosen() -> "Choice":
        return await choose({}, environ=os.environ)

    name = "a run uses"
    try:
        choice = anyio.run(chosen)
    except InputError as error:
        return _wrong(MODELS, name, str(error))
    if why := _wrong_address(choice):
        return Observation(MODELS, name, "wrong", f"{choice.why}; {why}", "correct the address")
    if any(model.endpoint != "offline" for model in choice.models.values()):
        return Observation(MODELS, name, "ok", choice.why)
    remedy = "set the key of a provider below, start a local server, or `swarm models get smollm2`"
    return Observation(MODELS, name, "note", choice.why, remedy)


def _keys() -> Iterator[Observation]:
    """Yield the names of the key variables, never their values."""
    from swarm.base.settings import cleaned, hidden_character
    from swarm.spec.providers import PROVIDERS

    variables = list(chain.from_iterable(provider.keys for provider in PROVIDERS))
    are_set = [name for name in variables if os.environ.get(name, "").strip()]
    yield Observation(MODELS, "keys set", "ok" if are_set else "note", listing(are_set) if are_set else "none")
    for name in are_set:
        hidden = hidden_character(cleaned(os.environ[name]), blanks=True)
        if hidden is not None:
            yield Observation(MODELS, "keys set", "wrong", f"{name} contains {hidden}", "set it again")
    yield Observation(MODELS, "keys not set", "note", listing(name for name in variables if name not in are_set))


def _wrong_address(choice: "Choice") -> str | None:
    """Return why the address of a model is none, or None."""
    from swarm.base.network import wrong_address

    urls = (model.endpoint or "" for model in choice.models.values())
    return next(filter(None, (wrong_address(url) for url in urls if "://" in url)), None)


def _wrong(about: str, name: str, message: str) -> Observation:
    """Return an error with its hint as the remedy."""
    words, _, hint = message.partition("\nhint: ")
    return Observation(about, name, "wrong", words, hint)


def _network() -> Iterator[Observation]:
    yield _proxy("https")
    yield _proxy("http")
    yield from _certificates()


def _proxy(scheme: str) -> Observation:
    from swarm.base.proxy import proxy_of

    name = f"{scheme} proxy"
    try:
        proxy = proxy_of(f"{scheme}://example.com", os.environ)
    except InputError as error:
        return _wrong(NETWORK, name, str(error))
    return Observation(NETWORK, name, "ok", "none" if proxy is None else proxy.shown)


def _certificates() -> Iterator[Observation]:
    from swarm.base.proxy import certificate_problems

    problems = certificate_problems(os.environ)
    yield from (_wrong(NETWORK, "certificates", str(problem)) for problem in problems)
    if not problems:
        yield Observation(NETWORK, "certificates", "ok", os.environ.get("SSL_CERT_FILE") or "those of Python")


def _folder(folder: str | None) -> Iterator[Observation]:
    from swarm.cli.source import TASK_FILE
    from swarm.record.cache import Cache
    from swarm.record.folder import listed

    about, runs = "This folder", o.runs_folder(folder)
    if Path(TASK_FILE).is_file():
        yield Observation(about, "task", "ok", f"./{TASK_FILE}")
    else:
        yield Observation(about, "task", "note", f"no ./{TASK_FILE}", "create one with `swarm init`")
    found = listed(runs)
    size = sum(each.size() for each in found)
    yield Observation(about, "runs", "ok", f"{len(found):,} in {runs}, {size / MEGABYTE:,.1f} MB")
    kept = Cache(runs.parent / "cache").size()
    yield Observation(about, "cache", "ok", f"{kept.entries:,} finished steps, {kept.bytes / MEGABYTE:,.1f} MB")
