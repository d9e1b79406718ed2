"""A plan read out of JSON: a planner's, put right where it can only mean one thing, or a file's, taken at its word.

Weak models write `depends_on` for `needs`, `"Study A"` for an id, `null` for nothing and keys of
their own. What can only mean one thing is put right and noted; the rest is an error with the place
it stands at. Everything that can be read is, so that all that is wrong with a plan can be said at
once.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from swarm.base.values import ID_PATTERN, Frozen, Json
from swarm.planning.brief import Brief
from swarm.planning.lint.findings import Finding, Findings, Key, quoted, shortened
from swarm.planning.lint.shape import fewer, too_many_steps
from swarm.spec.agent import Agent
from swarm.spec.plan import PLAN_STEP, Plan, Step
from swarm.spec.yaml.explain import explain, unknown_key

Fields = dict[str, Json]
T = TypeVar("T", bound=Frozen)

MOST_ID = 64
"""Characters of an id."""

MOST_SLIPS = 20
"""Unknown keys of a step that are held against the known ones."""

_PLAN_KEYS = tuple(Plan.model_fields)
_NOT_FOR_PLANS = ("item", "instance_of")
_LEGAL = re.compile(ID_PATTERN)
_ILLEGAL = re.compile(r"[^a-z0-9_.-]+")
_LISTS = ("needs", "after", "inputs", "tools")
_NAME_LISTS = ("needs", "after", "tools")
_ESTIMATES = ("seconds", "tokens")
_TEXT = ("text", "string", "str")
_LIKE = 0.8
"""How alike a key must be to one that is missing to be a slip of the pen for it."""
_OTHER_WORDS: Mapping[str, tuple[str, ...]] = {
    "id": ("name", "step_id", "key"),
    "prompt": ("task", "instruction", "instructions", "description", "goal"),
    "needs": ("depends_on", "dependson", "dependencies", "depends", "deps", "requires"),
    "agent": ("role", "assignee", "assigned_to"),
    "each": ("for_each", "foreach"),
    "output": ("output_schema", "schema"),
}
"""What models call a key, most telling first; taken where the key itself is missing."""
_PLACEHOLDER = "(missing)"


@dataclass(frozen=True)
class Draft:
    """A plan as far as it could be read, and what was found on the way; for `lint`."""

    plan: Plan | None
    """None if there is no list of steps, or too long a one."""
    findings: tuple[Finding, ...] = ()
    by_planner: bool = True
    """Whether a model wrote it."""


def read_plan(value: Json, brief: Brief, *, strict: bool = False) -> Draft:
    """Read a plan out of JSON: `{agents, steps}` or a bare list of steps.

    `strict` is for plans by hand: unknown keys and odd ids are errors there, and nothing is put
    right. More steps than `brief.steps_left` are refused unread. Never raises; errors are findings
    of the draft.
    """
    found = Findings()
    reader = _Reader(brief, found, strict=strict)
    parts = reader.parts(value)
    plan = reader.plan(*parts) if parts is not None else None
    return Draft(plan, found.in_order(), by_planner=not strict)


class _Reader:
    """One plan being read."""

    def __init__(self, brief: Brief, found: Findings, *, strict: bool) -> None:
        self.brief = brief
        self.found = found
        self.strict = strict
        self.renamed: dict[str, str] = {}

    def parts(self, value: Json) -> tuple[list[Json], list[Json]] | None:
        """Find the agents and the steps, and refuse what is too much before it is looked at."""
        top = _mapping(self._unwrapped(value))
        steps = None if top is None else _sequence(top.get("steps"))
        if top is None or steps is None:
            message = "there is no list of steps"
            self.found.error("no_plan", (), message, advice='A plan is {"steps": [{"id": …, "prompt": …}, …]}.')
            return None
        if not steps:
            self.found.error("no_plan", ("steps",), "the plan has no steps", advice="Plan at least one.")
            return None
        left = self.brief.steps_left
        count = len(steps) if len(steps) > left else max(len(steps), _listed(steps))
        if count > left:
            self.found.error("too_many_steps", ("steps",), too_many_steps(count, left), advice=fewer(left))
            return None
        agents = _sequence(top.get("agents") or ())
        if agents is None or len(agents) > len(steps):
            message = "this is no list of agents" if agents is None else "there are more agents than steps"
            self.found.error(
                "bad_agent",
                ("agents",),
                message,
                advice="Bring an agent only for a step that it does.",
            )
            agents = []
        for name in self._drop(top, _PLAN_KEYS, (), "a plan"):
            if name not in _PLAN_KEYS:
                self.found.error("key", (name,), unknown_key(name, _PLAN_KEYS))
        return agents, steps

    def _unwrapped(self, value: Json) -> Json:
        """Take a bare list for the steps, and a plan out of the one key it is wrapped in: `{"plan": {"steps": …}}`."""
        if _sequence(value) is not None:
            return {"steps": value}
        top = _mapping(value)
        if self.strict or top is None or len(top) != 1 or "steps" in top:
            return value
        ((key, inner),) = top.items()
        if key in ("plan", "tasks") and _sequence(inner) is not None:
            inner = {"steps": inner}
        if "steps" in (_mapping(inner) or {}):
            self.found.repaired("wrapped", (), f"the plan was taken out of the key {quoted(key)}")
            return inner
        return value

    def plan(self, agents: list[Json], steps: list[Json]) -> Plan:
        """Read the agents and the steps; what cannot be read is left out of them, with an error."""
        rows = [self._row(one, ("steps", at), Step, "a step") for at, one in enumerate(steps)]
        if not self.strict:
            self._name_steps(rows)
        read: list[Step] = []
        for at, row in enumerate(rows):
            key: Key = ("steps", at)
            if not self.strict:
                self._mend_step(row, key)
            read.append(self._built(Step, row, key, {"id": f"step-{at + 1}", "prompt": _PLACEHOLDER}))
        made = [self._agent(one, ("agents", at)) for at, one in enumerate(agents)]
        return Plan.model_construct(agents=tuple(made), steps=tuple(read))

    def _row(self, one: Json, key: Key, model: type[Frozen], what: str) -> Fields:
        """Take a mapping for what it is, without nulls, and with keys that are known."""
        written = _mapping(one)
        if written is None:
            self.found.error(
                "not_a_mapping",
                key,
                f"this is not {what}",
                advice="It is a mapping of keys and values.",
            )
            return {"prompt" if model is Step else "instructions": _PLACEHOLDER}
        row = {name: value for name, value in written.items() if value is not None}
        known = tuple(model.model_fields)
        if not self.strict and model is Step:
            self._other_words(row, known, key)
        return self._drop(row, known, key, what)

    def _other_words(self, row: Fields, known: tuple[str, ...], key: Key) -> None:
        """Put right what a key is called, where the key that is meant is missing."""
        for right, others in _OTHER_WORDS.items():
            other = next((name for name in others if name in row), None)
            if right not in row and other is not None:
                row[right] = row.pop(other)
                self.found.repaired("key", (*key, right), f"`{other}` is called `{right}`")
        slips = [name for name in row if name not in known]
        for name in slips[:MOST_SLIPS]:
            missing = [one for one in known if one not in row and one not in _NOT_FOR_PLANS]
            near = get_close_matches(name[:MOST_ID], missing, n=1, cutoff=_LIKE)
            if near:
                row[near[0]] = row.pop(name)
                self.found.repaired("key", (*key, near[0]), f"{quoted(name)} is called `{near[0]}`")

    def _drop(self, row: Fields, known: tuple[str, ...], key: Key, what: str) -> Fields:
        """Leave out of what a planner wrote the keys that are none; in a plan by hand they are errors elsewhere."""
        unknown = [name for name in row if name not in known]
        if not unknown or self.strict:
            return row
        self.found.repaired("key", key, f"{shortened(unknown)}: no key of {what}, dropped")
        return {name: value for name, value in row.items() if name in known}

    def _name_steps(self, rows: list[Fields]) -> None:
        """Give every step an id that is one, and remember what it was called."""
        taken = {row["id"] for row in rows if isinstance(row.get("id"), str) and _LEGAL.fullmatch(row["id"])}
        for at, row in enumerate(rows):
            written = row.get("id", "")
            raw = str(written)[: 4 * MOST_ID] if isinstance(written, str | int) else ""
            name = self.renamed.get(raw) if raw else None
            if name is None:
                name = raw if raw in taken else slug(raw)
                if self.brief.first and name == PLAN_STEP:
                    name = _free(f"{PLAN_STEP}-step", taken)
                name = name or _free(f"step-{at + 1}", taken)
                taken.add(name)
            if raw:
                self.renamed[raw] = name
            if name != written:
                message = (
                    f"{quoted(raw)} is written {quoted(name)}" if raw else f"it had no id and is called {quoted(name)}"
                )
                self.found.repaired("id", ("steps", at, "id"), message, step=name)
            row["id"] = name

    def _mend_step(self, row: Fields, key: Key) -> None:
        """Put right the values of a step that can only mean one thing."""
        self._mend_lists(row, key)
        for name in ("needs", "after"):
            if isinstance(row.get(name), list | tuple):
                row[name] = [self._reference(one) for one in row[name]]
        each = row.get("each")
        if isinstance(each, str) and each != "inputs":
            row["each"] = self._reference(each)
        for name in ("agent", "model"):
            if isinstance(row.get(name), str):
                row[name] = slug(row[name]) or row[name]
        if isinstance(row.get("output"), str) and row["output"].lower() in _TEXT:
            del row["output"]
        for name in _ESTIMATES:
            if name in row and not _estimate(row[name]):
                message = f"{quoted(str(row.pop(name))[:100])} is no number of {name}; the estimate was dropped"
                self.found.repaired("estimate", (*key, name), message, step=row["id"])

    def _mend_lists(self, row: Fields, key: Key) -> None:
        """Make one name a list of one, and `a, b` a list of two."""
        for name in _LISTS:
            value = row.get(name)
            if not isinstance(value, str | int) or isinstance(value, bool):
                continue
            parts = str(value).split(",") if name in _NAME_LISTS else [str(value)]
            row[name] = [part.strip() for part in parts if part.strip()]
            self.found.repaired("list", (*key, name), f"`{name}` is a list", step=row.get("id", ""))

    def _reference(self, written: Json) -> Json:
        """Give the id of the step that is meant by a name in `needs`, `after` or `each`."""
        if not isinstance(written, str | int) or isinstance(written, bool):
            return written
        name = str(written)
        return self.renamed.get(name) or self.renamed.get(name.strip()) or slug(name) or name

    def _agent(self, one: Json, key: Key) -> Agent:
        row = self._row(one, key, Agent, "an agent")
        if not self.strict:
            self._mend_lists(row, key)
            if isinstance(row.get("name"), str):
                row["name"] = slug(row["name"]) or row["name"]
            if isinstance(row.get("model"), str):
                row["model"] = slug(row["model"]) or row["model"]
        return self._built(Agent, row, key, {"name": f"agent-{key[-1]}", "instructions": _PLACEHOLDER})

    def _built(self, model: type[T], row: Fields, key: Key, fallback: Fields) -> T:
        """Make a model of a row; a value it refuses is an error, and left out."""
        try:
            return model.model_validate(row)
        except ValidationError as refusal:
            error = refusal
        step = str(row.get("id", "")) if key[0] == "steps" else ""
        for problem in explain(error, row, model.model_json_schema):
            kind = "key" if problem.on_key else "bad_value"
            self.found.error(kind, (*key, *problem.path), problem.message, step=step)
        refused = {detail["loc"][0] for detail in error.errors(include_url=False, include_input=False)}
        rest = {field: value for field, value in row.items() if field not in refused}
        return model.model_validate({**{field: value for field, value in fallback.items() if field in refused}, **rest})


def _mapping(value: Json) -> Fields | None:
    """Give a mapping with its keys as text; None for anything else."""
    if not isinstance(value, dict):
        return None
    return {str(name): inner for name, inner in cast("dict[Any, Json]", value).items()}


def _sequence(value: Json) -> list[Json] | None:
    """Give a list or tuple as a list; None for anything else."""
    return list(cast("list[Json]", value)) if isinstance(value, list | tuple) else None


def _listed(steps: list[Json]) -> int:
    """Count the items that steps list themselves."""
    return sum(len(_sequence((_mapping(step) or {}).get("each")) or ()) for step in steps)


def slug(name: str) -> str:
    """Write a name as an id: `Study A` as `study-a`. Empty where nothing of it can stand in an id."""
    if _LEGAL.fullmatch(name):
        return name
    plain = "".join(c for c in unicodedata.normalize("NFKD", name[: 4 * MOST_ID]) if not unicodedata.combining(c))
    return _ILLEGAL.sub("-", plain.lower()).strip("-_.")[:MOST_ID]


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "-too"
    return name


def _estimate(value: Json) -> bool:
    """Whether a value can be an estimate of seconds or tokens."""
    if isinstance(value, bool):
        return False
    try:
        return 0 <= float(value) <= 31_536_000
    except (TypeError, ValueError, OverflowError):
        return False
