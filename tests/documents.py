"""Documents of every kind with the same six facts, written byte by byte: no office program is needed.

Each has a heading, a sentence, a list, a table, a second page and Chinese, Japanese or Korean text.
"""

import base64
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

FACTS = ("Reserve 2027", "42.5 million", "東京の売上", "DE-7741", "北京", "77 widgets")
"""In a heading, a sentence, the same sentence, a list, a table, and on the second page."""
HEADING, SENTENCE, ITEM = "Reserve 2027", "Revenue was 42.5 million, 東京の売上.", "Contract DE-7741"
TABLE = (("region", "amount"), ("北京", "1,200"))
SECOND = "The second part names 77 widgets."


def zipped(members: Mapping[str, str | bytes], *, stored: Sequence[str] = ()) -> bytes:
    """Return a ZIP file of members; those of `stored` are not compressed."""
    made = BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            kind = zipfile.ZIP_STORED if name in stored else zipfile.ZIP_DEFLATED
            archive.writestr(name, content, compress_type=kind)
    return made.getvalue()


def changed(archive: bytes, ending: str, old: bytes, new: bytes) -> bytes:
    """Return a ZIP file with bytes replaced in the members whose names have an ending."""
    with zipfile.ZipFile(BytesIO(archive)) as before:
        members = {name: before.read(name) for name in before.namelist()}
    return zipped({name: each.replace(old, new) if name.endswith(ending) else each for name, each in members.items()})


_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_R = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
_RELATIONS = 'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"'
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def docx(body: str | None = None, **parts: str) -> bytes:
    """Return a Word document. Its heading has a translated id, as in German files."""
    if body is None:
        rows = "".join(
            "<w:tr>" + "".join(f"<w:tc><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:tc>" for text in row) + "</w:tr>"
            for row in TABLE
        )
        body = (
            f'<w:p><w:pPr><w:pStyle w:val="berschrift1"/></w:pPr><w:r><w:t>{HEADING}</w:t></w:r></w:p>'
            f"<w:p><w:r><w:t>Revenue was 42.5</w:t></w:r><w:r><w:t> million, 東京の売上.</w:t></w:r></w:p>"
            f'<w:p><w:pPr><w:numPr><w:ilvl w:val="0"/></w:numPr></w:pPr><w:r><w:t>{ITEM}</w:t></w:r></w:p>'
            f"<w:tbl>{rows}</w:tbl>"
            f'<w:p><w:r><w:br w:type="page"/><w:t>{SECOND}</w:t></w:r></w:p>'
        )
    styles = f'<w:styles {_W}><w:style w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style></w:styles>'
    members = {
        "[Content_Types].xml": "<Types/>",
        "word/document.xml": f"<w:document {_W}><w:body>{body}</w:body></w:document>",
        "word/styles.xml": styles,
        **{f"word/{name}.xml": f"<w:{name} {_W}>{text}</w:{name}>" for name, text in parts.items()},
    }
    return zipped(members)


def pptx() -> bytes:
    """Return a presentation whose slides are stored in another order than they are shown."""
    a = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
    p = 'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"'

    def shape(text: str, kind: str = "body") -> str:
        runs = f"<a:p><a:r><a:t>{text}</a:t></a:r></a:p>"
        return f'<p:sp><p:nvSpPr><p:nvPr><p:ph type="{kind}"/></p:nvPr></p:nvSpPr><p:txBody>{runs}</p:txBody></p:sp>'

    cells = "".join(
        "<a:tr>" + "".join(f"<a:tc><a:txBody><a:p><a:r><a:t>{t}</a:t></a:r></a:p></a:txBody></a:tc>" for t in row)
        + "</a:tr>" for row in TABLE
    )  # fmt: skip
    frame = (
        f"<p:graphicFrame><a:graphic><a:graphicData><a:tbl>{cells}</a:tbl></a:graphicData></a:graphic></p:graphicFrame>"
    )
    first = shape(HEADING, "title") + shape(SENTENCE) + shape(ITEM) + frame
    slides = '<p:sldIdLst><p:sldId id="256" r:id="rId9"/><p:sldId id="257" r:id="rId3"/></p:sldIdLst>'
    relations = (
        f'<Relationship Id="rId3" Type="{_OFFICE}/slide" Target="slides/slide1.xml"/>'
        f'<Relationship Id="rId9" Type="{_OFFICE}/slide" Target="/ppt/slides/slide2.xml"/>'
    )
    notes = f'<Relationship Id="rId1" Type="{_OFFICE}/notesSlide" Target="../notesSlides/notesSlide1.xml"/>'
    return zipped(
        {
            "[Content_Types].xml": "<Types/>",
            "ppt/presentation.xml": f"<p:presentation {p} {_R}>{slides}</p:presentation>",
            "ppt/_rels/presentation.xml.rels": f"<Relationships {_RELATIONS}>{relations}</Relationships>",
            "ppt/slides/slide1.xml": f"<p:sld {p} {a}>{shape(SECOND)}</p:sld>",
            "ppt/slides/_rels/slide1.xml.rels": f"<Relationships {_RELATIONS}>{notes}</Relationships>",
            "ppt/slides/slide2.xml": f"<p:sld {p} {a}>{first}</p:sld>",
            "ppt/notesSlides/notesSlide1.xml": f"<p:notes {p} {a}>{shape('Say it slowly.')}</p:notes>",
        }
    )


