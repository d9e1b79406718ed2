"""Labels: which models may see what, and how labels flow; no labelled byte reaches a model that may not see it."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import swarm
from swarm.base.errors import EndpointRefused, PlanError, TaskError
from swarm.base.values import canonical
from swarm.endpoints.guard import LabelGuard
from swarm.endpoints.route import route_of
from swarm.lifecycle.prepare import Options, prepare
from swarm.record.events import RunResumed
from swarm.spec.chat import Reply, Request, says
from swarm.spec.labels import Access, pooled, reach, spread
from swarm.spec.plan import Plan, Step
from swarm.spec.task import InputSpec, Model, Task
from swarm.testing import Answer, FakeServer, Function, Received, Scripted
from tests.models import events_of, resume_with, run_with

CANARY = re.compile(r"zq[0-9]+zq")

ACCESS = Access(
    labels={"hr": ("local",), "lab": ("local", "cloud"), "odd": ()},
    members=pooled({"default": None, "local": None, "cloud": None, "any": ("default", "local", "cloud")}),
    takes={"cloud": ("image",), "local": ("image", "audio")},
)


@pytest.mark.parametrize(
    ("alias", "labels", "media", "named", "place"),
    [
        ("default", (), (), False, "default default"),
        ("default", ("hr",), (), False, "local local"),
        ("default", ("hr",), (), True, None),
        ("any", ("hr",), (), True, "local local"),
        ("any", ("lab",), (), True, "any local cloud"),
        ("any", (), (), False, "any default local cloud"),
        ("default", ("lab", "hr"), (), False, "local local"),
        ("cloud", ("hr",), (), False, "local local"),
        ("default", ("odd",), (), False, None),
        ("default", ("unheard-of",), (), False, None),
        ("default", (), ("image",), False, "local local"),
        ("default", (), ("image",), True, "local local"),
        ("any", (), ("image",), False, "any local cloud"),
        ("any", ("lab",), ("audio",), False, "local local"),
        ("default", ("lab",), ("video",), False, None),
    ],
)
def test_a_step_goes_where_its_labels_and_media_may(
    alias: str, labels: tuple[str, ...], media: tuple[str, ...], named: bool, place: str | None
) -> None:
    found = ACCESS.place(alias, labels, media, named=named)
    assert (None if found is None else " ".join((found.model, *found.members))) == place


def test_a_refusal_names_the_labels_and_what_they_reach() -> None:
    assert ACCESS.refusal("cloud", ("hr",), (), named=True) == (
        "label", "the model `cloud` may not see all its data: `hr` reaches local",
    )  # fmt: skip
    kind, words = ACCESS.refusal("default", ("hr", "odd"), ())
    assert (kind, words) == ("label", "no model may see all its data: `hr` reaches local; `odd` reaches none")
    kind, words = ACCESS.refusal("default", ("lab",), ("video",))
    assert kind == "media"
    assert "accepts video" in words


def test_a_pool_in_a_label_stands_for_its_members() -> None:
    members = pooled({"a": None, "b": None, "inner": ("b",), "pool": ("a", "inner"), "round": ("round", "a")})
    assert members["pool"] == ("a", "b")
    assert members["round"] == ("a",)
    assert reach({"x": ("pool",), "y": ("b", "pool")}, members) == {"x": ("a", "b"), "y": ("b", "a")}


NAMES = st.sampled_from("abcdef")


@given(st.dictionaries(NAMES, st.frozensets(st.sampled_from("xyz"))), st.dictionaries(NAMES, st.lists(NAMES)))
def test_labels_flow_along_every_path(own: dict[str, frozenset[str]], reads: dict[str, list[str]]) -> None:
    found = spread(own, reads)
    for name in {*own, *reads}:
        reached, todo = set[str](), [name]
        while todo:
            now = todo.pop()
            if now not in reached:
                reached.add(now)
                todo += reads.get(now, [])
        assert found[name] == frozenset[str]().union(*(own.get(each, ()) for each in reached))


def plan_of(*steps: dict[str, Any]) -> str:
    return canonical({"steps": steps}).decode()


def private(folder: Path, **more: Any) -> Task:
    (folder / "pay.csv").write_text("Ada,zq7zq\n", encoding="utf-8")
    (folder / "notes.md").write_text("Open.\n", encoding="utf-8")
    fields: dict[str, Any] = {
        "goal": "Who?",
        "inputs": ("notes.md", InputSpec(path="pay.csv", label="hr")),
        "models": {"default": Model(endpoint="offline"), "cloud": Model(endpoint="offline")},
        "labels": {"hr": ("default",)},
        "folder": folder,
    }
    return Task(**(fields | more))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (
            (Step(id="s", prompt="Read.", model="cloud"),),
            "steps.0: 's' has no model: the model `cloud` may not see all its data",
        ),
        (
            (
                Step(id="s", prompt="Read.", inputs=("pay.csv",)),
                Step(id="t", prompt="Sum.", needs=("s",), model="cloud"),
            ),
            "steps.1: 't' has no model",
        ),
        ((Step(id="s", each="inputs", prompt="{item}", model="cloud"),), "steps.0: 's' has no model"),
        (
            (
                Step(id="s", prompt="Read.", inputs=("pay.csv",)),
                Step(id="t", prompt="Do {item}.", each="inputs", inputs=("notes.md",), needs=("s",), model="cloud"),
            ),
            "steps.1: 't' has no model",
        ),
        ((Step(id="t", prompt="Sum.", after=("u",), model="cloud"), Step(id="u", prompt="Read.")), "steps.0"),
    ],
)
async def test_a_plan_that_cannot_be_placed_is_found_before_anything_runs(
    tmp_path: Path, steps: tuple[Step, ...], said: str
) -> None:
    with pytest.raises(PlanError) as caught:
        await prepare(private(tmp_path, plan=Plan(steps=steps)), Options(endpoint=Scripted()))
    assert said in str(caught.value)
    assert "Remove `model`" in str(caught.value)


@pytest.mark.anyio
async def test_a_report_of_what_no_one_model_may_see_is_found_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "lab.md").write_text("x", encoding="utf-8")
    task = private(
        tmp_path,
        inputs=(InputSpec(path="pay.csv", label="hr"), InputSpec(path="lab.md", label="lab")),
        labels={"hr": ("default",), "lab": ("cloud",)},
        plan=Plan(steps=(Step(id="s", prompt="A", inputs=("pay.csv",)), Step(id="t", prompt="B", inputs=("lab.md",)))),
    )
    with pytest.raises(PlanError, match=r"'reduce' has no model: no model may see all .* `hr` reaches default; `lab`"):
        await prepare(task, Options(endpoint=Scripted()))


@pytest.mark.anyio
async def test_an_input_that_no_model_may_see_is_found_before_a_planner_is_asked(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"no step can read `pay.csv`: .*`hr` reaches none"):
        await prepare(private(tmp_path, labels={"hr": ()}), Options(endpoint=Scripted()))


@pytest.mark.anyio
async def test_a_planner_is_told_names_and_no_content_and_its_plan_goes_back(tmp_path: Path) -> None:
    bad = plan_of({"id": "s", "prompt": "Read.", "model": "cloud"})
    good = plan_of({"id": "s", "prompt": "Read pay.csv.", "inputs": ["pay.csv"]})
    model = Scripted(bad, good, "Ada")
    result = await run_with(model, private(tmp_path, swarm="always"), cache=False)
    assert result.status == "done"
    first, again, last = model.requests
    brief = first.messages[1].text
    assert "pay.csv" in brief
    assert "zq7zq" not in first.model_dump_json()
    assert '"labels":{"hr":["default"]}' in brief
    assert "may not see all its data" in again.messages[-1].text
    assert (last.model, last.labels) == ("default", ("hr",))


@pytest.mark.anyio
async def test_a_pool_is_cut_to_the_members_that_may_see(tmp_path: Path) -> None:
    models = {
        "default": Model(use=("cloud", "here", "there")),
        **{name: Model(endpoint="offline", name=name) for name in ("cloud", "here", "there")},
    }
    plan = Plan(steps=(Step(id="s", prompt="Read.", inputs=("pay.csv",)),))
    task = private(tmp_path, models=models, labels={"hr": ("here", "there")}, plan=plan)
    model = Scripted("Ada")
    result = await run_with(model, task, cache=False)
    assert result.status == "done"
    assert model.requests[0].model == "default"
    assert model.requests[0].labels == ("hr",)
    prepared = await prepare(task, Options(endpoint=model))
    place = prepared.resources.access.place("default", ("hr",))
    assert place is not None
    assert place.members == ("here", "there")


def served(url: str, **more: Any) -> Model:
    return Model(endpoint=url, name="m", **more)


@pytest.mark.anyio
async def test_pools_retries_and_fallbacks_on_the_wire_reach_no_forbidden_server(tmp_path: Path) -> None:
    """The permitted server fails in every way that makes a pool go on to the next; the other is never asked."""

    def tell(received: Received) -> str:
        return "I read " + " ".join(CANARY.findall(received.raw.decode()))

    failing = iter([Answer(status=500, headers={"retry-after-ms": "1"}), Answer(status=400, body={"error": "no"})])
    async with (
        FakeServer(respond=lambda received: next(failing, None) or tell(received)) as here,
        FakeServer(respond=tell) as there,
        FakeServer(respond=tell) as cloud,
    ):
        models = {
            "default": Model(use=("cloud", "here", "there")),
            "cloud": served(cloud.url, hedge=True),
            "here": served(here.url, hedge=True),
            "there": served(there.url, hedge=True),
        }
        steps = (
            Step(id="s", prompt="Read.", inputs=("pay.csv",)),
            Step(id="t", prompt="Sum up.", needs=("s",)),
            Step(id="o", prompt="Read what is open.", inputs=("notes.md",)),
        )
        plan = Plan(steps=(*steps, Step(id="reduce", agent="reducer", after=("t", "o"), inputs=())))
        task = private(tmp_path, models=models, labels={"hr": ("here", "there")}, plan=plan)
        async with swarm.Run(task, options=Options(cache=False)) as run:
            pass
        assert run.result.status == "done"
        assert len([received for received in there.requests if b"zq7zq" in received.raw]) == 1, "`here` refused once"
        assert len([received for received in here.requests if b"zq7zq" in received.raw]) >= 2
        assert [b"zq7zq" in received.raw for received in cloud.requests] == [False], "what is open goes there"


@pytest.mark.anyio
async def test_the_last_guard_refuses_before_a_byte_is_sent() -> None:
    inner = Scripted("never", "open")
    guard = LabelGuard(inner, route_of("cloud", Model(endpoint="offline")), labels={"hr": ("default",)})
    ask = Request(model="cloud", messages=(says("user", "hi"),))
    for labels in (("hr",), ("unknown",)):
        with pytest.raises(EndpointRefused) as caught:
            await guard.complete(ask.model_copy(update={"labels": labels}))
        assert (caught.value.kind, caught.value.stops) == ("label", False)
    assert inner.requests == []
    assert isinstance(await guard.complete(ask), Reply)


@pytest.mark.anyio
async def test_a_wave_is_held_to_the_labels_of_its_planner(tmp_path: Path) -> None:
    """What a planner that reads labelled data writes is labelled: its linter knows, and it is asked to mend it."""
    bad, good = (plan_of({"id": "more", "prompt": "Go on.", "inputs": [], **more}) for more in ({"model": "cloud"}, {}))
    model = Scripted("Ada zq7zq", bad, good, "more", "the report [more]")
    steps = (
        Step(id="s", prompt="Read.", inputs=("pay.csv",)),
        Step(id="next", agent="planner", prompt="More?", needs=("s",), retries=0),
    )
    result = await run_with(model, private(tmp_path, plan=Plan(steps=steps)), cache=False)
    assert result.report is not None
    assert {request.model for request in model.requests} == {"default"}
    assert [request.labels for request in model.requests] == [("hr",)] * 5
    assert "'more' has no model: the model `cloud` may not see" in model.requests[2].messages[-1].text


@pytest.mark.anyio
async def test_what_only_a_run_can_know_fails_by_name_before_any_call(tmp_path: Path) -> None:
    """A later planner gives labelled data to steps whose reader names a model that may not see it."""
    wave = plan_of({"id": "more", "prompt": "Read pay.csv.", "inputs": ["pay.csv"]})
    model = Scripted(wave, "Ada zq7zq", "the report [more]")
    steps = (
        Step(id="next", agent="planner", prompt="Plan.", inputs=()),
        Step(id="sum", prompt="Sum up.", needs=("next",), model="cloud", optional=True),
        Step(id="reduce", agent="reducer", after=("sum",), inputs=()),
    )
    result = await run_with(model, private(tmp_path, plan=Plan(steps=steps)), cache=False)
    assert [(error.step, error.kind) for error in result.errors] == [("sum", "label")]
    assert result.errors[0].message == "the model `cloud` may not see all its data: `hr` reaches default"
    assert [(request.model, request.labels) for request in model.requests] == [
        ("default", ()), ("default", ("hr",)), ("default", ("hr",)),
    ]  # fmt: skip


@pytest.mark.anyio
async def test_a_label_that_is_new_is_noticed_on_resume_and_holds(tmp_path: Path) -> None:
    (tmp_path / "pay.csv").write_text("Ada,zq7zq\n", encoding="utf-8")
    source = tmp_path / "task.yaml"
    text = """
