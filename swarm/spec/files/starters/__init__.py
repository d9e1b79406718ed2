"""The starter tasks of `swarm init`: files that run unchanged, and the samples that they read.

`<<goal>>`, `<<inputs>>`, `<<name>>` and `<<schema>>` in a starter are replaced.
"""

import json
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True)
class Starter:
    """A kind of task that `swarm init` writes."""

    name: str
    about: str
    """What it is for, in one line."""
    goal: str
    inputs: str
    """Its inputs: a glob."""
    samples: tuple[tuple[str, str], ...]
    """Files that the glob finds, with their texts: written if it finds nothing else."""

    def text(self, *, name: str, schema: str, goal: str = "", inputs: str = "") -> str:
        """Return the task file, with the caller's goal and inputs if there are any."""
        words = " ".join((goal or self.goal).split()).replace("${", "$${")
        values = {
            "goal": words,
            "inputs": json.dumps(inputs or self.inputs, ensure_ascii=False),
            "name": name,
            "schema": schema,
        }
        text = files(__name__).joinpath(f"{self.name}.yaml").read_text(encoding="utf-8")
        for key, value in values.items():
            text = text.replace(f"<<{key}>>", value)
        return text


_ALPHA = """\
# Alpha

Alpha is a message queue. It keeps messages on disk and needs 512 MB of memory.
The current version, 3, was released on 2025-05-12.
"""
_BETA = """\
# Beta

Beta is a message queue for one machine. It keeps messages in memory only and needs 64 MB.
The current version, 1, was released on 2024-03-08.
"""
_CODE = '''\
"""Prices of an order."""


def total(prices, discount=0):
    """Return the sum of prices, less a discount in percent."""
    return sum(prices) * (100 - discount) / 100


def average(prices):
    return sum(prices) / len(prices)  # fails for an order without items
'''
_FIGURES = """\
month,region,sales_eur
2025-01,north,18400
2025-01,south,12100
2025-02,north,19250
2025-02,south,15300
"""

STARTERS = {
    starter.name: starter
    for starter in (
        Starter(
            "research",
            "answer a question from documents, with sources",
            "Which message queue needs less memory, and what does it give up for that?",
            "notes/*.md",
            (("notes/alpha.md", _ALPHA), ("notes/beta.md", _BETA)),
        ),
        Starter(
            "table",
            "fill a table: one row for each document",
            "A table with one row for each document.",
            "notes/*.md",
            (("notes/alpha.md", _ALPHA), ("notes/beta.md", _BETA)),
        ),
        Starter(
            "code",
            "review source files, one step for each",
            "What do the functions return, what are their prices and sums, and which places look wrong or risky?",
            "src/*.py",
            (("src/prices.py", _CODE),),
        ),
        Starter(
            "data",
            "answer a question from tables of figures",
            "What were the sales of each region in each month?",
            "data/*.csv",
            (("data/sales.csv", _FIGURES),),
        ),
    )
}
"""The starters by name, the usual one first."""
