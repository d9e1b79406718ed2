"""The style sheet and the script of a page, and the policy that allows these two and nothing else."""

import base64
import hashlib
from functools import cache

from swarm.views.page.html import Html, own_file


@cache
def style() -> Html:
    """Return the style sheet."""
    return own_file("page.css")


@cache
def script() -> Html:
    """Return the script that filters and sorts the table of steps. The page is complete without it."""
    return own_file("page.js")


@cache
def policy() -> str:
    """Return the content security policy: nothing is loaded, and only this style and this script are used."""
    return (
        f"default-src 'none'; style-src '{_hash(style())}'; script-src '{_hash(script())}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
