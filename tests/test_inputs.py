import base64
import hashlib
import os
from pathlib import Path

import pytest

from swarm.base.errors import TaskError
from swarm.spec.files import InputOptions, contents, load_task, read_inputs
from swarm.spec.task import Input, InputSpec, Task

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {
        "notes/b.md": "b", "notes/a.md": "a", "notes/.hidden.md": "h", "notes/deep/c.md": "c", "notes/deep/d.txt": "d",
        "notes/.git/e.md": "e", ".swarm/runs/x/report.md": "r", "data.csv": "x,y\n1,2\n", "odd[1].md": "odd",
    }.items():  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "shelf.png").write_bytes(PNG)
    return tmp_path


def read(folder: Path, *entries: str | InputSpec) -> tuple[Input, ...]:
    return read_inputs(Task(goal="x", inputs=entries, folder=folder)).inputs


def names(folder: Path, *entries: str | InputSpec) -> list[str]:
    return [found.name for found in read(folder, *entries)]


def wrong(folder: Path, *entries: str | InputSpec) -> list[str]:
    """Return all problems of inputs for a strict caller."""
    with pytest.raises(TaskError) as caught:
        read_inputs(Task(goal="x", inputs=entries, folder=folder), options=InputOptions(strict=True))
    return [str(problem) for problem in caught.value.problems]


def spec(**fields: str) -> InputSpec:
    return InputSpec.model_validate(fields)


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ("notes/*.md", ["notes/a.md", "notes/b.md"]),
        ("notes/**", ["notes/a.md", "notes/b.md", "notes/deep/c.md", "notes/deep/d.txt"]),
        ("**/*.md", ["notes/a.md", "notes/b.md", "notes/deep/c.md", "odd[1].md"]),
        ("**/[cd].*", ["notes/deep/c.md", "notes/deep/d.txt"]),
        ("./notes/?.md", ["notes/a.md", "notes/b.md"]),
        ("notes/.hid*", ["notes/.hidden.md"]),
        ("odd[1].md", ["odd[1].md"]),
        ("notes/../data.csv", ["notes/../data.csv"]),
    ],
)
def test_globs_are_sorted_and_skip_what_is_hidden(folder: Path, entry: str, found: list[str]) -> None:
    assert names(folder, entry) == found


def test_runs_are_never_inputs_of_a_glob(folder: Path) -> None:
    assert wrong(folder, ".swarm/**/*.md") == [f"inputs.0: `.swarm/**/*.md` matches no file in {folder}"]
    assert names(folder / ".swarm/runs", "x/*.md") == ["x/report.md"]


def test_entries_keep_their_order_and_a_file_comes_once(folder: Path) -> None:
    (folder / "link.md").symlink_to(folder / "notes/a.md")
    assert names(folder, "notes/b.md", "notes/*.md", "link.md", "./notes/a.md") == ["notes/b.md", "notes/a.md"]


def test_a_label_is_kept_whichever_entry_names_the_file(folder: Path) -> None:
    labelled = spec(path="notes/a.md", label="private", name="a")
    for entries in (("notes/*.md", labelled), (labelled, "notes/*.md")):
        found = {entry.name: entry.label for entry in read(folder, *entries)}
        assert found == {"a": "private", "notes/b.md": None}
    assert wrong(folder, labelled, spec(path="notes/*.md", label="public")) == [
        "inputs.1: `a` has `label: private` in one entry and `label: public` in this one"
    ]


def test_links_to_folders_are_not_followed(folder: Path) -> None:
    (folder / "notes/deep/loop").symlink_to(folder / "notes")
    assert names(folder, "notes/**/*.md") == ["notes/a.md", "notes/b.md", "notes/deep/c.md"]


def test_paths_outside_the_folder_are_what_the_user_wrote(folder: Path) -> None:
    assert names(folder / "notes", "../data.csv") == ["../data.csv"]
    assert names(folder, str(folder / "data.csv"), str(folder / "notes" / "*.md")) == [
        str(folder / "data.csv"), str(folder / "notes/a.md"), str(folder / "notes/b.md"),
    ]  # fmt: skip


