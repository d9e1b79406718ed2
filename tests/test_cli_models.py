"""`swarm models`: the abilities of endpoints, from their lists, from earlier runs, and from small test calls."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from swarm.cli.getting import DownloadMeter
from swarm.endpoints.choose import Size, choose, size_of
from swarm.endpoints.probe import Ability, look
from swarm.endpoints.route import route_of
from swarm.spec.task import Model
from swarm.testing import Answer, FakeServer
from swarm.testing.fake import Received, error
from tests.commands import Command, in_process
from tests.hub import REPO, FakeHub, fake_hub

pytestmark = pytest.mark.anyio

PROPS: dict[str, Any] = {"total_slots": 6, "default_generation_settings": {"n_ctx": 8192}}
MODEL = b"GGUF" + bytes(3_000_000)
TOKEN = "hf_canaryCANARYcanary0123456789"
LLAMA = Answer(body={"object": "list", "data": [{"id": "m", "owned_by": "llamacpp", "meta": {"n_ctx": 8192}}]})


def answer(received: Received) -> str | Answer:
    return Answer(body=PROPS) if received.path == "/props" else "{}"


@pytest.fixture
def swarm(capsys: pytest.CaptureFixture[str]) -> Command:
    return in_process(capsys)


async def seen(server: FakeServer, **settings: Any) -> Ability:
    model = Model.model_validate({"endpoint": server.url, "name": "m", **settings})
    return await look(route_of("default", model), probe=settings.pop("probe", False))


async def test_a_look_is_free() -> None:
    async with FakeServer(model="m") as server:
        found = await seen(server)
        assert server.requests == []
    assert (found.reachable, found.models, found.form) == (True, ("m",), "json_schema")
    assert (found.tools, found.calls, found.problem) == (None, 0, "")
    assert found.endpoint == server.url[7:-3]


@pytest.mark.parametrize(
    ("entry", "context"),
    [({"max_model_len": 32768}, 32768), ({"context_length": 4096}, 4096), ({"meta": {"n_ctx": 512}}, 512), ({}, None)],
)
async def test_a_context_is_read_where_servers_write_it(entry: dict[str, Any], context: int | None) -> None:
    async with FakeServer(models=Answer(body={"data": [{"id": "m", **entry}]})) as server:
        assert (await seen(server)).context == context
        assert (await seen(server, context=1000)).context == 1000


async def test_llama_cpp_says_how_wide_it_is() -> None:
    async with FakeServer(respond=answer, models=LLAMA) as server:
        assert await size_of(server.url) == Size(6, 8192)
        found = await seen(server)
        assert (found.slots, found.context) == (6, 8192)


async def test_a_run_takes_its_width_and_context_from_llama_cpp() -> None:
    async with FakeServer(respond=answer, models=LLAMA) as server:
        models = {
            "default": Model(endpoint=server.url, name="m"),
            "given": Model(endpoint=server.url, name="m", calls=2, context=512),
        }
        chosen = (await choose(models, environ={})).models
    assert (chosen["default"].calls, chosen["default"].context) == (6, 8192)
    assert (chosen["given"].calls, chosen["given"].context) == (2, 512)


@pytest.mark.parametrize(
    "props",
    [{}, [], {"total_slots": "6"}, {**PROPS, "total_slots": 0}, {**PROPS, "default_generation_settings": None}],
)
async def test_props_of_another_shape_say_nothing(props: Any) -> None:
    async with FakeServer(respond=lambda _: Answer(body=props), models=LLAMA) as server:
        assert await size_of(server.url) is None


async def test_other_servers_are_not_asked_for_props() -> None:
    async with FakeServer(respond=answer) as server:
        assert await size_of(server.url) is None
        assert server.requests == []


async def test_a_model_that_is_not_listed_is_a_problem() -> None:
    async with FakeServer(model="other") as server:
        found = await seen(server)
    assert (found.reachable, found.problem) == (True, "it lists no model m")


async def test_a_key_that_is_refused_is_said_and_not_shown() -> None:
    refused = Answer(status=401, body=error("Incorrect API key provided: sk-canary-1"))
    async with FakeServer(models=refused) as server:
        found = await seen(server, key="sk-canary-1")
    assert found.reachable is False
    assert "the key was not accepted" in found.problem
    assert "sk-canary-1" not in repr(found)


async def test_a_probe_asks_twice_and_shows_what_works() -> None:
    def respond(received: Received) -> str | Answer:
        if "response_format" in received.body:
            return Answer(status=400, body=error("response_format is not supported"))
        return Answer(text="", calls=(("answer", {"ok": True}),))

    async with FakeServer(respond=respond, model="m") as server:
        found = await look(route_of("default", Model(endpoint=server.url, name="m", max_tokens=4000)), probe=True)
        caps = {received.body["max_tokens"] for received in server.requests}
        assert found.calls == len(server.requests) == 3, "one refusal, one form, one tool"
    assert (found.form, found.tools, found.problem) == ("tool", True, "")
    assert caps == {64}


async def test_tools_that_are_refused_are_none() -> None:
    def respond(received: Received) -> str | Answer:
        return Answer(status=400, body=error("no tools here")) if "tools" in received.body else '{"ok": true}'

    async with FakeServer(respond=respond, model="m") as server:
        found = await look(route_of("default", Model(endpoint=server.url, name="m")), probe=True)
    assert (found.form, found.tools, found.problem) == ("json_schema", False, "")


def test_nothing_there_is_no_failure_of_the_command(swarm: Command, tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_text("goal: x\nmodels: {default: {endpoint: 'http://127.0.0.1:9/v1', name: m}}\n")
    done = swarm("models", str(tmp_path / "task.yaml"), "--json")
    assert done.code == 0, done.err
    row = json.loads(done.out)["models"][0]
    assert (row["reachable"], row["price"]["source"]) == (False, "free")
    assert "no connection" in row["problem"]


def test_the_command_shows_every_model_and_pool(swarm: Command, tmp_path: Path) -> None:
    text = "goal: x\nmodels:\n  a: {endpoint: offline}\n  b: {use: [a]}\n"
    (tmp_path / "task.yaml").write_text(text)
    done = swarm("models", str(tmp_path / "task.yaml"), "--probe")
    assert done.code == 0, done.err
    assert "--probe makes 0 calls, each with maximum 64 output tokens" in done.err
    assert "b            pool of a" in done.out
    assert done.out.count("at offline: reachable") == 2, "a, and default, which is the same"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("get", "a", "b"), "(b)"),
        (("get", "gpt-7"), "choose from smollm2"),
        (("a", "b"), "(b)"),
    ],
)
def test_what_is_wrong_is_said(swarm: Command, words: tuple[str, ...], says: str) -> None:
    done = swarm("models", *words)
    assert done.code == 2
    assert says in done.err


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the folder of downloaded models; another folder is the current one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache" / "local-agent-swarm" / "models"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with fake_hub() as served:
        served.repos[REPO] = {"Tiny-Q4_K_M.gguf": MODEL, "Tiny-Q8_0.gguf": MODEL * 2}
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield served


def test_get_fetches_a_model_and_says_how_far_it_is(swarm: Command, hub: FakeHub, kept: Path) -> None:
    done = swarm("models", "get", REPO)
    path = kept / REPO / "Tiny-Q4_K_M.gguf"
    assert (done.code, done.out) == (0, f"{path}\n")
    assert path.read_bytes() == MODEL
    lines = done.err.splitlines()
    assert lines[0] == f"downloading {REPO}:Q4_K_M from {hub.url} (3 MB)"
    percents = [int(line.split(" ")[0].split(".")[0]) for line in lines if " % (" in line]
    assert percents == sorted(percents)
    assert 5 <= len(percents) <= 11
    assert percents[-1] == 100
    assert lines[-2:] == [
        "Tiny-Q4_K_M.gguf: checksum verified",
        f'next: swarm run --goal "…" --endpoint local:{REPO}:Q4_K_M',
    ]
    assert TOKEN not in done.out + done.err
    assert not [each for each in kept.rglob("*") if each.is_file() and TOKEN.encode() in each.read_bytes()]


def test_get_for_programs_and_elsewhere(swarm: Command, hub: FakeHub, tmp_path: Path) -> None:
    done = swarm("models", "get", f"{REPO}:Q8_0", "--to", str(tmp_path), "--json")
    path = tmp_path / REPO / "Tiny-Q8_0.gguf"
    assert done.json == {"name": f"{REPO}:Q8_0", "path": str(path), "size": 2 * len(MODEL)}
    assert swarm("models", "get", f"{REPO}:Q8_0", "--to", str(tmp_path)).err.splitlines() == [
        f"{path} is already downloaded",
        f'next: swarm run --goal "…" --endpoint local:{path}',
    ]


def test_what_get_cannot_decide_is_listed(swarm: Command, hub: FakeHub) -> None:
    hub.repos[REPO] = {"a-Q2_K.gguf": MODEL, "a-Q8_0.gguf": MODEL}
    done = swarm("models", "get", REPO)
    assert done.code == 2
    assert done.errors[1:] == [f"{REPO}:Q2_K (3 MB)", f"{REPO}:Q8_0 (3 MB)"]
    missing = swarm("models", "get", "someone/else")
    assert missing.code == 1
    assert "HF_TOKEN was rejected, or the repository someone/else does not exist" in missing.err
    assert TOKEN not in missing.err


def test_get_without_a_name_lists_what_there_is(swarm: Command, hub: FakeHub, kept: Path) -> None:
    assert "No models downloaded yet" in swarm("models", "get").out
    hub.cut = [1_000_000, 0]
    assert swarm("models", "get", f"{REPO}:Q8_0").code == 1
    swarm("models", "get", REPO)
    done = swarm("models", "get")
    assert done.code == 0
    place = kept / REPO
    assert "  smollm2  98 MB  135 million parameters" in done.out
    assert f"  {REPO}:Q4_K_M  3 MB  {place / 'Tiny-Q4_K_M.gguf'}\n  (incomplete)  1 MB  {place}/." in done.out
    found = swarm("models", "get", "--json").json
    assert [each["name"] for each in found["fetched"]] == [f"{REPO}:Q4_K_M"]
    assert [each["size"] for each in found["unfinished"]] == [1_000_000]
    assert found["known"][0]["name"] == "smollm2"


def test_a_run_names_the_command_for_a_model_that_is_not_there(swarm: Command, kept: Path) -> None:
    done = swarm("run", "--goal", "x", "--endpoint", f"local:{REPO}:Q4_K_M")
    assert done.code == 2
    assert f"hint: run `swarm models get {REPO}:Q4_K_M`" in done.err
    assert not kept.exists()


def test_a_terminal_has_one_line_that_changes(capsys: pytest.CaptureFixture[str]) -> None:
    meter = DownloadMeter(terminal=True)
    for there in range(0, 10_001, 5):
        meter(there * 1000, 10_000_000)
    meter.say("done")
    shown = capsys.readouterr().err
    assert shown.count("\r") == 1000
    assert shown.endswith("\r100.0 % (10.0 of 10.0 MB)\x1b[K\ndone\n")
