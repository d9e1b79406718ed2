"""What people really have in their folders: each file is read, or named with a reason and a remedy."""

import base64
import os
import struct
from pathlib import Path

import pytest

from swarm.base.errors import TaskError
from swarm.lifecycle.opened import open_task
from swarm.lifecycle.options import Options
from swarm.readers.html import html_text, parsable
from swarm.readers.mail import read_mail
from swarm.readers.read import read as read_document
from swarm.readers.zips import UnreadableError
from swarm.spec.files import InputOptions, LoadedInputs, read_inputs
from swarm.spec.files.contents import remedied
from swarm.spec.task import InputSpec, Task
from tests import documents

WEIGHT = "The pump B weighs 8 kg."
CJK = "泵的重量是十公斤。压力很高，温度很低。"
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def read(folder: Path, *inputs: str | InputSpec, **more: object) -> LoadedInputs:
    return read_inputs(Task(goal="x", inputs=inputs or (".",), folder=folder), options=InputOptions(**more))  # pyright: ignore[reportArgumentType]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"\xef\xbb\xbf" + WEIGHT.encode(), WEIGHT),
        (WEIGHT.encode("utf-16"), WEIGHT),
        (WEIGHT.encode("utf-16")[:-1], WEIGHT[:-1]),  # cut in a character
        (WEIGHT.encode("utf-16-be"), WEIGHT),
        (CJK.encode("utf-16-le"), CJK),
        (CJK.encode("utf-16-be"), CJK),
        (b"\x1b[31mred\x1b[0m and a bell\x07", "\x1b[31mred\x1b[0m and a bell\x07"),
    ],
)
def test_a_text_of_any_spelling_is_read(folder: Path, content: bytes, text: str) -> None:
    (folder / "a.txt").write_bytes(content)
    assert [each.text.removeprefix("\ufeff") for each in read(folder).inputs] == [text]


NAMES = ("a b.txt", "new\nline.txt", "tab\t.txt", "🚰.txt", "-dash.txt", "[x].txt", "star*.txt", "Case.txt", "case.txt")


def test_a_file_of_any_name_is_read_once(folder: Path) -> None:
    for name in NAMES:
        (folder / name).write_text(name)
    (folder / "link.txt").symlink_to("Case.txt")
    (folder / "loop").symlink_to(".")
    (folder / "gone.txt").symlink_to("nowhere")
    assert {each.name: each.text for each in read(folder).inputs} == {name: name for name in NAMES}
    assert len(read(folder, "link.txt", "Case.txt", "./Case.txt").inputs) == 1, "one file by three names"
    with pytest.raises(TaskError, match=r"`gone\.txt` is a link to something that does not exist"):
        read(folder, "gone.txt")


def test_a_name_that_is_no_text_is_escaped_or_refused(folder: Path) -> None:
    odd = os.fsdecode(b"caf\xe9")
    (folder / f"{odd}.txt").write_text(WEIGHT)
    assert [(each.name, each.text) for each in read(folder).inputs] == [("caf\\xe9.txt", WEIGHT)]
    with pytest.raises(TaskError, match=r"`caf\\xe9\.txt` is not in UTF-8\nhint: rename it"):
        read(folder, f"{odd}.txt")
    (folder / odd).mkdir()
    with pytest.raises(TaskError, match=r"caf\\xe9: the name of this folder is not in UTF-8\nhint: "):
        open_task(Task(goal="x", folder=folder / odd), Options())


WRONG = {
    ".": "matches no file in",
    "": r"is an empty path\nhint: name a file, or `\.` for this folder",
    " ": "is an empty path",
    "~/x": r"; `~` is not expanded\nhint: write the whole path",
    "$HOME/*.md": r"; `\$` is not expanded\nhint: ",
    "NOTES/a.md": "there is no file",
    "../BOX": r"did you mean `box`\?",
}


@pytest.mark.parametrize("path", WRONG)
def test_a_path_that_names_nothing_says_why(tmp_path: Path, path: str) -> None:
    (tmp_path / "box").mkdir()
    with pytest.raises(TaskError, match=WRONG[path]):
        read(tmp_path / "box", path)


