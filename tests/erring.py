"""A model that errs: it misses facts and invents some, as a worker, a critic, a judge of votes and a writer of reports.

What it gets wrong is drawn from the request and a seed, so the same run errs in the same way.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from typing import Any, Literal

from swarm.spec.chat import Data, Part, Request, split_data
from tests.readers import FACT, PerfectReader, document, facts_in

Kind = Literal["figure", "swap", "made up"]
KINDS: tuple[Kind, ...] = ("figure", "swap", "made up")
"""How a fact is invented: with another figure, with the figure of another fact of the data, or a fact of its own."""
_NAMED = re.compile(r"F-(\d+)-(\d+) is (\d+)\.")


@dataclass
class ErringReader(PerfectReader):
    """The model. Each rate holds for each fact of each call."""

    misses: float = 0.0
    """Share of the facts that it overlooks; as a critic, share of the errors."""
    invents: float = 0.0
    """Share of the facts that it gets wrong or makes up; as a critic, share of the right facts that it doubts."""
    reports_err: bool = False
    """Whether it errs in reports, too."""
    seed: int = 1
    _seen: Counter[str] = field(default_factory=Counter[str])

    def _answer(self, request: Request) -> str:
        parts = list(split_data(part for each in request.messages for part in each.parts if each.role == "user"))
        random = self._random(request)
        fields = [] if request.form is None else list(_properties(request.form.json_schema))
        if "verdict" in fields:
            return self._verdict(parts, random)
        if "choice" in fields:
            return self._choice(parts, random)
        is_report = request.purpose == "report"
        said = next((each.text for each in request.messages if each.role == "assistant"), "")
        if said:
            return self._again(said, request.messages[-1].text, parts, random, cites=is_report)
        if (reasons := _reasons(parts)) is not None:
            return self._corrected(reasons, parts, random)
        answer = self._confirmed(super()._answer(request), parts, random)
        return answer if is_report and not self.reports_err else self._erring(answer, random)

    def _confirmed(self, text: str, parts: list[Part], random: Random) -> str:
        """Leave out what the prompt says is not confirmed."""
        doubted = {word for word in sorted(_unconfirmed(parts)) if random.random() >= self.misses}
        return "\n".join(line for line in text.splitlines() if not doubted.intersection(_words(line)))

    def _random(self, request: Request) -> Random:
        key = sha256(repr([each.parts for each in request.messages]).encode()).hexdigest()
        self._seen[key] += 1
        return Random(f"{self.seed} {key} {self._seen[key]}")

    def _erring(self, text: str, random: Random) -> str:
        """Return an answer with facts left out, changed and added."""
        lines = text.splitlines()
        figures = [match[3] for match in map(_NAMED.search, lines) if match]
        found: list[str] = []
        for line in lines:
            named = _NAMED.search(line)
            if named is None:
                found.append(line)
            elif random.random() >= self.misses:
                found += invented(line, figures, random) if random.random() < self.invents else [line]
        return "\n".join(found) or "Nothing."

    def _again(self, said: str, question: str, parts: list[Part], random: Random, *, cites: bool) -> str:
        """Repeat an answer; look again at the facts of a question, and leave out what the data does not have."""
        doubted = _unconfirmed(parts)
        right = {line for line in facts_in(parts, cites=cites) if not doubted.intersection(_words(line))}
        asked = {match for match in FACT.findall(question) if random.random() >= self.misses}
        kept = [line for line in said.splitlines() if line in right or not asked.intersection(FACT.findall(line))]
        return "\n".join(kept) or "Nothing."

    def _corrected(self, reasons: str, parts: list[Part], random: Random) -> str:
        """Repeat the work that a critic judged; look again at the facts of its reasons."""
        outputs = [part for part in parts if isinstance(part, Data) and part.of == "output"]
        work = {fact for part in outputs if part.text != reasons for fact in FACT.findall(part.text)}
        right = _facts(part for part in parts if isinstance(part, Data) and part.of == "input")
        asked = {fact for fact in FACT.findall(reasons) if random.random() >= self.misses}
        return "\n".join(sorted(work - (asked - right) | (asked & right))) or "Nothing."

    def _verdict(self, parts: list[Part], random: Random) -> str:
        """Return the verdict of a critic: each error is seen, each right fact doubted, at the rates of the model."""
        outputs = [part for part in parts if isinstance(part, Data) and part.of == "output"]
        work = {fact for part in outputs[-1:] for fact in FACT.findall(part.text)}
        right = _facts(part for part in parts if isinstance(part, Data) and part.of == "input")
        reasons = [f"missing: {fact}" for fact in sorted(right - work) if random.random() >= self.misses]
        reasons += [f"wrong: {fact}" for fact in sorted(work - right) if random.random() >= self.misses]
        reasons += [f"wrong: {fact}" for fact in sorted(work & right) if random.random() < self.invents]
        return json.dumps({"verdict": "contradicted" if reasons else "supported", "reasons": reasons[:20]})

    def _choice(self, parts: list[Part], random: Random) -> str:
        """Choose the vote with the most right facts and the fewest others, as far as the model sees them."""
        right = _facts(part for part in parts if isinstance(part, Data) and part.of == "input")
        seen = {fact for fact in sorted(right) if random.random() >= self.misses}
        votes = [part for part in parts if isinstance(part, Data) and part.of == "output"]
        scores = {each.name: _score(set(FACT.findall(each.text)), seen) for each in votes}
        return json.dumps({"choice": max(scores, key=lambda name: scores[name])})


def invented(line: str, figures: list[str], random: Random) -> list[str]:
    """Return what stands in an answer for a fact: with another figure, that of another fact, or with a fact added."""
    named = _NAMED.search(line)
    assert named is not None
    kind = random.choice(KINDS)
    others = [figure for figure in figures if figure != named[3]]
    if kind == "made up":
        own = f"F-{named[1]}-{random.randint(100, 999)} is {random.randint(10**6, 10**7)}."
        return [line, line.replace(named[0], own)]
    figure = random.choice(others) if kind == "swap" and others else str(random.randint(10**6, 10**7))
    return [line.replace(named[0], f"F-{named[1]}-{named[2]} is {figure}.")]


def contradicted_documents(
    count: int, facts: int, share: float, words: int, seed: int = 1
) -> tuple[list[str], set[str]]:
    """Return documents in which a share of the facts is stated in two ways, and the names of those facts.

    The other figure is in the next document.
    """
    random = Random(seed)
    texts = [document(n, facts, words=words) for n in range(count)]
    names: set[str] = set()
    for number in range(count if count > 1 else 0):
        for n in range(facts):
            if random.random() < share:
                names.add(f"F-{number}-{n}")
                texts[(number + 1) % count] += f"\nF-{number}-{n} is {random.randint(10**6, 10**7)}.\n"
    return texts, names


def _unconfirmed(parts: Iterable[Part]) -> set[str]:
    """Return the names and figures that a prompt says are not confirmed."""
    texts = (part.text for part in parts if isinstance(part, Data) and part.name == "unfounded")
    return {word.strip(".,") for text in texts for line in text.splitlines() for word in line.split()[1:]}


def _words(line: str) -> set[str]:
    named = _NAMED.search(line)
    return set() if named is None else {f"F-{named[1]}-{named[2]}", named[3]}


def _reasons(parts: Iterable[Part]) -> str | None:
    """Return the verdict of a critic that the data has, if it has one."""
    texts = (part.text for part in parts if isinstance(part, Data) and part.of == "output")
    return next((text for text in texts if '"verdict"' in text), None)


def _facts(parts: Iterable[Any]) -> set[str]:
    return {fact for part in parts for fact in FACT.findall(part.text)}


def _score(vote: set[str], seen: set[str]) -> int:
    return len(vote & seen) - len(vote - seen)


def _properties(schema: Any) -> Iterable[str]:
    return schema.get("properties", {})
