"""A region of a terminal that is drawn in place, below lines that stay.

Only lines that changed are written again. A frame is one text: it hides the cursor and stops the
wrapping of lines while it is drawn, and restores both, so that a process that is killed leaves a
usable terminal.
"""

from collections.abc import Sequence

_BEGIN = "\x1b[?25l\x1b[?7l"
_END = "\x1b[?7h\x1b[?25h"
_ERASE_LINE = "\x1b[K"
_ERASE_BELOW = "\x1b[J"


class Screen:
    """Draws frames. Its texts must be safe to show, apart from the codes of colours."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._widths: list[int] = []
        self._columns = 0

    def draw(self, lines: Sequence[str], widths: Sequence[int], columns: int) -> str:
        """Return what draws a frame over the last one. `widths` are the columns of its lines."""
        up = self._rows_up(columns)
        known = self._lines if columns == self._columns else []
        out = [_BEGIN, up]
        for n, line in enumerate(lines):
            if n:
                out.append("\r\n")
            # The last line is always written: what a user types is echoed there.
            if n >= len(known) or known[n] != line or n == len(lines) - 1:
                out += [line, _ERASE_LINE]
        out += [_ERASE_BELOW, _END]
        self._lines, self._widths, self._columns = list(lines), list(widths), columns
        return "".join(out)

    def above(self, text: str) -> str:
        """Return what replaces the region by lines that stay; the next frame is drawn below them."""
        shown = self.clear() + text
        return shown if shown.endswith("\n") else shown + "\n"

    def clear(self) -> str:
        """Return what removes the region."""
        if not self._lines:
            return ""
        cleared = self._rows_up(self._columns) + _ERASE_BELOW
        self._lines, self._widths = [], []
        return cleared

    def _rows_up(self, columns: int) -> str:
        """Return what moves the cursor to the first row of the region.

        A terminal that became narrower has wrapped the lines that were wider.
        """
        if not self._lines:
            return "\r"
        rows = sum(max(1, -(-width // columns)) for width in self._widths) if columns else len(self._lines)
        return f"\r\x1b[{rows - 1}A" if rows > 1 else "\r"
