"""Plans from JSON: those of a planner, with repairs, or those of a file, without.

Weak models write `depends_on` for `needs`, `"Study A"` for an id, `null` for nothing and keys of
their own. If only one fix is possible, the reader applies it and adds a repair; otherwise it adds
an error with its place. It reads as much as it can, so that all errors of a plan are reported
together.
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
from swarm.spec.plan import PLAN_STEP, SET_BY_RUN, Plan, Step
from swarm.spec.yaml.explain import explain, unknown_key

Fields = dict[str, Json]
T = TypeVar("T", bound=Frozen)

MOST_ID = 64
"""Maximum characters of an id."""

MOST_SLIPS = 20
"""Maximum unknown keys of a step that are compared with the known ones."""

_PLAN_KEYS = tuple(Plan.model_fields)
_LEGAL = re.compile(ID_PATTERN)
_ILLEGAL = re.compile(r"[^a-z0-9_.-]+")
_LISTS = ("needs", "after", "inputs", "tools", "key")
_NAME_LISTS = ("needs", "after", "tools", "key")
_ESTIMATES = ("seconds", "tokens")
_TEXT = ("text", "string", "str")
_LIKE = 0.8
"""Minimum similarity of a misspelt key and the missing one, from 0 to 1."""
_OTHER_WORDS: Mapping[str, tuple[str, ...]] = {
    "id": ("name", "step_id", "key"),
    "prompt": ("task", "instruction", "instructions", "description", "goal"),
    "needs": ("depends_on", "dependson", "dependencies", "depends", "deps", "requires"),
    "agent": ("role", "assignee", "assigned_to"),
    "each": ("for_each", "foreach"),
    "output": ("output_schema", "schema"),
}
"""Words of models for a key, the clearest first. They replace the key if it is missing."""
_PLACEHOLDER = "(missing)"


@dataclass(frozen=True)
class Draft:
    """A plan as far as it could be read, with the findings so far; for `lint`."""

    plan: Plan | None
    """The plan; None if the list of steps is missing or too long."""
    findings: tuple[Finding, ...] = ()
    by_planner: bool = True
    """True if a model wrote it."""


def read_plan(value: Json, brief: Brief, *, strict: bool = False) -> Draft:
    """Return the plan of a JSON value: `{agents, steps}` or a list of steps.

    `strict` is for plans by hand: unknown keys and invalid ids are errors, and nothing is repaired.
    If there are more steps than `brief.steps_left`, none is read. Errors are findings of the draft;
    no exception is raised.
    """
    found = Findings()
    reader = _Reader(brief, found, strict=strict)
    parts = reader.parts(value)
    plan = reader.plan(*parts) if parts is not None else None
    return Draft(plan, found.in_order(), by_planner=not strict)


class _Reader:
    """The reader of one plan."""

    def __init__(self, brief: Brief, found: Findings, *, strict: bool) -> None:
        self.brief = brief
        self.found = found
        self.strict = strict
        self.renamed: dict[str, str] = {}

    def parts(self, value: Json) -> tuple[list[Json], list[Json]] | None:
        """Return the agents and the steps, or None. Too many of them are an error before they are read."""
        top = _mapping(self._unwrapped(value))
        steps = None if top is None else _sequence(top.get("steps"))
        if top is None or steps is None:
            message = "there is no list of steps"
            self.found.error("no_plan", (), message, advice='A plan is {"steps": [{"id": …, "prompt": …}, …]}.')
            return None
        if not steps:
            self.found.error("no_plan", ("steps",), "the plan has no steps", advice="Plan at least one.")
            return None
        if self._has_too_many(steps):
            return None
        agents = self._agents(top, steps)
        for name in self._drop(top, _PLAN_KEYS, (), "a plan"):
            if name not in _PLAN_KEYS:
                self.found.error("key", (name,), unknown_key(name, _PLAN_KEYS))
        return agents, steps

    def _has_too_many(self, steps: list[Json]) -> bool:
        """Return True, and add an error, if there are more steps or listed items than the run may have."""
        left = self.brief.steps_left
        count = len(steps)
        if count <= left:  # only then is it cheap to look into them
            count = max(count, _listed(steps))
        if count > left:
            self.found.error("too_many_steps", ("steps",), too_many_steps(count, left), advice=fewer(left))
        return count > left

    def _agents(self, top: Fields, steps: list[Json]) -> list[Json]:
        agents = _sequence(top.get("agents") or ())
        if agents is None or len(agents) > len(steps):
            message = "this is not a list of agents" if agents is None else "there are more agents than steps"
            self.found.error(
                "bad_agent",
                ("agents",),
                message,
                advice="Add an agent only for a step that uses it.",
            )
            return []
        return agents

    def _unwrapped(self, value: Json) -> Json:
        """Return the mapping with the steps, out of a list of steps or a key around it: `{"plan": {…}}`."""
        if _sequence(value) is not None:
            return {"steps": value}
        top = _mapping(value)
        if self.strict or top is None or len(top) != 1 or "steps" in top:
            return value
        ((key, inner),) = top.items()
        if key in ("plan", "tasks") and _sequence(inner) is not None:
            inner = {"steps": inner}
        if "steps" in (_mapping(inner) or {}):
            self.found.repaired("wrapped", (), f"removed the key {quoted(key)} around the plan")
            return inner
        return value

    def plan(self, agents: list[Json], steps: list[Json]) -> Plan:
        """Return the agents and the steps. Invalid values are dropped with an error."""
        rows = [self._row(one, ("steps", at), Step, "a step") for at, one in enumerate(steps)]
        if not self.strict:
            self._name_steps(rows)
        read: list[Step] = []
        for at, row in enumerate(rows):
            key: Key = ("steps", at)
            if not self.strict:
                self._repair_step(row, key)
            read.append(self._built(Step, row, key, {"id": f"step-{at + 1}", "prompt": _PLACEHOLDER}))
        made = [self._agent(one, ("agents", at)) for at, one in enumerate(agents)]
        return Plan.model_construct(agents=tuple(made), steps=tuple(read))

    def _row(self, one: Json, key: Key, model: type[Frozen], what: str) -> Fields:
        """Return a mapping without nulls and, for a planner, without unknown keys."""
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
        """Rename keys that models use instead of a missing one, and misspelt keys."""
        for right, others in _OTHER_WORDS.items():
            other = next((name for name in others if name in row), None)
            if right not in row and other is not None:
                row[right] = row.pop(other)
                self.found.repaired("key", (*key, right), f"renamed `{other}` to `{right}`")
        self._misspelt(row, known, key)

    def _misspelt(self, row: Fields, known: tuple[str, ...], key: Key) -> None:
        allowed = [name for name in known if name not in SET_BY_RUN]
        unknown = [name for name in row if name not in known]
        for name in unknown[:MOST_SLIPS]:
            missing = [one for one in allowed if one not in row]
            near = get_close_matches(name[:MOST_ID], missing, n=1, cutoff=_LIKE)
            if near:
                row[near[0]] = row.pop(name)
                self.found.repaired("key", (*key, near[0]), f"renamed {quoted(name)} to `{near[0]}`")

    def _drop(self, row: Fields, known: tuple[str, ...], key: Key, what: str) -> Fields:
        """Return a planner's mapping without unknown keys. In a plan by hand they become errors later."""
        unknown = [name for name in row if name not in known]
        if not unknown or self.strict:
            return row
        self.found.repaired("key", key, f"dropped {shortened(unknown)}: not a key of {what}")
        return {name: value for name, value in row.items() if name in known}

    def _name_steps(self, rows: list[Fields]) -> None:
        """Set a valid id on every step, and remember the one that was written."""
        written_ids = [row["id"] for row in rows if isinstance(row.get("id"), str)]
        taken = {name for name in written_ids if _LEGAL.fullmatch(name)}
        for at, row in enumerate(rows):
            written = row.get("id", "")
            raw = str(written)[: 4 * MOST_ID] if isinstance(written, str | int) else ""
            name = self.renamed.get(raw) if raw else None
            if name is None:
                name = self._new_id(raw, at, taken)
                taken.add(name)
            if raw:
                self.renamed[raw] = name
            if name != written:
                message = f"replaced the id {quoted(raw)} by {quoted(name)}" if raw else f"added the id {quoted(name)}"
                self.found.repaired("id", ("steps", at, "id"), message, step=name)
            row["id"] = name

    def _new_id(self, raw: str, at: int, taken: set[str]) -> str:
        """Return the id of the step at an index, as near to the written one as possible."""
        name = raw if raw in taken else slug(raw)
        if self.brief.first and name == PLAN_STEP:  # the planner's own step has this id
            return _free(f"{PLAN_STEP}-step", taken)
        return name or _free(f"step-{at + 1}", taken)

    def _repair_step(self, row: Fields, key: Key) -> None:
        """Fix values of a step that can mean only one thing."""
        self._repair_lists(row, key)
        self._repair_references(row)
        _repair_names(row, ("agent", "model"))
        if isinstance(row.get("output"), str) and row["output"].lower() in _TEXT:
            del row["output"]
        for name in _ESTIMATES:
            if name in row and not _estimate(row[name]):
                value = quoted(str(row.pop(name))[:100])
                message = f"dropped {value}: not a number of {name}"
                self.found.repaired("estimate", (*key, name), message, step=row["id"])

    def _repair_references(self, row: Fields) -> None:
        """Replace written ids by the ids that their steps have now."""
        for name in ("needs", "after"):
            if isinstance(row.get(name), list | tuple):
                row[name] = [self._reference(one) for one in row[name]]
        each = row.get("each")
        if isinstance(each, str) and each != "inputs":
            row["each"] = self._reference(each)

    def _repair_lists(self, row: Fields, key: Key) -> None:
        """Make one name a list of one, and `a, b` a list of two."""
        for name in _LISTS:
            value = row.get(name)
            if not isinstance(value, str | int) or isinstance(value, bool):
                continue
            parts = str(value).split(",") if name in _NAME_LISTS else [str(value)]
            row[name] = [part.strip() for part in parts if part.strip()]
            self.found.repaired("list", (*key, name), f"made `{name}` a list", step=row.get("id", ""))

    def _reference(self, written: Json) -> Json:
        """Return the id of the step that a name in `needs`, `after` or `each` means."""
        if not isinstance(written, str | int) or isinstance(written, bool):
            return written
        name = str(written)
        return self.renamed.get(name) or self.renamed.get(name.strip()) or slug(name) or name

    def _agent(self, one: Json, key: Key) -> Agent:
        row = self._row(one, key, Agent, "an agent")
        if not self.strict:
            self._repair_lists(row, key)
            _repair_names(row, ("name", "model"))
        return self._built(Agent, row, key, {"name": f"agent-{key[-1]}", "instructions": _PLACEHOLDER})

    def _built(self, model: type[T], row: Fields, key: Key, fallback: Fields) -> T:
        """Return the model of a mapping. Invalid values are errors, and are dropped."""
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


