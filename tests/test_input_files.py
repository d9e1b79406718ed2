"""What people bring as inputs: documents, folders, standard input; and what becomes of what cannot be read."""

import hashlib
import os
import sys
import threading
from pathlib import Path

import pytest

from swarm.base.beneath import NotRegularError, open_beneath
from swarm.base.errors import TaskError
from swarm.readers.texts import Texts
from swarm.spec.files import InputOptions, LoadedInputs, OutputFiles, read_inputs
from swarm.spec.files.inputs import FetchedInput
from swarm.spec.task import InputSpec, Task
from tests import documents


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "box"
    made.mkdir()
    return made


def read(folder: Path, *entries: str | InputSpec, **options: object) -> LoadedInputs:
    task = Task(goal="x", inputs=entries, folder=folder)
    return read_inputs(task, OutputFiles(), InputOptions(**options))  # pyright: ignore[reportArgumentType]


def names(found: LoadedInputs) -> list[str]:
    return [each.name for each in found.inputs]


def files(folder: Path, **content: bytes | str) -> None:
    """Write files; in a name, `__` is a slash and `_` before the ending is a dot."""
    for name, text in content.items():
        path = folder / name.replace("__", "/")
        path = path.with_name(".".join(path.name.rsplit("_", 1)))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)


def reasons(found: LoadedInputs) -> dict[str, str]:
    return {each.name: each.because.partition("\n")[0] for each in found.unread}


# Documents


def test_a_document_is_its_text_with_what_it_was(folder: Path) -> None:
    files(folder, a_pdf=documents.pdf(), b_docx=documents.docx(), c_xlsx=documents.xlsx())
    found = {each.name: each for each in read(folder, "*").inputs}
    pdf = found["a.pdf"]
    assert (pdf.kind, pdf.unit, pdf.count, pdf.medium) == ("PDF", "page", 2, "text")
    assert pdf.size == len(pdf.text.encode())
    assert pdf.sha256 == hashlib.sha256(documents.pdf()).hexdigest()
    assert pdf.text_sha256 == hashlib.sha256(pdf.text.encode()).hexdigest()
    assert (found["b.docx"].kind, found["b.docx"].count) == ("Word document", 2)
    assert "rows" not in found["b.docx"].columns
    assert found["c.xlsx"].columns.startswith("sheet Costs: 1 row: region (text, 1 value); amount (number")
    assert all(fact in each.text for each in found.values() for fact in ("42.5 million", "77 widgets", "北京"))


def test_a_text_in_another_encoding_is_read_and_named(folder: Path) -> None:
    files(folder, a_txt="Größe: 42 m²".encode("cp1252"), b_txt="plain")
    one, other = read(folder, "*").inputs
    assert (one.text, one.kind, one.size) == ("Größe: 42 m²", "text in cp1252", 15)
    assert (other.kind, other.text_sha256) == ("", "")


def test_the_name_of_a_file_does_not_decide(folder: Path) -> None:
    files(folder, report_txt=documents.pdf(), page_dat=documents.html())
    assert {each.name: each.kind for each in read(folder, "*").inputs} == {"report.txt": "PDF", "page.dat": "HTML page"}


def test_as_text_keeps_the_source_of_a_page(folder: Path) -> None:
    files(folder, a_html=documents.html())
    (found,) = read(folder, InputSpec.model_validate({"path": "a.html", "as": "text"})).inputs
    assert found.text == documents.html()


def test_texts_of_documents_are_stored_and_used_again(folder: Path, tmp_path: Path) -> None:
    files(folder, a_pdf=documents.pdf())
    texts = Texts(tmp_path / "texts")
    found = read(folder, "a.pdf", texts=texts)
    assert not (tmp_path / "texts").exists(), "reading writes nothing"
    for each in found.made:
        texts.put(*each)
    again = read(folder, "a.pdf", texts=texts)
    assert (again.made, again.inputs) == ((), found.inputs)
    (stored,) = (tmp_path / "texts").iterdir()
    assert stored.name.startswith(f"{found.inputs[0].sha256}-pdf-1")
    stored.write_bytes(stored.read_bytes().replace(b"77 widgets", b"99 widgets"))
    assert read(folder, "a.pdf", texts=texts).inputs == found.inputs, "a changed file is not believed"


def test_a_scan_becomes_pictures_for_a_model_that_accepts_images(folder: Path) -> None:
    files(folder, scan_pdf=documents.scan(22))
    found = read(folder, "scan.pdf", pictures=True)
    assert names(found)[:2] == ["scan.pdf#page=1", "scan.pdf#page=2"]
    assert (len(found.inputs), {each.medium for each in found.inputs}) == (20, {"image"})
    assert reasons(found) == {"scan.pdf": "has pages that are pictures without text: pages 21 to 22"}


def test_pages_without_text_are_named_for_other_models(folder: Path) -> None:
    files(folder, scan_pdf=documents.scan(2), note_md="x")
    found = read(folder, "*")
    assert names(found) == ["note.md"]
    assert reasons(found) == {"scan.pdf": "has pages that are pictures without text: pages 1 to 2"}


