"""Documents are read in one other process: what ends it or never ends costs one file."""

import os
import signal
import threading
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from random import Random

import psutil
import pytest

from swarm.readers.extract import Extractor, StoppedError
from swarm.readers.zips import MOST_MEMBERS, UnreadableError
from tests import documents


@pytest.fixture
def extractor() -> Iterator[Extractor]:
    with Extractor(seconds=2) as found:
        yield found


def wrong(extractor: Extractor, reader: str, content: bytes) -> str:
    with pytest.raises(UnreadableError) as caught:
        extractor.read(reader, content, "x")
    return str(caught.value)


def bomb() -> bytes:
    """Return a PDF of 3 kB that draws 2^30 forms: each draws the next one twice."""
    levels = 30
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"]
    names = b"/Resources << /XObject << /X %d 0 R >> >>"
    stream = b"stream\n/X Do /X Do\nendstream"
    objects.append(b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R " + names % 5 + b" >>")
    objects.append(b"<< /Length 11 >>\n" + stream)
    for n in range(levels):
        about = b"<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Length 11 "
        objects.append(about + names % (6 + n) + b" >>\n" + stream)
    objects.append(b"<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Length 0 >>\nstream\n\nendstream")
    return documents.file_of(objects)


def test_a_document_that_never_ends_is_named_and_the_next_one_is_read(extractor: Extractor) -> None:
    said = wrong(extractor, "pdf", bomb())
    assert "takes more than 2 s to read" in said or "ends the program that reads it" in said
    assert "77 widgets" in extractor.read("docx", documents.docx(), "a.docx").text


def test_a_document_that_ends_the_reader_is_named_and_the_next_one_is_read() -> None:
    done = threading.Event()

    def kill() -> None:
        """Do what a damaged file does to a library in C, as soon as the process is there."""
        while not done.wait(0.02):
            for child in psutil.Process().children(recursive=True):
                if "swarm.readers.child" in " ".join(child.cmdline()):
                    os.kill(child.pid, signal.SIGSEGV)

    with Extractor(seconds=20) as extractor:
        extractor.read("notebook", b"{}", "")
        thread = threading.Thread(target=kill)
        thread.start()
        try:
            said = wrong(extractor, "pdf", bomb())
        finally:
            done.set()
            thread.join()
        assert "ends the program that reads it" in said
        assert "77 widgets" in extractor.read("docx", documents.docx(), "a.docx").text


def test_a_caller_can_stop_a_reading() -> None:
    stop = threading.Event()
    with Extractor(seconds=60, stopped=stop.is_set) as extractor:
        extractor.read("notebook", b"{}", "")
        stop.set()
        with pytest.raises(StoppedError):
            extractor.read("pdf", bomb(), "a.pdf")


def test_the_process_has_no_environment_no_home_and_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "canary-1234567")
    with Extractor() as extractor:
        extractor.read("notebook", b"{}", "")
        readers = [
            child
            for child in psutil.Process().children(recursive=True)
            if "swarm.readers.child" in " ".join(child.cmdline())
        ]
        assert readers
        for each in readers:
            assert "MY_KEY" not in each.environ()
            assert "canary" not in " ".join(each.cmdline())
        if extractor.is_boxed:
            inner = readers[-1].pid
            assert Path(f"/proc/{inner}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
            assert not Path(f"/proc/{inner}/root{tmp_path}").exists()


def test_without_a_box_the_process_reads_the_same() -> None:
    with Extractor(may_box=False) as bare, Extractor() as other:
        for make in (documents.pdf, documents.docx):
            reader = "pdf" if make is documents.pdf else "docx"
            assert bare.read(reader, make(), "x") == other.read(reader, make(), "x")
        assert not bare.is_boxed


# Hostile archives (S9)


def test_a_zip_that_unpacks_to_far_more_is_refused(extractor: Extractor) -> None:
    content = documents.zipped({"[Content_Types].xml": "", "word/document.xml": b"\0" * 3_000_000})
    assert "unpacks to far more" in wrong(extractor, "docx", content)


def test_a_part_beside_the_cells_of_a_workbook_is_unpacked_with_limits_too(extractor: Extractor) -> None:
    archive = zipfile.ZipFile(BytesIO(documents.xlsx()))
    members = {name: archive.read(name) for name in archive.namelist()}
    content = documents.zipped({**members, "xl/worksheets/sheet9.xml": b" " * 3_000_000})
    assert "unpacks to far more" in wrong(extractor, "sheets", content)


def test_a_zip_of_many_members_is_refused(extractor: Extractor) -> None:
    content = documents.zipped({f"m{n}": "" for n in range(MOST_MEMBERS + 1)})
    assert "has 10,001 files inside; maximum 10,000" in wrong(extractor, "docx", content)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_xml_with_a_document_type_is_refused(extractor: Extractor, encoding: str) -> None:
    xml = (
        f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;">]>'
        "<a>&c;</a>"
    )
    content = documents.zipped({"word/document.xml": xml.encode(encoding)})
    assert "document type" in wrong(extractor, "docx", content)


def test_xml_that_is_nested_without_end_is_named(extractor: Extractor) -> None:
    deep = "<w:sdt>" * 20_000 + "</w:sdt>" * 20_000
    assert "nested too deeply" in wrong(extractor, "docx", documents.docx(deep))
    assert "77 widgets" in extractor.read("docx", documents.docx(), "a.docx").text


def test_a_file_cut_in_the_middle_is_named(extractor: Extractor) -> None:
    for reader, content in (("docx", documents.docx()), ("sheets", documents.xlsx()), ("epub", documents.epub())):
        assert "damaged" in wrong(extractor, reader, content[: len(content) // 2])


def test_a_changed_byte_of_a_document_costs_that_document(extractor: Extractor) -> None:
    choose = Random(7)
    read, named = 0, list[str]()
    for make, reader in ((documents.pdf, "pdf"), (documents.docx, "docx"), (documents.xlsx, "sheets")):
        for _ in range(40):
            content = bytearray(make())
            for _ in range(5):
                content[choose.randrange(len(content))] = choose.randrange(256)
            try:
                extractor.read(reader, bytes(content), "x")
                read += 1
            except UnreadableError as error:
                named.append(str(error))
    assert min(read, len(named)) > 10
    assert [words for words in named if "not known" in words] == []


def test_names_in_an_archive_lead_nowhere(extractor: Extractor, tmp_path: Path) -> None:
    (tmp_path / "secret.xml").write_text("<a>secret</a>")
    relations = (
        '<Relationships xmlns="x"><Relationship Id="r" Type="x/header" Target="../../../../../../..'
        f'{tmp_path}/secret.xml"/></Relationships>'
    )
    archive = zipfile.ZipFile(BytesIO(documents.docx()))
    members = {name: archive.read(name) for name in archive.namelist()}
    content = documents.zipped({**members, "word/_rels/document.xml.rels": relations.encode()})
    assert "secret" not in extractor.read("docx", content, "a.docx").text
