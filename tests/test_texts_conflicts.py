"""Figures that disagree: the same unit and the same noun, and nothing that tells them apart."""

import pytest

from swarm.texts.conflicts import conflicts
from swarm.texts.quantities import quantities
from swarm.texts.uses import Utterance


def found(*said: str | tuple[str, str], categories: frozenset[str] = frozenset()) -> list[list[str]]:
    """Return the values of each disagreement of sentences, one a source; a pair is a title and a sentence."""
    pairs = [each if isinstance(each, tuple) else ("", each) for each in said]
    told = [Utterance(text, title, str(n)) for n, (title, text) in enumerate(pairs)]
    return [[side.quantity.text for side in each.sides] for each in conflicts(told, categories)]


@pytest.mark.parametrize(
    ("one", "other", "values"),
    [
        ("Tantivy needs 210 MB of memory for the index.", "The Tantivy index needs 300 MB of memory.", "210 MB|300 MB"),
        (
            "The budget for the harbour project is 4.2 million euros.",
            "Planners put the budget of the harbour project at 3.8 million EUR.",
            "4.2 million euros|3.8 million EUR",
        ),
        ("The bridge was opened in 1998.", "The bridge was opened in 1989.", "1998|1989"),
        ("The team has 12 members.", "The team consists of 15 members.", "12 members|15 members"),
        ("Mail: memory 3 GB; disk 20 GB", "Mail needs 4 GB of memory.", "3 GB|4 GB"),
        ("Le budget du pont est de 4 millions d'euros.", "Le pont a un budget de 5 millions d’euros.", ""),
        ("Die Brücke ist 320 m lang.", "Die Länge der Brücke beträgt 350 m.", "320 m|350 m"),
        ("The bridge is 320 m long.", "The length of the bridge is 350 m.", "320 m|350 m"),
        ("The reactor vessel weighs 410 tonnes.", "The vessel of the reactor has a mass of 430 t.", ""),
        ("Мост имеет длину 320 метров.", "Длина моста составляет 350 м.", "320 метров|350 м"),
        ("该项目的预算为300万元。", "项目预算是350万元。", "300万元|350万元"),
        ("倉庫の面積は12 haです。", "倉庫の面積は15 haである。", "12 ha|15 ha"),
        ("L'équipe A compte 12 personnes.", "L’équipe A compte 14 personnes.", "12 personnes|14 personnes"),
        ("The library opens at 8:30.", "The library opens at 9:00.", "8:30|9:00"),
        ("The festival takes place on 3 May 2024.", "The festival takes place on 5 May 2024.", "3 May 2024|5 May 2024"),
        ("At 2,610 m, Mount Kell is above most clouds.", "Mount Kell stands at an altitude of 2,450 m.", ""),
        ("Mount Kell (2,610 m) is closed in winter.", "The altitude of Mount Kell: 2,450 metres", ""),
        (
            "The grant of the Hale Foundation: 5.8 million dollars.",
            "Kell gets $6.5m, a grant of the Hale Foundation.",
            "",
        ),
        ("dome when it turns: power 110 kW", "The dome draws 85 kilowatts when it turns.", ""),
        ("The crossing to Vell takes 90 minutes.", "The crossing to Vell: 2 h", "90 minutes|2 h"),
        ("floor: firm Bodenwerk; price 41500 EUR", "The firm Bodenwerk will lay the floor for 46,000 euros.", ""),
        ("cellar: fuel wood chips; power 220 kW", "The boiler in the cellar gives 180 kW, from wood chips.", ""),
        ("The mill was opened on 3 May 1998.", "Opened in 1989, the mill is a museum.", "3 May 1998|1989"),
        ("The fair begins in May 2027.", "The fair begins on 2027-07-01.", "May 2027|2027-07-01"),
        ("The library opens at 2 pm.", "The library opens at 15:30.", "2 pm|15:30"),
        ("Das Werk hat 1.200 Mitarbeiter.", "Das Werk hat 1350 Mitarbeiter.", "1.200 Mitarbeiter|1350 Mitarbeiter"),
        ("The plant employs 240 people.", "Staff at the plant: 260 people", "240 people|260 people"),
        ("The monthly rent of the mill is 4,850 EUR.", "Rent of the mill: EUR 5,100 per month", "4,850 EUR|EUR 5,100"),
        ("The repair of the jetty cost 38,500 euros.", "Invoice for the repair of the jetty: EUR 41,200", ""),
        ("Die Regatta beginnt am 7. Juni 2025 um 10 Uhr.", "Aushang: Die Regatta beginnt am 14. Juni 2025.", ""),
        ("parking spaces: number 9; fee 65 EUR", "The mill has 12 parking spaces.", "9|12 parking"),
        ("The mill has twelve parking spaces.", "The mill has 15 parking spaces.", "twelve parking|15 parking"),
        (
            "Der Support von Kestrel antwortet in 8 Stunden.",
            "Vertrag, § 4: Der Support von Kestrel antwortet in 24 h.",
            "",
        ),
    ],
)
def test_the_same_thing_with_two_values_is_a_disagreement(one: str, other: str, values: str) -> None:
    [sides] = found(one, other)
    assert len(sides) == 2
    assert not values or sides == values.split("|")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Tantivy needs 210 MB of memory.", "Lucene needs 300 MB of memory."),
        ("Tantivy needs 210 MB of memory.", "Tantivy needs 210 MB of memory."),
        ("Tantivy needs 210 MB of memory.", "Tantivy needs 0.21 GB of memory."),
        ("Tantivy needs 210 MB of memory.", "Tantivy needs 12 seconds of memory tests."),
        ("Python 3.11 runs the tests in 20 s.", "Python 3.12 runs the tests in 30 s."),
        ("The search service needs 12 GB of memory.", "The mail service needs 3 GB of memory."),
        ("L'équipe A compte 12 personnes.", "L’équipe B compte 14 personnes."),
        ("L'équipe rouge compte 12 personnes.", "L’équipe bleue compte 14 personnes."),
        ("Mail: memory 3 GB; disk 20 GB", "Mail needs 3 GB of memory."),
        ("The bridge is 320 m long.", "The bridge is 12 m wide."),
        ("In 2022 the revenue of the harbour was 5 million euros.", "In 2023 it was 6 million euros."),
        ("The bridge was opened in 1998.", "The bridge was repaired in 2005."),
        ("Team 7 has 12 members.", "Team 8 has 15 members."),
        ("Order number 1628 needs 5 days.", "Order number 2628 needs 9 days."),
        ("The mail service number 64 needs 3 GB.", "The mail service number 16 needs 5 GB."),
        ("Zimmer 1612 kostet 80 Euro.", "Zimmer 212 kostet 95 Euro."),
        ("The budget is about 4,000 euros.", "The budget is 4,023 euros."),
        ("The bridge cost 4 million euros.", "The repair of the bridge cost 1 million euros."),
        ("Der Dienst Mail braucht 3 GB Speicher.", "Der Dienst Wiki braucht 5 GB Speicher."),
        ("Команда А насчитывает 12 человек.", "Команда Б насчитывает 15 человек."),
        ("甲队有12人。", "乙队有15人。"),
        ("It needs at least 3 GB.", "It needs 4 GB."),
        ("Alpha keeps messages in memory: 64 MB.", "Beta keeps messages in memory: 512 MB."),
        ("Alpha: keeps messages in memory, 64 MB.", "Beta: keeps messages in memory, 512 MB."),
        ("Alpha keeps messages in memory and needs 64 MB.", "Beta keeps messages in memory and needs 512 MB."),
        ("The crossing to Vell takes 90 minutes.", "The crossing to Vell: 1.5 h"),
        ("The mill was sold for 3.2 million euros.", "The mill was sold for EUR 3,200,000."),
        ("The mill was opened on 3 May 1998.", "The mill was opened in 1998."),
        ("The fair begins in May 2027.", "The fair begins on 2027-05-01."),
        ("In 2022 the museum had 48,000 visitors.", "In 2023 the museum had 52,000 visitors."),
        ("The average wait at the ward is 45 minutes.", "The maximum wait at the ward is 90 minutes."),
        ("The bridge costs 4 million euros.", "The toll of the bridge costs 5 euros."),
        ("night tours: guide Elena; start 21:00", "Guided tours start at 14:00."),
        ("year 2023; beer brewed 1.9 million litres", "In 2024, 2,600,000 litres of beer were brewed."),
        ("Founded in 1887, Quarry Lane Brewery is old.", "In 2024, Quarry Lane Brewery made 2 million litres."),
        ("The ferry carries 60 cars.", "The bridge has 6 lanes for cars."),
        ("In a test, Toshi took 621 MB of memory.", "In a test, Lunr took 884 MB of memory."),
        ("Lunr takes 40 MB with 10,000 pages.", "Lunr takes 90 MB with 99,000 pages."),
        ("The revenue of Acme is $5.", "The net revenue of Acme is $4."),
        ("The lift of the mill was inspected in 2021.", "The lift of the mill was inspected in 2023."),
        ("The index needs 40-60 MB of memory.", "The index needs 50 MB of memory."),
        ("The index needs 40 MB to 60 MB of memory.", "The index needs 50 MB of memory."),
        ("La pompe tourne à 4 500 tours par minute.", "La pompe tourne à 5 200 tours par minute au maximum."),
        ("swarm doctor: exit 1 if something is set wrongly", "Exit 2 means that nothing was spent."),
        ("base URL http://127.0.0.1:8000/v1", "base URL http://127.0.0.1:9000/v1"),
        ("It needs 40 MB of memory.", "It needs 44 MB of memory."),
        ("Kestrel 4.1.0 was released on 2 May 2025.", "Kestrel 4.2.0 was released on 5 May 2025."),
    ],
)
def test_other_things_are_no_disagreement(one: str, other: str) -> None:
    assert found(one, other) == []


