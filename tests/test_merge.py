"""Merging without a model: no cell is lost, whatever the order, spelling and form of the rows."""

import random
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.attempt.merge import CellValue, Conflict, Gap, Leaf, Merged, is_empty, merged, normal
from swarm.spec.rows import fields_of, item_schema, items_of, required_of, row_schema, rows_of

SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "year": {"type": "integer"}, "licence": {"type": "string"}},
        "required": ["name", "year"],
    },
}


def table(*outputs: Any, key: tuple[str, ...] = ("name",), schema: Any = SCHEMA) -> Merged:
    leaves = [Leaf(f"read.{n}", output) for n, output in enumerate(outputs, 1)]
    return merged("table", leaves, key=key, schema=schema)


def test_rows_of_equal_keys_become_one_row_with_both_sources() -> None:
    found = table(
        {"name": "Ångström", "year": 2019}, [{"name": "beta", "year": 1}, {"name": "ÅNGSTRÖM ", "licence": "MIT"}]
    )

    assert found.value == [
        {"name": "Ångström", "year": 2019, "licence": "MIT"},
        {"name": "beta", "year": 1, "licence": None},
    ]
    assert found.sources == (("read.1", "read.2"), ("read.2",))
    assert found.fields == ("name", "year", "licence")
    assert (found.conflicts, found.gaps, found.unread) == ((), (), ())


def test_a_conflicting_cell_keeps_every_value_with_its_steps() -> None:
    found = table(
        {"name": "a", "year": 2019},
        {"name": "a", "year": 2020},
        {"name": "A", "year": 2020.0},
        {"name": "b", "year": 3},
    )

    assert found.value[0] == {"name": "a", "year": 2020, "licence": None}
    values = (CellValue(2020, ("read.2", "read.3")), CellValue(2019, ("read.1",)))
    assert found.conflicts == (Conflict(0, {"name": "a"}, "year", values),)


def test_of_values_with_equally_many_steps_the_first_is_in_the_row() -> None:
    found = table({"name": "a", "year": 1}, {"name": "a", "year": 2})

    assert found.value[0]["year"] == 1
    assert [each.value for each in found.conflicts[0].values] == [1, 2]


def test_an_empty_required_cell_is_a_gap() -> None:
    found = table({"name": "a", "licence": "MIT"}, {"name": "b", "year": "n/a"}, {"year": 5})

    assert found.gaps == (Gap(0, {"name": "a"}, "year"), Gap(1, {"name": "b"}, "year"), Gap(2, {"name": None}, "name"))
    assert found.value[1]["year"] == "n/a"


def test_a_word_for_nothing_gives_way_to_a_value() -> None:
    found = table({"name": "a", "year": "Unknown"}, {"name": "a", "year": 7})

    assert found.value == [{"name": "a", "year": 7, "licence": None}]
    assert (found.conflicts, found.gaps) == ((), ())


def test_rows_without_a_key_value_are_merged_only_if_they_are_equal() -> None:
    found = table({"year": 1}, {"year": 1}, {"year": 1, "licence": "MIT"}, {}, [])

    assert [row["licence"] for row in found.value] == [None, "MIT"]
    assert found.sources == (("read.1", "read.2"), ("read.3",))


def test_an_output_that_is_no_row_is_named() -> None:
    found = table("the file is empty", {"name": "a"}, [1, 2], None, " ")

    assert found.unread == ("read.1", "read.3")
    assert len(found.value) == 1


def test_fields_that_no_schema_names_are_columns_too() -> None:
    found = table({"b": 1, "name": "x"}, {"c": 2, "name": "y"}, schema=None)

    assert found.fields == ("name", "b", "c")
    assert table({"b": 1}, key=(), schema=None).fields == ("b",)
    assert table({"b": 1}, key=("name",), schema=None).value == [{"name": None, "b": 1}]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Straße", "STRASSE"),
        ("ﬁle", "file"),
        ("ＡＢＣ１", "abc1"),
        (" two\u00a0 words\n", "two words"),
        ("L’Anse", "L'Anse"),
        ("2010–2012", "2010-2012"),
        ("soft\u00adhyphen", "softhyphen"),
        (1000, "1,000"),
        (1000.0, "1000"),
        ("1,234,567.5", "1234567.5"),
        (-3, "\u22123"),
        (-0.0, 0),
        (1e22, "10000000000000000000000"),
        ({"a": "X", "b": [1.0]}, {"b": ["1"], "a": "x "}),
        ("1 000", 1000),
        ("12\u202f345.5", "12,345.5"),
        ("5 GB", "5GB"),
        ("1,000 km/h", "1000km/h"),
        ("50 %", "50%"),
        ("2024-03-01", "1 March 2024"),
        ("2024/3/1", "March 1st, 2024"),
        ("2024-03-01T00:00:00Z", "Mar. 1, 2024"),
    ],
)
def test_values_that_are_equal(one: Any, other: Any) -> None:
    assert normal(one) == normal(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("007", 7),
        ("1.10", "1.1"),
        ("10,00", 1000),
        (True, 1),
        (True, "true"),
        (None, ""),
        ("a b", "ab"),
        ([1, 2], [2, 1]),
        (10**40, 10**40 + 1),
        ("+49", 49),
        ("object", {}),
        ("01/03/2024", "2024-03-01"),
        ("2024-03-01T12:00", "2024-03-01"),
        ("5 GB", "5,000 MB"),
        ("10 00", 1000),
        ("1 000", "1 00"),
        ("5 GB", 5),
        ("v1 beta", "v1beta"),
        ("marble 1, 2024", "1 mar 2024"),
    ],
)
def test_values_that_differ(one: Any, other: Any) -> None:
    assert normal(one) != normal(other)


