"""Documents become text: every fact, in document order, with the marks of pages, slides, sheets and chapters."""

import datetime
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO

import pytest

from swarm.base.places import place_of
from swarm.readers.extract import Extractor
from swarm.readers.kinds import kind_of
from swarm.readers.pdf import png
from swarm.readers.read import read, version_of
from swarm.readers.result import Extract, clean
from swarm.readers.sheets import written
from swarm.readers.zips import UnreadableError
from tests import documents

DOCUMENTS: dict[str, tuple[Callable[[], bytes], str, int]] = {
    "a.pdf": (documents.pdf, "page", 2),
    "a.docx": (documents.docx, "page", 2),
    "a.pptx": (documents.pptx, "slide", 2),
    "a.odt": (documents.odt, "page", 2),
    "a.odp": (documents.odp, "slide", 2),
    "a.xlsx": (documents.xlsx, "sheet", 2),
    "a.ods": (documents.ods, "sheet", 2),
    "a.html": (lambda: documents.html().encode(), "", 0),
    "a.epub": (documents.epub, "chapter", 2),
    "a.ipynb": (lambda: documents.notebook().encode(), "cell", 2),
}
"""A document of each kind: its bytes, what its marks count, and how many there are."""


@pytest.fixture(scope="module")
def extractor() -> Iterator[Extractor]:
    with Extractor() as found:
        # Started here: the process belongs to the module, not to the first test.
        found.read("notebook", b"{}", "")
        yield found


def text_of(content: bytes, name: str) -> str:
    return read(str(kind_of(content, name).reader), content, name).text


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_fact_of_a_document_is_in_its_text(extractor: Extractor, name: str) -> None:
    make, unit, count = DOCUMENTS[name]
    content = make()
    kind = kind_of(content, "no-ending")  # by its bytes alone
    assert kind == kind_of(content, name)
    found = extractor.read(str(kind.reader), content, name)
    assert [fact for fact in documents.FACTS if fact not in found.text] == []
    assert (found.unit, found.count) == (unit, count)
    assert "hidden" not in found.text
    assert "unseen" not in found.text
    positions = [found.text.index(text) for text in ("Reserve 2027", "42.5 million", "DE-7741", "77 widgets")]
    assert positions == sorted(positions), "in document order"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.pdf", "page 2, line 1"),
        ("a.docx", "page 2, line 1"),
        ("a.odt", "page 2, line 1"),
        ("a.pptx", "slide 2, line 1"),
        ("a.epub", "chapter 2, line 3"),
        ("a.xlsx", "sheet Notes 注, row 4"),
        ("a.ipynb", "cell 2, line 15"),
    ],
)
def test_a_sentence_leads_back_to_its_place(extractor: Extractor, name: str, words: str) -> None:
    content = DOCUMENTS[name][0]()
    text = extractor.read(str(kind_of(content, name).reader), content, name).text
    place = place_of(text, text.index("77 widgets"))
    assert place is not None
    assert place.words == words


@pytest.mark.parametrize("name", ["a.docx", "a.pptx", "a.odt", "a.odp", "a.html", "a.epub", "a.xlsx"])
def test_tables_stay_tables(name: str) -> None:
    assert "| region | amount |\n| --- | --- |\n| 北京 | 1,200 |" in text_of(DOCUMENTS[name][0](), name)


# Word


def word(body: str, **parts: str) -> str:
    return text_of(documents.docx(body, **parts), "a.docx")


def test_what_was_deleted_in_word_is_not_read_and_what_was_inserted_is() -> None:
    body = (
        "<w:p><w:r><w:t>It costs </w:t></w:r><w:del><w:r><w:delText>10</w:delText></w:r></w:del>"
        "<w:ins><w:r><w:t>20</w:t></w:r></w:ins><w:r><w:tab/><w:t>EUR</w:t></w:r></w:p>"
    )
    assert word(body) == "It costs 20\tEUR"


def test_notes_comments_and_text_boxes_of_word_are_read_once() -> None:
    box = "<w:txbxContent><w:p><w:r><w:t>In the box.</w:t></w:r></w:p></w:txbxContent>"
    body = (
        '<w:p><w:r><w:t>Said</w:t><w:footnoteReference w:id="2"/></w:r><w:r><mc:AlternateContent '
        f'xmlns:mc="m"><mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback></mc:AlternateContent></w:r></w:p>'
    )
    note = '<w:footnote w:id="2"><w:p><w:r><w:t>By whom.</w:t></w:r></w:p></w:footnote>'
    said = '<w:comment w:author="Li"><w:p><w:r><w:t>Check it.</w:t></w:r></w:p></w:comment>'
    text = word(body, footnotes=note, comments=said)
    assert text == "Said[^2]\n\nIn the box.\n\n[^2]: By whom.\n\nComment by Li: Check it."


