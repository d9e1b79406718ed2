"""Words that the offline endpoint knows: function words, requests, units, scales and months, in
several languages.
"""


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


STOP = word_set(
    "t wann warum wieso woher quand où pourquoi comment cuándo dónde cómo почему"
    " a about above according add after all also am an and any are as at be been but by can"
    " could did do does each every find for from get give given had has have he her his how i"
    " if in into is it its let many may me more most much must my no not of on one or our out"
    " over per please say says shall she should so some such tell than that the their them then"
    " there these they this those to too under up us use was we were what when where which who"
    " whom whose why will with within during would you your au aux avec ce chaque ces combien"
    " dans de des du elle en est et il ils je la le les leur lui mais ne nous on ou par pas"
    " pour quel quelle quelles quels que qui sa se ses son sont sur un une vous à été viel"
    " viele vielen aber als am auch auf aus bei das dass dem den der des die durch ein eine"
    " einem einen einer eines er es für hat haben ihr im in ist jede jeder jedes man mit nach"
    " nicht noch oder sein sie sich sind und vom von vor war was welche welcher welches wer"
    " werden wie wird wo zu zum zur um ab ohne über wurde wurden weil el los las del y con para"
    " cuánto cuánta cuál una por su es а без бы был была были в во все для до его ее её же за и"
    " из или их к как ко который которые ли мы на не но о об он она они оно от по при с со"
    " сколько то у что это кто где когда каждый каждая каждого каждой каждую какой какая какие"
)
"""The most common function words of English, French, German, Spanish and Russian."""
GENERIC = word_set(
    "summarise summarize summary overview describe explain main key important point content"
    " file document note text source page paper report readme data index input output module"
    " purpose answer question list table brief short state compare information finding résumez"
    " résumer résumé fichier zusammenfassung zusammen fasse fassen datei обзор резюме 总结 概括 要約"
)
"""Words of requests about texts as a whole. A question with no other words is open."""
VERBS = word_set(
    "need needs needed take takes took require requires required use uses used cost costs"
    " amount amounts total totals reach reaches reached contain contains comprise comprises"
    " consist consists employ employs hold holds count counts measure measures span spans last"
    " lasts estimate estimated planned stand stands stood put set sets approved total exactly"
    " only now currently new according finally paid pay pays handle handled handles findet"
    " statt beginnt kommt liegt gibt avons avez coûté payé payons besoin faut coûte compte"
    " mesure nécessite utilise occupe emploie atteint pèse dure environ exactement braucht"
    " benötigt kostet beträgt misst zählt umfasst wiegt dauert fasst etwa rund hat verbraucht"
    " требует требуется нужно стоит составляет весит насчитывает имеет около равен равна"
    " занимает"
)
"""Verbs and adverbs between a thing and its quantity, which do not tell two things apart."""
MEASURES = word_set(
    "budget cost price length weight mass size value worth total amount power capacity output"
    " consumption area surface superficie fläche площадь coût prix preis kosten summe"
)
"""Nouns that name a measure of something, and no part of it."""
PACKS = word_set(
    "bottle glass pack packet box case crate piece pair ticket copy bag can jar cup slice"
    " night flasche packung kiste stück bouteille boîte paquet pièce"
)
"""Nouns for how much of something is sold: its price is that of the thing, and of no part of it."""
DOCUMENTS = word_set(
    "note notice report letter memo summary minute contract agreement press release speech"
    " review blog mail email invoice protocol faq article news statement message post interview"
    " appendix quote offer notiz aushang bericht brief vertrag protokoll mitteilung"
    " zusammenfassung rechnung presse angebot artikel anlage vermerk rapport lettre contrat"
    " compte-rendu facture communiqué devis résumé procès-verbal avis заметка письмо отчёт"
    " отчет договор пресса протокол новости справка счёт сообщение 通知 报告 报道 合同 会议 纪要 说明 新闻 发票"
    " 報告 通知書 記事 契約 議事 議事録 请求"
)
"""Kinds of texts: before a colon or as a title, they say who says something, and not what it is
about."""
QUALIFIERS = word_set(
    "net gross idle peak minimum maximum average median target remaining additional extra"
    " compressed maximal minimal netto brutto durchschnittlich mittlere moyenne maximale"
    " minimale maximal restant средний"
)
"""Words that make another quantity of a quantity: with one, a figure is not compared with one
without."""
REPEATED = word_set(
    "update revise inspect clean repair renew overhaul check test meet met visit change"
    " aktualisiert geprüft gewartet révisé nettoyé обновлено проверено"
)
"""Words for what happens again and again: two dates of it do not disagree."""
PREDICATES = word_set(
    "needs needed takes took requires required uses used costs cost reaches reached contains"
    " comprises employs holds measures has had is was braucht kostet hat ist war beginnt liegt"
    " coûte compte mesure a est était cuesta tiene es"
)
"""Verbs that a number before them does not count: it is the number of their subject."""
COUNTING = word_set("number count quantity pieces units anzahl menge stück nombre quantité количество штук 数量 個数")
"""Heads of columns that count what the row is about."""
VAGUE = word_set("it its they their this these he she il elle ils elles ce es er sie он она оно они это")
"""First words of sentences about what is named above them."""
COMPARED = word_set(
    "less least fewer fewest large larger largest small smaller smallest big bigger biggest"
    " high higher highest low lower lowest long longer longest fast faster fastest good better"
    " best bad worse worst old older oldest"
)
"""Words by which a question compares. A sentence that has none but these does not answer it."""
PERSONS = word_set("staff people person visitor guest inhabitant")
"""Words for persons of any kind, as they are compared: `240 people` may be `240 visitors`."""
DENIALS = word_set(
    "not no never cannot neither none forbidden prohibited banned impossible disabled optional"
    " nicht kein keine keinen keiner nie niemals verboten unmöglich pas jamais aucun aucune"
    " interdit interdite impossible не нет никогда запрещено запрещена запрещён нельзя nunca"
    " ningún prohibido"
)
"""Words by which a sentence denies. A sentence with none of them affirms."""
CONDITIONAL = word_set(
    "if unless when whenever while except only without until some many most few other another"
    " otherwise wenn falls außer nur manche einige viele si sauf seulement quand certains если"
    " кроме только когда некоторые"
)
"""Words with which a sentence is about some cases only: it neither affirms nor denies another
one."""
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
"""Lines of words of which one excludes the others: two figures with different ones are of
different things."""
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
    **dict.fromkeys(("begin", "launch", "open", "opening"), "start"),
    **dict.fromkeys(("monthly", "monatlich", "mensuel"), "month"),
    **dict.fromkeys(("daily", "täglich"), "day"),
    **dict.fromkeys(("weekly", "wöchentlich"), "week"),
    **dict.fromkeys(("yearly", "annual", "annually", "jährlich"), "year"),
    **dict.fromkeys(("departure", "depart"), "leave"),
    **dict.fromkeys(("arrival",), "arrive"),
    **dict.fromkeys(("ort", "location", "venue", "lieu", "место", "standort"), "place"),
    **dict.fromkeys(("downtime", "outage"), "down"),
    **dict.fromkeys(("maintenance", "upkeep"), "maintain"),
    **dict.fromkeys(("forbid", "forbidden", "prohibit", "permit", "ban"), "allow"),
    **dict.fromkeys(("impossible",), "possible"),
    **dict.fromkeys(("verboten",), "erlaubt"),
    **dict.fromkeys(("interdit", "interdite", "autorisée"), "autorisé"),
    **dict.fromkeys(("disable",), "enable"),
    **dict.fromkeys(("optional", "mandatory", "obligatory"), "require"),
    "hourly": "hour",
    "width": "wide",
    "height": "high",
    "depth": "deep",
    "price": "cost",
    "memory": "ram",
    "länge": "lang",
    "breite": "breit",
    "höhe": "hoch",
    "gewicht": "schwer",
}
"""Words for the same measure."""
