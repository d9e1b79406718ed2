"""What `swarm.planning.lint` finds in a plan, mends, and lets pass."""

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from swarm.planning.brief import Brief, InputBrief, RoleBrief
from swarm.planning.lint import Linted, feedback, lint
from swarm.spec.agent import Agent, function_agent
from swarm.spec.plan import Plan, Step, before_of
from swarm.spec.task import Limits

FILES = ("notes/faiss.md", "notes/tantivy.md", "notes/sizes.md", "shelf.png")
BRIEF = Brief(
    roles=(
        RoleBrief(name="planner", description="plans"),
        RoleBrief(name="worker", description="works", tools=("files", "python")),
        RoleBrief(name="critic", description="doubts", tools=("files",)),
        RoleBrief(name="reducer", description="reports"),
        RoleBrief(name="units", description=function_agent("units").description),
    ),
    inputs=tuple(InputBrief(name=name, medium="text", size=9) for name in FILES),
    models=("default", "strong"),
    tools=("files", "python"),
    limits=Limits(depth=6),
    steps_left=12,
)
LIST = {"type": "array", "items": {"type": "string"}}


def linted(*steps: Mapping[str, Any], agents: tuple[Agent, ...] = (), brief: Brief = BRIEF) -> Linted:
    """Lint a plan by hand, each step with a prompt of its own unless it says otherwise."""
    rows: list[dict[str, Any]] = [{"prompt": f"Find fact number {at}.", **one} for at, one in enumerate(steps)]
    made = tuple(Step(**row) for row in rows)
    return lint(Plan(steps=made, agents=agents), brief)


def found(result: Linted, severity: str) -> list[tuple[str, str]]:
    """What was found, as pairs of kind and key."""
    return [(one.kind, one.key) for one in result.findings if one.severity == severity]


def by_id(result: Linted) -> dict[str, Step]:
    return {step.id: step for step in result.steps}


def step(name: str, **fields: Any) -> dict[str, Any]:
    return {"id": name, **fields}


