"""No labelled byte reaches a model that may not see it: whole runs in which every model tells all that it read."""

import json
import re
from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarm.base.errors import AnswerError, EndpointRefused, PlanError
from swarm.base.values import canonical
from swarm.endpoints import Endpoint
from swarm.endpoints.guard import LabelGuard
from swarm.endpoints.pool import Pool
from swarm.endpoints.route import route_of
from swarm.endpoints.router import Router
from swarm.endpoints.wire.openai import OpenAIEndpoint
from swarm.record.events import StepStarted
from swarm.results.result import Result
from swarm.spec.chat import Request
from swarm.spec.labels import pooled, reach
from swarm.spec.plan import Plan, Step
from swarm.spec.providers import Quirks, Store
from swarm.spec.task import InputSpec, Limits, Model, Task
from swarm.testing import Answer, FakeServer, Function, Received
from tests.models import events_of, run_with

LEAVES = ("default", "a", "b")
POOLS = {"p": ("default", "a"), "q": ("b", "a")}
CANARY = re.compile(r"zq[0-9]+zq")


@dataclass
class World:
    """Models behind guards, and everything each of them was sent. Each says again all the secrets that it read."""

    labels: dict[str, tuple[str, ...]]
    behaviours: tuple[str, ...] = ("tell",)
    seen: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By model: secrets in what it was sent."""
    calls: int = 0

    @property
    def models(self) -> dict[str, Model]:
        """The task's models: their endpoint is this world."""
        return {
            **{name: Model(endpoint="offline") for name in LEAVES},
            **{name: Model(use=use) for name, use in POOLS.items()},
        }

    @property
    def endpoint(self) -> Router:
        """Serve every alias as a run does: guarded models, pools of them."""
        allowed = reach(self.labels, pooled({name: model.use for name, model in self.models.items()}))
        opened: dict[str, Endpoint] = {
            name: LabelGuard(Function(self._model(name)), route_of(name, self.models[name]), labels=allowed)
            for name in LEAVES
        }
        return Router(opened | {name: Pool([opened[each] for each in use]) for name, use in POOLS.items()})

    def _model(self, name: str) -> Callable[[Request], str | Exception]:
        def answer(request: Request) -> str | Exception:
            sent = request.model_dump_json()
            secrets = sorted(set(CANARY.findall(sent)))
            self.seen[name].update(secrets)
            behaviour = self.behaviours[self.calls % len(self.behaviours)]
            self.calls += 1
            told = f"I read {' '.join(secrets)}"
            if behaviour == "refuse":
                return EndpointRefused(f"cannot: {told}", kind="bad_request")
            if behaviour == "fail":
                return AnswerError(f"wrong: {told}", kind="form", may_help=False)
            if request.purpose == "plan":
                return canonical(self._plan(secrets)).decode()
            if request.purpose == "json":
                return json.dumps({"answer": secrets or ["nothing"]})
            return told

        return answer

    def _plan(self, secrets: list[str]) -> Any:
        """Plan with secrets in every word that a planner may choose."""
        word = "-".join([f"w{self.calls}", *secrets])[:50]
        if self.calls % 2:
            one: dict[str, Any] = {"id": word, "prompt": f"Tell {word}.", "retries": 0, "inputs": []}
            return {"steps": [one]}
        role = {"name": word, "description": word, "instructions": f"Be {word}.", "output": "text"}
        first: dict[str, Any] = {"id": word, "prompt": f"Tell {word}.", "agent": word, "retries": 0, "inputs": []}
        more = {"id": f"{word}-x", "prompt": "Go on.", "needs": [word], "retries": 0}
        return {"agents": [role], "steps": [first, more]}

    def leaks(self, secrets: dict[str, str]) -> list[str]:
        """Name what reached a model that may not see it; `secrets` gives the label of each secret."""
        allowed = reach(self.labels, pooled({name: model.use for name, model in self.models.items()}))
        return [
            f"{secret} ({secrets[secret]}) reached {name}"
            for name, found in self.seen.items()
            for secret in found
            if secret in secrets and name not in allowed[secrets[secret]]
        ]