def _repair_names(row: Fields, fields: tuple[str, ...]) -> None:
    """Write names as ids."""
    for field in fields:
        if isinstance(row.get(field), str):
            row[field] = slug(row[field]) or row[field]


def _mapping(value: Json) -> Fields | None:
    """Return a mapping with its keys as text; None for another value."""
    if not isinstance(value, dict):
        return None
    return {str(name): inner for name, inner in cast("dict[Any, Json]", value).items()}


def _sequence(value: Json) -> list[Json] | None:
    """Return a list or tuple as a list; None for another value."""
    return list(cast("list[Json]", value)) if isinstance(value, list | tuple) else None


def _listed(steps: list[Json]) -> int:
    """Return the number of items in the lists of `each`."""
    return sum(len(_sequence((_mapping(step) or {}).get("each")) or ()) for step in steps)


def slug(name: str) -> str:
    """Return a name as an id: `study-a` for `Study A`. It is empty if no character is allowed in an id."""
    if _LEGAL.fullmatch(name):
        return name
    plain = "".join(c for c in unicodedata.normalize("NFKD", name[: 4 * MOST_ID]) if not unicodedata.combining(c))
    return _ILLEGAL.sub("-", plain.lower()).strip("-_.")[:MOST_ID]


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "-too"
    return name


def _estimate(value: Json) -> bool:
    """Return True if a value can be an estimate of seconds or tokens."""
    if isinstance(value, bool):
        return False
    try:
        return 0 <= float(value) <= 31_536_000
    except (TypeError, ValueError, OverflowError):
        return False
