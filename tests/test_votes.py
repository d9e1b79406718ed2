"""Votes on lists, tables and objects: the majority decides each entry and each cell."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import swarm
from swarm.base.errors import EndpointRefused
from swarm.scheduling.votes import voted
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Limits, Task
from tests.test_checks import Office

A, B, C = {"name": "Alpha", "n": 1}, {"name": "Beta", "n": 2}, {"name": "Gamma", "n": 3}


def of(*votes: Any, **more: Any) -> tuple[Any, bool]:
    found = voted(votes, **more)
    return found.value, found.is_decided


class TestEntries:
    @pytest.mark.parametrize(
        ("votes", "expected", "is_decided"),
        [
            ([["a", "b"], ["b", "c"], ["c", "b"]], ["b", "c"], True),
            ([["a", "b"], ["b", "a"], ["A ", "x"]], ["a", "b"], True),
            ([["b", "c"], ["a", "b"], ["a", "c"]], ["a", "b", "c"], True),
            ([["a", "a", "b"], ["a", "a"], ["a", "b"]], ["a", "a", "b"], True),
            ([["a", "a"], ["a"], ["a"]], ["a"], True),
            ([[], [], ["a"]], [], True),
            ([["a"], ["b"], ["c"]], [], True),
            ([["a", "b"], ["a", "c"]], ["a", "c", "b"], False),
            ([[1, "1,000"], [1000, 1.0], [2]], [1, "1,000"], True),
            ([[A, B], [B, A], [C]], [A, B], True),
        ],
    )
    def test_an_entry_needs_more_than_half_of_the_votes(self, votes: Any, expected: Any, is_decided: bool) -> None:
        assert of(*votes) == (expected, is_decided)

    def test_the_cells_of_a_row_are_decided_one_by_one(self) -> None:
        votes = [[{"name": "Alpha", "n": 1, "m": None}, B], [B, {"name": "ALPHA", "n": 9, "m": 5}], [{**A, "m": 5}]]
        assert of(*votes) == ([{"name": "Alpha", "n": 1, "m": 5}, B], True)

    def test_a_key_of_several_fields_makes_rows_equal(self) -> None:
        one, two = {"c": "x", "y": 2020, "n": 1}, {"c": "x", "y": 2021, "n": 2}
        votes = [[one, two], [two, {**one, "n": 5}], [{**one, "y": "2,020", "n": 5}, two]]
        assert of(*votes, key=("c", "y")) == ([{**one, "n": 5}, two], True)

    def test_most_empty_cells_leave_a_cell_empty(self) -> None:
        votes = [[{"name": "a", "n": None}], [{"name": "a", "n": "n/a"}], [{"name": "a", "n": 4}]]
        assert of(*votes) == ([{"name": "a", "n": None}], True)

    def test_rows_that_no_field_tells_apart_are_whole_entries(self) -> None:
        rows = [{"t": "a", "n": 1}, {"t": "a", "n": 2}]
        assert of(rows, rows[:1], [{"t": "a", "n": 3}]) == (rows[:1], True)

    def test_objects_are_decided_by_field_and_lists_in_them_by_entry(self) -> None:
        votes = [
            {"n": 1, "tags": ["x", "y"], "in": {"a": 1, "b": 2}},
            {"n": 1, "tags": ["y", "z"], "in": {"a": 1, "b": 3}},
            {"n": 2, "tags": ["z"], "in": {"a": 7, "b": 3}},
        ]
        assert of(*votes) == ({"n": 1, "tags": ["y", "z"], "in": {"a": 1, "b": 3}}, True)

    def test_what_is_undecided_is_that_of_the_chosen_vote(self) -> None:
        votes = [[{"name": "a", "n": n}] for n in (1, 2, 3)]
        assert of(*votes) == ([{"name": "a", "n": 1}], False)
        assert of(*votes, chosen=2) == ([{"name": "a", "n": 3}], False)
        assert of(["a", "b"], ["a"], chosen=1) == (["a"], False)
        assert of("x", "y", "z", chosen=1) == ("y", False)

    def test_a_value_that_does_not_match_the_schema_is_not_made(self) -> None:
        schema: dict[str, Any] = {"type": "array", "items": {"type": "string"}, "minItems": 2}
        votes = [["a", "b"], ["c", "d"], ["e", "a"]]
        assert of(*votes, schema=schema) == (["a", "b"], False)

    def test_no_votes_and_votes_of_different_kinds(self) -> None:
        assert of() == (None, False)
        assert of(["a"], {"a": 1}, "a") == (["a"], False)


@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=5), min_size=3, max_size=5), st.randoms())
def test_which_entries_are_kept_does_not_depend_on_the_order_of_votes(
    votes: list[list[str]], chance: random.Random
) -> None:
    if len(votes) % 2 == 0:
        votes.pop()
    shuffled = chance.sample(votes, len(votes))
    assert sorted(of(*votes)[0]) == sorted(of(*shuffled)[0])


def test_a_thousand_rows_are_counted() -> None:
    rows = [{"name": f"Item {n}", "n": n} for n in range(1_000)]
    votes = [[row if n % 97 else {**row, "n": -1} for n, row in enumerate(rows[k:] + rows[:k])] for k in (0, 5, 11)]
    value, is_decided = of(*votes)
    assert (is_decided, {row["name"]: row["n"] for row in value}) == (True, {row["name"]: row["n"] for row in rows})


ROWS: dict[str, Any] = {
    "type": "array",
    "items": {"type": "object", "properties": {"name": {"type": "string"}, "n": {"type": "integer"}}},
}
VOTED = Step(id="read", prompt="List them.", inputs=("n.md",), vote=3, output=ROWS)


async def run(folder: Path, office: Office, step: Step = VOTED, **more: Any) -> swarm.Result:
    (folder / "n.md").write_text("The wiki needs 5 GB of memory.")
    task = Task(goal="x", inputs=("n.md",), plan=Plan(steps=(step,)), folder=folder, limits=Limits(workers=1), **more)
    return await swarm.run(task, endpoint=office.endpoint)


@pytest.mark.anyio
class TestRuns:
    async def test_rows_of_three_attempts_become_one_table_without_a_critic(self, tmp_path: Path) -> None:
        office = Office([[A, B], [{**B, "n": 7}, A], [C, B]], [])
        result = await run(tmp_path, office)
        assert (result.status, office.kinds) == ("done", ["work"] * 3)
        assert result.report is not None
        assert result.report.value == [A, B]

    async def test_a_critic_decides_only_what_has_no_majority(self, tmp_path: Path) -> None:
        votes = [[A, {**B, "n": n}] for n in (4, 5, 6)]
        office = Office([*votes[:2], [{**A, "n": 9}, votes[2][1]]], [{"choice": "read.3"}])
        result = await run(tmp_path, office)
        assert office.kinds == ["work"] * 3 + ["critic"]
        assert result.report is not None
        assert result.report.value == [A, {**B, "n": 6}]

    @pytest.mark.parametrize("fails", [0, 1, 2])
    async def test_a_vote_that_failed_is_no_vote_whichever_ends_last(self, tmp_path: Path, fails: int) -> None:
        works: list[Any] = ["4 GB", "5 GB"]
        works.insert(fails, EndpointRefused("no"))
        chosen = "read.1" if fails else "read.2"
        office = Office(works, [{"choice": chosen}])
        result = await run(tmp_path, office, VOTED.model_copy(update={"output": None}))
        assert (result.text[:4], office.kinds) == ("4 GB", ["work"] * 3 + ["critic"])
        assert (result.status, "read.3" in office.asked[-1][2]) == ("partial", fails != 2)

    async def test_votes_that_all_failed_fail_the_step(self, tmp_path: Path) -> None:
        result = await run(tmp_path, Office([EndpointRefused("no")] * 3, []))
        assert result.status == "failed"

    async def test_a_key_of_a_voted_step_names_fields_of_its_rows(self, tmp_path: Path) -> None:
        step: Callable[..., Step] = VOTED.model_copy
        with pytest.raises(swarm.SwarmError, match="not a field of the rows"):
            await run(tmp_path, Office([], []), step(update={"key": ("title",)}))
        with pytest.raises(swarm.SwarmError, match="only for steps with `merge`, and for rows with `vote`"):
            await run(tmp_path, Office([], []), step(update={"key": ("name",), "vote": None}))
        rows = [[A, B], [{**A, "n": 1.0}, B], [A]]
        result = await run(tmp_path, Office(rows, []), step(update={"key": ("name",)}))
        assert json.loads(result.text) == [A, B]