# What cannot be read

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
UNREADABLE = {
    "a.zip": (documents.zipped({"x": "y"}), "is a ZIP archive"),
    "b.doc": (OLE + "WordDocument\0".encode("utf-16-le"), "is a Word document of before 2007"),
    "c.bin": (bytes(range(256)) * 20, "is not text: it has NUL bytes, as binary data does"),
    "d.pdf": (b"%PDF-1.7 and no more", "is damaged: it is not a complete PDF"),
    "e.docx": (documents.docx()[:500], "is a damaged ZIP file"),
    "f.exe": (b"MZ\x90\0\x03\0\0\0", "is a Windows program"),
    "g.pdf": (documents.pdf([""]), "has no text"),
    "h.rtf": (b"{\\rtf1 x}", "is an RTF document"),
}  # fmt: skip


def test_files_that_cannot_be_read_are_left_out_and_named(folder: Path) -> None:
    for name, (content, _) in UNREADABLE.items():
        (folder / name).write_bytes(content)
    (folder / "note.md").write_text("A fact.")
    found = read(folder, "*")
    assert names(found) == ["note.md"]
    assert reasons(found) == {name: because for name, (_, because) in UNREADABLE.items()}
    assert all("hint:" in each.because for each in found.unread if each.name not in ("c.bin", "d.pdf", "g.pdf"))


def test_named_by_itself_such_a_file_is_left_out_too(folder: Path) -> None:
    files(folder, a_zip=UNREADABLE["a.zip"][0], note_md="x")
    assert reasons(read(folder, "note.md", "a.zip")) == {"a.zip": "is a ZIP archive"}


def test_a_strict_caller_gets_all_errors_at_once_as_they_were_written(folder: Path) -> None:
    files(folder, in__a_zip=UNREADABLE["a.zip"][0], in__d_pdf=UNREADABLE["d.pdf"][0], note_md="x")
    with pytest.raises(TaskError) as caught:
        read(folder, "note.md", "./in", "zebra.csv", strict=True)
    assert [str(each).partition("\n")[0] for each in caught.value.problems] == [
        "inputs.1: `in/a.zip` is a ZIP archive",
        "inputs.1: `in/d.pdf` is damaged: it is not a complete PDF",
        f"inputs.2: there is no file `zebra.csv` in {folder}",
    ]


def test_if_nothing_can_be_read_that_is_an_error(folder: Path) -> None:
    files(folder, a_zip=UNREADABLE["a.zip"][0])
    with pytest.raises(TaskError, match=r"inputs\.0: `a\.zip` is a ZIP archive"):
        read(folder, "*")


def test_without_the_extra_the_sentence_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("pypdfium2", "python_calamine", "selectolax"):
        monkeypatch.setitem(sys.modules, package, None)  # as if it was not installed
    files(folder, a_pdf=documents.pdf(), b_xlsx=documents.xlsx(), c_html=documents.html(), d_docx=documents.docx())
    found = read(folder, "*")
    install = 'to read it: pip install "local-agent-swarm[files]"'
    assert reasons(found) == {"a.pdf": f"is a PDF; {install}", "b.xlsx": f"is an Excel workbook; {install}"}
    assert names(found) == ["c.html", "d.docx"]
    assert found.inputs[0].text == documents.html()
    assert found.notes == ("`c.html` is read with its markup; to read its text only: pip install "
                           '"local-agent-swarm[files]"',)  # fmt: skip
    with pytest.raises(TaskError, match=r"`a\.pdf` is a PDF; to read it: pip install"):
        read(folder, "d.docx", "a.pdf")


# Folders


def test_a_folder_is_its_files_but_those_that_nobody_means(folder: Path) -> None:
    files(
        folder, in__a_md="a", in__deep__b_md="b", in__x_log="l", in__keep_log="k", in__build__c_md="c",
        in__deep__d_tmp="d", in__deep__build__e_md="e",
    )  # fmt: skip
    (folder / "in/.hidden.md").write_text("h")
    (folder / "in/.git").mkdir()
    (folder / "in/.gitignore").write_text("*.log\n!keep.log\n/build/\n")
    (folder / "in/deep/.ignore").write_text("*.tmp\n")
    (folder / "in/link.md").symlink_to(folder / "in/a.md")
    (folder / "in/loop").symlink_to(folder / "in")
    os.mkfifo(folder / "in/pipe")
    expected = ["in/a.md", "in/deep/b.md", "in/deep/build/e.md", "in/keep.log"]
    assert names(read(folder, "in")) == expected
    assert names(read(folder, "in/")) == expected
    assert names(read(folder / "in", ".")) == [name.removeprefix("in/") for name in expected]


def test_rules_above_a_folder_hold_up_to_its_repository(folder: Path) -> None:
    files(folder, repo__docs__a_md="a", repo__docs__b_txt="b", repo__data__c_txt="c")
    (folder / ".gitignore").write_text("*.md\n")  # outside of the repository
    (folder / "repo/.git").mkdir()
    (folder / "repo/.gitignore").write_text("*.txt\n/data/\n")
    assert names(read(folder, "repo/docs")) == ["repo/docs/a.md"]
    assert names(read(folder, "repo/data")) == ["repo/data/c.txt"], "who names an ignored folder means it"
    assert names(read(folder, "repo/docs/b.txt")) == ["repo/docs/b.txt"]