_O = (
    'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
    'xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0"'
)
_ODF = "application/vnd.oasis.opendocument"


def _odf(kind: str, body: str) -> bytes:
    content = f"<office:document-content {_O}><office:body>{body}</office:body></office:document-content>"
    manifest = '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'
    members = {"mimetype": f"{_ODF}.{kind}", "META-INF/manifest.xml": manifest, "content.xml": content}
    return zipped(members, stored=["mimetype"])


def _odf_table() -> str:
    rows = "".join(
        "<table:table-row>"
        + "".join(
            f'<table:table-cell office:value-type="string"><text:p>{text}</text:p></table:table-cell>' for text in row
        )
        + '<table:table-cell table:number-columns-repeated="16000"/></table:table-row>'
        for row in TABLE
    )
    return f'<table:table table:name="Costs">{rows}</table:table>'


def odt() -> bytes:
    """Return an OpenDocument text."""
    body = (
        f'<text:h text:outline-level="1">{HEADING}</text:h>'
        "<text:p>Revenue<text:s/>was <text:span>42.5</text:span> million, 東京の売上.</text:p>"
        f"<text:list><text:list-item><text:p>{ITEM}</text:p></text:list-item></text:list>"
        f"{_odf_table()}<text:p>On the<text:soft-page-break/>{SECOND}</text:p>"
    )
    return _odf("text", f"<office:text>{body}</office:text>")


def odp() -> bytes:
    """Return an OpenDocument presentation."""

    def page(*blocks: str) -> str:
        boxes = "".join(f"<draw:frame><draw:text-box>{each}</draw:text-box></draw:frame>" for each in blocks)
        return f'<draw:page draw:name="p">{boxes}</draw:page>'

    texts = [f"<text:p>{text}</text:p>" for text in (HEADING, SENTENCE, ITEM)]
    slides = page(*texts, _odf_table()) + page(f"<text:p>{SECOND}</text:p>")
    return _odf("presentation", f"<office:presentation>{slides}</office:presentation>")


def ods() -> bytes:
    """Return an OpenDocument spreadsheet."""
    lines = "".join(
        f'<table:table-row><table:table-cell office:value-type="string"><text:p>{text}</text:p></table:table-cell>'
        "</table:table-row>"
        for text in (HEADING, SENTENCE, ITEM, SECOND)
    )
    notes = f'<table:table table:name="Notes">{lines}</table:table>'
    return _odf("spreadsheet", f"<office:spreadsheet>{_odf_table()}{notes}</office:spreadsheet>")


def xlsx(rows: Sequence[Sequence[object]] | None = None) -> bytes:
    """Return an Excel workbook with two sheets, or with these rows in one."""
    import xlsxwriter  # pyright: ignore[reportMissingTypeStubs]

    made = BytesIO()
    book: Any = xlsxwriter.Workbook(made, {"in_memory": True})
    day = book.add_format({"num_format": "yyyy-mm-dd"})
    sheet = book.add_worksheet("Costs")
    for number, row in enumerate(TABLE if rows is None else rows):
        for column, value in enumerate(row):
            if hasattr(value, "year"):
                sheet.write_datetime(number, column, value, day)
            else:
                sheet.write(number, column, value)
    if rows is None:
        notes = book.add_worksheet("Notes 注")
        for number, text in enumerate((HEADING, SENTENCE, ITEM, SECOND)):
            notes.write(number, 0, text)
    book.close()
    return made.getvalue()


