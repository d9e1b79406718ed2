"""What a linter says: findings, and the names that something wrong may have meant."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from swarm.base.errors import Problem
from swarm.base.text import clip, listing

Severity = Literal["error", "repaired", "hint"]
"""`error`: the plan must go back; `repaired`: mended without guessing; `hint`: it can run, and could be better."""
Key = tuple[str | int, ...]
"""Where in a plan: `("steps", 2, "needs")`."""

MOST_NAMES = 12
"""Names a message lists: enough to choose from, few enough to read."""
MOST_TEXT = 60
"""Characters of somebody's text that a message quotes."""
MOST_COMPARISONS = 20_000
"""Names compared for likeness in one linting, at some 10 µs each; beyond it nothing is suggested."""
LIKE = 0.6
"""How alike two names must be for the one to be suggested for the other: difflib's own default."""

_JOINTS = re.compile(r"[\s_-]+")
_FIXED_ORDER: Mapping[str, int] = {"": 0, "agents": 1, "steps": 2}


@dataclass(frozen=True)
class Finding:
    """One thing found in a plan."""

    severity: Severity
    kind: str
    """One word for machines, such as `cycle` or `unknown_step`."""
    message: str
    """What is wrong, or was, or might be better; for people and planners."""
    advice: str = ""
    """What to do about it: one sentence in the imperative, or what is known."""
    step: str = ""
    """The step it is about."""
    key: str = ""
    """Where: the dotted path in the plan as it was written, such as `steps.2.needs`."""

    def __str__(self) -> str:
        return self.problem.message if not self.key else f"{self.key}: {self.problem.message}"

    @property
    def problem(self) -> Problem:
        """The finding as one of the problems an `InputError` carries."""
        end = "" if self.message.endswith("?") else "."
        return Problem(f"{self.message}{end} {self.advice}" if self.advice else self.message, key=self.key)


class Findings:
    """Findings as they are made; in the order of the plan once all are."""

    def __init__(self, before: Iterable[Finding] = (), *, forgiven: Collection[str] = ()) -> None:
        """Begin with what was found before; errors of a `forgiven` kind count as mended: what is wrong is left out."""
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
        instead: str = "that was left out",
    ) -> None:
        """Note what must go back; `instead` says what is done where it is forgiven."""
        if self.forgives(kind):
            self.repaired(kind, key, f"{message}; {instead}", step=step)
            return
        self._wrong.add(_dotted(key))
        self._made.append(Finding("error", kind, message, advice, step, _dotted(key)))

    def repaired(self, kind: str, key: Key, message: str, *, step: str = "") -> None:
        """Note what was mended, and how."""
        self._made.append(Finding("repaired", kind, message, "", step, _dotted(key)))

    def hint(self, kind: str, key: Key, message: str, *, advice: str = "", step: str = "") -> None:
        """Note what could be better."""
        self._made.append(Finding("hint", kind, message, advice, step, _dotted(key)))

    def forgives(self, kind: str) -> bool:
        """Whether errors of a kind are mended, because asking for another plan did not help."""
        return kind in self._forgiven

    @property
    def any_error(self) -> bool:
        """Whether something must go back."""
        return bool(self._wrong)

    def is_wrong(self, key: Key) -> bool:
        """Whether there is an error at just this place: what follows from it need not be said too."""
        return _dotted(key) in self._wrong

    def in_order(self) -> tuple[Finding, ...]:
        """Give what is about the whole plan, then its agents, then its steps, each as they were checked."""
        return tuple(sorted(self._made, key=_rank))


class Names:
    """Names that may be referred to, and what a name that is none of them may have meant."""

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
        """Give the name itself, or the only one that differs from it by case, spaces, `_` and `-`; else None."""
        if name in self._exact:
            return name
        same = self._folded.get(folded(name), ())
        return same[0] if len(same) == 1 else None

    def suggestion(self, name: str) -> str:
        """Write `; did you mean 'this'?` where a name is like enough, else nothing."""
        if len(name) > 2 * MOST_TEXT or len(self._names) > self._comparisons:
            return ""
        self._comparisons -= len(self._names)
        near = get_close_matches(name, self._names, n=1, cutoff=LIKE)
        return f"; did you mean {quoted(near[0])}?" if near else ""

    def listed(self, what: str = "Known") -> str:
        """Write `Known: a, b and c`, cut where there are many."""
        return f"{what}: {self._shown}"


def folded(name: str) -> str:
    """Strip from a name what people and models vary without meaning to."""
    return _JOINTS.sub("", name).casefold()


def quoted(text: str) -> str:
    """Quote somebody's text in a message: one line, cut, and nothing that cannot be written."""
    return f"'{clip(text, MOST_TEXT)}'"


def shortened(names: Iterable[str], most: int = MOST_NAMES) -> str:
    """List names, the first few of many."""
    return listing((clip(name, MOST_TEXT) for name in names), most)


def feedback(findings: Iterable[Finding], most: int = 40) -> str:
    """Write the errors among findings for the planner to mend: one line each, the first `most` of them.

    Just the list; the words around it are policy and stand in `agents/wording.md`.
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