def test_what_a_task_is_made_of_is_no_data_of_its_folder(folder: Path) -> None:
    files(folder, task_yaml="goal: x", agents__a_md="agent", note_md="n", plan_yaml="steps: []")
    own = (folder / "task.yaml", folder / "agents", folder / "plan.yaml")
    assert names(read(folder, ".", own_files=own)) == ["note.md"]


def test_a_folder_without_files_is_an_error(folder: Path) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(TaskError, match=r"`empty` matches no file"):
        read(folder, "empty")


# Standard input, given paths, addresses


def test_standard_input_is_an_input_of_any_kind(folder: Path) -> None:
    calls: list[int] = []

    def stdin() -> bytes:
        calls.append(1)
        return documents.pdf()

    found = read(folder, "-", stdin=stdin)
    assert (names(found), found.inputs[0].kind, found.inputs[0].path) == (["stdin"], "PDF", "-")
    assert (found.stdin, calls) == (documents.pdf(), [1])
    named = read(folder, InputSpec(path="-", name="mail"), "-", stdin=lambda: b"text")
    assert [(each.name, each.text) for each in named.inputs] == [("mail", "text"), ("stdin", "text")]


def test_given_paths_are_relative_to_their_own_folder(folder: Path, tmp_path: Path) -> None:
    files(folder, a_md="a")
    files(tmp_path, else__b_md="b")
    found = read(folder, "a.md", given=("b.md",), given_folder=tmp_path / "else")
    assert [(each.name, each.path) for each in found.inputs] == [("a.md", ""), ("b.md", str(tmp_path / "else/b.md"))]
    with pytest.raises(TaskError, match=r"^--input: there is no file `gone\.md`"):
        read(folder, "a.md", given=("gone.md",), given_folder=tmp_path)


def test_an_address_needs_somebody_who_may_load_it(folder: Path) -> None:
    with pytest.raises(
        TaskError, match=r"`https://example\.org/a` is an address, which is fetched only if .*\nhint: add `web: {}`"
    ):
        read(folder, "https://example.org/a")

    def fetch(address: str) -> FetchedInput:
        return FetchedInput(b"<html><p>x</html>", "a.html", address)

    found = read(folder, "https://example.org/a", fetch=fetch)
    assert [(each.name, each.text) for each in found.inputs] == [("https://example.org/a", "x")]


# Paths that lead out of a folder (S5)

PAYLOADS = (
    "../secret", "in/../../secret", "/etc/passwd", "in/../../../../etc/passwd", "link", "linked/secret", "loop/loop/x",
    "..", ".", "", "in//../../secret", "a\0b", "pipe", "in", "~/x", "in/./../../secret", "x" * 300,
)  # fmt: skip


@pytest.mark.parametrize("name", PAYLOADS)
def test_no_name_leads_out_of_a_folder(folder: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("secret")
    files(folder, in__a_md="a")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "linked").symlink_to(tmp_path)
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "pipe")
    with pytest.raises(OSError):  # noqa: PT011 - which one depends on the name
        os.close(open_beneath(folder, name))
    os.close(open_beneath(folder, "in/a.md"))


def test_a_pipe_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    files(folder, a_md="a")
    with pytest.raises(NotRegularError):
        open_beneath(folder, "pipe")
    assert reasons(read(folder, "a.md", "pipe")) == {"pipe": "is not a regular file"}


def test_a_link_that_is_swapped_in_at_any_moment_leads_nowhere(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/a.md").write_text("secret")
    files(folder, in__a_md="inside")
    (folder / "link").symlink_to(tmp_path / "outside")
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            (folder / "in").rename(folder / "kept")
            (folder / "link").rename(folder / "in")
            (folder / "in").rename(folder / "link")
            (folder / "kept").rename(folder / "in")

    thread = threading.Thread(target=swap)
    thread.start()
    read_bytes: set[bytes] = set()
    try:
        for _ in range(10_000):
            try:
                fd = open_beneath(folder, "in/a.md")
            except OSError:
                continue
            read_bytes.add(os.read(fd, 100))
            os.close(fd)
    finally:
        done.set()
        thread.join()
    assert read_bytes == {b"inside"}


# Globs


@pytest.mark.parametrize("glob", ["*/" * 2_000, "*/" * 101 + "x", "**/a/" * 5])
def test_a_glob_that_would_take_for_ever_is_refused(folder: Path, glob: str) -> None:
    with pytest.raises(TaskError, match=r"` is too long; the maximum is 100 parts, 4 of them `\*\*`"):
        read(folder, glob)


def test_stars_in_a_row_are_one(folder: Path) -> None:
    files(folder, a_md="A.", b__c__d_md="D.")
    assert names(read(folder, "**/" * 50 + "*.md")) == names(read(folder, "**/*.md")) == ["a.md", "b/c/d.md"]
