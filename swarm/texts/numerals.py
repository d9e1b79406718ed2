"""Numbers in Chinese and Japanese characters."""

import re

_DIGITS = {
    "九": 9,
    "〇": 0,
    "零": 0,
    "一": 1,
    "二": 2,
    "两": 2,
    "兩": 2,
    "三": 3,
    "四": 4,
    "五": 5,
    "六": 6,
    "七": 7,
    "八": 8,
}
_TENS = {"十": 10, "百": 100, "千": 1000}
_MYRIADS = {"万": 10**4, "萬": 10**4, "億": 10**8, "亿": 10**8, "兆": 10**12}
_ALL = "".join((*_DIGITS, *_TENS, *_MYRIADS))
NUMERAL = re.compile(rf"(?<![0-9.{_ALL}第数數几幾])[十{''.join(_DIGITS)}][{_ALL}]+")
"""A number of at least two characters. `第二` is an ordinal, and `数百` is no number."""


def numeral(text: str) -> int | None:
    """Return the value of `三百二十` or `二〇二四`; None if it is no number, such as `一一`."""
    if not any(c in _TENS or c in _MYRIADS for c in text):
        is_year = len(text) == len("二〇二四") or "〇" in text
        return int("".join(str(_DIGITS[c]) for c in text)) if is_year else None
    total = section = digit = 0
    for c in text:
        if c in _DIGITS:
            digit = _DIGITS[c]
        elif c in _TENS:
            section, digit = section + (digit or 1) * _TENS[c], 0
        else:
            total, section, digit = total + (section + digit or 1) * _MYRIADS[c], 0, 0
    return total + section + digit
