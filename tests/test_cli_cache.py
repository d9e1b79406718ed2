"""`swarm cache`, `--no-cache` and `--replay`, as a person uses them."""

import os
from pathlib import Path

import pytest

from swarm.testing import Answer
from swarm.testing.fake import Received
from tests.commands import Command, in_process, served

TASK = "goal: How much memory does each service need?\ninputs: [notes/*.md]\nmodels: {default: {endpoint: offline}}\n"
LLAMA = Answer(body={"object": "list", "data": [{"id": "m", "owned_by": "llamacpp"}]})
PROPS = Answer(body={"total_slots": 6, "default_generation_settings": {"n_ctx": 8192}})


@pytest.fixture
def swarm(capsys: pytest.CaptureFixture[str]) -> Command:
    return in_process(capsys)


@pytest.fixture(autouse=True)
def project(empty: Path) -> Path:
    (empty / "notes").mkdir()
    for name, figure in (("mail", 210), ("wiki", 95)):
        (empty / "notes" / f"{name}.md").write_text(f"# {name}\n\n{name} needs {figure} MB of memory.\n")
    (empty / "task.yaml").write_text(TASK)
    return empty


def test_a_second_run_is_free_and_why_tells_of_a_step_that_was_not(swarm: Command, project: Path) -> None:
    assert swarm("cache").out.startswith("0 finished steps")
    first = swarm("run", "task.yaml", "--json").json
    assert first["steps"]["cached"] == 0
    assert swarm("cache", "--json").json["entries"] == 4
    again = swarm("run", "task.yaml", "--json").json
    assert (again["steps"]["cached"], again["usage"]["calls"]) == (4, 0)
    assert again["report"] == first["report"]
    (project / "notes" / "wiki.md").write_text("# wiki\n\nwiki needs 96 MB of memory.\n")
    assert swarm("run", "task.yaml", "--json").json["steps"]["cached"] == 2  # the plan too
    assert "read.1 was taken from the cache" in swarm("cache", "why", "last", "read.1").out
    assert swarm("cache", "why", "last", "read.2").out.strip().endswith("differs in: inputs")
    assert swarm("cache", "why", "last", "read.2", "--json").json["differs"] == ["inputs"]


def test_without_the_cache_nothing_is_taken_and_nothing_kept(swarm: Command) -> None:
    swarm("run", "task.yaml", "--no-cache")
    assert swarm("cache", "--json").json["entries"] == 0
    swarm("run", "task.yaml")
    assert swarm("run", "task.yaml", "--no-cache", "--json").json["steps"]["cached"] == 0


def test_clear_empties_it_and_other_words_are_explained(swarm: Command) -> None:
    swarm("run", "task.yaml")
    assert "removed 4 finished steps" in swarm("cache", "clear").err
    assert swarm("cache", "--json").json["entries"] == 0
    for words, name in (
        (("empty",), "cache"),
        (("why",), "cache why"),
        (("why", "last"), "cache why"),
        (("clear", "everything"), "cache clear"),
    ):
        said = swarm("cache", *words)
        assert (said.code, said.out, len(said.errors)) == (2, "", 1)
        assert said.errors[0].endswith(f"hint: list the options with `swarm {name} --help`")
    assert "started no step 'nobody'" in swarm("cache", "why", "last", "nobody").err


def test_a_replay_gives_the_same_with_no_key_and_no_endpoint(swarm: Command, project: Path) -> None:
    recorded = swarm("run", "task.yaml", "--json").json
    task = TASK.replace("{endpoint: offline}", '{endpoint: offline, key: "${A_KEY_NOBODY_HAS}"}')
    (project / "task.yaml").write_text(task)
    assert "A_KEY_NOBODY_HAS" not in os.environ
    assert swarm("run", "task.yaml").code == 2
    replayed = swarm("run", "task.yaml", "--replay", recorded["run"], "--json")
    assert replayed.code == 0, replayed.err
    for part in ("report", "parallelism", "steps", "usage"):
        assert replayed.json[part] == recorded[part]


@pytest.mark.parametrize("model", ["endpoint: '${NO_URL:-offline}'", "endpoint: offline, calls: '${NO_COUNT:-3}'"])
def test_a_replay_uses_the_defaults_of_variables_that_are_not_set(swarm: Command, project: Path, model: str) -> None:
    (project / "task.yaml").write_text(TASK.replace("endpoint: offline", model))
    recorded = swarm("run", "task.yaml", "--json").json
    replayed = swarm("run", "task.yaml", "--replay", "last", "--json")
    assert replayed.code == 0, replayed.err
    assert replayed.json["report"] == recorded["report"]


def test_a_question_on_the_command_line_is_resumed_and_replayed_without_a_call(swarm: Command, project: Path) -> None:
    asked = ("run", "--goal", "How much memory?", "notes/mail.md", "notes/wiki.md", "--json")
    recorded = swarm(*asked, "--no-cache")
    assert recorded.json["usage"]["calls"] == 4
    assert "unknown steps" not in recorded.err
    replayed = swarm(*asked, "--replay", "last")
    assert replayed.code == 0, replayed.err
    assert replayed.json["report"] == recorded.json["report"]


def test_a_replay_that_leads_elsewhere_names_the_nearest_call(swarm: Command, project: Path) -> None:
    swarm("run", "task.yaml")
    (project / "notes" / "wiki.md").write_text("# wiki\n\nwiki needs 96 MB of memory.\n")
    said = swarm("run", "task.yaml", "--replay", "last")
    assert said.code == 2
    assert "the recorded run made no such call; the nearest is" in said.err
    assert "Traceback" not in said.err


def test_a_replay_makes_no_call_so_it_takes_no_endpoint(swarm: Command) -> None:
    swarm("run", "task.yaml")
    said = swarm("run", "task.yaml", "--replay", "last", "--endpoint", "offline")
    assert (said.code, said.errors) == (2, ["--replay makes no calls\nhint: remove --endpoint and --model"])


def test_what_a_server_reported_of_itself_is_a_fact_of_the_run(swarm: Command, project: Path) -> None:
    """Its name, slots and context are in the journal, so neither a replay nor a resume needs the server for them."""

    def answer(received: Received) -> str | Answer:
        return PROPS if received.path == "/props" else "Both need memory."

    with served(answer, LLAMA) as server:
        (project / "task.yaml").write_text(TASK.replace("endpoint: offline", f"endpoint: {server.url}"))
        (project / "plan.yaml").write_text("- {id: a, prompt: Read.}\n")
        recorded = swarm("run", "task.yaml", "--plan", "plan.yaml", "--json").json
        assert recorded["status"] == "done"
    replayed = swarm("run", "task.yaml", "--plan", "plan.yaml", "--replay", "last", "--json")
    assert (replayed.code, replayed.json["report"]) == (0, recorded["report"]), replayed.err
    resumed = swarm("resume", recorded["run"], "--json")
    assert resumed.json["status"] == "done", resumed.err
    assert "changed since" not in resumed.err
