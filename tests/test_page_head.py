"""What a reader of the page of a run sees first, and the order of what comes after it."""

from pathlib import Path

import anyio

from swarm.spec.chat import Reply, Request
from tests.models import Model
from tests.pages import Analyst, opened, record
from tests.test_page import page_of


class Slow(Model):
    """A model that takes a while."""

    async def complete(self, request: Request) -> Reply:
        """Answer after two seconds."""
        await anyio.sleep(2)
        return await super().complete(request)


def test_the_head_has_the_goal_filled_in_and_cut_and_no_claim_that_nobody_cited(tmp_path: Path) -> None:
    goal = "What suits {who}? " + "Say why. " * 100
    plan = {"steps": [{"id": "answer", "prompt": "Answer."}]}
    folder = record(tmp_path, 5, Model({"": "It is 40 MB."}), plan=plan, goal=goal, parameters={"who": "teachers"})
    text = page_of(folder)
    head = text[text.index("<header>") : text.index("</header>")]
    assert "<h1>What suits teachers? Say why." in head
    assert len(head[head.index("<h1>") : head.index("</h1>")]) < 260
    assert head.count("Say why.") > 100, "all of it is there, folded"
    assert "none cited" in head
    assert text.index('id="report"') < text.index('id="claims"') < text.index('id="graph"')


def test_steps_that_ended_alike_are_named_once_and_counted_by_their_status(tmp_path: Path) -> None:
    plan = {"steps": [{"id": "read", "each": list(range(9)), "prompt": "Read {item}."}]}
    text = page_of(record(tmp_path, 5, Analyst(fails=2.0), plan=plan))
    head = text[text.index("<header>") : text.index("</header>")]
    assert head.count(" and 4 more failed: the answer was refused") == 1
    assert head.count(">read.") == 5
    assert "<small>10 failed</small>" in head  # and the report
    assert "`" not in text[text.index('id="why"') : text.index('id="graph"')]


def test_votes_stand_before_their_reader_and_a_citation_of_their_step_is_one_of_them(tmp_path: Path) -> None:
    votes = {"id": "pick", "prompt": "Pick.", "vote": 3}
    plan = {"steps": [votes, {"id": "end", "prompt": "Conclude.", "needs": ["pick"]}]}
    folder = record(tmp_path, 5, Slow({"Conclude": "Take Lucene [pick].", "": "Lucene."}), plan=plan)
    result = opened(folder).result
    assert result.report is not None
    assert result.report.sources == {"c1": ("pick",)}
    assert result.parallelism.evidence == (), "it cites all votes"
    table = page_of(folder).partition('id="t"')[2]
    assert table.index(">pick.1<") < table.index(">end<")
