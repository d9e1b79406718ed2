"""Names in a plan: ids, steps, agents, tools, models and inputs must exist, and tools must be allowed."""

from collections.abc import Collection, Iterable, Mapping

from swarm.planning.lint.context import GLOB_MARKS, Row, Sheet
from swarm.planning.lint.findings import Key, Names, quoted, shortened
from swarm.planning.lint.values import Schemas
from swarm.spec.agent import Agent, asked_for, expanded
from swarm.spec.plan import PLAN_STEP, RESERVED, Step

MOST_INSTANCE_ID = 57
"""Maximum characters of the id of an `each` step: its instances add `.` and six digits, up to
64."""


def check_ids(sheet: Sheet) -> None:
    """Find ids that are reserved, or used twice: in the plan, in the run, or by an instance of an `each` step."""
    _check_reserved(sheet)
    seen: dict[str, Row] = {}
    kept: list[Row] = []
    for row in sheet.rows:
        step, name = row.step, row.step.id
        first = seen.setdefault(name, row)
        if first is not row and first.step == step:
            sheet.found.repaired(
                "duplicate_id",
                row.key(),
                f"{quoted(name)} was listed twice; one was dropped",
                step=name,
            )
            continue
        kept.append(row)
        if first is not row:
            _give_own_id(sheet, row, first)
        elif name in sheet.known:
            message, advice = f"the run already has a step {quoted(name)}", "Use another id."
            sheet.found.error("reused_id", row.key("id"), message, advice=advice, step=name)
    sheet.rows[:] = kept
    _check_instance_ids(sheet)


def _give_own_id(sheet: Sheet, row: Row, first: Row) -> None:
    """Find an id that another step has. If that is forgiven, the second step gets one; names mean the first."""
    name = row.step.id
    own = _free(f"{name}-step", {*(each.step.id for each in sheet.rows), *sheet.known})
    sheet.found.error(
        "duplicate_id",
        row.key("id"),
        f"the id {quoted(name)} is already the id of steps[{first.index}]",
        advice="Give every step its own id.",
        step=name,
        instead=f"this one is now {quoted(own)}",
    )
    if sheet.found.forgives("duplicate_id"):
        row.change(id=own)


def _check_reserved(sheet: Sheet) -> None:
    """Find ids that the run uses itself. In the plan of a planner they are renamed, with all that refers to them."""
    renamed: dict[str, str] = {}
    for row in sheet.rows:
        name = row.step.id
        if name not in RESERVED:
            continue
        message = f"the id {quoted(name)} is reserved"
        if not sheet.by_planner:
            advice = f"Use another id, such as {quoted(f'{name}-step')}."
            sheet.found.error("reserved_id", row.key("id"), message, advice=advice, step=name)
        elif name not in renamed:
            renamed[name] = _free(f"{name}-step", {*sheet.ids, *sheet.known})
            sheet.found.repaired(
                "reserved_id", row.key("id"), f"{message}; it is now {quoted(renamed[name])}", step=name
            )
    if renamed:
        for row in sheet.rows:
            _rename(row, renamed)


def _free(name: str, taken: Collection[str]) -> str:
    while name in taken:
        name += "-step"
    return name


def _rename(row: Row, renamed: Mapping[str, str]) -> None:
    """Give a step its new id, and what it waits for theirs."""
    step = row.step
    each = renamed.get(step.each, step.each) if isinstance(step.each, str) else step.each
    needs, after = (tuple(renamed.get(name, name) for name in names) for names in (step.needs, step.after))
    row.change(id=renamed.get(step.id, step.id), needs=needs, after=after, each=each)


def _check_instance_ids(sheet: Sheet) -> None:
    taken = {row.step.id for row in sheet.rows} | sheet.known
    for row in sheet.rows:
        name = row.step.id
        base, dot, number = name.rpartition(".")
        if dot and number.isdecimal() and base in taken:
            message = f"the run may give the id {quoted(name)} to a part or an instance of {quoted(base)}"
            sheet.found.error("instance_id", row.key("id"), message, advice="Use another id.", step=name)
        if row.step.each is not None and len(name) > MOST_INSTANCE_ID:
            message = f"the id of a step with `each` has {len(name)} characters; the maximum is {MOST_INSTANCE_ID}"
            sheet.found.error("long_id", row.key("id"), message, advice="Shorten it.", step=name)


