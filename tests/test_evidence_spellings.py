"""Claims in the spellings of many languages, in other units, rounded, computed, or about things with like names."""

import pytest

from swarm.attempt.evidence.check import Checker
from swarm.attempt.evidence.sources import SourceText


def missing_in(claim: str, source: str) -> tuple[str, ...]:
    """Return what of a claim is not in the only output that it cites."""
    text = SourceText("read.1", source)
    found = Checker(lambda _: [text], [text], goal="Report.").check(f"{claim} [read.1].", {"read.1"})
    (only,) = [each for each in found if each.steps]
    return only.missing


@pytest.mark.parametrize(
    ("source", "claim"),
    [
        ("GPT-4 costs 20 USD. GPT-3.5 costs 5 USD.", "GPT-3.5 costs 5 USD"),
        ("GPT-4 costs 20 USD and GPT-3.5 costs 5 USD.", "GPT4 costs 20 USD, and GPT3.5 5 USD"),
        ("The iPhone 15 has 6 GB of memory; the iPhone 14 has 4 GB.", "The iPhone 14 has 4 GB of memory"),
        ("Python 3.11 starts in 20 ms. Python 3.12 starts in 17 ms.", "Python 3.11 starts in 20 ms"),
        (
            "In 2023 revenue was 10 million euros, in 2024 it was 12 million euros.",
            "In 2023 revenue was 10 million euros",
        ),
        ("| Year | Revenue |\n|---|---|\n| 2023 | 10 |\n| 2024 | 12 |", "Revenue was 12 in 2024"),
        ('[{"model":"X-100","price":10},{"model":"X-200","price":12}]', "The X-200 has a price of 12"),
        ("The X-100 sold 500 units in 2023, more than the X-200, which sold 300.", "The X-200 sold 300 units in 2023"),
        ("In 2024 the revenue target was 12. The revenue was 10.", "In 2024 the revenue was 10"),
        ("Die Firma hat 1.234.567,89 Euro eingenommen.", "The company earned 1,234,567.89 euros"),
        ("Der Umsatz stieg um 12,5 % auf 3,2 Mrd. Euro.", "Revenue rose 12.5 percent to 3.2 billion euros"),
        ("Am 3. Oktober 2023 waren 1 234 Gäste da.", "On 3 October 2023, 1,234 guests were there"),
        ("Er sagt: „Das ist eine sehr gute Lösung“.", "Er sagt: »Das ist eine sehr gute Lösung«"),
        ("Le chiffre d’affaires atteint 3,2 millions d’euros.", "Revenue reached 3.2 million euros"),
        ("Le prix est de 1 234,50 € en 2024.", "The price is €1,234.50 in 2024"),
        ("Elle dit : « C’est une très bonne idée ».", "Elle dit “C'est une très bonne idée”"),
        (
            "公司2024年3月5日发布，收入3.5亿元，增长12%。",
            "Released on 5 March 2024 with revenue of 350 million yuan, up 12 %",
        ),
        ("人口为１２３４５人。", "人口为12,345人"),
        ("他说：“这是一个非常好的主意”。", "他说：「这是一个非常好的主意」"),
        ("売上高は1億2000万円で、前年比15％増。", "Sales were 120 million yen, up 15 %"),
        ("令和の人口は123万4567人です。", "The population is 1,234,567"),
        ("Выручка составила 1 234,5 млн рублей в 2023 году.", "Revenue was 1,234.5 million rubles in 2023"),
        ("Население — 3,2 млн человек, 5 марта 2024 года.", "The population is 3.2 million on 5 March 2024"),
        ("Рост составил 12,5 процента.", "Growth was 12.5 %"),
        ("Он сказал: «Это очень хорошая идея».", "Он сказал: „Это очень хорошая идея“"),
        ("Продано 2 тыс. штук за 3 млрд рублей.", "2,000 pieces were sold for 3 billion rubles"),
        ("There are 3,214,556 users.", "There are about 3.2 million users"),
        ("There are 3,214,556 users.", "There are roughly 3 million users"),
        ("There are 3,214,556 users.", "There are over 3 million users"),
        ("There are 3,214,556 users.", "There are more than 3.2 million users"),
        ("There are 3,214,556 users.", "There are nearly 3.2 million users"),
        ("It takes 0.4567 s.", "It takes 457 ms"),
        ("It takes 0.4567 s.", "It takes about half a second"),
        ("The rate is 33.33 %.", "The rate is about a third"),
        ("The temperature was -12.5 °C.", "The temperature was −12.5 °C"),
        ("The balance was (1,200) EUR in 2023.", "The balance was 1,200 EUR in 2023"),
        ("Profit fell by 5 %.", "Profit changed by -5 %"),
        ("The change was -5 %.", "It fell by 5 %"),
        ("The change was -5 %.", "The change was -5 percent"),
        ("It needs 10-20 MB.", "It needs between 10 and 20 MB"),
        ("It needs 10–20 MB.", "It needs 10 to 20 MB"),
        ("Between 2019 and 2023 sales grew.", "Sales grew in 2019–2023"),
        ("Released 03/05/2024.", "Released on 5 March 2024"),
        ("Released 2024-03-05T10:00:00Z.", "Released on 5 March 2024"),
        ("Released on Mar. 5, 2024.", "Released on 2024-03-05"),
        ("Released on March 5th, 2024.", "Released on 5 March 2024"),
        ("Released on Tuesday, 5 March 2024, at 14:30.", "Released on 5 March at 14:30"),
        ("The share is 0.25.", "The share is 25 %"),
        ("The share is 25 pp.", "The share is 25 percentage points"),
        ("Memory: 1.5 GiB.", "It needs 1536 MiB of memory"),
        ("Distance: 42.195 km.", "The distance is 42,195 m"),
        ("Speed: 100 km/h.", "The speed is 100 km/h"),
        ("Price: $1.2bn.", "The price is 1.2 billion dollars"),
        ("Weight 70 kg.", "Weight 154 lb"),
        ("It took 90 minutes.", "It took 1.5 hours"),
        ("Basis: 5 bps.", "Basis: 5 basis points"),
        ("A: 10 EUR\nB: 20 EUR\nC: 30 EUR", "The sum of all three is 60 EUR"),
        ("A: 10 EUR\nB: 20 EUR\nC: 30 EUR", "The average is 20 EUR"),
        ("A: 10 EUR\nB: 20 EUR\nC: 60 EUR", "The average is 30 EUR"),
        ("A: 10 EUR\nB: 20 EUR\nC: 60 EUR", "The median is 20 EUR"),
        ("A has 10 users. B has 40 users.", "B has four times as many users as A"),
        ("A has 10 users. B has 40 users.", "B has 4 times as many users as A"),
        ("A has 10 users. B has 40 users.", "A has 75 % fewer users than B"),
        ("A has 10 users. B has 40 users.", "A has 20 % of the users"),
        ("٣٤٥ مستخدم", "There are 345 users"),
        ("१२,३४,५६७ users are there", "There are 1,234,567 users"),
    ],
)
def test_what_the_source_says_in_another_form_is_found(source: str, claim: str) -> None:
    assert missing_in(claim, source) == ()