goal: Who?
inputs: [{path: pay.csv}]
models: {default: {endpoint: http://127.0.0.1:9/v1, name: d}, safe: {endpoint: http://127.0.0.1:9/v1, name: s}}
plan:
  - {id: s, prompt: Read.}
  - {id: t, prompt: Sum up., needs: [s], retries: 0}
"""
    source.write_text(text, encoding="utf-8")
    first = Scripted("Ada zq7zq", EndpointRefused("no", kind="quota", stops=True))
    async with swarm.Run(source, options=Options(endpoint=first, cache=False)) as run:
        pass
    assert [request.model for request in first.requests] == ["default", "default"]
    labelled = text.replace("{path: pay.csv}", "{path: pay.csv, label: hr}") + "labels: {hr: [safe]}\n"
    source.write_text(labelled, encoding="utf-8")
    second = Function(lambda request: f"Ada [{request.model}]")
    result = await resume_with(second, run.folder.path, cache=False)
    assert [request.model for request in second.requests] == ["safe", "safe"]
    noticed = [event for event in events_of(result.folder) if isinstance(event, RunResumed)]
    assert "input pay.csv: changed" in noticed[0].changed


@pytest.mark.anyio
async def test_what_is_kept_of_a_model_that_may_not_see_is_not_taken_for_one_that_may(tmp_path: Path) -> None:
    """The cache holds an answer of `cloud`; once the input is labelled the step is another model's."""
    models = {name: Model(endpoint="http://127.0.0.1:9/v1", name=name) for name in ("default", "cloud")}
    plan = Plan(steps=(Step(id="s", prompt="Read.", inputs=("pay.csv",)),))
    open_task = private(tmp_path, models=models, plan=plan, labels={"hr": ("default", "cloud")})
    assert (await run_with(Scripted("Ada", identity="one"), open_task)).status == "done"
    again = Scripted(identity="one")
    assert (await run_with(again, open_task)).status == "done"
    closed = Scripted("Ada, again", identity="one")
    assert (await run_with(closed, open_task.model_copy(update={"labels": {"hr": ("cloud",)}}))).status == "done"
    assert ([r.model for r in again.requests], [r.model for r in closed.requests]) == ([], ["cloud"])


@pytest.mark.anyio
async def test_what_a_whole_pool_gave_is_not_taken_for_what_a_part_of_it_gives(tmp_path: Path) -> None:
    leaves = {name: Model(endpoint="http://127.0.0.1:9/v1", name=name) for name in ("one", "two", "three")}
    plan = Plan(steps=(Step(id="s", prompt="Read.", inputs=("pay.csv",)),))
    asked: list[int] = []
    for allowed in (("one", "two", "three"), ("two", "three"), ("two", "three")):
        models = {"default": Model(use=tuple(leaves)), **leaves}
        double = Function(lambda _: "Ada", identity="one")
        await run_with(double, private(tmp_path, models=models, plan=plan, labels={"hr": allowed}))
        asked.append(len(double.requests))
    assert asked == [1, 1, 0]
