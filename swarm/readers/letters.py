"""How usual the letters of a text are, to choose between encodings in which its bytes are valid.

A wrong encoding shows: letters that no language uses often, capitals inside of words, scripts mixed
in one word, one Chinese character between Latin letters. Each character outside of ASCII gets
points for that; the mean decides.
"""

import unicodedata
from collections.abc import Mapping

_WEST = "äöüßÄÖÜéèêëÉÈàâÀçÇîïôûùœñÑáíóúÁÍÓÚãõåæøÅÆØ¿¡€’‘“”„–—…°§²³µ£«»©®·•½×\xa0"
_CENTRE = "ąćęłńóśźżĄĆĘŁŃÓŚŹŻáčďéěíňřšťúůýžÁČĎÉĚÍŇŘŠŤÚŮÝŽőűŐŰöüÖÜăâîşţĂÂÎŞŢđĐäß€’„”“–…°§«»\xa0"
_TURKISH = "çğıöşüÇĞİÖŞÜâîûé€’“”–…°\xa0"
_CYRILLIC = "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъёіїєґў"
_GREEK = "ατοιεσνηρπκμλςυδγωχθφξβζψάέήίόύώϊϋ"
_HEBREW = "יוהלאתמרבשנםעדקחפכטגצזסןךףץ"
_ARABIC = "اليمنوترةبعدفسكهقحجأشصطخىضغذثزءئإؤظآ،؟"
_THAI = "านรกเงอมย่วลดท้สตะคปบแจหพชขใไโผซณธศถภฟษฐฉํึีิืุู์ั็๊๋ำฯๆ"
_SIMPLE = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去法学如"
    "都同现当没动面起看定天分还进好小部其些主样理心本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将两高间"
    "由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水"
    "名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件计管期市直德资命山金指克许统区保至队形"
    "社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今"
    "切院让识候带导争运笔费额财存储服器需兆百千元月增减预算占产品客户供应价格内存"
)
_PLAIN = (
    "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作里裡用道行所然家種事成方多經麼去法學如"
    "都同現當沒動面起看定天分還進好小部其些主樣理心本前開但因只從想實日軍者意無力它與長把機十民第公此已工使情明性知全三又關點正業外將兩高間"
    "由問很最重並物手應戰向頭文體政美相見被利什二等產或新己制身果加西斯月話合回特代內信表化老給世位次度門任常先海通教兒原東聲提立及比員解水"
    "名真論處走義各入幾口認條平系氣題活爾更別打女變四神總何電數安少報才結反受目太量再感建務做接必場件計管期市直德資命山金指克許統區保至隊形"
    "社便空決治展馬科司五基眼書非則聽白卻界達光放強即像難且權思王象完設式色路記南品住告類求據程北邊死張該交規萬取拉格望覺術領共確傳師觀清今"
    "切院讓識候帶導爭運筆費額財存儲伺服器需兆百千元增減預算佔記憶體客戶供應價格"
)
_KOREAN = (
    "이다는의에을가를은로고하한지도기사어리자대시스서인그나정있해아라일들부으수제전장보원구상과동오성만공연주거비여았었게소무조관경적유"
    "생국신문안중위년선우마치요했된화합말되결방발내용면세미행모개할계속학터재점까각려없았회간타물산업트단것및또호당차작양더반양영청월명"
    "심데표력입금음본후포출외진투분프드예예서버메모립니습증현"
)
_JAPANESE = (
    "日本人大年一中出生上見行気時間国会社東京学円月分市場売前比増加支店長方者事業部員新高的地内報合同当今回発表数金額上下円万億部品"
    "需要検査結果平均料定電話番号開始終了件名会計予算"
)


def _weights(letters: str) -> Mapping[str, float]:
    """Return the points of letters, the usual ones first: from 1 down to 0.4. Capitals have less."""
    points = {letter: 1 - 0.6 * n / len(letters) for n, letter in enumerate(letters)}
    capitals = {letter.upper(): 0.8 * value for letter, value in points.items() if len(letter.upper()) == 1}
    return {**capitals, **points}