def test_pages_of_word_are_those_that_it_noted_when_it_did() -> None:
    body = (
        "<w:p><w:r><w:t>One.</w:t></w:r></w:p>"
        '<w:p><w:r><w:br w:type="page"/></w:r><w:r><w:lastRenderedPageBreak/><w:t>Two.</w:t></w:r></w:p>'
        '<w:p><w:pPr><w:pStyle w:val="berschrift1"/></w:pPr><w:r><w:lastRenderedPageBreak/><w:t>Three</w:t></w:r></w:p>'
    )
    assert word(body) == "[page 1]\nOne.\n\n[page 2]\nTwo.\n\n[page 3]\n# Three"


def test_a_table_over_two_pages_ends_on_the_second() -> None:
    row = "<w:tr><w:tc><w:p><w:r>{}<w:t>{}</w:t></w:r></w:p></w:tc></w:tr>"
    rows = row.format("", "a") + row.format("<w:lastRenderedPageBreak/>", "b")
    text = word(f"<w:tbl>{rows}</w:tbl><w:p><w:r><w:t>After.</w:t></w:r></w:p>")
    assert text == "[page 1]\n| a |\n| --- |\n| b |\n\n[page 2]\n\nAfter."


# Sheets


def test_values_of_cells_are_written_as_people_write_them() -> None:
    values = (3.0, 0.1 + 0.2, 1e20, True, datetime.date(2026, 3, 1), datetime.datetime(2026, 3, 1, 9, 30), "x")
    assert [written(value) for value in values] == [
        "3", "0.3", "1e+20", "true", "2026-03-01", "2026-03-01 09:30", "x",
    ]  # fmt: skip


def test_dates_of_a_workbook_are_dates_and_long_tables_repeat_their_head() -> None:
    rows: list[Sequence[object]] = [["when", "amount"]]
    rows += [[datetime.datetime(2026, 1, 1) + datetime.timedelta(days=n), n / 2] for n in range(400)]
    text = text_of(documents.xlsx(rows), "a.xlsx")
    assert "| 2026-02-01 | 15.5 |" in text
    marks = [line for line in text.splitlines() if line.startswith("[sheet")]
    assert len(marks) == text.count("| when | amount |") > 2
    assert marks[-1].endswith("-401]")
    place = place_of(text, text.index("| 2026-12-31 |"))
    assert place is not None
    assert place.words == "sheet Costs, row 366"


def test_tables_of_a_sheet_are_told_apart_by_empty_rows() -> None:
    rows: list[list[object]] = [["Title"], [], ["a", "b"], [1, 2], [], ["", "c", "d"], ["", 3, 4]]
    assert text_of(documents.xlsx(rows), "a.xlsx").split("\n\n") == [
        "[sheet Costs, row 1]\nTitle",
        "[sheet Costs, row 4]\n| a | b |\n| --- | --- |\n| 1 | 2 |",
        "[sheet Costs, row 7]\n| c | d |\n| --- | --- |\n| 3 | 4 |",
    ]


def test_formulas_that_no_program_has_computed_are_named() -> None:
    with_value = documents.xlsx([["=1+1"]])
    archive = zipfile.ZipFile(BytesIO(with_value))
    members = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    members[sheet] = members[sheet].replace(b"<v>0</v>", b"<v></v>")
    found = read("sheets", documents.zipped(members), "a.xlsx")
    assert found.notes == ("1 formula has no stored value; open it in an office program, and save it",)
    assert read("sheets", with_value, "a.xlsx").notes == ()


# PDF


def test_pages_without_text_are_named_and_drawn_when_wanted() -> None:
    found = read("pdf", documents.scan(2), "a.pdf")
    assert (found.text, found.count, found.unread, found.pictures) == ("", 2, (1, 2), ())
    drawn = read("pdf", documents.scan(2), "a.pdf", pictures=True)
    assert [each.page for each in drawn.pictures] == [1, 2]
    picture = drawn.pictures[0].png
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert (int.from_bytes(picture[16:20], "big"), int.from_bytes(picture[20:24], "big")) == (300, 150)


def test_at_most_twenty_pages_are_drawn() -> None:
    found = read("pdf", documents.scan(23), "a.pdf", pictures=True)
    assert [each.page for each in found.pictures] == list(range(1, 21))
    assert found.unread == tuple(range(1, 24))


def test_an_empty_page_between_others_is_normal() -> None:
    found = read("pdf", documents.pdf(["One.", "", "Three."]), "a.pdf")
    assert (found.text, found.count, found.unread) == ("[page 1]\nOne.\n\n[page 3]\nThree.", 3, ())


def test_a_picture_keeps_its_colours() -> None:
    rows = bytes([255, 0, 0, 9, 0, 255, 0, 9]) + bytes(4)  # red, green, and bytes at the end of the row
    made = png(rows, 2, 1, 12, 4)
    start = made.index(b"IDAT") + 4
    size = int.from_bytes(made[start - 8 : start - 4], "big")
    assert zlib.decompress(made[start : start + size]) == bytes([0, 255, 0, 0, 0, 255, 0])


