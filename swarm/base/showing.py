"""How values show themselves in a notebook: a short text, and HTML without scripts.

The HTML is made by the views, which are above everything that they show. So their module is named
here, not imported: it is loaded when a notebook asks for HTML, and never otherwise.
"""

import sys
from importlib import import_module
from typing import Any

VIEW = "swarm.views.notebook"
"""Home of the HTML of values, and of the live view of a run in a notebook."""


class Displayed:
    """A value with HTML for notebooks."""

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """Return the value as text and as HTML."""
        return import_module(VIEW).bundle(self)


def cell() -> Any:
    """Return the live view of the notebook cell that runs; None outside of a notebook kernel."""
    return import_module(VIEW).cell() if "ipykernel" in sys.modules else None