@pytest.mark.parametrize(
    ("one", "other", "values"),
    [
        ("The pumps of hall 2 are maintained by Ines Falk.", "Maintenance of the pumps in hall 2: Jonas Petri", ""),
        ("The captain of the Solveig is Nora Lind.", '"Never," says Erik Strand, captain of the Solveig.', ""),
        ("Le maître de chai du domaine est Luc Marchand.", "Maître de chai : Paul Grandjean", ""),
        ("Hanne Vik curates the exhibition Nordlys.", "Curator of the exhibition Nordlys: Tomas Brandt", ""),
        ("Die Kisten lagern in Kiel.", "Die Kisten lagern in Rostock, bis die Halle frei ist.", "Kiel|Rostock"),
        ("The exhibition Nordlys opens on 2 April 2026.", "Nordlys: starts 9 April 2026; hall East", ""),
        ("这个项目由王敏负责。", "这个项目由李强负责。", "王敏|李强"),
        ("The standby site is in Dublin.", "standby: site: Frankfurt", ""),
        ("Der Versuch fand in Uppsala statt.", "Ort des Versuchs: Lund", "Uppsala|Lund"),
        ("The ferry to Karlsund leaves from pier 4.", "ferry to Karlsund: text leaves from pier 6", "pier 4|pier 6"),
        ("We migrate the orders to PostgreSQL 15.", "The migration of the orders has the target PostgreSQL 16.", ""),
        ("The current version of Kestrel is 4.1.0.", "Kestrel, current version: 4.2.0", "4.1.0|4.2.0"),
        ("The scanner is approved for children.", "The scanner is not approved for children.", "yes|no"),
        ("Dogs are allowed on deck.", "Dogs are forbidden on deck.", "yes|no"),
        ("Die Fläche wurde gedüngt.", "Die Fläche wurde nicht gedüngt, weil Regen kam.", "yes|no"),
        ("Le port est ouvert aux voiliers.", "Le port n’est pas ouvert aux voiliers.", "yes|no"),
        ("该设备支持远程控制。", "该设备不支持远程控制。", "yes|no"),
        ("switch: rollback possible true; owner Kim", "A rollback of the switch is impossible.", "yes|no"),
        ("82% of the pumps were replaced.", "Half of the pumps were replaced.", "82%|Half"),
        ("About 60 % of the wine is exported.", "One third of the wine is exported.", "60 %|One third"),
        ("91 % of the seeds germinated.", "Four in five of the seeds germinated.", "91 %|Four in five"),
        ("The trial had thirty plots.", "trial: plots 24; blocks 5", "thirty plots|24 plots"),
        ("Обучение длится три дня.", "Обучение длится пять дней.", "три дня|пять дней"),
        ("Ward 4: device pumps; number 14; bought 2021", "Ward 4 has twelve pumps.", ""),
        ("number 1; destination Karlsund; departure 08:15", "The ferry to Karlsund leaves at 8:45.", "08:15|8:45"),
        ("Riesling: vintage 2023; price 12.50 eur", "A bottle of Riesling 2023 costs 14 euros.", ""),
    ],
)
def test_names_places_versions_shares_and_answers_disagree(one: str, other: str, values: str) -> None:
    told = [Utterance(one, "", "a"), Utterance(other, "", "b")]
    [sides] = [[side.quantity.named for side in each.sides] for each in conflicts(told)]
    assert len(sides) == 2
    assert not values or sides == values.split("|")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The captain of the Solveig is Nora Lind.", "The captain of the Astrid is Erik Strand."),
        ("The pumps are maintained by Ines Falk.", "The pumps are maintained by Dr. Ines Falk."),
        ("The report was read by Anna and Kim.", "The report was read by Kim and Anna."),
        ("Tantivy is written in Rust.", "Lucene is written in Java."),
        ("The scanner is approved for children.", "The printer is not approved for children."),
        ("The scanner is not approved for children.", "If the scanner is approved for children, call us."),
        ("Alpha keeps the cache on disk.", "Alpha does not keep the log on disk."),
        ("Some pumps are not new.", "The pumps are new."),
        ("Three quarters of the pumps were replaced.", "74 % of the pumps were replaced."),
        ("Half of the pumps were replaced.", "A tenth of the lamps was replaced."),
        ("Windows 10 needs the driver.", "Windows 11 needs the driver."),
        ("Ward 5: device pumps; number 6", "lamps: place Ward 4; next check 2026-03-14"),
        ("Pinot Noir: vintage 2021; price 18.00 eur", "2023: gold, Pinot Noir"),
        ("Mill Street was sold in 2004.", "In 2009, Mill Street burnt."),
    ],
)
def test_other_names_and_answers_are_no_disagreement(one: str, other: str) -> None:
    assert found(one, other) == []