_LATIN: Mapping[str, frozenset[str]] = {
    "cp1252": frozenset(_WEST),
    "iso8859-15": frozenset(_WEST),
    "cp1254": frozenset(_TURKISH),
    "cp1250": frozenset(_CENTRE),
    "iso8859-2": frozenset(_CENTRE),
    "mac-roman": frozenset(_WEST),
    "cp850": frozenset(_WEST),
}
_LETTERS: Mapping[str, Mapping[str, float]] = {
    "koi8-r": _weights(_CYRILLIC),
    "cp1251": _weights(_CYRILLIC),
    "cp866": _weights(_CYRILLIC),
    "cp1253": _weights(_GREEK),
    "cp1255": _weights(_HEBREW),
    "cp1256": _weights(_ARABIC),
    "cp874": _weights(_THAI),
}
_IDEOGRAMS: Mapping[str, frozenset[str]] = {
    "cp932": frozenset(_JAPANESE),
    "euc_jp": frozenset(_JAPANESE),
    "gb18030": frozenset(_SIMPLE),
    "big5hkscs": frozenset(_PLAIN),
    "cp949": frozenset(_KOREAN),
}
CANDIDATES = (*_IDEOGRAMS, *_LETTERS, *_LATIN)
"""Encodings that are guessed. Of two that are equally likely, the first in the order of likelihood, then this one."""
_PUNCTUATION = frozenset("、。，：；！？「」『』（）《》“”·…—・")
_UNUSED = ("Cc", "Cn", "Co")
"""Categories of characters that no text has: controls, unassigned and private ones."""
_COMMON_SYMBOLS = frozenset("“”‘’–—…«»№°§±€„\xa0·•×")


def likelihood(text: str, encoding: str) -> float:
    """Return how usual the characters outside of ASCII are in an encoding: 1 is very usual, below 0 is unlikely."""
    points = [_points(text, n, encoding) for n, c in enumerate(text) if c > "\x7f"]
    return sum(points) / len(points) if points else 0.0


def _points(text: str, n: int, encoding: str) -> float:
    character = text[n]
    before, after = text[n - 1 : n] if n else "", text[n + 1 : n + 2]
    if encoding in _IDEOGRAMS:
        return _ideogram(character, before, after, encoding)
    if encoding in _LATIN:
        return _latin(character, before, after, _LATIN[encoding])
    return _letter(character, before, after, _LETTERS[encoding])


def _ideogram(character: str, before: str, after: str, encoding: str) -> float:
    """Return the points of a character in an encoding of Chinese, Japanese or Korean."""
    if _is_latin(before) and _is_latin(after):
        return -1.0
    code = ord(character)
    is_usual = character in _IDEOGRAMS[encoding]
    is_korean = encoding == "cp949"
    if 0x4E00 <= code <= 0x9FFF:  # Chinese characters
        return -0.5 if is_korean else _of(1.0, 0.35, is_usual)
    if 0xAC00 <= code <= 0xD7A3:  # Hangul
        return _of(1.0, 0.1, is_usual)
    if 0x3041 <= code <= 0x30FE:  # Kana
        return _of(1.0, 0.0, encoding in ("cp932", "euc_jp"))
    if character in _PUNCTUATION or 0xFF01 <= code <= 0xFF5E:
        return _of(0.2, 0.6, is_korean)
    is_half = 0xFF61 <= code <= 0xFF9F
    return _of(-1.0, -0.3, is_half or unicodedata.category(character) in _UNUSED)


def _of(one: float, other: float, is_one: bool) -> float:
    return one if is_one else other


def _latin(character: str, before: str, after: str, usual: frozenset[str]) -> float:
    """Return the points of a character in an encoding of Latin letters."""
    if _is_capital_inside(character, before, after) or _is_sign_inside(character, before, after):
        return -1.0
    neighbours = sum(1 for each in (before, after) if each > "\x7f" and each.isalpha())
    if neighbours == 2 or unicodedata.category(character) in _UNUSED:
        return -1.0
    return _of(0.75 - 0.3 * neighbours, -0.2, character in usual)


def _is_capital_inside(character: str, before: str, after: str) -> bool:
    return character.isupper() and (before.islower() or (after.islower() and before.isalpha()))


def _is_sign_inside(character: str, before: str, after: str) -> bool:
    """Whether a sign is between two letters: only an apostrophe and the point of Catalan are there."""
    if character.isalpha() or character == "’" or (character == "·" and before == after == "l"):
        return False
    return before.isalpha() and after.isalpha()


def _letter(character: str, before: str, after: str, usual: Mapping[str, float]) -> float:
    """Return the points of a character in an encoding of another alphabet."""
    if character in _COMMON_SYMBOLS:
        return 0.4
    if character not in usual:
        return -1.0
    if character.isupper() and before.islower():
        return -1.0
    if _is_latin(before) or _is_latin(after):
        return -1.0
    is_alone = before not in usual and after not in usual
    return 0.3 * usual[character] if is_alone else usual[character]


def _is_latin(character: str) -> bool:
    return bool(character) and character.isascii() and character.isalpha()
