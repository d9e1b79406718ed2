"""The columns that tables and paragraphs may take: as many as almost every terminal has, or fewer
on a narrow one.
"""

from contextvars import ContextVar

WIDTH = 80
"""Maximum columns of a table, if the ids allow it: almost every terminal has as many."""
LEAST_WIDTH = 20
"""Minimum columns, however narrow the terminal is."""
_COLUMNS: ContextVar[int] = ContextVar("columns", default=WIDTH)


def fit(columns: int) -> None:
    """Make all further tables and lines fit a terminal with so many columns, if these are fewer
    than `WIDTH`.
    """
    _COLUMNS.set(max(LEAST_WIDTH, min(WIDTH, columns)))


def width() -> int:
    """Return the columns that a table or a paragraph may take."""
    return _COLUMNS.get()
