"""Words that the offline endpoint knows: function words, requests, units, scales and months, in several languages."""


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


STOP = word_set(
    "a about above according add after all also am an and any are as at be been but by can could did do"
    " does each every"
    " find for from get give given had has have he her his how i if in into is it its let many may me more most much"
    " must my no not of on one or our out over per please say says shall she should so some such tell than that the"
    " their them then there these they this those to too under up us use was we were what when where which who whom"
    " whose why will with would you your"
    " au aux avec ce chaque ces combien dans de des du elle en est et il ils je la le les leur lui mais ne nous"
    " on ou par pas"
    " pour quel quelle quelles quels que qui sa se ses son sont sur un une vous à été"
    " viel viele vielen"
    " aber als am auch auf aus bei das dass dem den der des die durch ein eine einem einen einer eines er es für hat"
    " haben ihr im in ist jede jeder jedes man mit nach nicht noch oder sein sie sich sind und vom von"
    " vor war was welche"
    " welcher welches wer werden wie wird wo zu zum zur über"
    " el los las del y con para cuánto cuánta cuál una por su es"
    " а без бы был была были в во все для до его ее её же за и из или их к как ко который которые ли мы"
    " на не но о об он"
    " она они оно от по при с со сколько то у что это кто где когда каждый каждая каждого каждой каждую какой"
    " какая какие"
)
"""The most common function words of English, French, German, Spanish and Russian."""
GENERIC = word_set(
    "summarise summarize summary overview describe explain main key important point content file document note text"
    " source page paper report readme data index input output module purpose answer question list table"
    " brief short state compare information finding"
    " résumez résumer résumé fichier zusammenfassung zusammen fasse fassen datei обзор резюме 总结 概括 要約"
)
"""Words of requests about texts as a whole. A question with no other words is open."""
VERBS = word_set(
    "need needs needed take takes took require requires required use uses used cost costs amount amounts total totals"
    " reach reaches reached contain contains comprise comprises consist consists employ employs hold"
    " holds count counts"
    " measure measures span spans last lasts estimate estimated planned stand stands stood put set sets"
    " approved total"
    " exactly only now currently new according finally"
    " findet statt beginnt kommt liegt gibt"
    " besoin faut coûte compte mesure nécessite utilise occupe emploie atteint pèse dure environ exactement"
    " braucht benötigt kostet beträgt misst zählt umfasst wiegt dauert fasst etwa rund hat verbraucht"
    " требует требуется нужно стоит составляет весит насчитывает имеет около равен равна занимает"
)
"""Verbs and adverbs between a thing and its quantity, which do not tell two things apart."""
MEASURES = word_set(
    "budget cost price length weight mass size value worth total amount power capacity"
    " output consumption coût prix preis kosten summe"
)
"""Nouns that name a measure of something, and no part of it."""
VAGUE = word_set("it its they their this these he she il elle ils elles ce es er sie он она оно они это")
"""First words of sentences about what is named above them."""
COMPARED = word_set(
    "less least fewer fewest large larger largest small smaller smallest big bigger biggest high higher highest low"
    " lower lowest long longer longest fast faster fastest good better best bad worse worst old older oldest"
)
"""Words by which a question compares. A sentence that has none but these does not answer it."""
PERSONS = word_set("staff people person visitor guest inhabitant")
"""Words for persons of any kind, as they are compared: `240 people` may be `240 visitors`."""
OPPOSITE = tuple(
    word_set(line)
    for line in (
        "long wide high deep diameter circumference distance thick heavy lang breit hoch tief dick schwer",
        "revenue profit loss salary rent deposit tax debt fine net gross",
        "idle peak minimum maximum average median mean total",
        "north south east west left right upper lower inner outer",
        "first second third last old former planned expected",
        "yesterday today tomorrow morning evening night weekday weekend sunday monday saturday",
        "day week month year daily weekly monthly yearly annual hourly",
        "summer winter spring autumn",
        "start end",
    )
)
"""Lines of words of which one excludes the others: two figures with different ones are of different things."""
ALIKE = {
    **dict.fromkeys(("altitude", "elevation", "tall", "hoehe"), "high"),
    **dict.fromkeys(("length", "longueur"), "long"),
    **dict.fromkeys(("weight", "mass", "weigh"), "heavy"),
    **dict.fromkeys(
        (
            "employee",
            "member",
            "people",
            "person",
            "worker",
            "personnel",
            "personne",
            "человек",
            "сотрудник",
            "mitarbeiter",
        ),
        "staff",
    ),
    **dict.fromkeys(("begin", "launch"), "start"),
    "width": "wide",
    "height": "high",
    "depth": "deep",
    "price": "cost",
    "memory": "ram",
    "opening": "open",
    "länge": "lang",
    "breite": "breit",
    "höhe": "hoch",
    "gewicht": "schwer",
}
"""Words for the same measure."""
UNITS = """
memory 1 b byte* octet* байт*
memory 1e3 kb ko кб kilobyte*
memory 1e6 mb mo мб megabyte* mégaoctet* мегабайт*
memory 1e9 gb go гб gigabyte* gigaoctet* гигабайт*
memory 1e12 tb to тб terabyte* téraoctet* терабайт*
memory 1024 kib
memory 1048576 mib
memory 1073741824 gib
memory 1099511627776 tib
time 1e-6 us µs microsecond*
time 0.001 ms millisecond* milliseconde* millisekunde* миллисекунд*
time 1 s sec second* seconde* sekunde* секунд* 秒
time 60 min minute* минут* 分 分钟 分钟的
time 3600 h hr hrs hour* heure* stunde* час часа часов 小时 時間
time 86400 day* jour* tag tage tagen день дня дней 天 日間
time 604800 week* semaine* woche* недел* 周 週間
time 2592000 month* mois monat* месяц* 个月 ヶ月 か月
time 31536000 year* an ans année* jahr jahre jahren лет года
length 0.3048 ft feet foot
length 1609.34 mile* mi
length 0.001 mm мм millimet* millimèt*
length 0.01 cm см centimet* centimèt* zentimet*
length 1 m м metre* meter* mètre* метр* 米 メートル
length 1000 km км kilomet* kilomèt* километр* 公里 千米 キロメートル
mass 1e-6 mg milligram*
mass 0.4536 lb lbs pound-mass
mass 0.001 g г gram* грамм*
mass 1 kg кг kilo kilogram* килограмм* 公斤 千克
mass 1000 t т ton tons tonne* тонн* 吨 トン
share 1 % percent prozent процент* パーセント
dollars 1 $ usd dollar* доллар* 美元 ドル
euros 1 € eur euro* евро 欧元 ユーロ
pounds 1 £ gbp pound*
yuan 1 cny rmb yuan 元 人民币 юан*
yen 1 ¥ jpy yen 円 日元
francs 1 chf francs franken
roubles 1 ₽ руб рубл*
power 1 w watt*
power 1000 kw kilowatt* киловатт* квт 千瓦 キロワット
power 1e6 mw megawatt* мегаватт* мвт 兆瓦
power 1e9 gw gigawatt*
energy 0.001 wh
energy 1 kwh kilowattstunde* kilowatt-hour* киловатт-час*
energy 1000 mwh megawattstunde*
energy 1e6 gwh
speed 1 km/h kph
speed 1.609 mph
speed 3.6 m/s
bits 1 mbit/s mbps mbit
bits 1000 gbit/s gbps gbit
pressure 1 bar
pressure 0.001 mbar hpa
pressure 0.01 kpa
pressure 10 mpa
pressure 0.06895 psi
voltage 1 v volt*
voltage 1000 kv kilovolt*
volume 0.001 ml millilit*
volume 1000 m³ m3 куб.м
rate 1 hz
rate 1e6 mhz
rate 1e9 ghz
volume 1 l litre* liter* литр* リットル 升
area 1 m² m2 qm кв.м 平方米 平方メートル 平米
area 1e6 km²
area 10000 ha hectare* hektar* гектар* 公顷 ヘクタール
temperature 1 °c degré* grad
"""
"""Kind, factor and names of each unit. A star ends a name that has more endings."""
SCALES = """
1e3 thousand mille tausend тыс тысяч 千
1e6 million millions mio mn millionen миллионами млн миллион миллиона миллионов 百万
1e9 billion billions bn milliarde milliard milliards mrd milliarden млрд миллиард миллиарда миллиардов 十亿
1e4 万
1e8 亿 億
"""
MONTHS = (
    "jan янв 1月|feb fév feb фев 2月|mar mär mars мар 3月|apr avr апр 4月|may mai май мая 5月|jun juin июн 6月|"
    "jul juil июл 7月|aug aoû авг 8月|sep сен 9月|oct okt окт 10月|nov ноя 11月|dec déc dez дек 12月"
)
