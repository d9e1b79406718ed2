"""The documents are true: paths and links exist, and the blocks of every page run. CONTRIBUTING.md says how."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))))
"""What users read. The blocks of these pages are run."""
DOCUMENTS = (*PAGES, "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "bench/README.md", "agents/README.md")
LANGUAGES = {"python", "yaml", "sh", "markdown", "json", "text", "console"}
FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PATH = re.compile(r"`(?!\d+/\d)((?:[\w.-]+/)+[\w.*-]*|[\w-]+\.(?:md|toml|txt|py))`")
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)")
HEADING = re.compile(r"^#+ (.+?)\s*$", re.MULTILINE)
ENDPOINT = re.compile(r"(\bendpoint: *)(\"[^\"]*\"|[^\s,}]+)")
NOT_IN_A_CHECKOUT = {
    ".venvs/",
    "report.md",
    "task.yaml",
    "plan.yaml",
    "report.html",
    ".swarm/",
    ".swarm/cache/",
    ".swarm/runs/",
    ".swarm/runs",
    "replaced/",
    ".swarm/plans/",
    "steps/",
    "artifacts/",
    "folder/**",
    "kimi/kimi-k2.5",
    "openrouter/auto",
}
"""Names in documents that are files of a run, files of a user, or no files at all."""
SAMPLES = {
    "notes/search.md": "# Search\n\nThe search service needs 12 GB of memory and 2 disks.\n",
    "notes/mail.md": "# Mail\n\nThe mail service needs 3 GB of memory and 1 disk.\n",
    "notes/wiki.md": "# Wiki\n\nThe wiki needs 5 GB of memory. It is read more than it is written.\n",
}
"""Files that the commands of a page may read, in addition to `examples/`."""
PROGRAM = """
import ast, inspect, sys
code = compile(sys.stdin.read(), "page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
if code.co_flags & inspect.CO_COROUTINE:
    import anyio
    async def main():
        await eval(code, {"__name__": "__main__"})
    anyio.run(main)
else:
    exec(code, {"__name__": "__main__"})
"""
COMMANDS = """
import json, sys
from swarm.cli import main
for arguments in json.load(sys.stdin):
    code = main(arguments)
    if code:
        sys.exit(f"exit {code}: swarm {' '.join(arguments)}")
"""


@dataclass(frozen=True)
class Block:
    """One fenced block of a document."""

    language: str
    text: str
    line: int

    @property
    def name(self) -> str:
        """The file name on its first line, as in `# task.yaml`; empty without one."""
        named = re.match(r"# ([\w./-]+\.ya?ml)\s*\n", self.text)
        return named.group(1) if named else ""


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def blocks(text: str) -> Iterator[Block]:
    """Find the fenced blocks of a Markdown text."""
    for fence in FENCE.finditer(text):
        yield Block(fence.group(1).strip(), fence.group(2), text.count("\n", 0, fence.start()) + 1)


def commands(text: str) -> Iterator[list[str]]:
    """List the lines of a shell block that run the command: continued lines joined, endpoints replaced by offline."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words and words[0] in ("swarm", ".venv/bin/swarm"):
            yield ["swarm", *("offline" if before == "--endpoint" else word for before, word in pairwise(words))]


def offline(text: str) -> str:
    """Replace every endpoint of a task file by offline."""
    return ENDPOINT.sub(r"\1offline", text)


def anchors(text: str) -> set[str]:
    """List the anchors of a document's headings, as code hosts make them."""
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(FENCE.sub("", text)))
    return {word.replace(" ", "-") for word in words}


def sandbox(folder: Path) -> dict[str, str]:
    """Lay out a folder for the commands of a page; return their environment."""
    if (ROOT / "examples").is_dir():
        shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__", ".swarm"))
    for name, text in SAMPLES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    for block in blocks(text_of("README.md")):
        write(block, folder)
    programs = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "SWARM_ENDPOINT": "offline", "BROWSER": "true"}


def execute(block: Block, folder: Path, environment: Mapping[str, str]) -> list[str]:
    """Run a block in a folder; list what went wrong. The commands of a block share a process: imports are slow."""
    program, text = PROGRAM, block.text
    if block.language == "sh":
        program, text = COMMANDS, json.dumps([command[1:] for command in commands(block.text)])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=folder, env=environment, input=text, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return [] if done.returncode == 0 else [f"line {block.line}: exit {done.returncode}\n{done.stderr}"]


def write(block: Block, folder: Path) -> None:
    """Put a named block where the ones after it look for it."""
    if block.language == "yaml" and block.name:
        (folder / block.name).parent.mkdir(parents=True, exist_ok=True)
        (folder / block.name).write_text(offline(block.text))
    elif block.language == "markdown" and block.text.startswith("---\n"):
        named = re.search(r"^name: *([\w.-]+)", block.text, re.MULTILINE)
        assert named, f"line {block.line}: an agent has a name"
        (folder / "agents").mkdir(exist_ok=True)
        (folder / "agents" / f"{named.group(1)}.md").write_text(block.text)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_exists(document: str) -> None:
    here = (ROOT / document).parent
    named = set(PATH.findall(text_of(document))) - NOT_IN_A_CHECKOUT - SAMPLES.keys()
    missing = [path for path in sorted(named) if not any(place.joinpath(path).exists() for place in (ROOT, here))]
    assert [path for path in missing if not ("*" in path and list(ROOT.glob(path)))] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_to_a_file_and_a_heading(document: str) -> None:
    broken: list[str] = []
    for path, anchor in LINK.findall(FENCE.sub("", text_of(document))):
        target = (ROOT / document).parent / path if path else ROOT / document
        if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            broken.append(f"{path}#{anchor}")
    assert broken == []