def test_what_is_empty() -> None:
    empty: list[Any] = [None, "", " \n", "N/A", "–", "UNKNOWN", [], {}, " " * 50]
    assert all(map(is_empty, empty))
    assert not any(map(is_empty, (0, False, "none", "na", "0", [None], "unknown author")))


def test_a_list_has_no_duplicates_and_keeps_order_and_sources() -> None:
    leaves = [
        Leaf("a", ["Lucene", "Tantivy"]),
        Leaf("b", {"items": ["tantivy", 3, "-"]}),
        Leaf("c", "Bleve"),
        Leaf("d", None),
    ]
    found = merged("list", leaves)

    assert found.value == ["Lucene", "Tantivy", 3, "-", "Bleve"]
    assert found.sources == (("a",), ("a", "b"), ("b",), ("b",), ("c",))


def test_counts_by_value_and_by_field() -> None:
    leaves = [Leaf("a", "yes"), Leaf("b", "No"), Leaf("c", ["no", True])]

    assert merged("count", leaves).value == [
        {"value": "No", "count": 2},
        {"value": "yes", "count": 1},
        {"value": True, "count": 1},
    ]
    rows = [Leaf("a", [{"licence": "MIT", "n": 1}, {"licence": "mit", "n": 2}]), Leaf("b", {"n": 3})]
    found = merged("count", rows, key=("licence",))
    assert found.value == [{"licence": "MIT", "count": 2}, {"licence": None, "count": 1}]
    assert found.sources == (("a",), ("b",))
    assert found.fields == ("licence", "count")


def test_texts_stand_in_order_under_headings_that_cite_their_steps() -> None:
    found = merged("text", [Leaf("read.1", "One.\n", "notes/a.md"), Leaf("read.2", " "), Leaf("read.3", {"a": 1})])

    assert found.value == '## notes/a.md [read.1]\n\nOne.\n\n## [read.3]\n\n```json\n{\n  "a": 1\n}\n```'
    assert found.sources == (("read.1",), ("read.3",))


def test_rows_and_fields_of_schemas() -> None:
    row = SCHEMA["items"]
    wrapped = {"type": "object", "properties": {"rows": SCHEMA}}
    for schema in (SCHEMA, row, wrapped):
        assert row_schema(schema) == row
        assert fields_of(schema) == ("name", "year", "licence")
        assert required_of(schema) == ("name", "year")
    tags = {"type": "object", "properties": {"tags": {"type": "array", "items": {"type": "string"}}}}
    assert fields_of(tags) == ("tags",)
    assert row_schema({"type": "array", "items": {"type": "string"}}) is None
    assert row_schema({"type": ["array", "null"], "items": row}) == row
    assert item_schema({"type": "array"}) is None
    assert (row_schema(None), fields_of({"type": "object"}), required_of({})) == (None, (), ())


def test_rows_and_items_of_values() -> None:
    assert rows_of({"rows": [{"a": 1}]}) == [{"a": 1}]
    assert rows_of({"tags": ["x"]}) == [{"tags": ["x"]}]
    assert rows_of([{"a": 1}, 2]) is None
    assert rows_of({"a": [1], "b": 2}) == [{"a": [1], "b": 2}]
    assert items_of({"a": [1, 2]}) == [1, 2]
    assert items_of(0) == [0]


CELLS = st.one_of(st.none(), st.integers(-3, 3), st.sampled_from(["x", "X ", "y", "", "-", "1"]), st.booleans())
ROWS = st.lists(st.dictionaries(st.sampled_from(["name", "year", "licence"]), CELLS, max_size=3), max_size=5)


