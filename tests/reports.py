"""Correct reports over generated outputs, and reports with one error each: the mutation set of the evidence checks.

Everything is drawn from a seed: the same numbers give the same reports. A report is correct by construction: each of
its sentences repeats facts of the outputs it cites, in another wording, another spelling of the figures or, for a part,
as a sum, a difference or a percentage.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random

from swarm.base.values import Json

_NAMES = """
    Lunr Fuse Flex Orama Mini Elastic Tantivy Sonic Typesense Meili Zinc Whoosh Xapian Bleve Solr Vespa Quickwit Toshi
    Riot Pagefind Stork Tinysearch Lyra Sphinx Manticore Groonga Sirius Kestrel Boreas Nimbus
"""
NAMES: tuple[str, ...] = tuple(_NAMES.split())
FIELDS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("memory", "MB", ("{n} needs {v} of memory", "the memory of {n} is {v}")),
    ("start time", "ms", ("{n} has a start time of {v}", "the start time of {n} is {v}")),
    ("price", "EUR", ("{n} has a price of {v}", "the price of {n} is {v}")),
    ("users", "", ("{n} has {v} users", "the number of users of {n} is {v}")),
    ("error rate", "%", ("{n} has an error rate of {v}", "the error rate of {n} is {v}")),
    ("index size", "GB", ("{n} builds an index size of {v}", "the index size of {n} is {v}")),
)
REMARKS = (
    "the index is small and fast to load",
    "the documentation covers every public function",
    "queries with typing errors still find the right page",
    "upgrades need a full rebuild of the index",
    "nobody on the team has used it before",
    "the licence allows commercial use without a fee",
)


@dataclass(frozen=True)
class Made:
    """A report with the outputs it cites."""

    text: str
    outputs: dict[str, Json]
    goal: str = "Which search library suits an offline product search?"


@dataclass(frozen=True)
class _Fact:
    name: str
    field: int
    value: float


def spelled(value: float, unit: str, random: Random) -> str:
    """Return a figure in one of the usual spellings."""
    if value >= 1000 and value == int(value):
        whole = f"{int(value):,}"
        number = random.choice([whole, whole.replace(",", " "), whole.replace(",", "\u202f"), str(int(value))])
    else:
        number = f"{value:g}"
    if unit == "EUR":
        return random.choice([f"€{number}", f"{number} EUR", f"{number} €"])
    if unit == "%":
        return random.choice([f"{number} %", f"{number}%", f"{number} percent"])
    return f"{number} {unit}".strip()


def _value(field: int, random: Random) -> float:
    match FIELDS[field][1]:
        case "":
            return float(random.randint(1_000, 900_000))
        case "%" | "GB":
            return random.randint(11, 989) / 10
        case _:
            return float(random.randint(11, 4_999))


def made(seed: int) -> Made:
    """Return a correct report: 3 to 6 libraries, one output each, in prose, as a list, as a table or as JSON."""
    random = Random(seed)
    names = random.sample(NAMES, random.randint(3, 6))
    fields = random.sample(range(len(FIELDS)), random.randint(2, 4))
    facts = {name: [_Fact(name, field, _value(field, random)) for field in fields] for name in names}
    remarks = {name: random.choice(REMARKS) for name in names}
    outputs: dict[str, Json] = {}
    for n, name in enumerate(names, 1):
        outputs[f"study.{n}"] = _output(name, facts[name], remarks[name], random)
    return Made(_report(names, facts, remarks, random), outputs)


def _output(name: str, facts: list[_Fact], remark: str, random: Random) -> Json:
    form = random.randrange(4)
    if form == 0:
        lines = [_sentence(fact, random) for fact in facts]
        return f"{' '.join(lines)} A reviewer writes: “{remark}”."
    if form == 1:
        items = [f"- {FIELDS[fact.field][0].capitalize()}: {_spelled(fact, random)}" for fact in facts]
        return f"# {name}\n\n" + "\n".join(items) + f'\n- A reviewer writes: "{remark}"'
    if form == 2:
        rows = [f"| {FIELDS[fact.field][0]} | {_spelled(fact, random)} |" for fact in facts]
        return f"## {name}\n\n| Property | Value |\n|---|---|\n" + "\n".join(rows) + f"\n\n> {remark}"
    value = {"name": name, **{FIELDS[fact.field][0].replace(" ", "_"): _spelled(fact, random) for fact in facts}}
    return {**value, "remark": remark}


def _spelled(fact: _Fact, random: Random) -> str:
    return spelled(fact.value, FIELDS[fact.field][1], random)


def _sentence(fact: _Fact, random: Random) -> str:
    words = random.choice(FIELDS[fact.field][2]).format(n=fact.name, v=_spelled(fact, random))
    return words[0].upper() + words[1:] + "."


def _report(names: list[str], facts: dict[str, list[_Fact]], remarks: dict[str, str], random: Random) -> str:
    lines = ["# Comparison", "", "All of them can be used without a network.", ""]
    for n, name in enumerate(names, 1):
        lines += [f"- {_sentence(fact, random)[:-1]} [study.{n}]." for fact in random.sample(facts[name], 2)]
        if random.random() < 0.6:
            lines.append(f"- A reviewer of {name} says “{remarks[name]}” [study.{n}].")
    field = facts[names[0]][0].field
    label, unit, _ = FIELDS[field]
    one, other = (facts[name][0].value for name in names[:2])
    both = f"{names[0]} and {names[1]}"
    derived = random.randrange(3)
    if derived == 0:
        total = spelled(round(one + other, 1), unit, random)
        lines += ["", f"The total {label} of {both} is {total} [study.1, study.2]."]
    elif derived == 1 and one != other:
        apart = spelled(round(abs(one - other), 1), unit, random)
        lines += ["", f"The difference in {label} between {both} is {apart} [study.1, study.2]."]
    lines += ["", f"| Library | {label.capitalize()} |", "|---|---|"]
    lines += [f"| {name} | {_spelled(facts[name][0], random)} [study.{n}] |" for n, name in enumerate(names, 1)]
    return "\n".join(lines) + "\n"


# One error each


def _lines(text: str) -> list[int]:
    return [n for n, line in enumerate(text.split("\n")) if "[study." in line]


def _edited(made_: Made, n: int, line: str) -> Made:
    lines = made_.text.split("\n")
    lines[n] = line
    return replace(made_, text="\n".join(lines))


def _parts(line: str) -> tuple[str, str]:
    at = line.rindex("[study.")
    return line[:at], line[at:]


def other_digit(correct: Made, random: Random) -> Made | None:
    """Return the report with one digit of a figure changed."""
    for n in random.sample(_lines(correct.text), len(_lines(correct.text))):
        head, tail = _parts(correct.text.split("\n")[n])
        places = [at for at, c in enumerate(head) if c.isdigit()]
        if places:
            at = random.choice(places)
            digit = random.choice([d for d in "123456789" if d != head[at]])
            return _edited(correct, n, head[:at] + digit + head[at + 1 :] + tail)
    return None


def other_name(correct: Made, random: Random) -> Made | None:
    """Return the report with a name in a sentence with a figure changed: another one of the report, or a new one."""
    there = [name for name in NAMES if name in correct.text]
    for n in random.sample(_lines(correct.text), len(_lines(correct.text))):
        line = correct.text.split("\n")[n]
        own = [name for name in there if name in line]
        if own and any(c.isdigit() for c in _parts(line)[0]):
            old = random.choice(own)
            strangers = [name for name in (*NAMES, "Zorbal", "Quent") if name not in own]
            new = random.choice(strangers if random.random() < 0.5 else [name for name in there if name not in own])
            return _edited(correct, n, line.replace(old, new, 1))
    return None


def other_quotation(correct: Made, random: Random) -> Made | None:
    """Return the report with a word of a quotation changed or removed."""
    for n in random.sample(_lines(correct.text), len(_lines(correct.text))):
        line = correct.text.split("\n")[n]
        if "“" in line:
            head, rest = line.split("“", 1)
            quoted, tail = rest.split("”", 1)
            words = quoted.split()
            at = random.randrange(len(words))
            if random.random() < 0.5:
                words[at] = random.choice([word for word in ("green", "never", "large", "slow") if word != words[at]])
            else:
                at = random.randrange(1, len(words) - 1)
                del words[at]
            return _edited(correct, n, f"{head}“{' '.join(words)}”{tail}")
    return None


def other_citation(correct: Made, random: Random) -> Made | None:
    """Return the report with a citation of another step."""
    for n in random.sample(_lines(correct.text), len(_lines(correct.text))):
        head, tail = _parts(correct.text.split("\n")[n])
        if tail.count("study.") == 1 and any(c.isdigit() for c in head):
            own = tail[1 : tail.index("]")]
            new = random.choice([step for step in correct.outputs if step != own])
            return _edited(correct, n, head + tail.replace(own, new, 1))
    return None


MUTATIONS: dict[str, Callable[[Made, Random], Made | None]] = {
    "digit": other_digit,
    "name": other_name,
    "quotation": other_quotation,
    "citation": other_citation,
}


def _first_changed(correct: Made, random: Random, change: Callable[[str], str]) -> Made | None:
    """Return the report with the first line, in random order, that a function changes before its citation."""
    for n in random.sample(_lines(correct.text), len(_lines(correct.text))):
        head, tail = _parts(correct.text.split("\n")[n])
        if change(head) != head:
            return _edited(correct, n, change(head) + tail)
    return None


def other_unit(correct: Made, random: Random) -> Made | None:
    """Return the report with another unit of a figure."""
    units = {"MB": "GB", "GB": "MB", "ms": "s", "EUR": "USD", "€": "$", "percent": "MB"}
    pattern = re.compile(r"(?<=\d )(?:MB|GB|ms|EUR|€|percent)(?!\w)|€(?=\d)")
    return _first_changed(correct, random, lambda head: pattern.sub(lambda unit: units[unit[0]], head, count=1))


def other_sign(correct: Made, random: Random) -> Made | None:
    """Return the report with a minus sign before a figure."""
    return _first_changed(correct, random, lambda head: re.sub(r"(?<=\s)(?=[€\d])", "-", head, count=1))


def swapped(correct: Made, random: Random) -> Made | None:
    """Return the report with the figures of two sentences about the same source in each other's place."""
    pattern = re.compile(r"[€\d][\d,. \u202f]*(?:MB|GB|ms|EUR|€|percent|%)?")
    lines = correct.text.split("\n")
    by_source: dict[str, list[int]] = {}
    for n in _lines(correct.text):
        head, tail = _parts(lines[n])
        if lines[n].startswith("- ") and len(pattern.findall(head)) == 1:
            by_source.setdefault(tail, []).append(n)
    pairs = [found[:2] for found in by_source.values() if len(found) > 1]
    if not pairs:
        return None
    one, other = random.choice(pairs)
    mine, yours = pattern.findall(lines[one])[0].strip(), pattern.findall(lines[other])[0].strip()
    lines[one], lines[other] = lines[one].replace(mine, yours, 1), lines[other].replace(yours, mine, 1)
    return replace(correct, text="\n".join(lines))


