"""Groups and sizes of partial steps: pure functions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.scheduling.tree import Read, group, is_deep, last, partials, section_sizes, share_sizes
from swarm.spec.plan import Step, before_of


def reads(*sizes: int) -> tuple[Read, ...]:
    return tuple(Read("output", f"read.{n}", size, f"{n}.md") for n, size in enumerate(sizes, 1))


@given(st.lists(st.integers(1, 500), max_size=60), st.integers(1, 1000))
def test_every_item_is_whole_in_exactly_one_group_in_order(sizes: list[int], most: int) -> None:
    items = reads(*sizes)
    groups = group(items, most)
    assert tuple(read for members in groups for read in members) == items
    assert all(len(members) == 1 or sum(read.size for read in members) <= most for members in groups)


def test_after_an_added_item_most_groups_are_as_before() -> None:
    """Ends are chosen by what the items are, so the groups agree again soon after the addition."""
    sizes = [20 + n * 37 % 50 for n in range(300)]
    before = {tuple(read.identity for read in members) for members in group(reads(*sizes), 400)}
    changed: list[int] = []
    for at in range(0, 300, 10):
        added = list(reads(*sizes))
        added.insert(at, Read("output", "new", 30, "new.md"))
        groups = [tuple(read.identity for read in members) for members in group(added, 400)]
        changed.append(sum(members not in before for members in groups))
    assert sum(changed) / len(changed) < 0.25 * len(before)


def test_a_changed_size_that_still_fits_changes_one_group() -> None:
    before = group(reads(*[40] * 60), 400)
    sizes = [40] * 60
    sizes[3] = 41
    after = group(reads(*sizes), 400)
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 1


@pytest.mark.parametrize("context", [4_096, 8_192, 32_768, 131_072])
def test_a_section_can_repeat_what_it_reads_and_two_fit_the_summary(context: int) -> None:
    left, summary = context - context // 8 - 900, context - context // 8 - 900 - 512
    found = section_sizes(left, 4096, summary)
    assert found is not None
    assert found.group <= 0.9 * found.length
    assert found.group + found.length <= left
    assert 2 * found.length <= summary


def test_there_are_no_sizes_without_space() -> None:
    assert section_sizes(100, 4096, 100) is None
    assert share_sizes(5000, 4096, 200) is None
    assert share_sizes(300, 4096, 2000) is None


def test_the_answers_of_four_partials_fit_the_step_that_reads_them() -> None:
    found = share_sizes(6_000, 4096, 2_272)
    assert found is not None
    assert 4 * found.length <= 2_272
    assert found.group + found.length <= 6_000


def test_a_partial_reads_its_group_and_calls_nothing() -> None:
    whole = Step(
        id="reduce", agent="reducer", prompt="All.", needs=("a",), model="strong", tools=("find",), optional=True
    )
    members = (Read("input", "a.md", 5, "a.md"), Read("output", "read.1", 5, "x"), Read("missing", "read.2", 5, "y"))
    (step,) = partials(whole, [members], prompt="Some.", length=70)
    assert (step.id, step.partial_of, step.agent, step.prompt) == ("reduce.1", "reduce", "reducer", "Some.")
    assert (step.inputs, step.after, step.needs, step.tools) == (("a.md",), ("read.1", "read.2"), (), ())
    assert (step.length, step.model, step.optional) == (70, "strong", False)
    end = last(whole, [step])
    assert (end.id, before_of(end), end.inputs, end.prompt) == ("reduce.0", ("reduce.1",), (), "All.")
    assert (end.tools, end.partial_of, end.optional) == (("find",), "reduce", False)
    summary = last(whole, [step], prompt="In short.", length=90)
    assert (summary.prompt, summary.length, summary.tools) == ("In short.", 90, ())


def test_levels_and_ids_end() -> None:
    assert not is_deep(Step(id="reduce"), 2, 50)
    assert is_deep(Step(id="reduce"), 12, 5)
    assert is_deep(Step(id="r" * 62), 0, 10)
