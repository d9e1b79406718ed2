"""Quantities of texts, in several languages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.texts.quantities import convert, kinds_asked, quantities


@pytest.mark.parametrize(
    ("text", "value", "kind"),
    [
        ("It needs 210 MB of memory.", 210e6, "bytes"),
        ("It needs 210MB.", 210e6, "bytes"),
        ("1,200.5 MB", 1200.5e6, "bytes"),
        ("1,5 GB", 1.5e9, "bytes"),
        ("about $5 a month", 5, "USD"),
        ("€ 12.50", 12.5, "EUR"),
        ("EUR 5 million", 5e6, "EUR"),
        ("3,8 Mio. Euro", 3.8e6, "EUR"),
        ("5 milliards d'euros", 5e9, "EUR"),
        ("预算为300万元", 3e6, "CNY"),
        ("3億円", 3e8, "JPY"),
        ("12 миллионов рублей", 12e6, "RUB"),
        ("требуется 12 ГБ памяти", 12e9, "bytes"),
        ("40% of it", 40, "%"),
        ("begun in 2016. Servers are not needed", 2016, "year"),
        ("3 servers", 3, "count"),
        ("12人", 12, "count"),
        ("1 200 habitants", 1200, "count"),
        ("12 of them", 12, "number"),
        ("at 8:30", 510, "clock"),
        ("2024年5月3日", 20240503, "date"),
        ("am 3. Mai 2024", 20240503, "date"),
        ("3 мая 2024", 20240503, "date"),
        ("2024-05-03", 20240503, "date"),
        ("320 m lang", 320, "metres"),
        ("15 tonnes", 15e6, "grams"),
    ],
)
def test_a_quantity_has_its_value_and_kind(text: str, value: float, kind: str) -> None:
    [figure] = quantities(text)
    assert (figure.value, figure.kind) == (pytest.approx(value), kind)


@pytest.mark.parametrize("text", ["version 1.2.3", "v2", "sha256", "no figure", "x" * 400, "A-12"])
def test_what_is_no_quantity(text: str) -> None:
    assert quantities(text) == ()


@pytest.mark.parametrize(
    ("text", "noun"),
    [
        ("3 GB of memory", "memory"),
        ("3 Go de mémoire", "mémoire"),
        ("12 members", "members"),
        ("4.2 million euros for the harbour", ""),
        ("12 full-time employees", "full-time employees"),
    ],
)
def test_what_is_counted_or_measured_follows(text: str, noun: str) -> None:
    [figure] = quantities(text)
    assert figure.noun == noun


def test_a_quantity_is_converted_if_it_measures_the_same() -> None:
    [figure] = quantities("0.21 GB")
    assert (convert(figure, "mb"), convert(figure, ""), convert(figure, "seconds")) == (210, 0.21, None)


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        ("How much memory does it need?", "bytes"),
        ("Was kostet die Brücke?", "EUR"),
        ("Quand ouvre le pont ?", "date"),
        ("桥有多少人？", "number"),
        ("How long is the bridge?", "metres"),
    ],
)
def test_the_kinds_that_a_question_asks_for(asked: str, kind: str) -> None:
    assert kind in kinds_asked(asked)


@given(st.text(max_size=80))
def test_any_text_has_quantities_in_order(text: str) -> None:
    found = quantities(text)
    assert [figure.start for figure in found] == sorted(figure.start for figure in found)
    assert all(0 <= figure.start < figure.end <= len(text) for figure in found)
