"""Units, currencies and scale words in the spellings that texts use."""

from dataclasses import dataclass

PERCENT = "%"


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of measurement: two figures are comparable if their dimension is the same."""

    dimension: str
    """What it measures, such as `bytes`, `seconds`, `%` or `USD`."""
    factor: float = 1.0
    """Its size in the base unit of the dimension."""


_TABLE = """
% 1: % percent pct prozent pourcent процент процента процентов パーセント 퍼센트
pp 1: pp percentagepoint percentagepoints percentpoint percentpoints prozentpunkt prozentpunkte prozentpunkten
pp 1: pointsdepourcentage pointdepourcentage 百分点 百分點
pp 0.01: bp bps basispoint basispoints basispunkt basispunkte basispunkten
bytes 1: b byte bytes octet octets байт байта байтов
bytes 1e3: kb ko kilobyte kilobytes kilooctets кб
bytes 1e6: mb mo megabyte megabytes mégaoctet mégaoctets мб мегабайт мегабайта
bytes 1e9: gb go gigabyte gigabytes gigaoctet gigaoctets гб гигабайт гигабайта
bytes 1e12: tb to terabyte terabytes téraoctets тб
bytes 1024: kib
bytes 1048576: mib
bytes 1073741824: gib
bytes 1099511627776: tib
seconds 1e-9: ns
seconds 1e-6: µs us microsecond microseconds
seconds 1e-3: ms millisecond milliseconds millisekunden millisecondes 毫秒 ミリ秒
seconds 1: s sec secs second seconds sekunde sekunden seconde secondes segundos 秒
seconds 1e-3: мс миллисекунд
seconds 1: сек секунд секунды секунда секунду
seconds 60: мин минут минуты минута минуту
seconds 3600: час часа часов
seconds 60: min mins minute minutes minuten minutos 分钟 分鐘 分
seconds 3600: h hr hrs hour hours stunde stunden heure heures horas 小时 小時 時間
days 1: d day days tag tage tagen jour jours días dias 天 日 日間
days 7: week weeks woche wochen semaine semaines semanas 周 週 週間
months 1: month months monat monate monaten mois meses 个月 個月 か月 ヶ月
days 1: день дня дней
days 7: неделя недели недель неделю
months 1: месяц месяца месяцев
months 12: год года лет
months 12: year years yr yrs jahr jahre jahren an ans année années años 年 年間
metres 1e-3: mm millimetre millimetres millimeter millimeters millimètres мм
metres 1e-2: cm centimetre centimetres centimeter centimeters zentimeter centimètres см
metres 1: m metre metres meter meters metern mètre mètres 米 メートル
metres 1e3: km kilometre kilometres kilometer kilometers kilometern kilomètre kilomètres 公里 千米 キロメートル
metres 0.3048: ft foot feet
metres 0.0254: inch inches
metres 1: м метр метра метров
metres 1e3: км километр километра километров
metres 1609.344: mile miles
grams 1e-3: mg milligram milligrams
grams 1: g gram grams gramm
grams 1: г грамм грамма граммов
grams 1e3: кг килограмм килограмма килограммов
grams 1e6: т тонна тонны тонн
grams 1e3: kg kilo kilos kilogram kilograms kilogramm kilogrammes 公斤 千克 キログラム
grams 1e6: t ton tons tonne tonnes tonnen 吨 トン
grams 453.59237: lb lbs pound pounds
grams 28.349523: oz ounce ounces
litres 1e-3: ml
litres 1: l litre litres liter liters litern литр литра литров リットル 升
litres 1000: m³ m3
watts 1: w watt watts
watts 1e3: kw kilowatt kilowatts квт киловатт 千瓦 キロワット
watts 1e6: mw megawatt megawatts мвт мегаватт 兆瓦
watts 1e9: gw gigawatt gigawatts
watthours 1e3: kwh
watthours 1: wh
watthours 1e6: mwh
watthours 1e9: gwh
volts 1: v volt volts
volts 1e3: kv kilovolt kilovolts
bar 1: bar
bar 1e-3: mbar hpa
bar 0.01: kpa
bar 10: mpa
bar 0.06895: psi
m² 1: m² m2 qm 平方米 平方メートル 平米
m² 1e-4: cm²
m² 1e6: km²
m² 1e4: ha hectare hectares hektar гектар гектара гектаров 公顷 ヘクタール
km/h 1: km/h kph
km/h 1.852: knot knots knoten nœud nœuds узел узлов узла
km/h 1.609: mph
km/h 3.6: m/s
bits 1e6: mbit/s mbps mbit
bits 1e9: gbit/s gbps gbit
celsius 1: °c ℃ grad
fahrenheit 1: °f ℉
hertz 1: hz
hertz 1e3: khz
hertz 1e6: mhz
hertz 1e9: ghz
USD 1: $ usd us$ dollar dollars доллар доллара долларов 美元 ドル
USD 0.01: cent cents
EUR 1: € eur euro euros евро 欧元 ユーロ
GBP 1: £ gbp
JPY 1: ¥ jpy yen 円 日元
CNY 1: cny rmb yuan 元 人民币
CHF 1: chf franken francs
RUB 1: ₽ rub ruble rubles rouble roubles руб рубль рубля рублей
KRW 1: krw won 원 ₩
INR 1: inr rupee rupees ₹
AUD 1: a$ au$ aud
CAD 1: c$ ca$ cad
NZD 1: nz$ nzd
HKD 1: hk$ hkd
SGD 1: s$ sgd
TWD 1: nt$ twd 新台币 新臺幣
BRL 1: r$ brl
MXN 1: mx$ mxn
SEK 1: sek
NOK 1: nok
DKK 1: dkk
PLN 1: pln zł złoty
CZK 1: czk kč
TRY 1: ₺
UAH 1: ₴ uah
ILS 1: ₪ ils
"""


def _units() -> dict[str, Unit]:
    found: dict[str, Unit] = {}
    for line in _TABLE.strip().splitlines():
        head, _, spellings = line.partition(": ")
        dimension, factor = head.split()
        found.update(dict.fromkeys(spellings.split(), Unit(dimension, float(factor))))
    return found


UNITS = _units()
"""Units by spelling, case-folded. A spelling with several meanings has the most frequent one."""
_MILLIONS = [
    "millón",
    "milhão",
    "milhões",
    "milione",
    "milioni",
    "miljoen",
    "miljoner",
    "млн",
    "миллион",
    "миллиона",
    "миллионов",
]
_BILLIONS = ["miliardo", "miliardi", "miljard", "miljarder", "млрд", "миллиард", "миллиарда", "миллиардов"]
_SCALES = """
1e3: k thousand tausend tsd mille mil 千 천 тыс тысяча тысячи тысяч
1e4: 万 萬 만
1e5: lakh lakhs 十万 十萬
1e6: million millions millionen millones millón milhão milhões milione milioni miljoen mio mn mln 百万 百萬
1e6: млн миллион миллиона миллионов
1e7: crore crores 千万 千萬
1e8: 億 亿 억
1e9: billion billions bn milliard milliards milliarde milliarden miliardo miliardi miljard mrd 十亿
1e9: млрд миллиард миллиарда миллиардов
1e12: trillion trillions 兆 조 трлн триллион триллиона триллионов
"""


def _scales() -> dict[str, float]:
    found: dict[str, float] = {}
    for line in _SCALES.strip().splitlines():
        factor, _, words = line.partition(": ")
        found.update(dict.fromkeys(words.split(), float(factor)))
    return found


SCALES = _scales()
"""Scale words, case-folded, and the factor of each."""
LETTER_SCALES: dict[str, float] = {"K": 1e3, "k": 1e3, "M": 1e6, "m": 1e6, "B": 1e9, "G": 1e9, "T": 1e12}
"""Letters directly behind a number that may be a scale or a unit: `5M`, `3B`."""


def _numbered(*lines: str) -> dict[str, int]:
    """Return the number of each word in its line, from 1. The first line that has a word decides."""
    found: dict[str, int] = {}
    for line in reversed(lines):
        found.update({word: n for n, word in enumerate(line.split(), 1)})
    return found


def _number_words() -> dict[str, int]:
    ones = "one two three four five six seven eight nine ten eleven twelve"
    teens = "thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
    tens = "twenty thirty forty fifty sixty seventy eighty ninety"
    found = _numbered(
        f"{ones} {teens}",
        "eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn"
        " achtzehn neunzehn zwanzig",
        "un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize",
        "uno dos tres cuatro cinco seis siete ocho nueve diez once doce",
        "один два три четыре пять шесть семь восемь девять десять одиннадцать двенадцать",
        "одна две трёх четырёх пяти шести семи восьми девяти десяти одиннадцати двенадцати",
        "一 两 三 四 五 六 七 八 九 十 十一 十二",
        "一 二 三 四 五 六 七 八 九 十",
        "一 兩",
    )
    for n, ten in enumerate(tens.split(), 2):
        found[ten] = 10 * n
        found |= {f"{ten}-{one}": 10 * n + m for m, one in enumerate(ones.split()[:9], 1)}
    for line in ("zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig", "vingt trente quarante cinquante"):
        found |= {word: 10 * n for n, word in enumerate(line.split(), 2)}
    return found


NUMBER_WORDS = _number_words()
"""Number words, case-folded: from one to twelve, in English up to 99, in German and French also some tens."""
MONTHS = _numbered(
    "january february march april may june july august september october november december",
    "jan feb mar apr may jun jul aug sep oct nov dec",
    "jan feb mar apr may jun jul aug sept oct nov dec",
    "januar februar märz april mai juni juli august september oktober november dezember",
    "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
)
"""Names of months and their abbreviations, case-folded."""
