"""Findings of the linter, and suggestions for unknown names."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from swarm.base.errors import Problem
from swarm.base.text import clip, listing

Severity = Literal["error", "repaired", "hint"]
"""`error`: the plan cannot run; `repaired`: fixed, because only one fix was possible; `hint`: the
plan can run, and could be better."""
Key = tuple[str | int, ...]
"""A place in a plan, such as `("steps", 2, "needs")`."""

MOST_NAMES = 12
"""Maximum names in a message: enough to choose from, few enough to read."""
MOST_TEXT = 60
"""Maximum characters of a quoted text in a message."""
MOST_COMPARISONS = 20_000
"""Maximum names that are compared for similarity, at about 10 µs each. After that, nothing is
suggested."""
LIKE = 0.6
"""Minimum similarity of a suggested name, from 0 to 1: the default of difflib."""

_JOINTS = re.compile(r"[\s_-]+")
_FIXED_ORDER: Mapping[str, int] = {"": 0, "agents": 1, "steps": 2}


@dataclass(frozen=True)
class Finding:
    """One error, repair or hint."""

    severity: Severity
    kind: str
    """One word for machines, such as `cycle` or `unknown_step`."""
    message: str
    """The error, the repair or the weakness; for people and planners."""
    advice: str = ""
    """What to do: one imperative sentence, or a list of allowed names."""
    step: str = ""
    """Id of the step."""
    key: str = ""
    """Dotted path of the place in the plan as it was written, such as `steps.2.needs`."""

    def __str__(self) -> str:
        return self.problem.message if not self.key else f"{self.key}: {self.problem.message}"

    @property
    def problem(self) -> Problem:
        """The finding as a problem of an `InputError`: the message, then the advice."""
        end = "" if self.message.endswith("?") else "."
        return Problem(f"{self.message}{end} {self.advice}" if self.advice else self.message, key=self.key)


class Findings:
    """The findings of one plan, collected while it is checked."""

    def __init__(self, before: Iterable[Finding] = (), *, forgiven: Collection[str] = ()) -> None:
        """Start with earlier findings. Errors of a `forgiven` kind become repairs: the wrong part is dropped."""
        self._made = list(before)
        self._forgiven = forgiven
        self._wrong = {finding.key for finding in self._made if finding.severity == "error"}

    def error(
        self,
        kind: str,
        key: Key,
        message: str,
        *,
        advice: str = "",
        step: str = "",
        instead: str = "it was dropped",
    ) -> None:
        """Add an error. If its kind is forgiven, add a repair; `instead` describes that."""
        if self.forgives(kind):
            self.repaired(kind, key, f"{message}; {instead}", step=step)
            return
        self._wrong.add(_dotted(key))
        self._made.append(Finding("error", kind, message, advice, step, _dotted(key)))

    def repaired(self, kind: str, key: Key, message: str, *, step: str = "") -> None:
        """Add a repair."""
        self._made.append(Finding("repaired", kind, message, "", step, _dotted(key)))

    def hint(self, kind: str, key: Key, message: str, *, advice: str = "", step: str = "") -> None:
        """Add a hint."""
        self._made.append(Finding("hint", kind, message, advice, step, _dotted(key)))

    def forgives(self, kind: str) -> bool:
        """Return True if errors of a kind become repairs, because a retry of the planner did not help."""
        return kind in self._forgiven

    @property
    def any_error(self) -> bool:
        """True if there is an error."""
        return bool(self._wrong)

    def is_wrong(self, key: Key) -> bool:
        """Return True if there is an error at this place. Its consequences need no findings."""
        return _dotted(key) in self._wrong

    def in_order(self) -> tuple[Finding, ...]:
        """Return the findings on the whole plan, then on agents, then on steps, each in order of checks."""
        return tuple(sorted(self._made, key=_rank))


class Names:
    """Known names, and suggestions for unknown ones."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(dict.fromkeys(names))
        self._exact = frozenset(self._names)
        self._comparisons = MOST_COMPARISONS
        self._shown = shortened(self._names)
        self._folded: dict[str, list[str]] = {}
        for name in self._names:
            self._folded.setdefault(folded(name), []).append(name)

    def __contains__(self, name: str) -> bool:
        return name in self._exact

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def meant(self, name: str) -> str | None:
        """Return the name, or the only one that differs from it in case, spaces, `_` and `-`; else None."""
        if name in self._exact:
            return name
        same = self._folded.get(folded(name), ())
        return same[0] if len(same) == 1 else None

    def suggestion(self, name: str) -> str:
        """Return `; did you mean 'this'?` if a name is similar enough, else an empty text."""
        if len(name) > 2 * MOST_TEXT or len(self._names) > self._comparisons:
            return ""
        self._comparisons -= len(self._names)
        near = get_close_matches(name, self._names, n=1, cutoff=LIKE)
        return f"; did you mean {quoted(near[0])}?" if near else ""

    def listed(self, what: str = "Known") -> str:
        """Return `Known: a, b and c`, with a count of the rest if there are many."""
        return f"{what}: {self._shown}"


def folded(name: str) -> str:
    """Return a name without case, spaces, `_` and `-`, which people and models vary."""
    return _JOINTS.sub("", name).casefold()


def quoted(text: str) -> str:
    """Return a text in quotes for a message: one truncated line of printable characters."""
    return f"'{clip(text, MOST_TEXT)}'"


def shortened(names: Iterable[str], most: int = MOST_NAMES) -> str:
    """Return a list of names for a message, the first few of many."""
    return listing((clip(name, MOST_TEXT) for name in names), most)


def feedback(findings: Iterable[Finding], most: int = 40) -> str:
    """Return the errors as a list for the planner: one line each, the first `most` of them.

    The words around the list are policy and are in `agents/wording.md`.
    """
    errors = [finding for finding in findings if finding.severity == "error"]
    lines = [f"- {_line(finding)}" for finding in errors[:most]]
    if len(errors) > most:
        lines.append(f"- … and {len(errors) - most} more like these")
    return "\n".join(lines)


def _line(finding: Finding) -> str:
    where = re.sub(r"\.(\d+)", r"[\1]", finding.key)
    named = f"{where} (id {quoted(finding.step)})" if finding.step else where
    text = finding.problem.message
    return f"{named}: {text}" if named else text


def _dotted(key: Key) -> str:
    return ".".join(str(part) for part in key)


def _rank(finding: Finding) -> tuple[int, int]:
    top, _, rest = finding.key.partition(".")
    number = rest.partition(".")[0]
    if not number.isdecimal():
        return 0, 0
    return _FIXED_ORDER.get(top, 0), int(number)