def check_agents(sheet: Sheet) -> None:
    """Check the agents of a plan: their names are new, their tools allowed, their outputs JSON Schemas."""
    roles = Names(role.name for role in sheet.brief.roles)
    tools = Names(sheet.brief.tools)
    used = {row.step.agent for row in sheet.rows}
    schemas = Schemas()
    kept: dict[str, Agent] = {}
    for index, agent in enumerate(sheet.agents):
        key: Key = ("agents", index)
        if agent.name in roles:
            message, advice = (
                f"{quoted(agent.name)} is a role of the run",
                "Use that role, or use another name.",
            )
            sheet.found.error("redefined_agent", (*key, "name"), message, advice=advice)
        elif agent.name in kept and kept[agent.name] != agent:
            message, advice = (
                f"two agents have the name {quoted(agent.name)}",
                "Give every agent its own name.",
            )
            sheet.found.error("duplicate_agent", (*key, "name"), message, advice=advice)
        kept.setdefault(agent.name, agent)
        granted = _resolved(
            sheet,
            asked_for(agent, sheet.brief.tools, sheet.brief.groups),
            tools,
            (*key, "tools"),
            "tool",
            "The run may grant",
        )
        kept[agent.name] = kept[agent.name].model_copy(update={"tools": granted})
        if isinstance(agent.output, dict) and (problem := schemas.problem(agent.output)) is not None:
            sheet.found.error("bad_schema", (*key, "output", *problem.path), problem.message)
        if agent.name not in used:
            sheet.found.hint("unused_agent", key, f"no step uses the agent {quoted(agent.name)}")
    sheet.agents[:] = kept.values()


def check_references(sheet: Sheet) -> None:
    """Resolve the names in steps. Fix a name that can mean only one thing; drop unknown ones with an error."""
    steps = Names((*(row.step.id for row in sheet.rows), *sorted(sheet.known - sheet.barred)))
    granted = sheet.tools_of()
    roles, models, tools = Names(granted), Names(sheet.brief.models), Names(sheet.brief.tools)
    for row in sheet.rows:
        before = row.step
        for name in ("needs", "after"):
            befores = _befores(sheet, row, name, steps)
            if befores != getattr(before, name):
                row.change(**{name: befores})
        _each_step(sheet, row, steps)
        _resolve_one(sheet, row, "agent", roles)
        _resolve_one(sheet, row, "model", models)
        if before.tools is not None:
            _grant(sheet, row, tools, granted)
        if before.inputs is not None:
            _inputs(sheet, row)


def _befores(sheet: Sheet, row: Row, name: str, steps: Names) -> tuple[str, ...]:
    written: tuple[str, ...] = getattr(row.step, name)
    once = tuple(dict.fromkeys(written))
    if once != written:
        sheet.found.repaired(
            "repeated_need",
            row.key(name),
            "a step was listed twice; one was dropped",
            step=row.step.id,
        )
    if row.step.id in once:
        message = f"the step waits for itself: {row.step.id} → {row.step.id}"
        advice = f"Remove {quoted(row.step.id)} from its own `{name}`, or name the step you meant."
        sheet.found.error("self_need", row.key(name), message, advice=advice, step=row.step.id)
    others = (other for other in once if other != row.step.id and not _is_barred(sheet, row, name, other))
    return _resolved(sheet, others, steps, row.key(name), "step", "Known", row.step)


def _is_barred(sheet: Sheet, row: Row, name: str, other: str) -> bool:
    if other not in sheet.barred or other in sheet.ids:
        return False
    if other == PLAN_STEP and sheet.brief.first:
        message = f"{quoted(other)} is the planning step, which has ended; it was dropped"
        sheet.found.repaired("own_plan", row.key(name), message, step=row.step.id)
    else:
        message = f"{quoted(other)} ends only after this plan, so a step cannot wait for it"
        sheet.found.error("deadlock", row.key(name), message, advice="Remove it.", step=row.step.id)
    return True