UNREADABLE = {
    "zero.pdf": (b"", "is empty"),
    "blank.docx": (b"\r\n", "is empty"),
    "zero.png": (b"", "is empty"),
    "lfs.pdf": (LFS.encode(), "is a pointer of Git LFS"),
    "lfs.png": (LFS.encode(), "is a pointer of Git LFS"),
    "print0.txt": (b"one\0two\0six\0", "is not text"),
    "a.pages": (documents.zipped({"Index/Document.iwa": "x"}), "is an Apple Pages document"),
    "a.zip": (documents.zipped({"a.txt": "x"}), "is a ZIP archive"),
    "half.pdf": (documents.pdf()[:400], "is damaged"),
    "half.docx": (documents.docx()[:-300], "is a damaged ZIP"),
    "no.docx": (documents.zipped({"word/document1.xml": "x"}), "is damaged"),
    "bomb.docx": (documents.zipped({"word/document.xml": b" " * 30_000_000}), "unpacks to far more"),
    "many.docx": (documents.zipped({"word/document.xml": "<a/>"} | {f"{n}": "" for n in range(10_001)}), "has 10,002"),
    "bad.ipynb": (b'{"cells": [{', "is damaged"),
    "scan.pdf": (documents.scan(), "has pages that are pictures"),
}


def test_what_cannot_be_read_is_named_with_a_remedy(folder: Path) -> None:
    (folder / "ok.txt").write_text("ok")
    for name, (content, _) in UNREADABLE.items():
        (folder / name).write_bytes(content)
    found = read(folder)
    assert [each.name for each in found.inputs] == ["ok.txt"]
    assert {each.name for each in found.unread} == set(UNREADABLE)
    for each in found.unread:
        because, _, hint = each.because.partition("\nhint: ")
        assert because.startswith(UNREADABLE[each.name][1])
        assert hint, each.name


def test_empty_texts_are_told_in_one_note(folder: Path) -> None:
    for name, content in {
        "a.py": b"",
        "b.md": b" \n",
        "c.csv": b"\xef\xbb\xbf",
        "d.txt": b"\xff\xfe",
        "e.txt": b"e",
    }.items():
        (folder / name).write_bytes(content)
    found = read(folder)
    assert (len(found.inputs), found.unread) == (5, ())
    assert found.notes == ("`a.py`, `b.md`, `c.csv` and 1 more are empty",)


def test_a_folder_in_a_folder_that_cannot_be_read_is_named_and_the_rest_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "closed").mkdir()
    (folder / "ok.txt").write_text("ok")
    deep = folder.joinpath(*["d"] * 120)
    deep.mkdir(parents=True)
    (deep / "leaf.txt").write_text("leaf")
    scan = os.scandir

    def scandir(path: Path) -> object:
        if path.name == "closed":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)  # root may read everything
    found = read(folder)
    assert [each.name for each in found.inputs] == ["ok.txt"]
    because = [each.because for each in found.unread]
    assert because[0].startswith("is a folder that cannot be read: Permission denied\nhint: change its permissions")
    assert because[1].startswith("is more than 100 folders deep\nhint: ")
    with pytest.raises(TaskError, match=r"`closed/` is a folder that cannot be read"):
        read(folder, strict=True)


def test_the_bytes_of_a_file_decide_its_kind_whatever_name_it_gets(folder: Path) -> None:
    (folder / "rows.csv").write_text("pump,price\nA,1\nB,2\n")
    (folder / "page.htm").write_text("<p>Hello</p>")
    found = read(folder, InputSpec(path="rows.csv", name="prices"), InputSpec(path="page.htm", name="page"))
    rows, page = found.inputs
    assert "price" in rows.columns
    assert (page.kind, page.text) == ("HTML page", "Hello")


def test_a_workbook_of_excel_97_is_read(folder: Path) -> None:
    text = read_document("sheets", documents.xls(), "old.xls").text
    assert "[sheet Costs, rows 2-4]\n| pump | price | bought |\n" in text
    assert "| A7 | 4200 | 2026-03-01 |\n| 東京 | 1300.5 |  |\n| Größe | true |  |" in text
    assert text.endswith("[sheet Leer]")


