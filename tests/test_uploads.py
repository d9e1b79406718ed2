"""Large media in a provider's store: uploaded once, referenced by every request, deleted after the run."""

import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from email import message_from_bytes
from email.message import Message as Form
from pathlib import Path
from typing import Any

import anyio
import pytest

from swarm.base.errors import EndpointBusy, EndpointError, EndpointRefused, PlanError, TaskError
from swarm.base.values import canonical
from swarm.endpoints.guard import LabelGuard
from swarm.endpoints.route import route_of
from swarm.endpoints.wire.dialect import Dialect
from swarm.endpoints.wire.openai import OpenAIEndpoint
from swarm.endpoints.wire.uploads import Shelf, file_of
from swarm.lifecycle.prepare import Options, prepare
from swarm.spec.chat import Media, Medium, Message, Reply, Request, Text
from swarm.spec.labels import INLINE_BYTES
from swarm.spec.plan import Plan, Step
from swarm.spec.providers import PROVIDERS, Quirks, Store, provider_named, quirks_of, stored_by
from swarm.spec.task import Model, Task
from swarm.testing import Answer, FakeServer, Received, Scripted
from swarm.testing.fake import error
from tests.models import run_with

STORE = Store("/files", "ms://{id}", ("image", "video"), over=400, most=3000)
FILM = b"\0\0\0\x20ftypisom " + bytes(range(256)) * 4
KEY = "sk-of-the-user"


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


class Kimi:
    """A chat endpoint with a store of files."""

    def __init__(self, *first: Answer) -> None:
        self.files: dict[str, Form] = {}
        """What is in the store, by id."""
        self.puts = 0
        self.before: Callable[[], Any] = lambda: None
        """Is called, and awaited, before a file is taken."""
        self.deletes: Answer | None = None
        """What it says to every wish to delete, in place of doing so."""
        self._first = list(first)
        self.server = FakeServer(respond=self._answer)

    async def _answer(self, received: Received) -> Answer:
        if "/files" not in received.path:
            return Answer("seen")
        if received.method == "DELETE":
            if self.deletes is not None:
                return self.deletes
            name = received.path.rpartition("/")[2]
            self.files.pop(name, None)
            return Answer(body={"id": name, "object": "file", "deleted": True})
        self.puts += 1
        if (waiting := self.before()) is not None:
            await waiting
        if self._first:
            return self._first.pop(0)
        name = f"file-{self.puts}"
        head = f"Content-Type: {received.headers['content-type']}\r\n\r\n".encode()
        self.files[name] = message_from_bytes(head + received.raw)
        return Answer(body={"id": name, "object": "file", "status": "ok"})

    @property
    def chats(self) -> list[Received]:
        """Requests of chat completions."""
        return [received for received in self.server.requests if "/files" not in received.path]

    def open(self, shelf: Shelf | None = None, **settings: Any) -> OpenAIEndpoint:
        """Open the endpoint with the quirks of a provider."""
        model = Model.model_validate({"endpoint": self.server.url, "name": "m", **settings})
        return OpenAIEndpoint(model, key=KEY, quirks=Quirks(store=STORE), shelf=shelf)


def media(content: bytes = FILM, medium: Medium = "video", mime: str = "video/mp4") -> Media:
    return Media.model_validate(
        {"medium": medium, "name": "the user's own name.mp4", "mime": mime, "base64": b64encode(content).decode()}
    )


def asking(*parts: Media) -> Request:
    return Request(model="default", messages=(Message(role="user", parts=(Text(text="What is it?"), *parts)),))


def urls(received: Received) -> list[str]:
    content = received.body["messages"][0]["content"]
    return [part[part["type"]]["url"] for part in content if part["type"] != "text"]


@pytest.mark.anyio
async def test_a_film_is_put_there_once_and_deleted_at_the_end() -> None:
    kimi = Kimi()
    small = media(b"\x89PNG small", "image", "image/png")
    async with kimi.server:
        async with kimi.open() as endpoint:
            for _ in range(3):
                assert (await endpoint.complete(asking(media(), small))).text == "seen"
            ((name, form),) = kimi.files.items()
            purpose, file = form.get_payload()  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
            assert isinstance(purpose, Form)
            assert isinstance(file, Form)
            assert (purpose.get_param("name", header="content-disposition"), purpose.get_payload()) == (
                "purpose",
                "video",
            )
            assert (file.get_content_type(), file.get_payload(decode=True)) == ("video/mp4", FILM)
            assert str(file.get_filename()).endswith(".mp4")
            assert "user" not in str(file.get_filename()), "no name of the user's leaves with it"
        assert kimi.files == {}, "nothing is left behind"
    inline = f"data:image/png;base64,{small.base64}"
    assert [urls(received) for received in kimi.chats] == [[f"ms://{name}", inline]] * 3
    assert kimi.puts == 1
    assert [received.method for received in kimi.server.requests] == ["POST"] * 4 + ["DELETE"]
    assert {received.headers["authorization"] for received in kimi.server.requests} == {f"Bearer {KEY}"}
    assert media().base64.encode() not in b"".join(received.raw for received in kimi.chats)


