"""YAML as it is written: it reads back as what it was, however much there is of it."""

from hypothesis import given
from hypothesis import strategies as st

from swarm.base.values import Json
from swarm.spec.yaml.strict import read
from swarm.spec.yaml.yaml12 import LONG, write_yaml

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(TEXT, VALUES, max_size=2), VALUES, TEXT)
def test_long_lists_read_back_at_any_depth(others: dict[str, Json], item: Json, key: str) -> None:
    value = {**others, "plan": {key: [item] * (LONG + 1), "x": 1}, "steps": [{"id": key, "item": item}] * (LONG + 2)}
    assert read(write_yaml(value), source="x").value == value


def test_a_long_list_has_an_item_a_line() -> None:
    lines = write_yaml({"steps": [{"id": f"s{n}", "needs": ["a"]} for n in range(LONG + 1)]}).splitlines()
    assert lines[0] == "steps:"
    assert lines[1] == '  - {"id": "s0", "needs": ["a"]}'
    assert len(lines) == LONG + 2