def test_empty_rows_without_end_are_no_rows(folder: Path) -> None:
    rows = b"".join(b'<row r="%d"/>' % n for n in range(10, 200_010))
    (folder / "a.xlsx").write_bytes(
        documents.changed(documents.xlsx([["pump"], ["A7"]]), "sheet1.xml", b"</sheetData>", rows + b"</sheetData>")
    )
    (only,) = read(folder).inputs
    assert only.size < 100


def test_a_pdf_as_image_is_its_pages(folder: Path) -> None:
    (folder / "a.pdf").write_bytes(documents.pdf([f"page {n}" for n in range(22)]))
    found = read(folder, InputSpec.model_validate({"path": "a.pdf", "as": "image"}))
    assert [each.name for each in found.inputs] == [f"a.pdf#page={n}" for n in range(1, 21)]
    assert {(each.medium, each.mime) for each in found.inputs} == {("image", "image/png")}
    (left,) = found.unread
    assert left.because.startswith("has pages that are not read: pages 21 to 22\nhint: ")
    width, height = struct.unpack(">II", base64.b64decode(found.inputs[0].base64)[16:24])
    assert min(width, height) > 500


@pytest.mark.parametrize("unit", ["<div>", "<b>", "<x-y></z><x-y>", "<table><tr><td>"])
def test_a_page_without_end_is_read_in_time(unit: str) -> None:
    hostile = unit * 50_000 + "The pump weighs 3 kg."
    assert "<" not in parsable(hostile), "the parser would take minutes"
    assert html_text(hostile) == "The pump weighs 3 kg."
    usual = "<ul>" + "<li><p>one<br>" * 2_000 + "</ul>" + "<div><b>x</b></div>" * 2_000
    usual += "<script>" + "write('<div>');" * 2_000 + "</script>"
    assert parsable(usual) == usual


MAIL = """From: Ida <ida@example.org>
To: team@example.org
Subject: =?utf-8?q?Gr=C3=B6=C3=9Fe_der_Pumpe?=
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: base64

VGhlIHB1bXAgRSB3ZWlnaHMgMTEga2cu

--b
Content-Type: application/pdf
Content-Disposition: attachment; filename="plan.pdf"

x
--b--
"""
SAVED = (
    "Subject: Pumps\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"
    "<p>The pump =C3=A9 weighs 12 =\nkg.</p>\n"
)


def test_a_mail_and_a_saved_page_are_their_words(folder: Path) -> None:
    for name, text in {"a.eml": MAIL, "b.mht": SAVED, "c.eml": "no headers here\n", "d.eml": "Note: only this"}.items():
        (folder / name).write_text(text)
    found = read(folder)
    mail, page, text, note = found.inputs
    assert (mail.kind, mail.text) == (
        "e-mail",
        "From: Ida <ida@example.org>\nTo: team@example.org\nSubject: Größe der Pumpe\n\nThe pump E weighs 11 kg.",
    )
    assert page.text == "Subject: Pumps\n\nThe pump é weighs 12 kg."
    assert [(each.name, each.kind, each.text) for each in (text, note)] == [
        ("c.eml", "", "no headers here\n"),
        ("d.eml", "", "Note: only this"),
    ]
    assert found.notes == ("`a.eml`: attachments are not read: plan.pdf",)
    whole = read(folder, InputSpec.model_validate({"path": "a.eml", "as": "text"})).inputs[0]
    assert whole.text == MAIL


def test_a_mail_without_end_is_named() -> None:
    part = "Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n"
    nested = "Subject: x\n" + "".join(part.format(n=n) for n in range(1_200))
    with pytest.raises(UnreadableError, match="nested too deeply"):
        read_mail(nested.encode())
    many = read_mail(b"To: " + b"a@b.c, " * 20_000 + b"\n\nwords")
    assert many.text.endswith("\n\nwords")


def test_every_reason_has_a_remedy() -> None:
    assert remedied("is odd").endswith("\nhint: leave it out")
    assert remedied("is odd\nhint: look") == "is odd\nhint: look"