def html() -> str:
    """Return a page of HTML with things that nobody sees."""
    rows = "".join("<tr>" + "".join(f"<td>{text}</td>" for text in row) + "</tr>" for row in TABLE)
    return (
        f"<!DOCTYPE html><html><head><title>Prices</title><style>p {{ color: red }}</style></head><body>"
        f"<h1>{HEADING}</h1><p>Revenue was <b>42.5</b>\n million, 東京の売上.</p><script>var hidden = 1</script>"
        f"<ul><li>{ITEM}</li></ul><p hidden>unseen</p><table>{rows}</table><div>{SECOND}</div></body></html>"
    )


def epub() -> bytes:
    """Return an EPUB whose chapters are stored in another order than they are read."""
    page = html().replace("<!DOCTYPE html>", "").replace(f"<div>{SECOND}</div>", "")
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf"><manifest><item id="b" href="two%20b.xhtml"/>'
        '<item id="a" href="one.xhtml"/></manifest><spine><itemref idref="a"/><itemref idref="b"/></spine></package>'
    )
    container = '<container><rootfiles><rootfile full-path="OEBPS/content.opf"/></rootfiles></container>'
    second = f"<html><head><title>Two</title></head><body><p>{SECOND}</p></body></html>"
    members = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": container,
        "OEBPS/content.opf": package,
        "OEBPS/two b.xhtml": second,
        "OEBPS/one.xhtml": page,
    }
    return zipped(members, stored=["mimetype"])


def notebook() -> str:
    """Return a Jupyter notebook."""
    output = {"output_type": "execute_result", "data": {"text/plain": [SECOND], "image/png": "aGk="}}
    printed = {"output_type": "stream", "name": "stdout", "text": [f"{ITEM}\n", f"{TABLE[1][0]}\n"]}
    cells = [
        {"cell_type": "markdown", "source": [f"# {HEADING}\n", "\n", SENTENCE]},
        {"cell_type": "code", "source": "print(contract)", "outputs": [printed, output]},
    ]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, ensure_ascii=False)


def pdf(pages: Sequence[str] | None = None) -> bytes:
    """Return a PDF of pages, whose text stands in no font file: only a map from codes to characters gives it."""
    if pages is None:
        table = "\n".join("  ".join(row) for row in TABLE)
        pages = (f"{HEADING}\n{SENTENCE}\n{ITEM}\n{table}", SECOND)
    characters = {c: n for n, c in enumerate(sorted(set("".join(pages)) - {"\n"}), 1)}
    streams = [_page(text, characters) for text in pages]
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>"]
    kids = " ".join(f"{7 + 2 * n} 0 R" for n in range(len(pages)))
    objects.append(f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode())
    objects.append(
        b"<< /Type /Font /Subtype /Type0 /BaseFont /X /Encoding /Identity-H"
        b" /DescendantFonts [4 0 R] /ToUnicode 6 0 R >>"
    )
    objects.append(
        b"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /X /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity)"
        b" /Supplement 0 >> /FontDescriptor 5 0 R /DW 500 >>"
    )
    objects.append(
        b"<< /Type /FontDescriptor /FontName /X /Flags 4 /FontBBox [0 0 1000 1000] /ItalicAngle 0 /Ascent 800"
        b" /Descent -200 /CapHeight 700 /StemV 80 >>"
    )
    objects.append(_stream(_unicode_map(characters)))
    for n, stream in enumerate(streams):
        about = f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {8 + 2 * n} 0 R"
        objects.append(f"{about} /Resources << /Font << /F1 3 0 R >> >> >>".encode())
        objects.append(_stream(stream))
    return file_of(objects)


def scan(pages: int = 1) -> bytes:
    """Return a PDF whose pages are pictures without text."""
    image = (
        b"<< /Type /XObject /Subtype /Image /Width 2 /Height 2 /ColorSpace /DeviceGray /BitsPerComponent 8"
        b" /Length 4 >>\nstream\n\x00\xff\xff\x00\nendstream"
    )
    kids = " ".join(f"{4 + n} 0 R" for n in range(pages))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {pages} >>".encode(),
        image,
    ]
    contents = 4 + pages
    about = f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 100] /Contents {contents} 0 R"
    about += " /Resources << /XObject << /I 3 0 R >> >> >>"
    objects += [about.encode()] * pages
    objects.append(_stream(b"q 200 0 0 100 0 0 cm /I Do Q"))
    return file_of(objects)