def steps_of(draw: st.DrawFn) -> tuple[Step, ...]:
    made: list[Step] = []
    lists: list[str] = []
    for n in range(draw(st.integers(2, 6))):
        name = f"s{n}"
        before = [step.id for step in made]
        kind = draw(st.sampled_from(["worker", "worker", "list", "each", "planner"]))
        some = st.lists(st.sampled_from(before), max_size=2, unique=True) if before else st.just([])
        each: Any = None
        if kind == "each":
            each = draw(st.sampled_from(["inputs", ("one", "two"), *lists]))
        inputs = st.lists(st.sampled_from([f"i{n}.md" for n in range(4)]), max_size=2, unique=True)
        step = Step(
            id=name,
            agent="planner" if kind == "planner" else "worker",
            prompt=f"Do {name}." if each is None else f"Do {name} for {{item}}.",
            needs=tuple(draw(some)),
            after=tuple(draw(some)),
            inputs=tuple(draw(inputs)) or None if each != "inputs" else None,
            each=each,
            output={"type": "array", "items": {"type": "string"}} if kind == "list" else None,
            model=draw(st.sampled_from([None, None, None, *LEAVES, *POOLS])),
            optional=draw(st.booleans()),
            retries=0,
        )
        lists += [name] if kind == "list" else []
        made.append(step)
    return tuple(made)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[World, tuple[Step, ...], tuple[str | None, ...]]:
    """Draw models with labels, a graph of steps, and the labels of four inputs."""
    aliases = st.lists(st.sampled_from([*LEAVES, *POOLS]), min_size=1, max_size=2, unique=True)
    labels = {name: tuple(draw(aliases)) for name in ("red", "blue")}
    behaviours = st.lists(st.sampled_from(["tell", "tell", "tell", "refuse", "fail"]), min_size=1, max_size=7)
    inputs = st.lists(st.sampled_from([None, None, "red", "blue"]), min_size=4, max_size=4)
    return World(labels, tuple(draw(behaviours))), steps_of(draw), tuple(draw(inputs))


def secret_of(n: int) -> str:
    return f"zq{n}zq"


def written(folder: Path, labels: tuple[str | None, ...]) -> tuple[InputSpec, ...]:
    """Write inputs, each with a secret of its own."""
    for n in range(len(labels)):
        (folder / f"i{n}.md").write_text(f"{secret_of(n)}\n\nNobody must know {secret_of(n)}.\n", encoding="utf-8")
    return tuple(InputSpec(path=f"i{n}.md", label=label) for n, label in enumerate(labels))


def secrets_of(labels: tuple[str | None, ...]) -> dict[str, str]:
    return {secret_of(n): label for n, label in enumerate(labels) if label is not None}


async def carry_out(world: World, steps: tuple[Step, ...], labels: tuple[str | None, ...], folder: Path) -> Result:
    task = Task(
        goal="Tell all.",
        inputs=written(folder, labels),
        models=world.models,
        labels=world.labels,
        plan=Plan(steps=steps),
        limits=Limits(rounds=5, steps=60, workers=4),
        folder=folder,
    )
    return await run_with(world.endpoint, task, cache=False)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds())
def test_no_labelled_byte_reaches_a_model_that_may_not_see_it(
    drawn: tuple[World, tuple[Step, ...], tuple[str | None, ...]],
) -> None:
    world, steps, labels = drawn
    with TemporaryDirectory() as folder:
        try:
            anyio.run(carry_out, world, steps, labels, Path(folder))
        except PlanError:
            assert not world.calls, "a plan that cannot be placed costs nothing"
    assert world.leaks(secrets_of(labels)) == []


def test_what_a_step_reads_goes_on_by_every_road(tmp_path: Path) -> None:
    """Outputs, items, what a failed step would have read, why it failed, a later plan's words."""
    world = World({"red": ("a",)})
    steps = (
        Step(id="read", prompt="Read.", inputs=("i0.md",), output={"type": "array", "items": {"type": "string"}}),
        Step(id="study", each="read", prompt="Study {item}.", needs=("read",)),
        Step(id="open", prompt="Read the rest.", inputs=("i1.md",)),
        Step(id="next", agent="planner", prompt="More?", needs=("study",)),
    )
    result = anyio.run(carry_out, world, steps, ("red", None), tmp_path)
    assert result.status == "done"
    assert world.seen["a"] == {secret_of(0), secret_of(1)}
    assert world.seen["default"] == {secret_of(1)}, "what has no label stays with the model it asks for"
    assert world.leaks(secrets_of(("red", None))) == []
    started = [event for event in events_of(result.folder) if isinstance(event, StepStarted)]
    assert {event.step: event.model for event in started if event.step.startswith("w")}.values()
    assert all((event.model == "default") == (event.step == "open") for event in started)


