"""Checks of `check` and `vote`: who judges a step, and which steps can be judged or voted on."""

from swarm.planning.lint.context import Row, Sheet
from swarm.planning.lint.findings import quoted
from swarm.planning.lint.values import Schemas
from swarm.spec.agent import FUNCTION_DESCRIPTION
from swarm.spec.plan import PLANNER


def check_checks(sheet: Sheet) -> None:
    """Check every step with `check` or `vote`, and that no function is to do the work of a step."""
    roles, schemas = set(sheet.tools_of()), Schemas()
    _check_agents(sheet)
    for row in sheet.rows:
        for name in ("check", "vote"):
            value = getattr(row.step, name)
            if value is not None and (row.step.merge is not None or row.step.agent == PLANNER):
                kind = "calls no model" if row.step.merge is not None else "is a planner"
                _refuse(sheet, row, name, f"the step {kind}, so it cannot have `{name}`")
        check = row.step.check
        if isinstance(check, str) and check not in roles:
            message = f"`check` names the agent {quoted(check)}, which does not exist"
            advice = "Name an agent of the run, such as `critic`, or a function that `swarm.run(…, checks={…})` gives."
            sheet.found.error("unknown_critic", row.key("check"), message, advice=advice, step=row.step.id)
            row.change(check=None)
        elif isinstance(check, dict) and (problem := schemas.problem(check)) is not None:
            key = row.key("check", *problem.path)
            sheet.found.error("bad_schema", key, problem.message, advice="Write a JSON Schema.", step=row.step.id)


def _check_agents(sheet: Sheet) -> None:
    functions = {role.name for role in sheet.brief.roles if role.description == FUNCTION_DESCRIPTION}
    for row in sheet.rows:
        if row.step.agent in functions:
            message = f"the agent {quoted(row.step.agent)} is a Python function: it checks outputs, and does no work"
            advice = "Name it in `check`, and an agent such as `worker` in `agent`."
            sheet.found.error("function_agent", row.key("agent"), message, advice=advice, step=row.step.id)


def _refuse(sheet: Sheet, row: Row, name: str, message: str) -> None:
    """Drop the field from the plan of a planner; in a plan by hand it is an error."""
    if sheet.by_planner:
        sheet.found.repaired("not_judged", row.key(name), f"{message}; it was dropped", step=row.step.id)
        row.change(**{name: None})
    else:
        sheet.found.error("not_judged", row.key(name), message, advice=f"Remove `{name}`.", step=row.step.id)