def _page(text: str, characters: Mapping[str, int]) -> bytes:
    lines = [f"<{''.join(f'{characters[c]:04x}' for c in line)}> Tj 0 -20 Td" for line in text.split("\n")]
    return f"BT /F1 12 Tf 50 780 Td {' '.join(lines)} ET".encode()


def _unicode_map(characters: Mapping[str, int]) -> bytes:
    pairs = [f"<{n:04x}> <{c.encode('utf-16-be').hex()}>" for c, n in characters.items()]
    blocks = [pairs[n : n + 100] for n in range(0, len(pairs), 100)]
    text = "".join(f"{len(block)} beginbfchar\n" + "\n".join(block) + "\nendbfchar\n" for block in blocks)
    return (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def\n"
        f"1 begincodespacerange <0000> <ffff> endcodespacerange\n{text}endcmap end end"
    ).encode()


def _stream(content: bytes) -> bytes:
    return b"<< /Length %d >>\nstream\n" % len(content) + content + b"\nendstream"


def file_of(objects: Sequence[bytes]) -> bytes:
    """Return a PDF file of objects, numbered from 1. The first is the catalog."""
    made = BytesIO(b"%PDF-1.5\n")
    made.seek(0, 2)
    offsets: list[int] = []
    for number, content in enumerate(objects, 1):
        offsets.append(made.tell())
        made.write(b"%d 0 obj\n" % number + content + b"\nendobj\n")
    start = made.tell()
    rows = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    made.write(f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{rows}".encode())
    made.write(f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode())
    return made.getvalue()


def xls() -> bytes:
    """Return a workbook of Excel 97: pump, price, date; a Chinese name, a boolean, an empty sheet."""
    return zlib.decompress(base64.b64decode(_XLS))


_XLS = (
    "eNrtWE1IVUEU/mbevb6f1Pe0Z6CBiJCVaRBFtdHXK+tt8mFt+iEofy4mls+uz0UtyrK3DIJWRRvDFkFYbfqhgtq1CBRbBEH0rGWbgooW6u3Muffm"
    "0xR8YJJxv8ucmTkzZ+bcOWfOzL1joyXZoQcVE5iDRvgwbQVRkMMTlIJuJQJqtyxVdPMAJcvDikIwQIYs0PG06LVf2VDZewIS97WXRIGPlI6hF8lU"
    "j1G1jNjNOrQKpUOD0Mj3JG5SKkY561XKtJ3paqb3uO8zpruYc4VpA/XNiqMYjSVrdzp+fFhWc1sxUYFHLPOOOVtQhlfKjy9cFXZfHXGzq/XUCmuo"
    "1AoxDDJpwugxTFUP4zZCwBFCfXNzfVNTFlEy9zC+W1XAN3dfv6jy+MvLFyD+z9l8/wL8ABlxLv+a1IABWCeEcuYMirBZUy069qT60n0ZFGI7h3EN"
    "+w3DnMQ23uUFzEFv/+lenTKzq90gVluqv/NkmnZCfAeNdqbzbpIaE+aPD0ZIRX+OFpFZ0aKI91Ah0Q6EuVzCOylCyk7e+Tre3NYSO86cAT4h7HNk"
    "nVIaFi4qCRIuhq2hgo9SLUtsYnqJR13L5QqmUXo5ymtaypzCvkHuc5lba2ierYw3sfU55Q1Uznw+8Lgy8ym2kcojiYlz0ZG3sSFU07nWQfLqGUSd"
    "qBM3ris8ibm5cCLOe6blf0SfgIw4ulvOYRnGlNpvhBKmdk2tjvhdk85aKWkxj7RgabUez2l+wdK34ir6hcYkSSo5yePMlpMsp1bzvAw5Nln1xc/9"
    "ffP093F/XTmNDFDN1rJRluKhGori6QyWzg+woB/MYKX5Aa8Z5lszDx48ePDgwYOHfwOCb4P2nVvjjwb7Nud3/utMUZr2fpP8tziIFD1p+qTcix7K"
    "TZzNy3/WQBfuWGKRMu7/QoVDNLuJbrSxHt15+y/dxkXu+yxaMLJ0Wyjf+afz0fMvz/8Lbt0H8A=="
)