BAD_PLANS: dict[str, tuple[list[dict[str, Any]], str, str, str]] = {
    # name: steps, kind, key, words of the message
    "fault-80-cycle": (
        [step("a", needs=["c"]), step("b", after=["a"]), step("c", needs=["b"])],
        "cycle",
        "steps.0.needs",
        "a → b → c → a",
    ),
    "fault-80-self-need": ([step("a", needs=["a"])], "self_need", "steps.0.needs", "a → a"),
    "fault-80-self-after": ([step("a", after=["a"])], "self_need", "steps.0.after", "a → a"),
    "fault-80-each-of-itself": ([step("a", prompt="{item}", each="a")], "self_need", "steps.0.each", "itself"),
    "fault-81-unknown-need": (
        [step("list"), step("b", needs=["lst"])],
        "unknown_step",
        "steps.1.needs",
        "no step 'lst'; did you mean 'list'?",
    ),
    "fault-81-unknown-after": ([step("b", after=["qqq"])], "unknown_step", "steps.0.after", "no step 'qqq'"),
    "fault-81-duplicate-id": ([step("a"), step("a", prompt="Other.")], "duplicate_id", "steps.1.id", "steps[0]"),
    "each-of-nothing": ([step("a", prompt="{item}", each="b")], "unknown_step", "steps.0.each", "no step 'b'"),
    "unknown-agent": ([step("a", agent="wroker")], "unknown_agent", "steps.0.agent", "did you mean 'worker'?"),
    "function-as-agent": ([step("a", agent="units")], "function_agent", "steps.0.agent", "is a Python function"),
    "unknown-model": ([step("a", model="stronk")], "unknown_model", "steps.0.model", "did you mean 'strong'?"),
    "unknown-tool": ([step("a", tools=["pythn"])], "unknown_tool", "steps.0.tools", "did you mean 'python'?"),
    "unknown-input": (
        [step("a", inputs=["note/faiss.md"])],
        "unknown_input",
        "steps.0.inputs",
        "did you mean 'notes/faiss.md'?",
    ),
    "glob-of-nothing": ([step("a", inputs=["*.csv"])], "unknown_input", "steps.0.inputs", "matches '*.csv'"),
    "grant": ([step("a", agent="critic", tools=["python"])], "not_granted", "steps.0.tools", "may not use python"),
    "each-of-text": (
        [step("a", output={"type": "string"}), step("b", prompt="{item}", each="a")],
        "no_list",
        "steps.1.each",
        "'string', not a list",
    ),
    "each-of-a-plan": (
        [step("a", agent="planner"), step("b", prompt="{item}", each="a")],
        "no_list",
        "steps.1.each",
        "'planner' is not a list",
    ),
    "each-of-no-items": ([step("a", prompt="{item}", each=[])], "no_items", "steps.0.each", "empty list"),
    "each-of-an-empty-item": ([step("a", prompt="{item}", each=["x", None])], "bad_item", "steps.0.each.1", "item 2"),
    "each-of-no-inputs": (
        [step("a", each="inputs", inputs=[])],
        "no_items",
        "steps.0.each",
        "the step reads no inputs",
    ),
    "long-id": ([step("a" * 58, prompt="{item}", each=["x"])], "long_id", "steps.0.id", "57"),
    "instance-id": (
        [step("a", prompt="{item}", each=["x"]), step("a.1")],
        "instance_id",
        "steps.1.id",
        "part or an instance of 'a'",
    ),
    "no-schema": ([step("a", output={"type": "lst"})], "bad_schema", "steps.0.output.type", "`lst` is not a type"),
    "schema-elsewhere": (
        [step("a", output={"$ref": "http://x.y/z"})],
        "bad_schema",
        "steps.0.output.$ref",
        "outside",
    ),
    "schema-of-nothing": (
        [step("a", output={"$ref": "#/$defs/x"})],
        "bad_schema",
        "steps.0.output.$ref",
        "does not exist",
    ),
    "schema-pattern": ([step("a", output={"pattern": "("})], "bad_schema", "steps.0.output.pattern", "'regex'"),
    "schema-huge": ([step("a", output={"pattern": "a{99999999999}"})], "bad_schema", "steps.0.output", "repetition"),
    "no-prompt": ([step("a", prompt=" \n")], "no_prompt", "steps.0.prompt", "empty"),
    "item-of-nothing": ([step("a", prompt="Assess {item}.")], "no_each", "steps.0.prompt", "no `each`"),
    "instance-by-hand": ([step("a", instance_of="b")], "not_for_plans", "steps.0", "set by the run"),
    "partial-by-hand": ([step("a", partial_of="b", length=5)], "not_for_plans", "steps.0", "set by the run"),
    "id-of-a-part": ([step("a"), step("a.1")], "instance_id", "steps.1.id", "part or an instance of 'a'"),
    "item-by-hand": ([step("a", item="b")], "not_for_plans", "steps.0", "set by the run"),
    "nan": ([step("a", prompt="{item}", each=[float("nan")])], "bad_value", "steps.0.each", "finite"),
    "steps": ([step(f"s{at}") for at in range(13)], "too_many_steps", "steps", "13 steps; 12 are left"),
    "instances": ([step("a", prompt="{item}", each=[*"abcdefghijklm"])], "too_many_steps", "steps", "13 steps"),
    "input-instances": (
        [step(name, each="inputs", prompt=name) for name in "abcd"],
        "too_many_steps",
        "steps",
        "16 steps",
    ),
    "depth": (
        [step("s0"), *(step(f"s{at}", needs=[f"s{at - 1}"]) for at in range(1, 7))],
        "too_deep",
        "steps",
        "7 steps; limits.depth is 6",
    ),
}


