import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from swarm.base.errors import InputError, PlanError, Problem, TaskError
from swarm.spec.files import fill, load_task, locate, public, recall_task, secrets_of, typed, write_yaml
from swarm.spec.plan import Plan
from swarm.spec.task import Limits, Model, Task

SECRET = "sk-canary-0123456789abcdef"


def load(text: str, environ: Mapping[str, str] | None = None, **more: Any) -> Task:
    return load_task("t.yaml", text=text, environ=environ or {}, **more)


def wrong(text: str, environ: Mapping[str, str] | None = None, **more: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        load(text, environ, **more)
    assert caught.value.exit_code == 2
    return str(caught.value).split("\n")


def test_a_task_from_a_file_knows_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_text("goal: What?\noutput: r.md\nlimits: {tokens: 400_000}\nmodels: {default: {endpoint: offline}}\n")
    task = load_task(path, environ={})
    assert (task.goal, task.folder, task.output, task.limits.tokens) == ("What?", tmp_path, ("r.md",), 400_000)
    assert task.warnings == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("goal: x\ngaol: y", "t.yaml:2:1: gaol: unknown key; allowed here:"),
        ("inputs: [a]", "t.yaml:1:1: goal: is required unless `plan` is set; write the"),
        ("goal: ' '", "t.yaml:1:7: goal: is empty; write the question to answer or the work to do"),
        ("plan: []", "t.yaml:1:7: plan: is an empty list; a plan needs at least one step"),
        ("plan: {steps: []}", "t.yaml:1:15: plan.steps: is an empty list; a plan needs at least one step"),
        ("goal: x\nplan: none.yaml", "t.yaml:2:7: plan: there is no plan file `none.yaml` in"),
        ("plan: " + "long " * 1000, "t.yaml:1:7: plan: there is no plan file `long long"),
        ('plan: "a\\0b"', "t.yaml:1:7: plan: there is no plan file `a␀b` in"),
        ("version: 2\nbogus: 1", "t.yaml:1:10: version: unsupported task format 2; this release reads format 1"),
        ("version: '1'", "t.yaml:1:10: version: unsupported task format 1; this release reads format 1: write"),
        ("version: true", "t.yaml:1:10: version: unsupported task format True; this release reads format 1: write"),
        ("goal: x\nfolder: /", "t.yaml:2:1: folder: unknown key; allowed here: agents,"),
        ("goal: x\norigin: 1", "t.yaml:2:1: origin: unknown key; allowed here: agents,"),
        ("goal: for {audiense}\nparameters: {audience: x}", "unknown parameter `{audiense}`; known parameters:"),
        ("goal: x\nparameters: {item: 1}", "t.yaml:2:14: parameters.item: `{item}` is reserved for the item"),
        ("goal: x\noutput: [r.pdf]", "t.yaml:2:10: output.0: invalid report file `r.pdf`: the name must"),
        ("goal: x\nlabels: {p: [dflt]}", "t.yaml:2:14: labels.p.0: unknown model `dflt`; `models:` has default; "),
        ("goal: x\ninputs: [{path: a, label: p}]", "t.yaml:2:27: inputs.0.label: unknown label `p`; `labels:`"),
        ("goal: x\ninputs: ['']", "t.yaml:2:10: inputs.0: is an empty path; write a file name or a glob"),
        ("goal: x\nmodels: {a: {use: [b]}}", "t.yaml:2:20: models.a.use.0: unknown model `b`; `models:` has a"),
        ("goal: x\nmodels: {a: {use: []}}", "t.yaml:2:19: models.a.use: is an empty list; at least one item is"),
        ("goal: x\nmodels: {a: {endpont: x}}", "t.yaml:2:14: models.a.endpont: unknown key; allowed here: calls"),
        ("goal: x\nmodels: {a: {use: [a]}}", "t.yaml:2:19: models.a.use: cyclic pool: a → a"),
        ("plan: [{id: a, output: {type: strng}}]", "plan.0.output.type: is not a JSON Schema: `strng` is not a type;"),
        ("plan: [{id: a, output: {pattern: '('}}]", "plan.0.output.pattern: is not a JSON Schema:"),
        ("plan: [{id: a, output: {$ref: 'http://x/y'}}]", "plan.0.output.$ref: points outside the schema;"),
        ("plan: [{id: a, output: {$ref: '#/$defs/b'}}]", "plan.0.output.$ref: points to `#/$defs/b`, which does not"),
        ("plan: [{id: a, item: 1}]", "t.yaml:1:16: plan.0.item: is set by the run; remove it from the plan"),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_message(text: str, message: str) -> None:
    (found,) = wrong(text)
    assert message in found


def test_an_unset_variable_is_named_with_its_place() -> None:
    text = "goal: x\nmodels:\n  a: {endpoint: offline, key: '${NOPE}'}\n  b: {key: '${EMPTY}', name: 'a${9}'}\n"
    assert wrong(text, {"EMPTY": ""}) == [
        "t.yaml:3:31: models.a.key: the environment variable NOPE is not set; set it, or add a default: ${NOPE:-…}",
        "t.yaml:4:12: models.b.key: the environment variable EMPTY is empty; set it, or add a default: ${EMPTY:-…}",
        "t.yaml:4:30: models.b.name: `${9}` is not a reference; write ${NAME} or ${NAME:-default}",
    ]


def test_problems_of_file_plan_and_command_line_are_reported_together(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text("steps:\n  - {id: a, promt: x}\n  - {id: B}\n")
    text = "goal: ${HOME}\ngaol: 1\nplan: plan.yaml\nparameters: {audience: x}\n"
    text += "models: {a: {use: [b], calls: 1}, b: {use: [a]}}\n"
    with pytest.raises(TaskError) as caught:
        load_task(
            "t.yaml",
            text=text,
            environ={},
            folder=tmp_path,
            parameters={"audiense": "1"},
            limits={"worker": "1", "usd": "0"},
        )
    found = [str(problem) for problem in caught.value.problems]
    starts = [
        "t.yaml:1:7: goal: `${HOME}` reads the environment, which is allowed in `models:`, `mcp:`, `web:` and `otel",
        "t.yaml:2:1: gaol: unknown key",
        "t.yaml:5:19: models.a.use: cyclic pool: a → b → a",
        "t.yaml:5:24: models.a.calls: not allowed together with `use`: a pool has no settings\nhint: move it",
        "t.yaml:5:44: models.b.use: cyclic pool: b → a → b",
        "--set audiense: unknown; the task's `parameters:` has audience; did you mean `audience`?",
        "--limit worker: unknown; limits are depth, rounds, seconds, steps, tokens, turns, usd and workers; did",
        "--limit usd: is the number 0; allowed: more than 0",
        f"{tmp_path}/plan.yaml:2:13: steps.0.promt: unknown key",
        f"{tmp_path}/plan.yaml:3:10: steps.1.id: invalid name `B`",
    ]  # fmt: skip
    assert [message[: len(start)] for message, start in zip(found, starts, strict=True)] == starts


def test_a_later_version_is_reported_alone() -> None:
    assert len(wrong("version: 7\nnew: 1\nmodels: {a: {key: '${NOPE}'}}\nlimits: 3")) == 1


def test_references_are_filled_in_models_and_typed_by_their_field() -> None:
    text = """
goal: the text $${HOME} stays
models:
  default:
    endpoint: http://${HOST:-127.0.0.1}:${PORT:-8000}/v1
    name: ${NAME}
    key: ["${KEY}", "${KEY2:-none-at-all}"]
    calls: ${CALLS:-8}
    hedge: "${HEDGE:-true}"
    params: {quoted: "${T}", nested: [1, null]}
    extra:
      bare: ${T}
      literal: $${T}
  local: {endpoint: offline, key: "${UNSET:-}"}
"""
    task = load(text, {"NAME": "123", "KEY": "456", "T": "0.5"})
    model = task.models["default"]
    assert task.goal == "the text ${HOME} stays"
    assert (model.endpoint, model.name, model.calls, model.hedge) == ("http://127.0.0.1:8000/v1", "123", 8, True)
    assert model.keys == ("456", "none-at-all")
    assert model.params == {"quoted": "0.5", "nested": [1, None]}
    assert model.extra == {"bare": 0.5, "literal": "${T}"}
    assert task.models["local"].key is None


def test_what_the_environment_gives_is_never_read_again() -> None:
    task = load("goal: x\nmodels: {default: {key: '${A}'}}", {"A": "${B}", "B": "no"})
    assert task.models["default"].keys == ("${B}",)


def test_threat_s39_a_megabyte_of_references_is_read_in_one_go() -> None:
    (message,) = wrong("goal: x\nmodels: {default: {name: '" + "${A:-" * 150_000 + "'}}")[:1]
    assert message.endswith("is not a reference; write ${NAME} or ${NAME:-default}")


def test_a_variable_that_is_not_utf_8_is_refused() -> None:
    (message,) = wrong("goal: x\nmodels: {default: {key: '${A}'}}", {"A": "\udcff"})
    assert message.endswith("the environment variable A is not valid UTF-8")


def test_threat_s16_a_literal_that_looks_like_a_key_draws_a_warning() -> None:
    task = load(
        f"goal: x\nmodels:\n  a: {{key: {SECRET}}}\n  b: {{extra: {{h: 'Bearer {SECRET}'}}}}\n"
        "  c: {endpoint: 'https://me:pass@x/v1', key: sk-short}\n  d: {key: '${K:-EMPTY}', endpoint: 'https://u:${K:-x}@y'}\n"
    )
    assert [warning[: warning.index(";")] for warning in task.warnings] == [
        "t.yaml:3:12: models.a.key: the file contains a key",
        "t.yaml:4:18: models.b.extra.h: the file contains a key",
        "t.yaml:5:17: models.c.endpoint: the URL contains a password",
        "t.yaml:5:46: models.c.key: the file contains a key",
        "t.yaml:6:37: models.d.endpoint: the URL contains a password",
    ]
    assert SECRET not in "".join(task.warnings)


def test_no_secret_is_in_what_is_written_shown_or_complained_about() -> None:
    text = f"""
goal: about {SECRET}
models:
  a: {{key: "${{K}}", endpoint: "https://u:${{K}}@x/v1", extra: {{headers: {{x: "${{TOKEN}}"}}}}}}
  b: {{key: [{SECRET}-b], endpoint: "https://x/v1?api_key=canary-in-url"}}
"""
    environ = {"K": SECRET, "TOKEN": "canary-token"}
    task = load(text, environ)
    assert set(secrets_of(task)) == {SECRET, SECRET + "-b", "canary-in-url", "canary-token"}
    shown = write_yaml(public(task)) + json.dumps(public(task)) + repr(task.models["a"].key)
    assert "canary" not in shown
    written = public(task)["models"]
    assert written["a"]["key"] == "${K}"
    assert written["a"]["endpoint"] == "https://u:${K}@x/v1"
    assert written["a"]["extra"] == {"headers": {"x": "${TOKEN}"}}
    assert written["b"]["key"] == ["***"]
    (message,) = wrong(text + "limits: {workers: " + SECRET + "}", environ)
    assert SECRET not in message


FULL = """
version: 1
goal: "Write for {audience}, not $${USER}"
inputs: [notes/*.md, {path: hr.csv, label: private, as: text, name: hr}]
parameters: {audience: engineers, year: 2025, deep: true, ratio: 0.5}
models:
  default: {endpoint: offline}
  strong: {endpoint: "https://api.example.com/v1", name: kimi-k2.5, key: "${K}", price: {input: 0.6, output: 2.5}}
  spare: {use: [strong, default]}
agents: ./agents
tools: [files, "mcp:github"]
limits: {workers: 4, tokens: null, usd: 5}
labels: {private: [default]}
approve: ask
on_failure: stop
swarm: always
output: [report.md, report.json]
plan:
  agents: [{name: auditor, instructions: Check., tools: [files]}]
  steps:
    - {id: list, prompt: "List ${braces}", output: {type: array, items: {const: null}}}
    - {id: study, each: list, prompt: "Assess {item}", needs: [list], seconds: 20}
    - {id: more, each: [1, null, {a: b}], after: [study]}
""".replace("${braces}", "{braces}")


def test_a_task_that_is_written_down_is_the_same_task() -> None:
    task = load(FULL, {"K": SECRET})
    again = load(write_yaml(public(task)), {"K": SECRET})
    assert public(again) == public(task)
    for name in Task.model_fields:
        if not Task.model_fields[name].exclude:
            assert getattr(again, name) == getattr(task, name), name
    assert load(json.dumps(public(task)), {"K": SECRET}).limits.tokens is None


def test_a_task_is_recalled_from_what_was_written_with_the_secrets_of_now() -> None:
    text = """
goal: x
models:
  a: {key: ["${K}"], endpoint: "https://u:${K}@x/v1"}
  b: {key: literal-key-9}
  c:
    extra: {quoted: "${T}"}
    params:
      bare: ${T}
plan: [STEPS]
limits: {steps: 30000}
""".replace("STEPS", ", ".join(f"{{id: s{n}}}" for n in range(300)))
    task = load(text, {"K": "first-key", "T": "0.5"})
    again = recall_task(public(task), source="run", environ={"K": "second-key", "T": "0.5"}, folder=Path("/x"))
    assert (again.models["a"].keys, again.models["a"].endpoint) == (("second-key",), "https://u:second-key@x/v1")
    assert again.models["b"].key is None
    assert again.warnings[-1].endswith(
        "models.b.key: the key is masked in this file; swarm reads the provider's own variable instead"
    )
    assert (again.models["c"], again.plan, again.folder) == (task.models["c"], task.plan, Path("/x"))


def test_a_model_that_was_replaced_is_not_written_with_the_key_of_another() -> None:
    task = load("goal: x\nmodels: {a: {key: '${K}', endpoint: one}, b: {key: '${K}', endpoint: one}}", {"K": SECRET})
    other = Model(endpoint="two", key=SecretStr("other-key"))
    written = public(task.model_copy(update={"models": {"a": other, "c": Model(endpoint="three")}}))["models"]
    assert (written["a"]["key"], sorted(written)) == ("***", ["a", "c"])


def test_a_plan_may_be_a_list_a_mapping_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("- {id: a, prompt: x}\n")
    (tmp_path / "q.json").write_text('{"steps": [{"id": "a", "prompt": "x"}]}')
    plans = [
        load_task("t", text=f"plan: {plan}", environ={}, folder=tmp_path).plan
        for plan in ("[{id: a, prompt: x}]", "{steps: [{id: a, prompt: x}]}", "p.yaml", "q.json")
    ]
    assert all(isinstance(plan, Plan) for plan in plans)
    assert plans == [plans[0]] * 4


def test_problems_of_a_plan_get_their_place_in_whatever_file_holds_it(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("- {id: a}\n- {id: b, needs: [c]}\n")
    problem = Problem("no such step", key="steps.1.needs.0")
    for text, where in (
        ("plan: p.yaml", f"{tmp_path}/p.yaml:2:19"),
        ("plan:\n  - {id: a}\n  - {id: b, needs: [c]}", "t.yaml:3:21"),
        ("plan:\n  steps:\n    - {id: a}\n    - {id: b, needs: [c]}", "t.yaml:4:23"),
    ):
        task = load_task("t.yaml", text=text, environ={}, folder=tmp_path)
        assert locate(task, [problem])[0].where == where
    assert locate(Task(goal="x"), [problem]) == (problem,)


def test_a_plan_file_alone_at_fault_is_a_plan_error(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("steps: [{id: a, x: 1}]")
    with pytest.raises(PlanError, match=r"steps\.0\.x: unknown key"):
        load_task("t.yaml", text="plan: p.yaml", environ={}, folder=tmp_path)


@pytest.mark.parametrize(
    "shape", ["plan: [STEPS]", "plan: {steps: [STEPS]}", "plan:\n  steps: [STEPS]\nlimits: {workers: 3}"]
)
def test_fault_82_more_steps_than_the_limit_are_refused_while_parsing(shape: str) -> None:
    def task(count: int) -> str:
        return shape.replace("STEPS", ",".join(f"{{id: s{n}}}" for n in range(count)))

    assert "more than 256 items, the maximum that `limits.steps` allows" in wrong(task(257))[0]
    assert isinstance(load(task(256)).plan, Plan)
    more = (
        task(257).replace("limits: {", "limits: {steps: 300, ")
        if "limits" in shape
        else task(257) + "\nlimits: {steps: 300}"
    )
    assert isinstance(load(more).plan, Plan)
    assert (
        "has 3 steps; `limits.steps` allows 2" in wrong("plan: [{id: a}, {id: b}, {id: c}]", limits={"steps": "2"})[0]
    )


def test_set_and_limit_override_the_file() -> None:
    text = "goal: '{audience}'\nparameters: {audience: engineers, deep: false, n: 1}\nlimits: {tokens: 5}"
    task = load(
        text, parameters={"audience": "'5'", "deep": "true", "n": "0x10"}, limits={"tokens": "400_000", "usd": "null"}
    )
    assert task.parameters == {"audience": "5", "deep": True, "n": 16}
    assert task.limits == Limits(tokens=400_000)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1), ("1.5", 1.5), ("no", "no"), ("true", True), ("null", None), ("", None), ("a b", "a b"), ("'1'", "1"),
        ('"x"', "x"), ("1e999", "1e999"), (" padded ", " padded "),
    ],
)  # fmt: skip
def test_values_of_the_command_line_are_scalars(text: str, value: object) -> None:
    assert typed(text) == value


def test_a_parameter_set_to_nothing_is_an_empty_text() -> None:
    task = load("goal: x\nparameters: {a: b, c: d, e: 1}", parameters={"a": "", "c": "null", "e": 2.5})
    assert task.parameters == {"a": "", "c": "", "e": 2.5}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("for {audience} in {year}: {item}", "for engineers in 2025: <x>"),
        ('{"audience": {audience}, "deep": {deep}}', '{"audience": engineers, "deep": true}'),
        ("{{audience}} { audience } {audience!r} {audience:>9}", "{engineers} { audience } {audience!r} {audience:>9}"),
        ("{{ ''.__class__ }} {audience.__class__}", "{{ ''.__class__ }} {audience.__class__}"),
        ("{0.__class__} {item[0]} {item.x}", "{0.__class__} {item[0]} {item.x}"),
        ("{unknown} {} {nested}", "{unknown} {} {audience} {item}"),
        ("%(audience)s $audience ${audience}", "%(audience)s $audience $engineers"),
    ],
)  # fmt: skip
def test_threat_s20_filling_is_replacement_and_nothing_else(text: str, filled: str) -> None:
    parameters = {"audience": "engineers", "year": 2025, "deep": True, "nested": "{audience} {item}"}
    assert fill(text, parameters, "<x>") == filled


def test_an_item_is_filled_only_where_there_is_one() -> None:
    assert fill("{item}", {}) == "{item}"
    assert fill("{item}", {}, None) == "null"
    assert fill("{item}", {}, {"b": [1, "ö"], "a": None}) == '{"b":[1,"ö"],"a":null}'


@given(st.text(), st.text())
def test_filling_changes_nothing_but_the_place(before: str, value: str) -> None:
    kept = before.replace("{", "(")
    assert fill(f"{kept}{{name}}{kept}", {"name": value}, value) == kept + value + kept