def test_every_page_is_linked_from_the_readme_or_another_page() -> None:
    linked = {
        (ROOT / page).parent.joinpath(path).resolve() for page in PAGES for path, _ in LINK.findall(text_of(page))
    }
    assert [page for page in PAGES if page != "README.md" and (ROOT / page).resolve() not in linked] == []


def test_every_command_of_a_promise_selects_a_test() -> None:
    named = [words.split() for words in re.findall(r"`pytest ([^`]+)`", text_of("docs/promises.md"))]
    assert len(named) >= 7
    for words in named:
        files = [word for word in words if word.endswith(".py")]
        texts = [text_of(file).lower() for file in files]  # a file that is missing fails here
        for before, word in pairwise(words):
            assert before != "-k" or any(word.lower() in text for text in texts), f"{word}: in none of {files}"


def test_architecture_names_every_module() -> None:
    text = text_of("ARCHITECTURE.md")
    children = [path for path in (ROOT / "swarm").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    expected = [f"swarm/{path.name}" + ("/" if path.is_dir() else "") for path in children]
    assert [name for name in sorted(expected) if f"`{name}`" not in text] == []


def test_where_is_what_is_asked_for_most() -> None:
    section = text_of("CONTRIBUTING.md").partition("## Where is …?\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| Where ")]
    assert len(rows) >= 10
    for row in rows:
        quoted = re.findall(r"`([^`]+)`", row)
        texts = [text_of(name) for name in quoted if name.startswith("swarm/")]  # a file that is missing fails here
        names = [part for name in quoted if "/" not in name for part in name.split(".")]
        assert texts, row
        assert [name for name in names if not any(re.search(rf"\b{name}\b", text) for text in texts)] == [], row


def test_architecture_is_two_pages() -> None:
    assert len(text_of("ARCHITECTURE.md").splitlines()) <= 120


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_block_says_what_it_is(document: str) -> None:
    found = list(blocks(text_of(document)))
    assert [f"line {block.line}: {block.language!r}" for block in found if block.language not in LANGUAGES] == []


@pytest.mark.parametrize("page", PAGES)
def test_yaml_blocks_load(page: str, tmp_path: Path) -> None:
    from swarm.spec.files import load_plan, load_task
    from swarm.spec.yaml.strict import read

    found = [block for block in blocks(text_of(page)) if block.language in ("yaml", "markdown")]
    if not found:
        return
    sandbox(tmp_path)
    for block in found:
        write(block, tmp_path)
    for number, block in enumerate(block for block in found if block.language == "yaml"):
        value = read(block.text, source=f"{page}:{block.line}").value
        path = tmp_path / (block.name or f"block-{number}.yaml")
        path.write_text(block.text if value.keys() & {"goal", "plan", "steps"} else f"goal: Anything.\n{block.text}")
        if "steps" in value:
            load_plan(path)
        else:
            environ = dict.fromkeys(re.findall(r"\$\{(\w+)", block.text), "http://127.0.0.1:9")
            load_task(path, environ=environ)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_runs(page: str, tmp_path: Path) -> None:
    text = text_of(page)
    found = list(blocks(text))
    if not any(block.language in ("python", "sh") for block in found):
        return
    environment = {**sandbox(tmp_path), **dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "unused")}
    wrong: list[str] = []
    for block in found:
        write(block, tmp_path)
        if block.language in ("python", "sh"):
            wrong += execute(block, tmp_path, environment)
    assert wrong == [], "\n".join(wrong)


def test_the_runner_sees_what_fails(tmp_path: Path) -> None:
    environment = sandbox(tmp_path)
    assert execute(Block("python", "import anyio\nawait anyio.sleep(0)\n", 1), tmp_path, environment) == []
    assert "exit 1" in execute(Block("python", "1 / 0\n", 7), tmp_path, environment)[0]
    assert execute(Block("sh", "swarm no-such-command\n", 3), tmp_path, environment) != []
    assert execute(Block("sh", "make demo  # not ours to run\n", 3), tmp_path, environment) == []


def test_commands_are_read_as_a_shell_reads_them() -> None:
    text = (
        "make demo\nswarm run task.yaml \\\n  --endpoint http://127.0.0.1:8000/v1  # a real one\n.venv/bin/swarm runs\n"
    )
    assert list(commands(text)) == [["swarm", "run", "task.yaml", "--endpoint", "offline"], ["swarm", "runs"]]


def test_endpoints_in_files_are_replaced() -> None:
    text = 'default: {endpoint: http://127.0.0.1:8000/v1, name: x}\nb:\n  endpoint: "${URL:-kimi}"\n  name: y\n'
    assert offline(text) == "default: {endpoint: offline, name: x}\nb:\n  endpoint: offline\n  name: y\n"


def test_blocks_are_found() -> None:
    text = "a\n```yaml\n# task.yaml\ngoal: x\n```\n```sh\nswarm runs\n```\n"
    assert [(block.language, block.name, block.line) for block in blocks(text)] == [
        ("yaml", "task.yaml", 2),
        ("sh", "", 6),
    ]


def test_anchors_are_those_of_code_hosts() -> None:
    assert anchors("# A b\n## Images, audio and video\n```sh\n# not one\n```\n") == {"a-b", "images-audio-and-video"}
