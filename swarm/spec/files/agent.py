"""Readers of agent files (Markdown with front matter, built-in or of a task) and of the phrases in `wording.md`."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from swarm.base.errors import AgentError, InputError, Problem
from swarm.base.text import clip
from swarm.spec.agent import Agent, SmallPrompts
from swarm.spec.task import Task
from swarm.spec.yaml.explain import meant, unknown_key
from swarm.spec.yaml.schemas import schema_problems
from swarm.spec.yaml.strict import Document, parse, read_file, validate

WORDING = "wording.md"
"""Name of the file of phrases, in the folder of the agent files."""
SMALL = "small"
"""Name of the folder of the prompts for small models, in the folder of the agent files."""
_NOT_AGENTS = {"readme.md", WORDING}
_FRONT = re.compile(r"---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)


def builtin_folder() -> Path:
    """Return the folder of the built-in agents: inside the installed package, or next to it in a checkout."""
    package = Path(__file__).parents[2]
    installed = package / "_agents"
    return installed if installed.is_dir() else package.parent / "agents"


def parse_agent(text: str, source: str) -> Agent:
    """Return the agent of a file: front matter, then instructions.

    Raise AgentError with all problems.
    """
    text = text.removeprefix("\ufeff")
    front = _FRONT.match(text)
    if front is None:
        error = "the front matter has no end" if text.startswith("---") else "there is no front matter"
        raise AgentError(Problem(f"{error}; begin the file with `---`, `name: …`, `---`", where=f"{source}:1:1"))
    document = parse(front.group(1), source=source, line=2, error=AgentError)
    instructions = text[front.end() :].strip()
    problems: list[Problem] = []
    value: Any = document.value
    if isinstance(value, dict):
        front_matter = cast("dict[str, Any]", value)
        keys = set(Agent.model_fields) - {"instructions"}
        unknown = [key for key in front_matter if key not in keys]
        problems += [Problem(unknown_key(key, keys), path=(key,), on_key=True) for key in unknown]
        if not instructions:
            problems.append(Problem("has no instructions; add them below the front matter"))
        if isinstance(output := front_matter.get("output"), dict):
            problems += schema_problems(output, ("output",))
        document = document.with_value({**front_matter, "instructions": instructions or "none"})
    return validate(Agent, document, error=AgentError, problems=problems)


def load_agents(task: Task) -> dict[str, Agent]:
    """Return the agents of a run by name: the built-in ones, replaced or extended by those of the task's folder.

    Raise AgentError with the problems of all files.
    """
    agents = _read_folder(builtin_folder())
    folder = task_folder(task)
    if folder is not None:
        agents |= _read_folder(folder)
    return agents


def task_folder(task: Task) -> Path | None:
    """Return the folder that a task names in `agents:`, or None.

    Raise AgentError if it does not exist.
    """
    if task.agents is None:
        return None
    folder = task.folder / task.agents
    try:
        is_folder, exists = folder.is_dir(), folder.exists()
    except OSError:  # a name that is too long
        is_folder = exists = False
    if not is_folder:
        error = "is not a folder" if exists else "there is no such folder"
        message = f"{error}: {clip(str(folder), 200)}; name a folder with one `NAME.md` per agent"
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
            message = f"duplicate agent `{agent.name}`; it is already in {places[agent.name].name}"
            problems.append(Problem(message, where=str(path), key="name"))
        agents[agent.name], places[agent.name] = agent, path
    if problems:
        raise AgentError(*problems)
    return agents


def load_wording(task: Task) -> dict[str, str]:
    """Return the phrases that prompts are built from, by name. A task's own `wording.md` replaces single sections.

    Raise AgentError for a section that is unknown or repeated.
    """
    phrases = {name: text for name, (text, _) in _sections(builtin_folder() / WORDING).items()}
    folder = task_folder(task)
    return phrases if folder is None else phrases | _own_wording(folder, phrases)


def _own_wording(folder: Path, phrases: Mapping[str, str]) -> dict[str, str]:
    """Return the sections of a folder's `wording.md`. Raise AgentError for one that is unknown."""
    if not (folder / WORDING).exists():
        return {}
    own = _sections(folder / WORDING)
    known = ", ".join(sorted(phrases))
    problems = [
        Problem(f"unknown section; known sections: {known}{meant(name, phrases)}", where=where, key=name)
        for name, (_, where) in own.items()
        if name not in phrases
    ]
    if problems:
        raise AgentError(*problems)
    return {name: text for name, (text, _) in own.items()}


def load_small(task: Task) -> SmallPrompts:
    """Return the prompts for small models: the folder `small` of the built-in agents, then that of the task's agents.

    A role that the task's agents replace, and that has no file in their own `small`, has no small variant. Raise
    AgentError.
    """
    agents, wording = _read_folder(builtin_folder() / SMALL), load_wording(task)
    wording |= {name: text for name, (text, _) in _sections(builtin_folder() / SMALL / WORDING).items()}
    folder = task_folder(task)
    if folder is not None:
        replaced = _read_folder(folder)
        agents = {name: agent for name, agent in agents.items() if name not in replaced}
        agents |= _read_folder(folder / SMALL)
        wording |= _own_wording(folder, wording) | _own_wording(folder / SMALL, wording)
    return SmallPrompts(agents, wording)


def _sections(path: Path) -> dict[str, tuple[str, str]]:
    """Return the text and the place of each `## name` section of a file.

    Lines above the first are for people.
    """
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
            problems.append(Problem(f"duplicate section `{name}`", where=where))
        found[name] = (lines, where)
    if problems:
        raise AgentError(*problems)
    return {name: ("\n".join(text).strip(), where) for name, (text, where) in found.items()}
