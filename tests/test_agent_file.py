from pathlib import Path

import pytest

from swarm.base.errors import AgentError
from swarm.spec.files import load_task
from swarm.spec.files.agent import builtin_folder, load_agents, load_wording, parse_agent
from swarm.spec.task import Task

FULL = """\
---
name: auditor
description: Checks figures.     # one line
output: {type: array, items: {type: string}}
model: strong
tools: [files]
turns: 6
---

You check figures.

---
A line is no end.
"""


def wrong(text: str) -> list[str]:
    with pytest.raises(AgentError) as caught:
        parse_agent(text, "a.md")
    return str(caught.value).split("\n")


def task_with(folder: Path, files: dict[str, str]) -> Task:
    (folder / "agents").mkdir()
    for name, text in files.items():
        (folder / "agents" / name).write_text(text)
    return Task(goal="x", folder=folder, agents=Path("agents"))


def agent(name: str, instructions: str = "Do it.") -> str:
    return f"---\nname: {name}\n---\n{instructions}\n"


def test_an_agent_is_front_matter_and_instructions() -> None:
    for text in (FULL, FULL.replace("\n", "\r\n"), "\ufeff" + FULL):
        found = parse_agent(text, "auditor.md")
        assert (found.name, found.model, found.tools, found.turns) == ("auditor", "strong", ("files",), 6)
        assert found.output == {"type": "array", "items": {"type": "string"}}
        assert found.instructions.splitlines() == ["You check figures.", "", "---", "A line is no end."]


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("You.", ["a.md:1:1: there is no front matter; begin the file with `---`, `name: …`, `---`"]),
        ("---\nname: a\n", ["a.md:1:1: the front matter has no end; begin the file with"]),
        ("---\n---\nYou.", ["a.md:1:1: is empty; allowed: a mapping with the keys"]),
        ("---\nname: a\n---\n\n", ["a.md:2:1: has no instructions; add them below the front matter"]),
        ("---\nname: a\nname: b\n---\nYou.", ["a.md:3:1: name: duplicate key `name`; it is already in"]),
        ("---\ndescription: a\n---\nYou.", ["a.md:2:1: name: is required but missing"]),
        ("---\nname: a\ninstructions: b\n---\nYou.", ["a.md:3:1: instructions: unknown key; allowed here: descri"]),
        ("---\nname: a\noutput: txt\n---\nYou.", ["a.md:3:9: output: is the text `txt`; allowed: `text`, `plan`, `r"]),
        ("---\nname: a\noutput: {type: strng}\n---\nYou.", ["a.md:3:16: output.type: is not a JSON Schema: `strng`"]),
        (
            "---\nname: Not Good\ntols: []\nturns: 0\ntools: files\n---\n",
            [
                "a.md:2:1: has no instructions",
                "a.md:2:7: name: invalid name `Not Good`; names have",
                "a.md:3:1: tols: unknown key; allowed here: description, model, name, needs_tools, open, output, t",
                "a.md:4:8: turns: is the number 0; allowed: at least 1",
                "a.md:5:8: tools: is the text `files`; allowed: a list",
            ],
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_has_its_place(text: str, messages: list[str]) -> None:
    assert [found[: len(start)] for found, start in zip(wrong(text), messages, strict=True)] == messages


def test_the_built_in_agents_and_phrases_are_there() -> None:
    task = Task(goal="x")
    assert {"planner", "worker", "reducer"} <= set(load_agents(task))
    assert load_agents(task)["planner"].output == "plan"
    assert load_wording(task)["rules"]
    assert (builtin_folder() / "planner.md").is_file()


def test_a_task_adds_agents_and_replaces_them_by_name(tmp_path: Path) -> None:
    files = {"mine.md": agent("worker", "My way."), "auditor.md": FULL, "README.md": "# no agent", "wording.md": "x"}
    agents = load_agents(task_with(tmp_path, files))
    assert agents["worker"].instructions == "My way."
    assert "auditor" in agents
    assert "planner" in agents


def test_problems_of_all_files_come_together(tmp_path: Path) -> None:
    task = task_with(tmp_path, {"a.md": "no", "b.md": agent("same"), "c.md": agent("same"), "d.md": agent("D")})
    with pytest.raises(AgentError) as caught:
        load_agents(task)
    folder = tmp_path / "agents"
    starts = [
        f"{folder}/a.md:1:1: there is no front matter",
        f"{folder}/c.md: name: duplicate agent `same`; it is already in b.md",
        f"{folder}/d.md:2:7: name: invalid name `D`",
    ]
    found = [str(problem) for problem in caught.value.problems]
    assert [message[: len(start)] for message, start in zip(found, starts, strict=True)] == starts


def test_only_a_folder_that_is_there(tmp_path: Path) -> None:
    task = load_task("t.yaml", text="goal: x\nagents: ./roles", environ={}, folder=tmp_path)
    for load in (load_agents, load_wording):
        with pytest.raises(AgentError) as caught:
            load(task)
        assert str(caught.value) == (
            f"t.yaml:2:9: agents: there is no such folder: {tmp_path}/roles; name a folder with one `NAME.md` per agent"
        )


@pytest.mark.parametrize("name", ["n" * 5000, "a\\0b"])
def test_a_folder_no_folder_can_be_called(tmp_path: Path, name: str) -> None:
    with pytest.raises(AgentError, match="there is no such folder"):
        load_agents(load_task("t.yaml", text=f'goal: x\nagents: "{name}"', environ={}, folder=tmp_path))


def test_wording_is_replaced_section_by_section(tmp_path: Path) -> None:
    built_in = load_wording(Task(goal="x"))
    own = "intro for people\n\n## rules\n\nBe kind.\n\n```\n## not a section\n```\n\n## goal\n"
    wording = load_wording(task_with(tmp_path, {"wording.md": own}))
    assert wording["rules"] == "Be kind.\n\n```\n## not a section\n```"
    assert wording["goal"] == ""
    assert {name: text for name, text in wording.items() if name not in {"rules", "goal"}} == {
        name: text for name, text in built_in.items() if name not in {"rules", "goal"}
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("## rules\na\n\n## ruless\nb\n", ":4:1: ruless: unknown section; known sections: "),
        ("## a\n## a\n", ":2:1: duplicate section `a`"),
    ],
)
def test_a_section_that_does_not_exist_or_is_there_twice(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(AgentError) as caught:
        load_wording(task_with(tmp_path, {"wording.md": text}))
    assert str(caught.value).startswith(f"{tmp_path}/agents/wording.md{message}")
    if "ruless" in text:
        assert str(caught.value).endswith("; did you mean `rules`?")