@pytest.mark.parametrize(
    ("source", "claim"),
    [
        ("GPT-4 costs 20 USD. GPT-3.5 costs 5 USD.", "GPT-4 costs 5 USD"),
        ("The iPhone 15 has 6 GB of memory; the iPhone 14 has 4 GB.", "The iPhone 15 has 4 GB of memory"),
        ("Python 3.11 starts in 20 ms. Python 3.12 starts in 17 ms.", "Python 3.12 starts in 20 ms"),
        (
            "In 2023 revenue was 10 million euros, in 2024 it was 12 million euros.",
            "In 2024 revenue was 10 million euros",
        ),
        ("| Year | Revenue |\n|---|---|\n| 2023 | 10 |\n| 2024 | 12 |", "Revenue was 10 in 2024"),
        ('[{"year":2023,"revenue":10},{"year":2024,"revenue":12}]', "Revenue was 10 in 2024"),
        ('[{"model":"X-100","price":10},{"model":"X-200","price":12}]', "The X-100 has a price of 12"),
        ("Der Umsatz stieg um 12,5 % auf 3,2 Mrd. Euro.", "Revenue rose 12.6 percent to 3.2 billion euros"),
        ("Am 3. Oktober 2023 waren 1 234 Gäste da.", "On 4 October 2023, 1,234 guests were there"),
        ("Er sagt: „Das ist eine sehr gute Lösung“.", "Er sagt: »Das ist eine sehr schlechte Lösung«"),
        ("Elle dit : « C’est une très bonne idée ».", "Elle dit “C'est une très mauvaise idée”"),
        ("公司2024年3月5日发布，收入3.5亿元，增长12%。", "Released on 6 March 2024"),
        ("他说：“这是一个非常好的主意”。", "他说：「这是一个非常坏的主意」"),
        ("売上高は1億2000万円で、前年比15％増。", "Sales were 130 million yen, up 15 %"),
        ("Выручка составила 1 234,5 млн рублей в 2023 году.", "Revenue was 1,235.5 million rubles in 2023"),
        ("Он сказал: «Это очень хорошая идея».", "Он сказал: „Это очень плохая идея“"),
        ("There are 3,214,556 users.", "There are about 3.3 million users"),
        ("The temperature was -12.5 °C.", "The temperature was 12.5 °C"),
        ("The change was -5 %.", "The change was +5 %"),
        ("It needs 10–20 MB.", "It needs 10 to 30 MB"),
        ("Between 2019 and 2023 sales grew.", "Sales grew in 2019–2024"),
        ("Released on Tuesday, 5 March 2024, at 14:30.", "Released on 5 March at 14:40"),
        ("A: 10 EUR\nB: 20 EUR\nC: 60 EUR", "On average 31 EUR"),
        ("A has 10 users. B has 40 users.", "B has 5 times as many users as A"),
    ],
)
def test_what_is_like_the_source_but_wrong_is_missing(source: str, claim: str) -> None:
    assert missing_in(claim, source) != ()
