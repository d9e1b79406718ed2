"""Markup that is safe by its type: only `html` makes it, from a literal template and escaped
values.

    html("<td>{}</td>", text)

A type checker refuses a template that is not written in the code, and a test refuses markup
anywhere else in this package. So no text of a model, a tool or a file becomes a tag, an attribute
or a script.
"""

import re
from collections.abc import Callable, Iterable
from html import escape
from pathlib import Path
from typing import LiteralString

from swarm.base.redaction import safe_text


class Html(str):
    """A piece of markup. Never construct it outside of this module."""

    __slots__ = ()


EMPTY = Html()
_PLAIN = re.compile(r"[^\n\t\x20\x21\x23-\x25\x28-\x3b\x3d\x3f-\x7e\xa1-\u05ff\u3000-\u9fff\uac00-\ud7ff]")
"""A character that may need an escape: all but letters, figures and marks without a meaning in
markup."""


def esc(value: object) -> str:
    """Return a value as text for markup and for quoted attributes. Markup stays as it is."""
    if type(value) is Html:
        return value
    text = value if isinstance(value, str) else str(value)
    # Most texts have nothing to escape: one search is faster than all replacements.
    return text if _PLAIN.search(text) is None else escape(safe_text(text))


def html(template: LiteralString, *values: object) -> Html:
    """Return markup: a literal template with each `{}` replaced by an escaped value."""
    return Html(template.format(*[value if type(value) is Html else esc(value) for value in values]))


def own_file(name: LiteralString) -> Html:
    """Return a file of this package as it is: its style sheet, its script."""
    return Html((Path(__file__).parent / name).read_text(encoding="utf-8"))


def join(parts: Iterable[Html]) -> Html:
    """Return pieces of markup one after the other."""
    return Html("".join(parts))


def joined(separator: LiteralString, parts: Iterable[Html]) -> Html:
    """Return pieces of markup with a literal text between them."""
    return Html(separator.join(parts))


def edited(pattern: re.Pattern[str], markup: Html, by: LiteralString | Callable[[re.Match[str]], str]) -> Html:
    """Return markup in which what a pattern finds is replaced by a literal text, or by what a
    function makes of it, which must not add anything of others.
    """
    return Html(pattern.sub(by, markup))