def test_text_is_read_whole_and_hashed_as_it_is(folder: Path) -> None:
    (folder / "bom.md").write_bytes(b"\xef\xbb\xbf\xc3\xb6\r\n")
    (found,) = read(folder, "bom.md")
    assert found.text == "ö\r\n"
    assert (found.medium, found.mime, found.size, found.base64) == ("text", "text/markdown", 7, "")
    assert found.sha256 == hashlib.sha256(b"\xef\xbb\xbf\xc3\xb6\r\n").hexdigest()
    assert [entry.mime for entry in read(folder, "data.csv", "notes/deep/d.txt")] == ["text/csv", "text/plain"]


def test_media_are_recognised_by_their_ending_or_their_bytes(folder: Path) -> None:
    (folder / "photo").write_bytes(PNG)
    (folder / "sound").write_bytes(b"RIFF\x00\x00\x00\x00WAVE")
    found = read(
        folder, "shelf.png", spec(**{"path": "photo", "as": "image"}), spec(**{"path": "sound", "as": "audio"})
    )
    assert [(entry.medium, entry.mime) for entry in found] == [
        ("image", "image/png"), ("image", "image/png"), ("audio", "audio/wav"),
    ]  # fmt: skip
    assert base64.b64decode(found[0].base64) == PNG
    assert found[0].text == ""


def test_as_text_overrides_the_ending(folder: Path) -> None:
    (folder / "drawing.png").write_text("not a picture")
    (found,) = read(folder, spec(**{"path": "drawing.png", "as": "text"}))
    assert (found.medium, found.mime, found.text) == ("text", "text/plain", "not a picture")


def test_problems_of_all_entries_are_reported_together(folder: Path) -> None:
    (folder / "zeros.bin").write_bytes(b"a\0b")
    os.mkfifo(folder / "pipe")
    found = wrong(
        folder, "pipe/x", "nots.csv", "notes/*.pdf", "dta.csv", "-", "zeros.bin", "pipe", "a\0b",
        spec(path="notes/*.md", name="n"), spec(path="data.csv", name="same"), spec(path="odd[1].md", name="same"),
        spec(**{"path": "notes/deep/d.txt", "as": "video"}), "**x/**/y", "gone/*.md", "n" * 300 + ".md",
    )  # fmt: skip
    starts = [
        "inputs.0: there is no file `pipe/x` in",
        f"inputs.1: there is no file `nots.csv` in {folder}",
        f"inputs.2: `notes/*.pdf` matches no file in {folder}",
        f"inputs.3: there is no file `dta.csv` in {folder}; did you mean `data.csv`?",
        "inputs.4: `-` is standard input, which this call does not have",
        "inputs.5: `zeros.bin` is not text: it has NUL bytes, as binary data does",
        "inputs.6: `pipe` is not a regular file",
        "inputs.7: the path contains a NUL character",
        "inputs.8: `notes/*.md` matches 2 files; `name` is allowed for one file only",
        f"inputs.10: two inputs have the name `same`: {folder}/data.csv and {folder}/odd[1].md; set another `name`",
        "inputs.11: `notes/deep/d.txt` has an unknown video format\nhint: give its name one of these endings: .mp4",
        "inputs.12: `**x/**/y` ",
        "inputs.13: `gone/*.md` matches no file",
        "inputs.14: `nnn",
    ]
    assert [message[: len(start)] for message, start in zip(found, starts, strict=True)] == starts


def test_a_file_that_may_not_be_read_is_named(folder: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (folder / "data.csv").chmod(0)
    assert wrong(folder, "data.csv") == ["inputs.0: `data.csv` cannot be read: Permission denied"]


def test_sizes_are_bounded(folder: Path) -> None:
    (folder / "big.txt").write_bytes(b"a" * (contents.MOST_TEXT + 1))
    with (folder / "big.png").open("wb") as file:
        file.truncate(contents.MOST_MEDIA + 1)  # sparse
    assert [message.split(",", 1)[0] for message in wrong(folder, "big.txt", "big.png")] == [
        "inputs.0: `big.txt` has more than 5", "inputs.1: `big.png` has more than 100",
    ]  # fmt: skip
    (folder / "big.txt").write_bytes(b"a" * contents.MOST_TEXT)
    assert read(folder, "big.txt")[0].size == contents.MOST_TEXT


def test_problems_have_the_place_of_the_entry(folder: Path) -> None:
    task = load_task("t.yaml", text="goal: x\ninputs:\n  - data.csv\n  - {path: gone.md}\n", environ={}, folder=folder)
    with pytest.raises(TaskError, match=r"^t\.yaml:4:5: inputs\.1: there is no file `gone\.md` in "):
        read_inputs(task)