def _each_step(sheet: Sheet, row: Row, steps: Names) -> None:
    """Resolve the step that `each` runs over. Its instances wait for it; those that need it read the list, too."""
    step, over = row.step, row.step.each
    if not isinstance(over, str) or over == "inputs":
        return
    if over == step.id:
        message, advice = (
            "`each` runs over the step itself",
            "Name the step whose output is the list.",
        )
        sheet.found.error("self_need", row.key("each"), message, advice=advice, step=step.id)
        row.change(each=None)
    elif _is_barred(sheet, row, "each", over):
        message = f"the output of {quoted(over)} is not a list"
        sheet.found.error("no_list", row.key("each"), message, advice=steps.listed("Steps"), step=step.id)
        row.change(each=None)
    else:
        found = _resolved(
            sheet,
            (over,),
            steps,
            row.key("each"),
            "step",
            "`each` is a list, `inputs`, or one of",
            step,
        )
        row.change(each=found[0] if found else None)


def _resolve_one(sheet: Sheet, row: Row, name: str, known: Names) -> None:
    """Resolve the agent or the model of a step."""
    written: str | None = getattr(row.step, name)
    if written is not None:
        found = _resolved(sheet, (written,), known, row.key(name), name, "Known", row.step)
        meant = found[0] if found else Step.model_fields[name].default
        if meant != written:
            row.change(**{name: meant})


def _grant(sheet: Sheet, row: Row, tools: Names, granted: dict[str, tuple[str, ...]]) -> None:
    """Check a step's tools against those of its agent."""
    step = row.step
    named = expanded(step.tools or (), sheet.brief.groups)
    found = _resolved(sheet, named, tools, row.key("tools"), "tool", "The run may grant", step)
    own = None if sheet.found.is_wrong(row.key("agent")) else granted.get(step.agent)
    beyond = [tool for tool in found if own is not None and tool not in own]
    if beyond:
        message = f"the agent {quoted(step.agent)} may not use {shortened(beyond)}"
        advice = f"It may use: {shortened(own or ())}"
        sheet.found.error("not_granted", row.key("tools"), message, advice=advice, step=step.id)
    row.change(tools=tuple(tool for tool in found if tool not in beyond))


def _inputs(sheet: Sheet, row: Row) -> None:
    """Resolve the inputs of a step: names, globs, and names that can mean only one input."""
    step = row.step
    found: list[str] = []
    for written in dict.fromkeys(step.inputs or ()):
        meant = written if sheet.inputs_of((written,)) else _input_meant(sheet, written)
        if meant is None:
            message = f"there is no input {quoted(written)}{sheet.inputs.suggestion(written)}"
            if any(mark in written for mark in GLOB_MARKS):
                message = f"no input matches {quoted(written)}"
            known = sheet.inputs.listed("Inputs")
            sheet.found.error("unknown_input", row.key("inputs"), message, advice=known, step=step.id)
            continue
        if meant != written:
            message = f"replaced {quoted(written)} by {quoted(meant)}, the only possible input"
            sheet.found.repaired("unknown_input", row.key("inputs"), message, step=step.id)
        found.append(meant)
    if tuple(found) != step.inputs:
        row.change(inputs=tuple(found) if found else None)


def _input_meant(sheet: Sheet, written: str) -> str | None:
    """Return the only input whose name differs in case and the like, or whose path ends with the name."""
    plain = written.strip().replace("\\", "/").removeprefix("./")
    meant = sheet.inputs.meant(plain)
    if meant is None:
        same_file = sheet.files.get(plain.rpartition("/")[2], ())
        ends = [name for name in same_file if name.endswith("/" + plain)]
        meant = ends[0] if len(ends) == 1 else None
    return meant


def _resolved(
    sheet: Sheet,
    written: Iterable[str],
    known: Names,
    key: Key,
    what: str,
    listed: str,
    step: Step | None = None,
) -> tuple[str, ...]:
    """Return the names that are meant. Add an error for each unknown one."""
    found: list[str] = []
    name_of_step = step.id if step is not None else ""
    for name in dict.fromkeys(written):
        meant = known.meant(name)
        if meant is None:
            message = f"there is no {what} {quoted(name)}{known.suggestion(name)}"
            sheet.found.error(f"unknown_{what}", key, message, advice=known.listed(listed), step=name_of_step)
            continue
        if meant != name:
            message = f"replaced {quoted(name)} by {quoted(meant)}, the only possible {what}"
            sheet.found.repaired(f"unknown_{what}", key, message, step=name_of_step)
        found.append(meant)
    return tuple(dict.fromkeys(found))
