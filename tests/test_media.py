"""Pictures, sounds and films: who takes them, how each provider wants them written, and what goes to nobody."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

import swarm
from swarm.base.errors import EndpointRefused, PlanError, TaskError
from swarm.endpoints.guard import MOST_MEDIA, LabelGuard
from swarm.endpoints.route import route_of
from swarm.endpoints.wire.dialect import Dialect
from swarm.lifecycle.prepare import Options, prepare
from swarm.spec.chat import Media, Medium, Message, Request, Text
from swarm.spec.labels import INLINE_BYTES
from swarm.spec.plan import Plan, Step
from swarm.spec.providers import must_stream, quirks_of, takes_of
from swarm.spec.task import Model, Task
from swarm.testing import FakeServer, Received, Scripted
from tests.models import run_with

DASHSCOPE = "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"


@pytest.mark.parametrize(
    ("endpoint", "name", "takes"),
    [
        ("kimi", None, "image video"),
        ("https://api.moonshot.cn/v1", "kimi-k2.6", "image video"),
        ("kimi", "kimi-k2-0905-preview", ""),
        ("kimi", "moonshot-v1-8k-vision-preview", "image"),
        ("qwen", "qwen-plus", ""),
        ("qwen", "qwen3-omni-flash", "image audio video"),
        ("qwen", "qwen3-vl-plus", "image video"),
        (DASHSCOPE, "qwen2.5-omni-7b", "image audio video"),
        ("openai", None, "image"),
        ("openai", "gpt-4o-audio-preview", "audio"),
        ("openai", "o3", "image"),
        ("openai", "gpt-3.5-turbo", ""),
        ("gemini", None, "image audio"),
        ("claude", "claude-sonnet-4-5", "image"),
        ("deepseek", None, ""),
        ("ollama", "llava", ""),
        ("http://127.0.0.1:8000/v1", "kimi-k2.5", ""),
        ("https://elsewhere.example/v1", "gpt-4o", ""),
        ("offline", None, ""),
    ],
)
def test_what_a_model_takes_is_known_of_its_provider_and_nobody_else(
    endpoint: str, name: str | None, takes: str
) -> None:
    model = Model(endpoint=endpoint, name=name)
    assert " ".join(takes_of(model)) == takes
    assert takes_of(model.model_copy(update={"takes": ("audio",)})) == ("audio",), "the task knows better"


def written(endpoint: str, name: str, medium: Medium, mime: str) -> Any:
    """Give the part that a medium becomes at an endpoint."""
    media = Media.model_validate({"medium": medium, "name": "m", "mime": mime, "base64": "QUJD"})
    model = route_of("default", Model(endpoint=endpoint, name=name)).settings
    assert model.endpoint is not None
    dialect = Dialect(model, name=name, quirks=quirks_of(model.endpoint))
    message = Message(role="user", parts=(Text(text="Look:"), media, Text(text="What is it?")))
    body = json.loads(dialect.write(Request(model="default", messages=(message,))).body)
    before, part, after = body["messages"][0]["content"]
    assert (before["text"], after["text"]) == ("Look:", "What is it?")
    return part


@pytest.mark.parametrize(
    ("endpoint", "name", "medium", "mime", "part"),
    [
        ("kimi", "kimi-k2.5", "image", "image/png", {"image_url": {"url": "data:image/png;base64,QUJD"}}),
        ("kimi", "kimi-k2.5", "video", "video/mp4", {"video_url": {"url": "data:video/mp4;base64,QUJD"}}),
        ("qwen", "qwen3-omni-flash", "image", "image/jpeg", {"image_url": {"url": "data:image/jpeg;base64,QUJD"}}),
        ("qwen", "qwen3-omni-flash", "video", "video/mp4", {"video_url": {"url": "data:video/mp4;base64,QUJD"}}),
        ("qwen", "qwen-omni", "audio", "audio/mpeg", {"input_audio": {"data": "data:;base64,QUJD", "format": "mp3"}}),
        ("gemini", "gemini-2.5-flash", "audio", "audio/wav", {"input_audio": {"data": "QUJD", "format": "wav"}}),
        ("openai", "gpt-audio", "audio", "audio/x-wav", {"input_audio": {"data": "QUJD", "format": "wav"}}),
        ("ollama", "llava", "image", "image/png", {"image_url": {"url": "data:image/png;base64,QUJD"}}),
        ("http://127.0.0.1:8000/v1", "m", "audio", "audio/flac", {"input_audio": {"data": "QUJD", "format": "flac"}}),
    ],
)  # fmt: skip
def test_each_provider_is_written_to_in_its_own_way(
    endpoint: str, name: str, medium: Medium, mime: str, part: dict[str, Any]
) -> None:
    (kind,) = part
    assert written(endpoint, name, medium, mime) == {"type": kind, **part}


IMAGE = Media(medium="image", name="i", mime="image/png", base64="SU1H")
SOUND = Media(medium="audio", name="s", mime="audio/wav", base64="U09V")


def kinds(endpoint: str, name: str, *messages: Message) -> list[str]:
    """Say what each message of a request is made of: its role, then a word for each of its parts."""
    model = route_of("default", Model(endpoint=endpoint, name=name)).settings
    assert model.endpoint is not None
    dialect = Dialect(model, name=name, quirks=quirks_of(model.endpoint))
    written = json.loads(dialect.write(Request(model="default", messages=messages)).body)["messages"]
    parts = [each["content"] if isinstance(each["content"], list) else [each["content"]] for each in written]
    said = [[part if isinstance(part, str) else part.get("text", part["type"]) for part in each] for each in parts]
    return [" ".join([each["role"], *words]) for each, words in zip(written, said, strict=True)]


@pytest.mark.parametrize(
    ("parts", "messages"),
    [
        ((Text(text="A"), IMAGE, Text(text="B"), SOUND, Text(text="C")), ["A image_url B", "input_audio C"]),
        ((IMAGE, SOUND, IMAGE), ["image_url", "input_audio", "image_url"]),
        ((Text(text="A"), IMAGE, IMAGE, Text(text="B")), ["A image_url image_url B"]),
        ((Text(text="A"), SOUND), ["A input_audio"]),
        ((Text(text="A"),), ["A"]),
    ],
)
def test_where_a_message_takes_one_medium_each_kind_has_its_own(parts: tuple[Any, ...], messages: list[str]) -> None:
    said = (Message(role="system", parts=(Text(text="S"),)), Message(role="user", parts=parts))
    assert kinds("qwen", "qwen3-omni-flash", *said) == ["system S", *(f"user {each}" for each in messages)]
    together = " ".join(each for each in messages)
    assert kinds("qwen", "qwen3-vl-plus", *said) == ["system S", f"user {together}"]
    assert kinds("http://127.0.0.1:8000/v1", "qwen3-omni", *said) == ["system S", f"user {together}"]


@pytest.mark.parametrize(
    ("endpoint", "name", "streams"),
    [
        ("qwen", "qwen3-omni-flash", True),
        (DASHSCOPE, "qwen2.5-omni-7b", True),
        ("qwen", "qwen-plus", False),
        ("http://127.0.0.1:8000/v1", "qwen2.5-omni-7b", False),
    ],
)
def test_what_answers_only_when_streamed_is_streamed(endpoint: str, name: str, streams: bool) -> None:
    model = Model(endpoint=endpoint, name=name)
    assert (must_stream(model), route_of("default", model).settings.stream) == (streams, streams)


def picture(size: int = 3) -> Request:
    media = Media(medium="image", name="m", mime="image/png", base64="A" * size)
    return Request(model="default", messages=(Message(role="user", parts=(media,)),))


@pytest.mark.anyio
async def test_a_model_is_sent_no_medium_that_it_does_not_take_and_never_too_much() -> None:
    inner = Scripted("seen")
    blind = LabelGuard(inner, route_of("default", Model(endpoint="offline")))
    with pytest.raises(EndpointRefused) as caught:
        await blind.complete(picture())
    assert caught.value.kind == "media"
    eyes = LabelGuard(inner, route_of("default", Model(endpoint="offline", takes=("image",))))
    with pytest.raises(EndpointRefused) as caught:
        await eyes.complete(picture(MOST_MEDIA + 1))
    assert (caught.value.kind, inner.requests) == ("too_large", [])
    assert (await eyes.complete(picture(MOST_MEDIA))).text == "seen"
    assert 4 * -(-INLINE_BYTES // 3) <= MOST_MEDIA, "one file of the largest size can be sent"


PNG = b"\x89PNG\r\n\x1a\n and so on"
SENT = b64encode(PNG)


def shelf(folder: Path, **more: Any) -> Task:
    (folder / "shelf.png").write_bytes(PNG)
    (folder / "notes.md").write_text("Words.\n", encoding="utf-8")
    fields: dict[str, Any] = {"goal": "What is on it?", "inputs": ("notes.md", "shelf.png"), "folder": folder}
    return Task(**(fields | more))


def at(server: FakeServer, **more: Any) -> Model:
    return Model(endpoint=server.url, name="m", **more)


def saw(server: FakeServer) -> list[Received]:
    return [received for received in server.requests if SENT in received.raw]


@pytest.mark.anyio
@pytest.mark.parametrize("model", [None, "default"])
async def test_a_step_with_a_picture_goes_to_the_first_model_that_takes_it(tmp_path: Path, model: str | None) -> None:
    steps = (
        Step(id="look", prompt="Look.", inputs=("shelf.png",), model=model),
        Step(id="read", prompt="Read.", inputs=("notes.md",)),
    )
    async with FakeServer("words") as blind, FakeServer("a lamp") as eyes, FakeServer("late") as more:
        models = {
            "default": at(blind),
            "eyes": at(eyes, takes=("image",)),
            "more": at(more, takes=("image", "video")),
        }
        async with swarm.Run(
            shelf(tmp_path, models=models, plan=Plan(steps=steps)), options=Options(cache=False, preflight=False)
        ) as run:
            pass
        assert run.result.status == "done"
        assert (len(saw(blind)), len(saw(eyes)), len(more.requests)) == (0, 1, 0)
        assert blind.requests, "what has no picture stays where it was"
        content = saw(eyes)[0].body["messages"][1]["content"]
        (part,) = [part for part in content if part["type"] == "image_url"]
        assert part["image_url"]["url"] == f"data:image/png;base64,{SENT.decode()}"


@pytest.mark.anyio
async def test_of_a_pool_only_members_that_take_it_are_asked(tmp_path: Path) -> None:
    steps = (Step(id="look", prompt="Look.", inputs=("shelf.png",)),)
    async with FakeServer("words") as blind, FakeServer("a lamp") as one, FakeServer("a lamp") as two:
        models = {
            "default": Model(use=("blind", "one", "two")),
            "blind": at(blind),
            "one": at(one, takes=("image",)),
            "two": at(two, takes=("image",)),
        }
        async with swarm.Run(
            shelf(tmp_path, models=models, plan=Plan(steps=steps)), options=Options(cache=False, preflight=False)
        ) as run:
            pass
        assert run.result.status == "done"
        assert (blind.requests, len(saw(one)), two.requests) == ([], 1, [])


@pytest.mark.anyio
async def test_a_picture_for_every_instance_is_placed_one_by_one(tmp_path: Path) -> None:
    steps = (Step(id="each", prompt="Tell of {item}.", each="inputs"),)
    async with FakeServer("words [each]") as blind, FakeServer("a lamp") as eyes:
        models = {"default": at(blind), "eyes": at(eyes, takes=("image",))}
        async with swarm.Run(
            shelf(tmp_path, models=models, plan=Plan(steps=steps)), options=Options(cache=False, preflight=False)
        ) as run:
            pass
        assert run.result.status == "done"
        assert (len(saw(blind)), len(eyes.requests)) == (0, 1)


@pytest.mark.anyio
async def test_the_linter_says_why_a_picture_can_be_looked_at_by_nobody(tmp_path: Path) -> None:
    models = {"default": Model(endpoint="http://127.0.0.1:9/v1", name="m", takes=("audio",))}
    task = shelf(tmp_path, models=models, plan=Plan(steps=(Step(id="look", prompt="Look.", inputs=("shelf.png",)),)))
    with pytest.raises(
        PlanError, match=r"'look' has no model: no model accepts image; add `takes: .image.`.* Remove that"
    ):
        await prepare(task, Options(environ={}))


@pytest.mark.anyio
async def test_a_picture_that_nobody_takes_is_left_out_before_a_planner_is_asked(tmp_path: Path) -> None:
    found = await prepare(shelf(tmp_path), Options(endpoint="offline", environ={}))
    assert [(each.name, each.because.partition("\n")[0]) for each in found.files.unread] == [
        ("shelf.png", "is an image, and no model accepts image")
    ]
    assert "shelf.png" not in [each.name for each in found.resources.inputs]
    with pytest.raises(TaskError, match=r"inputs: no step can read `shelf.png`: it is an image, and no model accepts"):
        await prepare(shelf(tmp_path), Options(endpoint="offline", environ={}, strict=True))


@pytest.mark.anyio
async def test_a_labelled_picture_goes_to_a_model_that_may_see_it_and_can(tmp_path: Path) -> None:
    models = {
        "default": Model(endpoint="offline"),
        "cloud": Model(endpoint="offline", takes=("image",)),
        "here": Model(endpoint="offline", takes=("image",)),
    }
    inputs = ({"path": "shelf.png", "label": "hr"},)
    plan = Plan(steps=(Step(id="look", prompt="Look."),))
    fields: dict[str, Any] = {"models": models, "inputs": inputs, "plan": plan}
    for allowed, model in ((("default", "here"), "here"), (("cloud", "here"), "cloud")):
        double = Scripted("a lamp")
        result = await run_with(double, shelf(tmp_path, **fields, labels={"hr": allowed}), cache=False)
        assert (result.status, [request.model for request in double.requests]) == ("done", [model])
    with pytest.raises(PlanError, match=r"no model of those that may see it \(`hr` reaches default\) accepts image"):
        await prepare(shelf(tmp_path, **fields, labels={"hr": ("default",)}), Options(endpoint=Scripted()))