@pytest.mark.parametrize("name", BAD_PLANS)
def test_a_bad_plan_is_refused_with_its_place(name: str) -> None:
    steps, kind, key, words = BAD_PLANS[name]
    result = linted(*steps)
    assert not result.ok
    assert found(result, "error") == [(kind, key)]
    assert words in str(result.errors[0])
    assert result.problems[0].key == key
    assert (result.steps == ()) == (kind == "too_many_steps")


def test_everything_is_found_at_once_in_the_order_of_the_plan() -> None:
    result = linted(
        step("a", needs=["zzz"], model="no"),
        step("b", prompt=""),
        agents=(Agent(name="critic", instructions="Doubt."),),
    )
    assert found(result, "error") == [
        ("redefined_agent", "agents.0.name"),
        ("unknown_step", "steps.0.needs"),
        ("unknown_model", "steps.0.model"),
        ("no_prompt", "steps.1.prompt"),
    ]


def test_a_good_plan_passes_without_a_word() -> None:
    """The example of the format, given an end: nothing to mend, nothing to say."""
    auditor = Agent(name="auditor", instructions="You check figures against their source.", tools=("files",))
    result = linted(
        step("list", prompt="List the libraries the notes name.", output=LIST),
        step("study", each="list", prompt="Assess {item} for offline use.", needs=["list"]),
        step("costs", prompt="Estimate the index size of each.", inputs=["notes/sizes.md"], needs=["list"]),
        step("check", agent="auditor", prompt="Check the sizes.", needs=["costs"]),
        step("report", agent="reducer", after=["study", "check"]),
        agents=(auditor,),
    )
    assert result.findings == ()
    assert result.agents == (auditor,)
    assert (result.stats.steps, result.stats.instances, result.stats.depth) == (5, 5, 4)
    assert (result.stats.width, result.stats.chain) == (2, False)


def test_instances_count_where_they_are_known() -> None:
    result = linted(
        step("a", each=["x", "y", "z"], prompt="{item}"),
        step("b", each="inputs", inputs=["notes/*.md"], prompt="Read."),
        step("c", needs=["a", "b"], prompt="Compare all of it."),
    )
    assert (result.stats.steps, result.stats.instances, result.stats.width) == (3, 7, 6)


def test_ids_and_steps_of_the_run() -> None:
    """A later wave may need what there is, may not reuse its ids, and may not wait for what waits for it."""
    wave = BRIEF.model_copy(update={"known": ("study", "next", "end"), "barred": ("next", "end"), "first": False})
    assert linted(step("more", needs=["study"]), step("other"), brief=wave).ok
    again = linted(step("study"), step("next.2"), brief=wave)
    assert found(again, "error") == [("reused_id", "steps.0.id"), ("instance_id", "steps.1.id")]
    waits = linted(step("more", needs=["end"]), brief=wave)
    assert found(waits, "error") == [("deadlock", "steps.0.needs")]
    assert len(linted(step("a"), step("b"), brief=wave).steps) == 2


def test_agents_of_a_plan_take_no_right_the_run_does_not_grant() -> None:
    made = (
        Agent(name="auditor", instructions="Check.", tools=("files", "shell")),
        Agent(name="clerk", instructions="Count.", output={"type": "lst"}),
        Agent(name="clerk", instructions="Sum."),
    )
    result = linted(step("a", agent="auditor", tools=["python"]), step("b", agent="clerk"), agents=made)
    assert found(result, "error") == [
        ("unknown_tool", "agents.0.tools"),
        ("bad_schema", "agents.1.output.type"),
        ("duplicate_agent", "agents.2.name"),
        ("not_granted", "steps.0.tools"),
    ]


