"""`swarm show --claims` and `--claim`, and the count of claims below a report."""

import json
from pathlib import Path

import pytest

import swarm
from swarm.spec.chat import Reply, Request
from swarm.testing import reply
from tests.commands import Command, in_process, make_task

pytestmark = pytest.mark.anyio


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command line in this process."""
    return in_process(capsys)


@pytest.fixture
def folder(empty: Path) -> Path:
    """Make a folder with a small task the current one."""
    return make_task(empty)


def test_the_claims_of_a_report_and_their_places_are_shown(command: Command, folder: Path) -> None:
    ran = command("run", "task.yaml", "--json", "--quiet").json
    claims = ran["report"]["claims"]
    assert {claim["evidence"] for claim in claims if claim["steps"]} == {"supported"}
    listed = command("show", "last", "--claims")
    assert [line.split()[0] for line in listed.out.splitlines()[1:]] == [claim["id"] for claim in claims]
    assert all(len(line) <= 100 for line in listed.out.splitlines())
    assert command("show", "last", "--claims", "--json").json == claims
    first = next(claim for claim in claims if claim["id"] == "c1")
    page = command("show", "--claim", "1")
    assert page.code == 0
    assert page.out.startswith("c1 supported: ")
    found = json.loads(command("show", "--claim", "c1", "--json").out)
    assert (found["claim"], [step["step"] for step in found["steps"]]) == (first, first["steps"])
    (place, *_) = found["steps"][0]["places"]
    lines = (folder / place["input"]).read_text(encoding="utf-8").split("\n")
    assert place["text"].split("\n")[0] in lines[place["first_line"] - 1]
    assert f"{place['input']}:{place['first_line']}" in page.out


def test_an_unknown_claim_exits_2_with_a_hint(command: Command, folder: Path) -> None:
    assert folder.is_dir()
    command("run", "task.yaml", "--quiet")
    said = command("show", "--claim", "999")
    assert (said.code, said.out) == (2, "")
    assert "has no claim `c999`" in said.errors[0]
    assert "--claims" in said.errors[0]


class Wrong:
    """A model whose report has a wrong figure, also when it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def complete(self, request: Request) -> Reply:
        if request.purpose != "report":
            return reply("Lunr needs 40 MB.")
        self.asked += 1
        return reply("Lunr needs 41 MB [a]. Fuse needs 40 MB [a].")


async def test_a_report_that_stays_wrong_is_marked_in_the_result(tmp_path: Path) -> None:
    plan = [{"id": "a", "prompt": "Look."}, {"id": "r", "agent": "reducer", "prompt": "Report.", "after": ["a"]}]
    model = Wrong()
    result = await swarm.run({"goal": "Which?", "plan": plan}, endpoint=model, runs=tmp_path / "runs", cache=False)
    assert model.asked == 2
    assert result.status == "done"
    assert result.report is not None
    assert [(each.id, each.evidence, each.missing) for each in result.report.claims] == [
        ("c1", "unsupported", ("41 MB",)),
        ("c2", "supported", ()),
    ]
    assert result.report.not_found == "1 of 2 claims not found in their sources"
    assert result.to_dict()["report"]["claims"][0]["missing"] == ["41 MB"]
    assert result.provenance("c2").steps[0].text == "Lunr needs 40 MB."
