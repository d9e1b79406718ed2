"""Claims against rows of CSV and the like: each cell supports what its row and its column say, and nothing else."""

import pytest

from swarm.attempt.evidence.check import Checker, unfounded
from swarm.attempt.evidence.sources import SourceText
from swarm.texts.passages import Sentence, passages

ROWS = [
    ["region", "product", "orders", "revenue"],
    ["North", "chairs", "40", "5200"],
    ["South", "tables", "12", "9800"],
    ["East", "lamps", "75", "1500"],
]
FORMS = {
    "csv": "\n".join(map(",".join, ROWS)),
    "tsv": "\n".join(map("\t".join, ROWS)),
    "semicolons": "\r\n".join(map(";".join, ROWS)) + "\r\n",
    "bars": "\ufeff" + "\n".join(map("|".join, ROWS)),
    "excel": "sep=;\n" + "\n".join(map(";".join, ROWS)),
    "quoted": "\n".join(",".join(f'"{cell}"' for cell in row) for row in ROWS),
    "no head": "\n".join(map(",".join, ROWS[1:])),
    "in a message": "# Sales\n\nHere they are:\n\n```csv\n" + "\n".join(map(",".join, ROWS)) + "\n```\n",
    "lines of json": '{"of": "North", "orders": 40, "sizes": [5200,7]}\n' * 2 + '{"of": "South", "orders": 12, "x": 98',
}


def evidence(claim: str, text: str) -> tuple[str, tuple[str, ...]]:
    source = SourceText("read", text)
    (found,) = Checker(lambda _: [source], [source], goal="How are sales?").check(claim, {"read"})
    return found.evidence, found.missing


@pytest.mark.parametrize("form", FORMS)
def test_a_cell_supports_its_claim_and_the_cell_of_another_row_does_not(form: str) -> None:
    text = FORMS[form]
    assert evidence("North has 40 orders [read].", text) == ("supported", ())
    assert evidence("A size or a revenue of North is 5,200 [read].", text) == ("supported", ())
    assert evidence("North has 41 orders [read].", text) == ("unsupported", ("41",))
    assert evidence("There were 40.52 [read].", text) == ("unsupported", ("40.52",))
    if "json" not in form:  # neither is the figure of another row, or of another column
        assert evidence("East has 1500 of revenue and 75 orders [read].", text) == ("supported", ())
        assert unfounded("North: product chairs; orders 40; revenue 5200", [SourceText("", text)]) == ()
        if form != "no head":
            assert evidence("North has 12 orders [read].", text) == ("unsupported", ("12",))
            assert evidence("The South has a revenue of 5200 [read].", text) == ("unsupported", ("5200",))


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("Der Wert ist 40,5\nDie Zahl ist 30,2", "Die Zahl ist 2"),
        ("Umsatz 1,234,567\nKosten 2,345,678", "Kosten: 345"),
        ("1,234,567\n2,345,678", "Es sind 567"),
        ("Lunr, a library, needs 40,5 MB\nFuse, a library, needs 12,5 MB", "Fuse needs 5 MB"),
        ("x,1,234\ny,2,456", "y is 456"),
        ("We sold 40,5200 and no more.", "We sold 5200"),
    ],
)
def test_a_decimal_comma_is_not_the_end_of_a_cell(text: str, wrong: str) -> None:
    assert evidence(f"{wrong} [read].", text)[0] == "unsupported"
    assert all(each.kind == "sentence" for each in passages(text))


def test_rows_have_their_place_and_their_columns() -> None:
    text = f'Note.\n\nname,of\n"Lamp\nred","1,234"\n\n{FORMS["csv"]}'
    found = [each for each in passages(text) if each.kind == "row"]
    assert [each.text for each in found[:2]] == ["| Lamp red | 1,234 |", "| North | chairs | 40 | 5200 |"]
    assert text[found[0].start : found[0].end] == '"Lamp\nred","1,234"'
    assert text[found[1].start : found[1].end] == "North,chairs,40,5200"
    assert [each.context for each in found[:2]] == ["| name | of |", "| region | product | orders | revenue |"]


def test_the_columns_of_a_wide_table_are_those_of_its_cells() -> None:
    heads = [f"column_about_thing_{chr(97 + n)}" for n in range(25)]
    text = "\n".join([",".join(heads), ",".join(str(100 + n) for n in range(25)), ",".join(["7"] * 25)])
    (last,) = [each for each in passages(text) if each.text.startswith("| 100 ")]
    assert isinstance(last, Sentence)
    assert evidence("Thing y has 124 [read].", text)[0] == "supported"
    assert cells_of(last)["124"] == "column_about_thing_y"


def cells_of(row: Sentence) -> dict[str, str]:
    from swarm.attempt.evidence.statements import Statement

    return {cell.value.strip(): cell.label for cell in Statement(row).cells}


def test_a_report_in_the_form_of_its_source_is_supported() -> None:
    text = FORMS["csv"]
    source = SourceText("read", text)
    cited = "\n".join(f"{line},[read]" if n else f"{line},source" for n, line in enumerate(text.split("\n")))
    wrong = cited.replace("5200", "5300")
    checks = (Checker(lambda _: [source], [source]).check(each, {"read"}) for each in (cited, wrong))
    assert [[(claim.evidence, claim.missing) for claim in claims] for claims in checks] == [
        [("supported", ())],
        [("unsupported", ("5300",))],
    ]


def test_an_answer_may_say_how_many_files_it_read() -> None:
    read = [SourceText("", "Read this."), SourceText("a.csv", FORMS["csv"]), SourceText("a.csv", FORMS["tsv"])]
    assert unfounded("## What was read: 1 source", read) == ()
    assert unfounded("There is 1 defect.", read) == ("1",)
    assert unfounded("I read 1 source.", [*read, SourceText("b.md", "It is red.")]) == ("1",)
    assert unfounded("I read 7 sources.", read) == ("7",)