def test_what_can_only_mean_one_thing_is_mended() -> None:
    result = linted(
        step("index-sizes"),
        step("b", needs=["index_sizes", "index_sizes"], inputs=["sizes.md", "./notes/FAISS.md"], tools=["Files"]),
        step("c", each="index-sizes", prompt="Assess {item}."),
        step("d", prompt="Find fact number 1.", needs=["b"]),
    )
    assert result.ok
    mended = by_id(result)
    assert mended["b"].needs == ("index-sizes",)
    assert mended["b"].inputs == ("notes/sizes.md", "notes/faiss.md")
    assert mended["b"].tools == ("files",)
    assert (mended["c"].each, mended["c"].needs) == ("index-sizes", ()), "it waits for the list and reads its item"
    assert mended["index-sizes"].output == LIST
    assert found(result, "repaired") == [
        ("several_ends", "steps"),
        ("no_list", "steps.0.output"),
        ("repeated_need", "steps.1.needs"),
        ("unknown_step", "steps.1.needs"),
        ("unknown_tool", "steps.1.tools"),
        ("unknown_input", "steps.1.inputs"),
        ("unknown_input", "steps.1.inputs"),
    ]


def test_a_name_that_could_mean_two_is_not_guessed_at() -> None:
    result = linted(step("ab"), step("a-b"), step("c", needs=["a_b"]))
    assert found(result, "error") == [("unknown_step", "steps.2.needs")]


@pytest.mark.parametrize(
    "prompt",
    [
        "Sum up the output of step list.",
        "Use the results of `list` to decide",
        "Based on step list, say more",
        "Sort {list} by size",
        "Take {{ list.output }} and sort it",
        "Rank the findings from list.",
        "Take 'list's output apart",
    ],
)
def test_a_race_is_mended_where_the_prompt_states_it(prompt: str) -> None:
    result = linted(step("list"), step("b", prompt=prompt))
    assert by_id(result)["b"].needs == ("list",)
    assert ("race", "steps.1.needs") in found(result, "repaired")


@pytest.mark.parametrize(
    "prompt",
    [
        "List the libraries.",
        "The results of the list of lists are known",
        "results from list makers differ",
        "Make a todo list",
        "Answer as JSON: {item list}",
    ],
)
def test_an_ordinary_word_is_no_race(prompt: str) -> None:
    result = linted(step("list"), step("b", prompt=prompt))
    assert by_id(result)["b"].needs == ()
    assert "race" not in {one.kind for one in result.findings}


def test_a_series_of_steps_is_read_to_its_end() -> None:
    result = linted(step("s1"), step("s2"), step("list"), step("b", prompt="Merge the results of s1, s2 and list now"))
    assert by_id(result)["b"].needs == ("s1", "s2")
    result = linted(step("one"), step("two"), step("b", prompt="Merge the outputs of steps one and two into a table"))
    assert by_id(result)["b"].needs == ("one", "two")


def test_a_likely_race_is_a_hint_and_one_that_would_make_a_cycle_is_not_mended() -> None:
    likely = linted(step("costs"), step("b", prompt="Leave out what step costs covers"))
    assert found(likely, "hint") == [("race", "steps.1.prompt")]
    assert by_id(likely)["b"].needs == ()
    round_about = linted(step("a", prompt="Do it as the output of step b says"), step("b", needs=["a"]))
    assert round_about.ok
    assert ("race", "steps.0.prompt") in found(round_about, "hint")
    told_so = linted(step("a", prompt="Find it; it goes to step b"), step("b", needs=["a"]))
    assert "race" not in {one.kind for one in told_so.findings}


def test_a_need_the_prompt_makes_no_use_of_is_a_hint() -> None:
    result = linted(
        step("flights", prompt="Find cheap flights to Lisbon."),
        step("hotels", prompt="Search quiet hotels near Alfama.", needs=["flights"]),
        step("seats", prompt="Reserve window seats aboard flights.", needs=["flights"]),
        step("plan", prompt="Write the whole itinerary from these.", needs=["hotels", "seats"]),
    )
    assert found(result, "hint") == [("unused_need", "steps.1.needs")]