@pytest.mark.anyio
async def test_calls_at_once_and_models_with_one_key_share_it() -> None:
    kimi, shelf = Kimi(), Shelf()
    async with kimi.server:
        async with kimi.open(shelf) as one, kimi.open(shelf) as two, anyio.create_task_group() as tasks:
            for endpoint in (one, two, one, two, one):
                tasks.start_soon(endpoint.complete, asking(media()))
        assert (kimi.puts, len(kimi.chats), kimi.files) == (1, 5, {})
        async with kimi.open() as other:
            await other.complete(asking(media()))
        assert kimi.puts == 2, "another account has a store of its own"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "kind", "busy"),
    [
        (Answer(status=429, headers={"retry-after": "7"}), "rate_limited", True),
        (Answer(status=500), "server_error", True),
        (Answer(status=401, body=error("Invalid Authentication")), "auth", False),
        (Answer(status=413), "too_large", False),
        (Answer(status=400, body=error("file size is too large")), "bad_request", False),
        (Answer(body=b"<html>"), "malformed", True),
        (Answer(body={"object": "file"}), "malformed", True),
        (Answer(body={"id": "../models", "status": "ok"}), "malformed", True),
        (Answer(body={"id": "..", "status": "ok"}), "malformed", True),
        (Answer(body={"id": "f1", "status": "error", "status_details": "no film"}), "malformed", True),
        (Answer(pieces=(b"",), then="close"), "disconnected", True),
        (Answer(pieces=(b"",), then="hang"), "timeout", True),
    ],
)
async def test_what_goes_wrong_is_a_fault_as_any_other(answer: Answer, kind: str, busy: bool) -> None:
    kimi = Kimi(answer)
    shelf, patience = Shelf(), 2 if kind == "timeout" else 60
    async with kimi.server, kimi.open(shelf, deadline=patience) as first, kimi.open(shelf, deadline=60) as endpoint:
        with pytest.raises(EndpointError) as caught:
            await first.complete(asking(media()))
        assert caught.value.kind == kind
        assert isinstance(caught.value, EndpointBusy if busy else EndpointRefused)
        assert getattr(caught.value, "retry_after", None) == (7.0 if kind == "rate_limited" else None)
        assert kimi.chats == [], "no call is made without its film"
        assert (await endpoint.complete(asking(media()))).text == "seen"
        assert (kimi.puts, urls(kimi.chats[0])) == (2, ["ms://file-2"])
    deleted = [received.path for received in kimi.server.requests if received.method == "DELETE"]
    spoilt = ["/v1/files/f1"] if answer.body and b'"f1"' in canonical(answer.body) else []
    assert sorted(deleted) == [*spoilt, "/v1/files/file-2"], "also a file that was taken and cannot be used"


@pytest.mark.anyio
async def test_a_call_that_was_cut_off_keeps_nobody_from_trying() -> None:
    kimi, there = Kimi(), anyio.Event()

    async def never() -> None:
        there.set()
        await anyio.sleep_forever()

    kimi.before = never
    replies: list[Reply] = []
    async with kimi.server, kimi.open() as endpoint:

        async def second() -> None:
            replies.append(await endpoint.complete(asking(media())))

        async with anyio.create_task_group() as tasks:
            async with anyio.create_task_group() as cut_off:
                cut_off.start_soon(endpoint.complete, asking(media()))
                await there.wait()
                cut_off.cancel_scope.cancel()
            kimi.before = lambda: None
            tasks.start_soon(second)
        assert (kimi.puts, replies[0].text) == (2, "seen")


@pytest.mark.anyio
async def test_a_run_that_is_cut_off_leaves_nothing_behind() -> None:
    kimi = Kimi()
    async with kimi.server:
        with anyio.CancelScope() as scope:
            async with kimi.open() as endpoint:
                await endpoint.complete(asking(media()))
                assert len(kimi.files) == 1
                scope.cancel()
                await anyio.sleep_forever()
        assert kimi.files == {}


@pytest.mark.anyio
@pytest.mark.parametrize("answer", [Answer(status=500), Answer(status=404), Answer(pieces=(b"",), then="hang")])
async def test_a_store_that_does_not_delete_holds_up_nobody(answer: Answer) -> None:
    kimi = Kimi()
    kimi.deletes = answer
    async with kimi.server:
        async with kimi.open(deadline=2 if answer.then == "hang" else 60) as endpoint:
            await endpoint.complete(asking(media()))
        assert kimi.server.requests[-1].method == "DELETE"


