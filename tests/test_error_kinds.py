"""The table of error kinds holds every kind that the code uses, and no other; where code repeats a fact, it agrees."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from swarm.attempt.judge import ALLOWED
from swarm.base.error_kinds import ERROR_KINDS, FAULTS, WAITS
from swarm.budget.meter import UNBILLED
from swarm.endpoints.preflight import DECIDING, SILENT
from swarm.record.steps import INTERRUPTIONS

CORRECTIONS = {"evidence", "continued"}
"""Kinds of a correction that never fails an attempt: its last answer is accepted."""
TABLE = Path("swarm/base/error_kinds.py")
RUN_FLAGS = "Flag"
"""The class whose `kind` is a flag of a finished run: these have a list of their own."""
SITUATIONS = {
    ("EndpointRefused", "unreachable"),  # a server that no call has reached stops the endpoint
    ("EndpointRefused", "endpoint"),  # an object of the caller that is no endpoint: no other step can succeed
    ("EndpointRefused", "form"),  # `offline` gives the same answer to every try
}
"""Exceptions that know better than the table."""


def trees() -> dict[Path, ast.Module]:
    root = Path(__file__).parent.parent
    paths = [path.relative_to(root) for path in sorted((root / "swarm").rglob("*.py"))]
    return {
        path: ast.parse((root / path).read_text("utf-8"))
        for path in paths
        if path != TABLE and "texts" not in path.parts
    }


TREES = trees()


def calls() -> Iterator[tuple[str, str, Mapping[str, object]]]:
    """Return class, kind and the other literal arguments of every call that names a kind."""
    for tree in TREES.values():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            literals = {k.arg: k.value.value for k in node.keywords if k.arg and isinstance(k.value, ast.Constant)}
            name = ast.unparse(node.func).rpartition(".")[2]
            kind = literals.get("kind")
            if name != RUN_FLAGS and isinstance(kind, str):
                yield name, kind, literals


def class_attributes() -> Iterator[str]:
    """Return the values of `kind = …` in the body of a class."""
    for tree in TREES.values():
        bodies = (node.body for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
        for body in bodies:
            assigned = [node for node in body if isinstance(node, ast.Assign)]
            values = [node.value for node in assigned if [ast.unparse(target) for target in node.targets] == ["kind"]]
            yield from (str(value.value) for value in values if isinstance(value, ast.Constant))


def texts() -> set[str]:
    nodes = [node for tree in TREES.values() for node in ast.walk(tree)]
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_every_kind_in_the_code_is_in_the_table() -> None:
    used = {kind for _, kind, _ in calls() if kind not in CORRECTIONS} | set(class_attributes())
    assert len(used) > 20
    assert used - ERROR_KINDS.keys() == set()
    assert (
        ALLOWED.keys() - CORRECTIONS | INTERRUPTIONS.keys() | DECIDING | SILENT | WAITS
    ) - ERROR_KINDS.keys() == set()


def test_every_kind_of_the_table_is_in_the_code() -> None:
    assert ERROR_KINDS.keys() - texts() == set()


def test_calls_that_repeat_a_fact_of_the_table_agree_with_it() -> None:
    classes = {"EndpointBusy": True, "EndpointRefused": False}
    wrong: list[str] = []
    for name, kind, literals in calls():
        row = ERROR_KINDS[kind]
        if (name, kind) in SITUATIONS:
            continue
        may_help = literals.get("may_help", classes.get(name, row.may_help))
        stops = literals.get("stops", row.stops if name != "EndpointRefused" else False)
        if (may_help, stops) != (row.may_help, row.stops):
            wrong.append(f"{name} of kind {kind}")
    assert wrong == []


def test_only_a_refusal_before_any_work_is_never_billed() -> None:
    assert {"rate_limited", "overloaded", "unreachable", "tls", "redirect", "quota", "auth"} == UNBILLED


def test_a_fault_that_stops_everything_is_not_retried() -> None:
    assert [kind for kind, fault in FAULTS.items() if fault.stops and fault.may_help] == []


def test_a_kind_is_a_sentence_and_a_hint_an_instruction() -> None:
    for kind, row in ERROR_KINDS.items():
        assert kind.replace("_", "").isalpha()
        assert kind.islower()
        assert row.meaning[0].islower()
        assert not row.text.endswith(".")
        assert "hint:" not in row.text
    assert FAULTS["too_large"].text == "the request exceeds the endpoint's size limit; use smaller inputs"
    assert FAULTS["disconnected"].text == "the connection was lost before the answer was complete"
