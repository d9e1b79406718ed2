"""Which steps a report cites, and behind which claims."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.attempt.citations import check_report, claims

KNOWN = ("memory.1", "memory.2", "sizes", "list", "1st")


@pytest.mark.parametrize(
    ("text", "cited"),
    [
        ("Lunr needs 40 MB [memory.2].", ("memory.2",)),
        ("Two [memory.2, sizes] and [memory.1;list].", ("memory.2", "sizes", "memory.1", "list")),
        ("In a row [memory.1][memory.2] [sizes]", ("memory.1", "memory.2", "sizes")),
        ("Linked [notes-1.md][memory.1]", ("memory.1",)),
        ("Spaced [memory.1 and sizes]", ("memory.1", "sizes")),
        ("Capital [Memory.1], doubled [[sizes]], quoted `[list]`", ("memory.1", "sizes", "list")),
        ("| Lunr | 40 MB | [memory.2] |", ("memory.2",)),
        ("- [ ] open [list]\n- [x] done [sizes]", ("list", "sizes")),
        ("Of a number [1st], not a footnote [1].", ("1st",)),
    ],
)
def test_citations_are_found(text: str, cited: tuple[str, ...]) -> None:
    assert check_report(text, KNOWN) == check_report(text, frozenset(KNOWN))
    found = check_report(text, KNOWN)
    assert (found.cited, found.unknown) == (cited, ())


@pytest.mark.parametrize(
    "text",
    [
        "A [link](https://example.com), [sizes](x.md), ![list](list.png)\n[sizes]: https://example.com",
        "Footnotes [1], [^1] and [^note-1]; [12, 13]",
        "- [ ] to do\n- [x] done\n* [X] done\n1. [x] first",
        "`[memory-9]` and ``[memory-9]``",
        "```\n[memory-9] [sizes]\n```",
        "~~~yaml\nneeds: [memory-9]\n```\n[memory-8]\n~~~",
        "He wrote [sic] that [citation needed] it is [...] so [e.g.] x[i] [see memory-9]",
        r"Escaped \[memory-9\] and \(x \in [a b]\)",
        "No end [memory-9\nhere], none [" + "m" * 900 + "]",
    ],
)
def test_other_brackets_are_no_citations(text: str) -> None:
    found = check_report(text, KNOWN)
    assert (found.cited, found.unknown) == ((), ())


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("It is so [memory.3].", ("memory.3",)),
        ("It is so [step-4, step-5].", ("step-4", "step-5")),
        ("Beside one [sizes, prices].", ("prices",)),
        ("A slip [sizs].", ("sizs",)),
        ("Two [memory.3][memory.4]", ("memory.3", "memory.4")),
        ("Twice [memory.3] and [memory.3]", ("memory.3",)),
    ],
)
def test_citations_of_unknown_steps_are_returned(text: str, unknown: tuple[str, ...]) -> None:
    assert check_report(text, KNOWN).unknown == unknown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A is 5 [memory.1]. B is 6 [sizes].", [("memory.1",), ("sizes",)]),
        ("A is 5. [memory.1] B is 6. [sizes]", [("memory.1",), ("sizes",)]),
        ("A is 5 [memory.1], while B is 6 [sizes].", [("memory.1", "sizes")]),
        ("A is 5.5 MB [memory.1] [sizes].", [("memory.1", "sizes")]),
        ("- A [memory.1]\n- B [sizes]\n\nC [list]", [("memory.1",), ("sizes",), ("list",)]),
        ("| A | 5 [memory.1] | 6. Or 7 [sizes] |\n| B | [list] |", [("memory.1", "sizes"), ("list",)]),
        ("# A [memory.1]\nText [sizes]\nthat goes on [list].", [("memory.1",), ("sizes", "list")]),
        ("A [memory.1, memory.1] [memory.9] and [sizes]", [("memory.1", "sizes")]),
        ("甲 [memory.1]。乙 [sizes]。", [("memory.1",), ("sizes",)]),
        ("Nothing.", []),
    ],
)
def test_a_claim_is_what_its_citations_end(text: str, expected: list[tuple[str, ...]]) -> None:
    assert claims(text, KNOWN) == {f"c{n}": steps for n, steps in enumerate(expected, 1)}


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "piece", ["[", "[a", "[a,", "`[", "```\n", "[sizs] ", "- [x] ", "[a]\n", "a[b][c]", "[ab cd ef]"]
)
def test_threat_s39_a_hostile_report_cannot_stall(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    known = [f"step-{n}" for n in range(1000)]
    check_report(text, known)
    claims(text + "[step-1]", known)


@given(
    st.lists(st.sampled_from(["[sizes]", "[list, sizes]", "a", ". ", "\n", "\n\n", "- ", "|", "`", "```", "(", "]"]))
)
def test_claims_and_citations_agree(pieces: list[str]) -> None:
    text = "".join(pieces)
    behind = {step for steps in claims(text, KNOWN).values() for step in steps}
    assert behind == set(check_report(text, KNOWN).cited)


@pytest.mark.parametrize(
    "text",
    [
        "需要 12 GB【a】。",
        "需要 12 GB［a］。",
        "It needs 12 GB. 【a†L1-L3】",
        "It needs 12 GB. [^a]",
        "It needs 12 GB. [step a]",
        "It needs 12 GB. [Source: a]",
        "It needs 12 GB. [steps a]",
    ],
)
def test_fault_136_citations_of_other_hands_are_read(text: str) -> None:
    assert check_report(text, ("a", "b")).cited == ("a",)
    assert claims(text, ("a", "b")) == {"c1": ("a",)}


@pytest.mark.parametrize("text", ["两者【a，b】", "两者[a、b]", "Both. [a；b]", "Both. [sources a and b]"])
def test_fault_136_separators_of_other_scripts_are_read(text: str) -> None:
    assert check_report(text, ("a", "b")).cited == ("a", "b")
    assert check_report("See [source].", ("source",)).cited == ("source",), "a step may have such a name"
