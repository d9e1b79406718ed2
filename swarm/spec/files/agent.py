"""Agent files: Markdown with front matter, the built-in ones and those of a task; and the phrases of `wording.md`."""

import re
from pathlib import Path
from typing import Any, cast

from swarm.base.errors import AgentError, InputError, Problem
from swarm.base.text import clip
from swarm.spec.agent import Agent
from swarm.spec.task import Task
from swarm.spec.yaml.explain import meant, unknown_key
from swarm.spec.yaml.notation import Flaw
from swarm.spec.yaml.schemas import schema_flaws
from swarm.spec.yaml.strict import Document, parse, read_file, validate

WORDING = "wording.md"
"""The file of phrases, beside the agent files."""
_NOT_AGENTS = {"readme.md", WORDING}
_FRONT = re.compile(r"---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)


def builtin_folder() -> Path:
    """Give the folder of the built-in agents: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[2]
    installed = package / "_agents"
    return installed if installed.is_dir() else package.parent / "agents"


def parse_agent(text: str, source: str) -> Agent:
    """Read an agent file: front matter, and below it the instructions. Raises `AgentError` with all problems."""
    text = text.removeprefix("\ufeff")
    front = _FRONT.match(text)
    if front is None:
        wrong = "the front matter has no end: a line `---`" if text.startswith("---") else "there is no front matter"
        raise AgentError(Problem(f"{wrong}; begin with `---`, `name: …`, `---`", where=f"{source}:1:1"))
    document = parse(front.group(1), source=source, line=2, error=AgentError)
    instructions = text[front.end() :].strip()
    flaws: list[Flaw] = []
    value: Any = document.value
    if isinstance(value, dict):
        front_matter = cast("dict[str, Any]", value)
        keys = set(Agent.model_fields) - {"instructions"}
        flaws += [Flaw((k,), unknown_key(k, keys), on_key=True) for k in front_matter if k not in keys]
        if not instructions:
            flaws.append(Flaw((), "has no instructions; write them below the front matter"))
        if isinstance(output := front_matter.get("output"), dict):
            flaws += schema_flaws(output, ("output",))
        document = document.with_value({**front_matter, "instructions": instructions or "none"})
    return validate(Agent, document, error=AgentError, flaws=flaws)


def load_agents(task: Task) -> dict[str, Agent]:
    """Read the built-in agents, then those of the folder the task names; a file of the same name there replaces one.

    Raises `AgentError` with the problems of all files.
    """
    agents = _read_folder(builtin_folder())
    folder = task_folder(task)
    if folder is not None:
        agents |= _read_folder(folder)
    return agents


def task_folder(task: Task) -> Path | None:
    """Give the folder of agents that a task names, if it does. Raises `AgentError` where there is none."""
    if task.agents is None:
        return None
    folder = task.folder / task.agents
    try:
        there, other = folder.is_dir(), folder.exists()
    except OSError:  # a name that is too long
        there = other = False
    if not there:
        wrong = "is not a folder" if other else "there is no such folder"
        message = f"{wrong}: {clip(str(folder), 200)}; it holds one `NAME.md` for each agent"
        raise AgentError(Problem(message, where=_place(task), key="agents"))
    return folder


def _place(task: Task) -> str:
    return task.origin.place(("agents",)) if isinstance(task.origin, Document) else ""


def _read_folder(folder: Path) -> dict[str, Agent]:
    agents: dict[str, Agent] = {}
    places: dict[str, Path] = {}
    problems: list[Problem] = []
    for path in sorted(folder.glob("*.md")):
        if path.name.lower() in _NOT_AGENTS or path.name.startswith("."):
            continue
        try:
            agent = parse_agent(read_file(path, error=AgentError), str(path))
        except InputError as error:
            problems += error.problems
            continue
        if agent.name in places:
            wrong = f"the agent `{agent.name}` is in {places[agent.name].name} already; names are unique in a folder"
            problems.append(Problem(wrong, where=str(path), key="name"))
        agents[agent.name], places[agent.name] = agent, path
    if problems:
        raise AgentError(*problems)
    return agents


def load_wording(task: Task) -> dict[str, str]:
    """Read the phrases that prompts are put together with; a task's own `wording.md` replaces section by section.

    Raises `AgentError` for a section that does not exist, or that is there twice.
    """
    phrases = {name: text for name, (text, _) in _sections(builtin_folder() / WORDING).items()}
    folder = task_folder(task)
    if folder is None or not (folder / WORDING).exists():
        return phrases
    own = _sections(folder / WORDING)
    problems = [
        Problem(f"unknown section; known are {', '.join(sorted(phrases))}{meant(name, phrases)}", where=where, key=name)
        for name, (_, where) in own.items()
        if name not in phrases
    ]
    if problems:
        raise AgentError(*problems)
    return phrases | {name: text for name, (text, _) in own.items()}


def _sections(path: Path) -> dict[str, tuple[str, str]]:
    """Read a file of `## name` sections: for each its text and its place. What stands above the first is for people."""
    found: dict[str, tuple[list[str], str]] = {}
    problems: list[Problem] = []
    lines: list[str] = []
    fenced = False
    for number, line in enumerate(read_file(path, error=AgentError).splitlines(), 1):
        fenced ^= line.startswith(("```", "~~~"))
        if not line.startswith("## ") or fenced:
            lines.append(line)
            continue
        name, lines, where = line[3:].strip(), [], f"{path}:{number}:1"
        if name in found:
            problems.append(Problem(f"the section `{name}` is there twice", where=where))
        found[name] = (lines, where)
    if problems:
        raise AgentError(*problems)
    return {name: ("\n".join(text).strip(), where) for name, (text, where) in found.items()}