def negated(correct: Made, random: Random) -> Made | None:
    """Return the report with a sentence that says the contrary."""
    verbs = {"needs": "does not need", "has": "does not have", "is": "is not", "builds": "does not build"}
    pattern = re.compile(r"\b(?:needs|has|is|builds)\b(?=[^“]*\d)")
    return _first_changed(correct, random, lambda head: pattern.sub(lambda verb: verbs[verb[0]], head, count=1))


def like_source(correct: Made, random: Random) -> Made | None:
    """Return the report with a citation of another step that has the same figure of another thing."""
    for n in random.sample(_lines(correct.text), len(_lines(correct.text))):
        head, tail = _parts(correct.text.split("\n")[n])
        found = re.findall(r"\d[\d,.\u202f]*(?: ?(?:MB|GB|ms|EUR|€|percent|%))?", head)
        texts = [step for step, output in correct.outputs.items() if isinstance(output, str) and step not in tail]
        if tail.count("study.") == 1 and found and texts:
            own, new = tail[1 : tail.index("]")], random.choice(texts)
            outputs = {**correct.outputs, new: f"{correct.outputs[new]}\n\nThe tests of the parcels took {found[0]}."}
            return replace(_edited(correct, n, head + tail.replace(own, new, 1)), outputs=outputs)
    return None


HARDER: dict[str, Callable[[Made, Random], Made | None]] = {
    "unit": other_unit,
    "sign": other_sign,
    "swapped": swapped,
    "negated": negated,
    "like source": like_source,
}
"""Errors that need more than a look for the figure, the name or the quotation."""


def mutants(
    correct: Made, seed: int, kinds: Mapping[str, Callable[[Made, Random], Made | None]] = MUTATIONS
) -> dict[str, Made]:
    """Return the report with one error of each kind that it has space for."""
    random = Random(seed)
    found = {kind: mutate(correct, random) for kind, mutate in kinds.items()}
    return {kind: each for kind, each in found.items() if each is not None and each.text != correct.text}
