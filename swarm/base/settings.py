"""Values that people copy: from a file of variables, a web page, a chat.

They come with line ends, tabs, no-break spaces and characters of no width, which nobody sees.
"""

import unicodedata

_INVISIBLE = "\u00ad\u180e\u200b\u200c\u200d\u2060\ufeff"
"""Characters of no width that programs put at the ends of a text: soft hyphen, joiners, byte order mark."""


def cleaned(text: str) -> str:
    """Return a text without blanks of any kind, control characters and characters of no width at its ends."""
    while text != (text := text.strip().strip(_INVISIBLE)):
        pass
    return text


def hidden_character(text: str, *, blanks: bool = False) -> str | None:
    """Return the name of a character in a text that nobody sees, or None; with `blanks`, an ordinary space counts."""
    for character in text:
        if character == " ":
            if blanks:
                return "a space"
        elif unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zs", "Zl", "Zp"}:
            name = unicodedata.name(character, "").lower()
            return name or f"a control character (U+{ord(character):04X})"
    return None