@pytest.mark.parametrize("content", [b"%PDF-1.7\nnothing more", documents.pdf()[:700]])
def test_a_damaged_pdf_is_named(content: bytes) -> None:
    with pytest.raises(UnreadableError, match="is damaged"):
        read("pdf", content, "a.pdf")


# Pages of HTML


def page(body: str) -> str:
    return text_of(f"<html><body>{body}</body></html>".encode(), "a.html")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<p>a\n  b<br>c</p>d", "a b\nc\n\nd"),
        ("<ol><li>a<li>b<ul><li>c</ul></ol>", "1. a\n2. b\n  - c"),
        ("<a href=x><h2>Head</h2></a><span>t</span>", "## Head\n\nt"),
        ("<pre>x  y\n z</pre>", "```\nx  y\n z\n```"),
        ("<table><tr><td><table><tr><th>a<th>b<tr><td>1<td>2</table></table>", "| a | b |\n| --- | --- |\n| 1 | 2 |"),
        ("<table><tr><th>a|b<th>c<tr><td colspan=2>1</table>", "| a\\|b | c |\n| --- | --- |\n| 1 |  |"),
        ("<p>x &amp; y</p><script>1</script><style>2</style><noscript>3</noscript><template>4</template>", "x & y"),
        ("<img alt='A chart'>of it", "A chartof it"),
        ("<p>[page 9]</p>", "[page 9]".rjust(9)),
    ],
)
def test_html_is_read_as_people_see_it(body: str, text: str) -> None:
    assert page(body) == text


def test_deep_html_does_not_end_the_reader() -> None:
    assert "deep" in page("<div>" * 5000 + "deep" + "</div>" * 5000)


# All


def test_texts_have_no_characters_that_nobody_sees() -> None:
    raw = "exam\xad\nple ﬁle\r\na\0b\x1b[2J\u202ec\u200b\n\n\n\n[page 3]\n\x0cd\ufffe\nx"
    assert clean(raw) == "example file\nab[2Jc\n\n [page 3]\n\ndx"


def test_versions_change_with_the_reader() -> None:
    assert version_of("docx") == "docx-1"
    assert version_of("pdf").startswith("pdf-1-")
    assert version_of("pdf") != version_of("sheets")


def test_a_reading_is_complete_by_default() -> None:
    assert Extract("x") == Extract("x", "", 0, (), (), (), ())


# Kinds


def ole(name: str) -> bytes:
    """Return the start of an office file of before 2007, or of an encrypted one."""
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + f"{name}\0".encode("utf-16-le")


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"\x89PNG\r\n\x1a\n", "a.txt", "an image"),
        (b"\xff\xd8\xff\xe0", "photo", "an image"),
        (b"RIFF\0\0\0\0WAVE", "sound", "an audio"),
        (b"\0\0\0\x18ftypmp42", "a.m4a", "an audio"),
        (b"\0\0\0\x18ftypmp42", "a.mp4", "a video"),
        (b"no signature", "a.png", "an image"),
        (b"\x01\x02\0\xff", "a.png", "an image"),
        (b"<!DOCTYPE HTML><p>", "page", "an HTML page"),
        (b"\xef\xbb\xbf  <html>", "page.txt", "an HTML page"),
        (b"<p>no head</p>", "a.html", "an HTML page"),
        (b"{{ template }}", "a.html", "a text"),
        (b'{"cells": [], "nbformat": 4}', "x.json", "a Jupyter notebook"),
        (b'{"a": 1}', "x.ipynb", "a text"),
        (b"\n\n%PDF-1.4", "x.txt", "a PDF"),
        (b"MZ is how this text begins", "a.txt", "a text"),
        (b"MZ\x90\0\x03", "a.txt", "a Windows program"),
        (b"\x7fELF\x02", "a", "a program"),
        (b"\x1f\x8b\x08", "a.csv", "a gzip archive"),
        (b"Rar!\x1a\x07\0", "a", "a RAR archive"),
        (b"7z\xbc\xaf\x27\x1c", "a", "a 7-Zip archive"),
        (b"x" * 257 + b"ustar\0", "a", "a tar archive"),
        (b"SQLite format 3\0", "a.db", "an SQLite database"),
        (b"{\\rtf1 x}", "a.rtf", "an RTF document"),
        (documents.zipped({"a.txt": "x"}), "a.docx", "a ZIP archive"),
        (documents.docx(), "a.zip", "a Word document"),
        (b"PK\x03\x04 and no more", "a.zip", "a damaged ZIP file"),
        (ole("WordDocument"), "a.doc", "a Word document of before 2007"),
        (ole("Workbook"), "a.xls", "an Excel workbook"),
        (ole("EncryptedPackage"), "a.xlsx", "an encrypted office document"),
    ],
)  # fmt: skip
def test_bytes_show_what_a_file_is(content: bytes, name: str, words: str) -> None:
    found = kind_of(content, name)
    assert found.words == words
    assert found.reader is not None or found.advice or found.medium != "text", "a kind without a reader has advice"
