"""The encoding of a text: by its marks, by what it declares, else by its letters."""

import pytest

from swarm.readers.encodings import NotTextError, decode

GERMAN, FRENCH, JAPANESE = (
    "Größe: 42 m² für 3 €",
    "L’été à la crème coûte 3 €",
    "東京支店の売上は前年比で増加しました。",
)
TEXTS: list[tuple[str, str]] = [
    *[("utf-8", text) for text in (GERMAN, FRENCH, JAPANESE, "", "plain")],
    *[("utf-8-sig", text) for text in (GERMAN, JAPANESE)],
    *[(f"utf-{size}", text) for size in (16, 32) for text in (GERMAN, JAPANESE)],
    *[(f"utf-16-{order}", text) for order in ("le", "be") for text in (GERMAN, "plain text")],
    *[("utf-32-le", text) for text in (GERMAN, JAPANESE)],
    *[("cp1252", text) for text in (GERMAN, FRENCH, "a\né", "El niño comió jamón en Málaga.", "naïve – “quoted”",
                                    "rødgrød på dansk", "São Paulo: ação", "£5 · 20 °C")],
    *[("latin-1", text) for text in ("Größe: 42 m²", "Le café est à côté", "Überprüfung")],
    *[("iso8859-15", text) for text in ("Preis: 30 €", "Prix: 12 € à Noël")],
    *[("mac-roman", text) for text in ("Größe: 42", "café crème à 3")],
    *[("cp850", text) for text in ("Größe: 42", "Prüfung")],
    *[("cp932", text) for text in (JAPANESE, "サーバーのメモリは４ＧＢです。", "メモリ: 256 MB", "1,東京,12\n2,大阪")],
    *[("euc_jp", text) for text in (JAPANESE, "サーバーのメモリは４ＧＢです。")],
    *[("iso2022_jp", text) for text in (JAPANESE, "メモリ: 256 MB")],
    *[("gb18030", text) for text in ("服务器需要四百兆内存。", "部门：财务部\n金额：1200", "1,北京,12\n2,上海,13")],
    *[("big5", text) for text in ("伺服器需要四百兆記憶體。", "部門：財務部\n金額：1200", "1,臺北,12\n2,高雄,13")],
    *[("cp949", text) for text in ("서버에는 메모리가 필요합니다.", "올해 예산은 증가했다.", "1,서울,12\n2,부산")],
    *[(name, text) for name in ("koi8-r", "cp1251", "cp866")
      for text in ("Память сервера: 512 МБ", "Отдел продаж увеличил бюджет на 10 %.", "1;Москва;12")],
    *[(name, text) for name in ("iso8859-2", "cp1250") for text in ("Zażółć gęślą jaźń", "Příliš žluťoučký kůň")],
    ("cp1253", "Η μνήμη του διακομιστή είναι μεγάλη."),
    ("cp1254", "Türkiye'nin başkenti Ankara'dır, şehir büyüktür."),
    ("cp1255", "הזיכרון של השרת הוא גדול מאוד"),
    ("cp1256", "ذاكرة الخادم كبيرة جدا"),
    ("cp874", "หน่วยความจำของเซิร์ฟเวอร์"),
]  # fmt: skip


@pytest.mark.parametrize(("encoding", "text"), TEXTS)
def test_a_line_is_read_in_its_encoding(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding)).text == text


@pytest.mark.parametrize(("encoding", "text"), [pair for pair in TEXTS if pair[0].startswith("cp")])
def test_the_same_among_pages_of_english(encoding: str, text: str) -> None:
    content = (b"A line of plain English words.\r\n" * 3000) + text.encode(encoding)
    found = decode(content)
    assert found.text.endswith(text)
    assert found.guessed


@pytest.mark.parametrize(
    ("content", "name", "text"),
    [
        ('<?xml version="1.0" encoding="iso-8859-2"?><a>ľ</a>'.encode("iso-8859-2"), "a.xml", "ľ"),
        ('<meta charset="windows-1251"><p>д'.encode("cp1251"), "a.html", "д"),
        ("<meta http-equiv=x content='text/html; charset=shift_jis'>髙".encode("cp932"), "a.html", "髙"),
        ("# -*- coding: koi8-r -*-\n# д".encode("koi8-r"), "a.py", "д"),
        ('<meta charset="latin-1"><p>“'.encode("cp1252"), "a.html", "“"),
    ],
)
def test_a_declaration_decides_what_letters_cannot(content: bytes, name: str, text: str) -> None:
    found = decode(content, name)
    assert text in found.text
    assert not found.guessed


def test_bytes_decide_over_a_wrong_declaration() -> None:
    assert "é" in decode('<meta charset="windows-1251">é'.encode(), "a.html").text
    assert "Größe" in decode(b'<meta charset="utf-8">Gr\xf6\xdfe', "a.html").text
    assert "Größe" in decode(b'<meta charset="no-such-thing">Gr\xf6\xdfe', "a.html").text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (JAPANESE.encode() + b"\xff" + b" end", JAPANESE + "\ufffd end"),
        (JAPANESE.encode()[:-1], JAPANESE[:-1]),
        ("Größe: 42".encode() + "ä".encode()[:1], "Größe: 42"),
        (b"x" * 5000 + JAPANESE.encode() + b"\xe9.", "x" * 5000 + JAPANESE + "\ufffd."),
    ],
)
def test_a_damaged_byte_costs_one_character_of_utf_8(content: bytes, text: str) -> None:
    found = decode(content)
    assert (found.text, found.encoding) == (text, "utf-8")


@pytest.mark.parametrize(
    "content",
    [
        b"a\0b",
        bytes(range(256)) * 8,
        b"\x01\x02\x03\x04 text",
        b"\xff\xfea",  # UTF-16 of one byte
        b"\0" * 64,
        b"\x89\x50\x01\x02\x03\x04\x05\x06\x07\xff\xfe\x00\x01",
    ],
)
def test_binary_data_is_no_text(content: bytes) -> None:
    with pytest.raises(NotTextError):
        decode(content)


def test_the_encoding_is_named() -> None:
    assert decode("é".encode()).encoding == "utf-8"
    assert decode("\ufeffé".encode("utf-16-le")).encoding == "utf-16-le"
    found = decode("Größe".encode("cp1252"))
    assert (found.encoding, found.guessed) == ("cp1252", True)