def test_a_row_of_a_table_is_compared_with_what_names_its_subject() -> None:
    rows = (
        "pumps: next inspection 2026-03-14",
        "lamps: next inspection 2026-05-02",
        "doors: next inspection 2026-01-30",
    )
    told = [*(Utterance(row, "", "table") for row in rows)]
    letter = Utterance("The next inspection of the pumps takes place on 21 March 2026.", "", "letter")
    [only] = conflicts([*told, letter])
    assert [side.number for side in only.sides] == [0, 3]


def test_pages_about_different_things_do_not_disagree() -> None:
    assert found(("Mail", "It needs 3 GB of memory."), ("Wiki", "It needs 5 GB of memory.")) == []
    assert len(found(("矿山", "盐矿每年生产食盐30万吨。"), ("", "报告：盐矿每年生产食盐36万吨。"))) == 1
    said = ("Alpha", "It keeps messages in memory: 64 MB."), ("Beta", "It keeps messages in memory: 512 MB.")
    assert found(*said) == []
    said = ("Mail", "The service needs 3 GB of memory."), ("Wiki", "The service needs 5 GB of memory.")
    assert found(*said, categories=frozenset({"service"})) == []


def test_a_source_that_gives_both_values_disagrees_with_none() -> None:
    said = "The index needs 40 MB of memory.", "The index needs 44 MB of memory."
    told = [Utterance(said[0], "", "a"), Utterance(said[1], "", "a"), Utterance(said[1], "", "b")]
    assert conflicts(told) == []
    assert len(conflicts([told[1], Utterance(said[0], "", "b")])) == 1


def test_a_share_in_words_is_none_of_a_measure() -> None:
    texts = ("one in four minutes", "3 of 10 MB", "the first half of May", "a fifth of a second", "7 in 5 pumps")
    assert [each.kind for text in texts for each in quantities(text) if each.kind == "%"] == []
    assert [each.value for each in quantities("3 out of 4 pumps, a third of the lamps")] == [75, 33.3333333333]


def test_a_listing_is_not_compared() -> None:
    listing = "The list has " + ", ".join(f"{n} MB" for n in range(1_000)) + "."
    assert found(listing, listing.replace("12 MB", "13 MB")) == []


def test_more_values_than_three_are_a_series() -> None:
    assert found(*(f"The tank held {n} litres." for n in (10, 20, 30))) != []
    assert found(*(f"The tank held {n} litres." for n in (10, 20, 30, 40))) == []