@dataclass
class Cinema:
    """Three models with a store of files each, on real sockets. What each was sent is kept byte for byte."""

    told: Answer | Callable[[Received], Answer]
    """What `a` answers; the others say a word."""
    seen: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))

    def server(self, name: str) -> FakeServer:
        """Serve one model; the ids of its store tell which it is."""

        def respond(received: Received) -> Answer:
            self.seen[name].append(received.raw + received.path.encode())
            if "/files" in received.path:
                return Answer(body={"id": f"zq9{name}zq", "status": "ok"})
            told = self.told if name == "a" else Answer("seen")
            return told if isinstance(told, Answer) else told(received)

        return FakeServer(respond=respond)


STORE = Store("/files", "ms://{id}", ("video",), over=400, most=100_000)


def tells(received: Received) -> Answer:
    return Answer(f"I saw {re.findall(rb'ms://[a-z0-9]+', received.raw)}")


@pytest.mark.anyio
@pytest.mark.parametrize(
    "told", [tells, Answer("seen"), Answer(status=500), Answer(status=400), Answer("", finish="length")]
)
async def test_no_labelled_film_is_put_where_it_may_not_be(
    tmp_path: Path, told: Answer | Callable[[Received], Answer]
) -> None:
    """Neither its bytes nor the address of them; one without a label goes where its step goes."""
    films = {name: b"ftyp" + f"{secret_of(n)} ".encode() * 200 for n, name in enumerate(("red.mp4", "free.mp4"))}
    for name, content in films.items():
        (tmp_path / name).write_bytes(content)
    steps = (
        Step(id="look", prompt="Look.", inputs=("red.mp4",)),
        Step(id="pool", prompt="Look.", inputs=("red.mp4",), model="p", retries=0),
        Step(id="each", prompt="Look at {item}.", each="inputs"),
        Step(id="open", prompt="Look.", inputs=("free.mp4",), model="default"),
        Step(id="tell", prompt="Tell.", after=("look", "pool", "each", "open"), inputs=("red.mp4", "free.mp4")),
    )
    cinema = Cinema(told)
    async with AsyncExitStack() as stack:
        models: dict[str, Model] = {name: Model(use=use) for name, use in POOLS.items()}
        opened: dict[str, Endpoint] = {}
        for name in LEAVES:
            server = await stack.enter_async_context(cinema.server(name))
            model = models[name] = Model(endpoint=server.url, name="m", takes=("video",))
            wire = await stack.enter_async_context(OpenAIEndpoint(model, quirks=Quirks(store=STORE)))
            labels = reach({"red": ("a",)}, {})
            route = replace(route_of(name, model), quirks=Quirks(store=STORE))
            opened[name] = LabelGuard(wire, route, labels=labels)
        router = Router(opened | {name: Pool([opened[each] for each in use]) for name, use in POOLS.items()})
        task = Task(
            goal="Tell all.",
            inputs=(InputSpec(path="red.mp4", label="red"), "free.mp4"),
            models=models,
            labels={"red": ("a",)},
            plan=Plan(steps=steps),
            folder=tmp_path,
        )
        await run_with(router, task, cache=False)
    sent = {name: b"".join(bodies) for name, bodies in cinema.seen.items()}
    red, base = secret_of(0).encode(), b64encode(films["red.mp4"])[:300]
    assert films["red.mp4"] in sent["a"], "the store of the one that may have it has it"
    assert b"ms://zq9azq" in sent["a"]
    assert films["free.mp4"] in sent["default"]
    for name in ("default", "b"):
        assert red not in sent.get(name, b"")
        assert base not in sent.get(name, b"")
        assert b"zq9azq" not in sent.get(name, b""), "nor the address"