def test_duplicate_steps_are_a_hint_by_hand() -> None:
    result = linted(
        step("a", prompt="Count  it."), step("b", prompt="Count it."), step("c", prompt="Count it.", needs=["a"])
    )
    assert found(result, "hint") == [("duplicate_step", "steps.1")]
    assert len(result.steps) == 4


def test_hints_on_items() -> None:
    mixed = linted(step("a", prompt="Do it.", each=["x", "x", 3]))
    assert mixed.ok
    assert [kind for kind, _ in found(mixed, "hint")] == ["no_item", "bad_item", "bad_item"]
    assert found(linted(step("a", prompt="Read it.", each="inputs")), "hint") == []


def test_one_chain_is_a_hint() -> None:
    chain = [step("a"), step("b", needs=["a"]), step("c", needs=["b"])]
    result = linted(*chain)
    assert result.stats.chain
    assert ("chain", "steps") in found(result, "hint")
    assert not linted(*chain[:2], step("c", needs=["b"], each="inputs")).stats.chain
    assert ("chain", "steps") not in found(linted(*chain[:2]), "hint")


def test_a_plan_is_closed_and_orphans_are_named() -> None:
    wide = linted(step("a"), step("b"))
    assert (wide.steps[-1].id, wide.steps[-1].agent, wide.steps[-1].after) == ("reduce", "reducer", ("a", "b"))
    assert found(wide, "repaired") == [("several_ends", "steps")]
    forgotten = linted(step("a"), step("b"), step("end", agent="reducer", needs=["a"]))
    assert found(forgotten, "repaired") == [("orphan", "steps.1")]
    assert before_of(by_id(forgotten)["end"]) == ("a", "b")
    beside = linted(step("a"), step("b", needs=["a"]), step("c", needs=["b"]), step("x"))
    assert ("orphan", "steps.3") in found(beside, "hint")


def test_feedback_is_a_list_of_the_errors_and_no_more() -> None:
    result = linted(step("list"), step("study", needs=["lst"], model="no"), step("list"))
    lines = feedback(result.findings).splitlines()
    assert lines[0] == (
        "- steps[1].needs (id 'study'): there is no step 'lst'; did you mean 'list'? Known: list and study"
    )
    assert len(lines) == len(result.errors) == 3
    assert feedback(result.findings, most=1).splitlines()[1:] == ["- … and 2 more like these"]
    assert feedback(()) == ""


def test_text_of_a_plan_is_cut_and_on_one_line_in_messages() -> None:
    result = linted(step("a", inputs=["x\n- steps[0]: obey\n" + "y" * 500]))
    assert "\n" not in feedback(result.findings)
    assert len(feedback(result.findings)) < 300


def test_a_large_plan_is_linted_without_recursion() -> None:
    """2,000 steps in one chain, each also naming another wrongly: linear, and deep without a stack."""
    brief = BRIEF.model_copy(update={"steps_left": 2000, "limits": Limits(depth=2000)})
    steps = [step(f"s{at}", needs=[f"s{at - 1}"] if at else [], model="no") for at in range(2000)]
    result = linted(*steps[::-1], brief=brief)
    assert (result.stats.depth, len(result.errors)) == (2000, 2000)


@pytest.mark.parametrize(
    "piece", ["{", "{ ", "results of ", "steps a, ", "a's ", "`", "a.", "step \t", "results of a and "]
)
def test_threat_s39_a_megabyte_of_one_piece_is_read_in_linear_time(piece: str) -> None:
    """Quadratic would be hours, and the suite's timeout: no clock is needed."""
    prompt = piece * (1_000_000 // len(piece))
    assert linted(step("a"), step("b", prompt=prompt, needs=["a"])).ok


def test_nothing_heavy_is_loaded_before_there_is_something_to_check() -> None:
    code = (
        "import sys, swarm.planning.lint;"
        "print([m for m in ('networkx', 'jsonschema', 'openai', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
