"""A model as it is served: resolved once, with the models behind it, and without showing a key."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from pydantic_core import to_json

import swarm
from swarm.base.errors import EndpointRefused, TaskError
from swarm.endpoints.guard import LabelGuard
from swarm.endpoints.preflight import Spot
from swarm.endpoints.route import identities_of, outside_pools, route_of, routes_of, single
from swarm.lifecycle.options import Options
from swarm.lifecycle.prepare import prepare
from swarm.spec.chat import Media, Message, Request
from swarm.spec.plan import Plan, Step
from swarm.spec.tariff import FREE
from swarm.spec.task import Model, Task
from swarm.testing import FakeServer, Function, Scripted

KEY = "key-that-nobody-may-see"
MODELS = {
    "default": Model(endpoint="kimi", key=SecretStr(KEY)),
    "spare": Model(use=("inner", "default")),
    "inner": Model(use=("off", "default", "off")),
    "off": Model(endpoint="offline"),
}


def test_an_alias_is_resolved_to_an_address_a_name_and_what_is_known_of_them() -> None:
    route = routes_of(MODELS)["default"]
    assert (route.address, route.model_name, route.keys) == ("https://api.moonshot.ai/v1", "kimi-k2.5", (KEY,))
    assert (route.takes, route.stores, route.quirks.cap) == (
        ("image", "video"),
        ("image", "video"),
        "max_completion_tokens",
    )
    assert route_of("a", Model(endpoint="http://127.0.0.1:1/v1", name="m")).keys == ("",), "one call without a key"


def test_a_pool_has_the_models_behind_it_in_order_and_each_once() -> None:
    routes = routes_of(MODELS)
    assert {alias: route.members for alias, route in routes.items()} == {
        "default": ("default",),
        "spare": ("off", "default"),
        "inner": ("off", "default"),
        "off": ("off",),
    }
    assert list(single(routes)) == ["default", "off"]
    assert outside_pools(routes) == ("spare",)


def test_the_settings_in_the_key_of_an_attempt_name_no_address_and_no_price() -> None:
    models = {
        "default": Model(endpoint="kimi", key=SecretStr(KEY), max_tokens=9, params={"temperature": 0}),
        "pool": Model(use=("default", "off")),
        "off": Model(endpoint="offline"),
    }
    routes = routes_of(models)
    kimi: dict[str, Any] = {"name": "kimi-k2.5", "max_tokens": 9, "params": {"temperature": 0}, "extra": {}}
    offline: dict[str, Any] = {"name": f"offline-{swarm.__version__}", "max_tokens": 4096, "params": {}, "extra": {}}
    assert routes["default"].answer_settings == kimi
    assert routes["pool"].answer_settings == {"use": [kimi, offline]}


@pytest.mark.parametrize("endpoint", ["kimi", f"https://someone:{KEY}@models.example/v1"])
def test_a_key_is_in_no_repr_and_in_no_json(endpoint: str) -> None:
    route = replace(route_of("default", Model(endpoint=endpoint, name="m", key=SecretStr(KEY))), tariff=FREE)
    assert route.keys == (KEY,)
    assert KEY not in repr(route)
    assert KEY not in repr(Spot(route.address.replace(KEY, "x"), KEY, "m"))
    if endpoint == "kimi":
        assert KEY not in to_json(route).decode()


@pytest.mark.anyio
async def test_a_key_is_in_no_event(tmp_path: Path) -> None:
    async with FakeServer("Done.", "Done.") as server:
        models = {"default": Model(endpoint=server.url, name="m", key=SecretStr(KEY))}
        plan = Plan(steps=(Step(id="a", prompt="Do."),))
        result = await swarm.run(Task(goal="Do.", plan=plan, models=models, folder=tmp_path, swarm="never"))
        assert any(KEY in received.headers["authorization"] for received in server.requests), "it was used"
    files = [path for path in result.folder.rglob("*") if path.is_file()]
    assert (result.folder / "journal.jsonl") in files
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


@pytest.mark.anyio
async def test_a_provider_by_name_accepts_files_that_it_stores() -> None:
    """The guard knows the store of a provider that the task calls by its name."""
    video = Media(medium="video", mime="video/mp4", base64="A" * 30_000_000, name="tour.mp4")
    request = Request(model="default", messages=(Message(role="user", parts=(video,)),))
    assert (await LabelGuard(Scripted("seen"), routes_of(MODELS)["default"]).complete(request)).text == "seen"
    stranger = route_of("default", Model(endpoint="https://models.example/v1", name="m", takes=("video",)))
    with pytest.raises(EndpointRefused, match="characters of media in one request"):
        await LabelGuard(Scripted("seen"), stranger).complete(request)


FILE = """\
goal: Do.
models:
  default:
    endpoint: opnai
    name: m
  third: kimi
"""


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("endpoint", "places"),
    [
        (None, ["t.yaml:4:15: models.default.endpoint", "t.yaml:6:10: models.third"]),
        ("opnai", ["models.default.endpoint: invalid", "t.yaml:6:10: models.third"]),
    ],
)
async def test_an_error_in_a_model_names_its_line_unless_it_is_from_an_option(
    endpoint: str | None, places: list[str]
) -> None:
    with pytest.raises(TaskError) as caught:
        await prepare("t.yaml", Options(text=FILE, endpoint=endpoint, model="m", environ={}))
    assert [str(problem)[: len(place)] for problem, place in zip(caught.value.problems, places, strict=True)] == places
    assert "`openai`" in str(caught.value.problems[0])


def identity(endpoint: str, **more: Any) -> str:
    return route_of("default", Model(endpoint=endpoint, name="m", **more)).identity


def test_an_endpoint_is_told_from_others_by_scheme_host_port_and_path_and_by_no_credential() -> None:
    one = identity("http://h.example.com:8000/v1")
    assert one == "http://h.example.com:8000/v1"
    assert identity("http://user:secret@H.example.com:8000/v1/") == one
    others = ("https://h.example.com:8000/v1", "http://h.example.com:8001/v1", "http://h.example.com:8000/v2")
    assert one not in {identity(other) for other in (*others, "http://i.example.com:8000/v1")}
    assert identity("offline") == "offline"
    assert identity("kimi") == "https://api.moonshot.ai/v1"


def test_a_model_file_is_told_from_others_by_its_name_size_and_time(tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    assert identity(f"local:{file}") == "local:m.gguf"
    file.write_bytes(b"weights")
    before = identity(f"local:{file}")
    moved = tmp_path / "elsewhere" / "m.gguf"
    moved.parent.mkdir()
    file.rename(moved)
    assert identity(f"local:{moved}") == before
    moved.write_bytes(b"other weights")
    assert identity(f"local:{moved}") != before


def test_every_model_of_an_object_has_the_identity_that_the_object_gives_or_none() -> None:
    routes = routes_of({"a": Model(endpoint="http://h/v1", name="m"), "b": Model(use=("a",))})
    assert identities_of(routes) == {"a": "http://h/v1"}
    assert identities_of(routes, Function(lambda _: "", identity="x")) == {"a": "swarm.testing.doubles.Function x"}
    for without in (Function(lambda _: ""), Function(lambda _: "", identity=""), object()):
        assert identities_of(routes, without) == {"a": None}
