"""`swarm doctor`: what is installed, set and reachable, and what to do about what is not."""

import os
import platform
import shutil
import subprocess
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from swarm.base.errors import InputError
from swarm.base.machine import file_limit
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
MEGABYTE = 1_000_000
LEAST_SPACE = 500 * MEGABYTE
"""Free bytes below which a long run may not end."""
FEW_FILES = 512
"""Limit of open files below which a run of 300 steps is narrowed."""
WIDTH, INDENT = 100, 26
"""Columns of the page, and those before the words of a finding."""
PROBE_SECONDS = 10.0
"""Maximum seconds of a sandbox that starts and ends."""
WRONG = 1


@dataclass(frozen=True)
class Finding:
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


def page(found: list[Finding]) -> str:
    """Return the findings for people, under their headings, and a last line that counts them."""
    lines: list[str] = []
    for about in dict.fromkeys(each.about for each in found):
        lines += [about, *(line for each in found if each.about == about for line in _lines(each)), ""]
    count = {grade: sum(each.grade == grade for each in found) for grade in ("missing", "wrong")}
    if not any(count.values()):
        return "\n".join([*lines, "Nothing is missing or wrong."])
    return "\n".join([*lines, f"{count['wrong']} wrong, {count['missing']} missing: what helps is below each."])


def _lines(finding: Finding) -> Iterator[str]:
    indent = " " * INDENT
    head = f"  {finding.grade:<8} {finding.name:<14} "
    for text in filter(None, (finding.words, finding.remedy)):
        yield textwrap.fill(text, WIDTH, initial_indent=head, subsequent_indent=indent, break_long_words=False)
        head = indent


def _machine(folder: str | None) -> Iterator[Finding]:
    about = "This machine"
    yield Finding(about, "Python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield Finding(about, "swarm", "ok", f"{__version__} in {Path(__file__).parents[1]}")
    limit = file_limit()
    if limit is None or limit >= FEW_FILES:
        yield Finding(about, "open files", "ok", "no limit" if limit is None else f"at most {limit:,}")
    else:
        words = f"at most {limit:,}: wide runs are narrowed to fit"
        yield Finding(about, "open files", "note", words, "ulimit -n 4096")
    yield _space(about, o.runs_folder(folder))


def _space(about: str, runs: Path) -> Finding:
    where = next(each for each in (runs.absolute(), *runs.absolute().parents) if each.is_dir())
    free = shutil.disk_usage(where).free
    words = f"{free / MEGABYTE:,.0f} MB in {where}"
    if free < LEAST_SPACE:
        remedy = "free some, remove old runs with `swarm rm --older 30d`, or choose another place with --runs DIR"
        return Finding(about, "free space", "wrong", words, remedy)
    if not os.access(where, os.W_OK):
        return Finding(
            about, "free space", "wrong", f"{where} cannot be written", "choose another place with --runs DIR"
        )
    return Finding(about, "free space", "ok", words)


def _extras() -> Iterator[Finding]:
    for extra, (purpose, packages) in EXTRAS.items():
        missing = [name for name in packages if not _is_installed(name)]
        if missing:
            remedy = f'pip install "local-agent-swarm[{extra}]"'
            yield Finding("Extras", extra, "missing", f"{purpose} (not installed: {listing(missing)})", remedy)
        else:
            yield Finding("Extras", extra, "ok", purpose)


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # of the package above it
        return False


def _sandboxes() -> Iterator[Finding]:
    about, name = "Sandbox", "bubblewrap"
    program = shutil.which("bwrap")
    if program is None:
        yield Finding(about, name, "missing", "`bwrap` is not on PATH", "install it: `apt install bubblewrap`")
        return
    why = _failure([program, "--ro-bind", "/", "/", "--unshare-all", "true"])
    if why:
        yield Finding(
            about, name, "wrong", f"{program} does not start: {why}", "allow user namespaces, or use sandlock"
        )
    else:
        yield Finding(about, name, "ok", program)


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


def _models() -> Iterator[Finding]:
    import anyio

    from swarm.endpoints.choose import choose, servers
    from swarm.spec.providers import PROVIDERS

    about = "Models"

    async def chosen() -> "Choice":
        return await choose({}, environ=os.environ)

    choice = _tried(about, "a run uses", lambda: anyio.run(chosen))
    if isinstance(choice, Finding):
        yield choice
    elif why := _wrong_address(choice):
        yield Finding(about, "a run uses", "wrong", f"{choice.why}; {why}", "correct the address")
    else:
        offline = all(model.endpoint == "offline" for model in choice.models.values())
        remedy = (
            "set the key of a provider below, start a local server, or `swarm models get smollm2`" if offline else ""
        )
        yield Finding(about, "a run uses", "note" if offline else "ok", choice.why, remedy)
    for url, names in anyio.run(servers).items():
        yield Finding(about, "local server", "ok", f"{url}: {listing(names, 3)}")
    variables = [name for provider in PROVIDERS for name in provider.keys]
    are_set = [name for name in variables if os.environ.get(name, "").strip()]
    yield Finding(about, "keys set", "ok" if are_set else "note", listing(are_set) if are_set else "none")
    yield Finding(about, "keys not set", "note", listing(name for name in variables if name not in are_set))


def _wrong_address(choice: "Choice") -> str | None:
    """Return why the address of a model is none, or None."""
    from swarm.base.network import wrong_address

    urls = (model.endpoint or "" for model in choice.models.values())
    return next(filter(None, (wrong_address(url) for url in urls if "://" in url)), None)


def _tried(about: str, name: str, look: "Callable[[], Choice]") -> "Choice | Finding":
    """Return what a look finds, or a finding with its error and hint."""
    try:
        return look()
    except InputError as error:
        words, _, hint = str(error).partition("\nhint: ")
        return Finding(about, name, "wrong", words, hint)


def _network() -> Iterator[Finding]:
    from swarm.base.proxy import certificate_problems, proxy_of

    about = "Network"
    for scheme in ("https", "http"):
        try:
            proxy = proxy_of(f"{scheme}://example.com", os.environ)
        except InputError as error:
            words, _, hint = str(error).partition("\nhint: ")
            yield Finding(about, f"{scheme} proxy", "wrong", words, hint)
        else:
            yield Finding(about, f"{scheme} proxy", "ok", "none" if proxy is None else proxy.shown)
    problems = certificate_problems(os.environ)
    for problem in problems:
        words, _, hint = str(problem).partition("\nhint: ")
        yield Finding(about, "certificates", "wrong", words, hint)
    if not problems:
        yield Finding(about, "certificates", "ok", os.environ.get("SSL_CERT_FILE") or "those of Python")


def _folder(folder: str | None) -> Iterator[Finding]:
    from swarm.cli.source import TASK_FILE
    from swarm.record.cache import Cache
    from swarm.record.folder import listed

    about, runs = "This folder", o.runs_folder(folder)
    if Path(TASK_FILE).is_file():
        yield Finding(about, "task", "ok", f"./{TASK_FILE}")
    else:
        yield Finding(about, "task", "note", f"no ./{TASK_FILE}", "create one with `swarm init`")
    found = listed(runs)
    size = sum(each.size() for each in found)
    yield Finding(about, "runs", "ok", f"{len(found):,} in {runs}, {size / MEGABYTE:,.1f} MB")
    kept = Cache(runs.parent / "cache").size()
    yield Finding(about, "cache", "ok", f"{kept.entries:,} finished steps, {kept.bytes / MEGABYTE:,.1f} MB")