@given(st.lists(ROWS, max_size=6))
def test_no_cell_is_lost_and_none_is_invented(outputs: list[list[dict[str, Any]]]) -> None:
    found = table(*outputs)
    kept: dict[tuple[int, str], set[Any]] = {}
    for number, row in enumerate(found.value):
        kept |= {(number, field): {normal(cell)} for field, cell in row.items()}
    for conflict in found.conflicts:
        kept[conflict.row, conflict.field] |= {normal(each.value) for each in conflict.values}
    given_cells: set[Any] = set()
    for n, output in enumerate(outputs, 1):
        for row in output:
            given_cells |= {normal(cell) for cell in row.values()}
            cells = {field: normal(cell) for field, cell in row.items() if not is_empty(cell)}
            homes = [at for at, steps in enumerate(found.sources) if f"read.{n}" in steps]
            assert not cells or any(all(cells[f] in kept[at, f] for f in cells) for at in homes)
    assert set().union(*kept.values()) <= given_cells | {normal(None)}


@given(st.lists(ROWS, max_size=6))
def test_merging_a_table_again_changes_nothing(outputs: list[list[dict[str, Any]]]) -> None:
    once = table(*outputs)
    again = table(once.value)

    assert again.value == once.value
    assert again.gaps == once.gaps


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), max_size=12), st.randoms(use_true_random=False))
def test_the_set_of_rows_does_not_depend_on_the_order_of_steps(pairs: list[Any], rng: random.Random) -> None:
    outputs = [{"name": str(name), "year": year} for name, year in pairs]
    shuffled = list(outputs)
    rng.shuffle(shuffled)

    def cells(found: Merged) -> dict[str, set[int]]:
        by_name = {row["name"]: {row["year"]} for row in found.value}
        for conflict in found.conflicts:
            by_name[conflict.key["name"]] |= {each.value for each in conflict.values}
        return by_name

    assert cells(table(*outputs)) == cells(table(*shuffled))
    assert [row["name"] for row in table(*outputs).value] == list(dict.fromkeys(str(name) for name, _ in pairs))


@given(st.lists(st.lists(CELLS, max_size=5), max_size=5))
def test_counts_and_lists_agree(outputs: list[list[Any]]) -> None:
    leaves = [Leaf(f"read.{n}", output) for n, output in enumerate(outputs)]
    items = {normal(item) for item in merged("list", leaves).value}
    counts = merged("count", leaves).value

    assert {normal(row["value"]) for row in counts} == items
    flat = [cell for output in outputs for cell in output if cell is not None and cell != ""]
    assert sum(row["count"] for row in counts) == len(flat)


def test_fields_that_are_spelt_in_another_way_are_one_column() -> None:
    found = table(
        {"name": "a", "First Release": 1}, {"Name": "A", "first_release": 1}, {"NAME": "b", "n": 2}, schema=None
    )
    assert found.value == [{"name": "a", "First Release": 1, "n": None}, {"name": "b", "First Release": None, "n": 2}]
    both = table({"name": "a", "Name": "x"}, {"name": "a", "Name": "y"}, schema=None)
    assert both.fields == ("name", "Name")


@pytest.mark.parametrize(
    "output",
    [
        {"data": {"rows": [{"name": "a"}, {"name": "b"}]}},
        {"results": [{"name": "a"}, {"name": "b"}], "note": "two"},
        [[{"name": "a"}], [{"name": "b"}]],
        [{"page": 1, "items": [{"name": "a"}, {"name": "b"}]}],
    ],
)
def test_rows_are_found_inside_of_other_objects_and_lists(output: Any) -> None:
    found = table(output)
    assert ([row["name"] for row in found.value], found.fields) == (["a", "b"], ("name", "year", "licence"))


def test_an_object_with_a_key_or_with_two_lists_is_a_row() -> None:
    assert table({"name": "a", "tags": [{"name": "x"}]}, schema=None).value == [{"name": "a", "tags": [{"name": "x"}]}]
    assert table({"one": [{"name": "a"}], "two": [{"name": "b"}]}, schema=None).value[0]["name"] is None


@pytest.mark.slow
def test_a_hundred_thousand_rows() -> None:  # seconds of work
    rng = random.Random(1)
    names = ["".join(rng.choices(string.ascii_letters, k=8)) for _ in range(50_000)]
    leaves = [Leaf(f"s.{n // 100}", {"name": names[n % 50_000], "year": n, "licence": "MIT"}) for n in range(100_000)]
    found = merged("table", leaves, key=("name",), schema=SCHEMA)

    assert len(found.value) == len({name.casefold() for name in names})
    assert len(found.conflicts) == len(found.value)