# Who has one, and what goes there


def test_only_the_provider_s_own_hosts_have_a_store() -> None:
    assert [provider.name for provider in PROVIDERS if provider.quirks.store is not None] == ["kimi"]
    kimi = provider_named("kimi")
    assert kimi is not None
    store = kimi.quirks.store
    assert store is not None
    assert (store.path, store.address, store.takes, store.most) == ("/files", "ms://{id}", ("image", "video"), 10**8)
    assert quirks_of("https://api.moonshot.cn/v1").store == store
    for stranger in (
        "http://127.0.0.1:8000/v1",
        "https://api.moonshot.ai.evil.example/v1",
        "https://openrouter.ai/api/v1",
    ):
        assert quirks_of(stranger).store is None
    assert stored_by(Model(endpoint="kimi", name="kimi-k2.5")) == ("image", "video")
    assert stored_by(Model(endpoint="kimi", name="moonshot-v1-8k-vision-preview")) == ("image",)
    assert stored_by(Model(endpoint="kimi", name="kimi-k2-0905-preview")) == ()
    assert stored_by(Model(endpoint="openai", name="gpt-4o")) == ()


@pytest.mark.anyio
async def test_what_is_stored_does_not_count_as_a_part_of_the_request() -> None:
    inner = Scripted("seen", "seen")
    route = route_of("default", Model(endpoint="offline", takes=("video",)))
    large = media(bytes(30_000_000))
    with pytest.raises(EndpointRefused, match="characters of media in one request"):
        await LabelGuard(inner, route).complete(asking(large))
    guard = LabelGuard(inner, replace(route, quirks=quirks_of("https://api.moonshot.ai/v1")))
    assert (await guard.complete(asking(large))).text == "seen"
    with pytest.raises(EndpointRefused, match="the maximum of its endpoint is 3,000") as caught:
        await LabelGuard(inner, replace(route, quirks=Quirks(store=STORE))).complete(asking(media(bytes(3010))))
    assert caught.value.kind == "too_large"


def film(folder: Path, size: int = INLINE_BYTES + 1, **more: Any) -> Task:
    with (folder / "tour.mp4").open("wb") as file:
        file.truncate(size)  # sparse
    return Task(goal="What is it?", inputs=("tour.mp4",), folder=folder, **more)


LOOK = Plan(steps=(Step(id="look", prompt="Look."),))


@pytest.mark.anyio
async def test_a_film_too_large_for_a_request_goes_to_a_model_with_a_store(tmp_path: Path) -> None:
    models = {
        "default": Model(endpoint="offline", takes=("video",)),
        "kimi": Model(endpoint="kimi", name="kimi-k2.5", key=KEY),  # pyright: ignore[reportArgumentType]
    }
    for size, model in ((INLINE_BYTES, "default"), (INLINE_BYTES + 1, "kimi")):
        double = Scripted("A tour.")
        result = await run_with(double, film(tmp_path, size, models=models, plan=LOOK), cache=False)
        assert (result.status, [request.model for request in double.requests]) == ("done", [model])


@pytest.mark.anyio
async def test_a_film_that_nobody_stores_is_found_before_anything_is_spent(tmp_path: Path) -> None:
    models = {"default": Model(endpoint="http://127.0.0.1:9/v1", name="m", takes=("video",))}
    words = (
        r"no model accepts large video: only a provider that stores files \(kimi\) accepts more than 20,000,000 bytes"
    )
    with pytest.raises(PlanError, match=words):
        await prepare(film(tmp_path, models=models, plan=LOOK), Options(environ={}))
    with pytest.raises(TaskError, match=words):
        await prepare(film(tmp_path, models=models), Options(environ={}))


@pytest.mark.parametrize(
    ("name", "mime", "ending"),
    [
        ("holidays/tour.MOV", "video/quicktime", "mov"),
        ("tour", "video/mp4", "mp4"),
        ("my.secret plan", "video/x-matroska", "bin"),
        ("a.tar/b", "image/png", "png"),
    ],
)
def test_of_the_user_s_name_only_the_ending_leaves(name: str, mime: str, ending: str) -> None:
    file = file_of(media(mime=mime).model_copy(update={"name": name}))
    stem, _, told = file.name.rpartition(".")
    assert (told, len(stem), file.mime) == (ending, 16, mime)
    assert int(stem, 16) >= 0, "a hash"


def test_the_address_is_all_that_stands_in_the_request() -> None:
    part = media()
    dialect = Dialect(Model(endpoint="kimi", name="kimi-k2.5"), name="kimi-k2.5", quirks=quirks_of("kimi"))
    body = json.loads(dialect.write(asking(part), {part.base64: "ms://f1"}).body)
    assert body["messages"][0]["content"][1] == {"type": "video_url", "video_url": {"url": "ms://f1"}}
