"""The style sheet and the script of a page, and the policy that allows these two and nothing
else.
"""

import base64
import hashlib
from functools import cache

from swarm.views.page.html import Html, join, own_file


@cache
def style() -> Html:
    """Return the style sheet."""
    return own_file("page.css")


@cache
def script() -> Html:
    """Return the script that filters and sorts the table of steps. The page is complete without
    it.
    """
    return own_file("page.js")


@cache
def served_script() -> Html:
    """Return the script of a page that is served: it also keeps the page up to date."""
    return join((script(), own_file("web.js")))


@cache
def policy(*, served: bool = False) -> str:
    """Return the content security policy: nothing is loaded, and only this style and this script
    are used.

    The script of a page that is `served` may ask the server that sent the page, and nobody else.
    """
    found = (
        f"default-src 'none'; style-src '{_hash(style())}'; base-uri 'none'; form-action 'none'; "
        f"script-src '{_hash(served_script() if served else script())}'"
    )
    return f"{found}; connect-src 'self'" if served else found


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
