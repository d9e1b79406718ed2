"""Chat completions on the wire: one model of one endpoint, one try a call.

The client library carries requests and nothing else: its retries are off, its request and response types are skipped
(they cost three times the call), its HTTP client is ours. What goes out is written by `dialect`, what comes in is read
by `answers` and `sse`, what goes wrong is judged by `faults`. Retries, waits and limits are `swarm.endpoints.traffic`.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from math import inf
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import urlsplit

import anyio
from pydantic_core import from_json

from swarm.base.redaction import Redactor
from swarm.base.values import Json
from swarm.base.version import __version__
from swarm.endpoints.wire.answers import Assembly, BadAnswer, is_prose
from swarm.endpoints.wire.audio import Sound, asked_sound
from swarm.endpoints.wire.dialect import Dialect, WireRequest
from swarm.endpoints.wire.faults import Fault, error_in, fault_of
from swarm.endpoints.wire.judge import judge
from swarm.endpoints.wire.learnt import Learnt
from swarm.endpoints.wire.repetition import Watch
from swarm.endpoints.wire.sse import EventStream, EventTooLargeError, Sent
from swarm.endpoints.wire.uploads import File, Shelf, Uploads
from swarm.spec.chat import Reply, Request
from swarm.spec.providers import Quirks, quirks_of
from swarm.spec.task import Model

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI

_T = TypeVar("_T")

IDLE_SECONDS = 60.0
"""How long a stream may say nothing once it has begun. Only content counts: keep-alive comments are no progress."""
TAIL_SECONDS = 2.0
"""How long the usage and the end of a stream are waited for after its `finish_reason`."""


class OpenAIEndpoint:
    """Completes chat requests with one model of one endpoint. Open it with `async with`."""

    def __init__(
        self,
        model: Model,
        *,
        key: str | None = None,
        clean: Callable[[str], str] = str,
        quirks: Quirks | None = None,
        shelf: Shelf | None = None,
        learnt: Learnt | None = None,
    ) -> None:
        """Take a model whose `endpoint` is a base URL and whose `name` is set; `key` overrides its own.

        `clean` takes secrets out of texts; the key itself is always taken out. `quirks` are those of the provider at
        the base URL, where they are not given: behind a gateway of one's own there may be another. `shelf` is shared by
        all endpoints at that URL with that key; `learnt` by all with that name there.
        """
        assert model.endpoint is not None
        assert model.name is not None
        self._model = model
        self._url = model.endpoint.rstrip("/")
        self._key = key if key is not None else next(iter(model.keys), None)
        self._clean = clean
        self._redactor = Redactor((self._key,) if self._key else ())
        self._name = model.name
        self._sound = asked_sound(model)
        quirks = quirks or quirks_of(self._url)
        self._dialect = Dialect(model, name=model.name, quirks=quirks, learnt=learnt)
        self._uploads = Uploads(quirks.store, self._file, shelf) if quirks.store is not None else None
        self.told: Callable[[Mapping[str, str]], None] = lambda _: None
        """Is given the headers of every answer, names in lower case."""
        self.first: Callable[[Request], None] = lambda _: None
        """Is given each request at the first token of its answer, where that is streamed."""
        self._stack = AsyncExitStack()
        self._client: AsyncOpenAI | None = None

    @property
    def label(self) -> str:
        """The endpoint for people: host and port, no credentials."""
        address = urlsplit(self._url)
        return f"{address.hostname}:{address.port}" if address.port else address.hostname or self._url

    async def __aenter__(self) -> Self:
        import httpx2
        from openai import AsyncOpenAI

        from swarm.endpoints.wire.transport import BODY_BYTES, STREAM_BYTES, open_transport

        await self._stack.__aenter__()
        agent = f"local-agent-swarm/{__version__}"
        most = BODY_BYTES if self._sound is None else STREAM_BYTES
        transport = open_transport(self._url, key=self._key, agent=agent, most=most)
        timeout = httpx2.Timeout(None)  # the deadline of a call is ours, and total
        http = httpx2.AsyncClient(transport=transport, timeout=timeout, follow_redirects=False, trust_env=False)
        client = AsyncOpenAI(base_url=self._url, api_key="-", max_retries=0, timeout=timeout, http_client=http)
        self._client = await self._stack.enter_async_context(client)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._uploads is not None and self._client is not None:
            await self._uploads.clear()
        self._client = None
        await self._stack.__aexit__(kind, error, trace)

    async def complete(self, request: Request) -> Reply:
        """Give the model's answer. `EndpointBusy` or `EndpointRefused` if there is none.

        A field that the endpoint refuses is left out from then on, and the call made again.
        """
        began = anyio.current_time()
        calls = 0
        addresses = {} if self._uploads is None else await self._uploads.addresses(request)
        if isinstance(addresses, Fault):
            raise judge(addresses, endpoint=self.label, model=self._name, clean=self._redact)
        while True:
            written = self._dialect.write(request, addresses)
            calls += 1
            result = await self._try(written, request)
            if isinstance(result, Assembly):
                break
            if result.status not in {400, 422} or not self._dialect.learn(written, result.text):
                raise judge(result, endpoint=self.label, model=self._name, clean=self._redact)
        reply = self._dialect.see(written, result.reply(request))
        return reply.model_copy(
            update={
                "usage": reply.usage.model_copy(update={"calls": calls}),
                "endpoint": self.label,
                "model": reply.model or self._name,
                "seconds": anyio.current_time() - began,
                "form": written.form,
                "dropped": self._dialect.unreported(written),
            }
        )

    def _redact(self, text: str) -> str:
        return self._redactor.clean(self._clean(text))

    async def listed(self, *, seconds: float) -> tuple[dict[str, Json], ...]:
        """Give what the endpoint says of its models, which costs nothing; `EndpointError` if it does not say."""

        async def ask() -> tuple[dict[str, Json], ...]:
            import httpx2

            assert self._client is not None, "open the endpoint with `async with`"
            response = await self._client.get("/models", cast_to=httpx2.Response)
            try:
                return tuple({**entry} for entry in from_json(await response.aread())["data"])
            except (ValueError, KeyError, TypeError):
                raise BadAnswer(Fault(status=200, kind="malformed", text="no list of models")) from None

        result = await self._tried(ask, seconds)
        if isinstance(result, Fault):
            raise judge(result, endpoint=self.label, clean=self._redact)
        return result

    async def _file(self, path: str, file: File | None) -> Json | Fault:
        """Put a file into the provider's store, or delete the one at a path."""

        async def ask() -> Json:
            import httpx2

            assert self._client is not None, "open the endpoint with `async with`"
            if file is None:
                response = await self._client.delete(path, cast_to=httpx2.Response)
            else:
                response = await self._client.post(
                    path,
                    cast_to=httpx2.Response,
                    body={"purpose": file.purpose},
                    files={"file": (file.name, file.content, file.mime)},
                    options={"headers": {"Content-Type": "multipart/form-data"}},
                )
            try:
                return from_json(await response.aread())
            except ValueError:
                raise BadAnswer(Fault(status=200, kind="malformed", text="the store gave no JSON")) from None

        return await self._tried(ask, self._model.deadline)

    async def _try(self, written: WireRequest, request: Request) -> Assembly | Fault:
        async def ask() -> Assembly:
            async with self._sent(written, request) as response:
                return await self._read(response, request)

        return await self._tried(ask, self._model.deadline)

    async def _tried(self, ask: Callable[[], Awaitable[_T]], seconds: float) -> _T | Fault:
        """Make one call. What goes wrong is returned, not raised: a fault must not drag the client's objects along."""
        import httpx2
        from openai import APIStatusError, OpenAIError

        try:
            with anyio.fail_after(seconds):
                return await ask()
        except BadAnswer as error:
            return error.fault
        except APIStatusError as error:
            return _refusal(error.response)
        except TimeoutError:
            return Fault(kind="timeout", text=f"nothing whole within {seconds:g} s")
        except (OpenAIError, httpx2.HTTPError, httpx2.InvalidURL, OSError, anyio.EndOfStream) as error:
            return fault_of(error)

    @asynccontextmanager
    async def _sent(self, written: WireRequest, request: Request) -> "AsyncGenerator[httpx2.Response]":
        import httpx2

        assert self._client is not None, "open the endpoint with `async with`"
        headers = {"traceparent": request.traceparent} if request.traceparent else {}
        response = await self._client.post(
            "/chat/completions",
            cast_to=httpx2.Response,
            content=written.body,
            options={"headers": headers},
            stream=self._model.stream,
        )
        assert isinstance(response, httpx2.Response)
        try:
            yield response
        finally:
            if not response.is_closed:
                with anyio.CancelScope(shield=True), anyio.move_on_after(1):
                    await response.aclose()

    async def _read(self, response: "httpx2.Response", request: Request) -> Assembly:
        answer = Assembly(sound=Sound(self._sound or ""), watch=Watch() if is_prose(request) else None)
        if self._model.stream and response.headers.get("content-type", "").startswith("text/event-stream"):
            async with aclosing(response.aiter_raw()) as chunks:
                await read_stream(chunks, answer, lambda: self.first(request))
        else:
            answer.whole(await response.aread())
        answer.settle()
        return answer


async def read_stream(chunks: AsyncIterator[bytes], answer: Assembly, first: Callable[[], None] = lambda: None) -> None:
    """Read a stream to its end; `first` is called at its first token.

    A `finish_reason` is what makes it whole: what follows is waited for briefly, and losing it loses nothing. A text
    that goes round in circles is not read to its end. Raises `BadAnswer` for a stream that ends before, or that says
    nothing for `IDLE_SECONDS` once it has begun.
    """
    import httpx2

    events = EventStream()
    with anyio.CancelScope() as idle:
        try:
            async for chunk in chunks:
                progress = _take(events.feed(chunk), answer)
                if answer.finish == "repeats":
                    return
                if progress:
                    if idle.deadline == inf:
                        first()
                    seconds = IDLE_SECONDS if answer.finish is None else TAIL_SECONDS
                    idle.deadline = anyio.current_time() + seconds
            _take(events.end(), answer)
        except EventTooLargeError as error:
            raise BadAnswer(Fault(status=200, kind="too_large_response", text=str(error))) from None
        except httpx2.HTTPError:
            if answer.finish is None:
                raise
    if answer.finish is not None:
        return
    if idle.cancelled_caught:
        raise BadAnswer(Fault(kind="timeout", text=f"the stream said nothing for {IDLE_SECONDS:g} s"))
    silent = not answer.words and not answer.calls and not answer.raw and not answer.sound.heard
    raise BadAnswer(Fault(status=200, kind="empty" if silent else "truncated_stream"))


def _take(events: Iterator[Sent], answer: Assembly) -> bool:
    """Add events to an answer; true if one of them was progress."""
    progress = False
    for event in events:
        if event.name == "error":
            raise BadAnswer(_error_event(event.data))
        if event.data.startswith(b"[DONE]"):
            progress = answer.finish is not None or progress
        else:
            progress = answer.add(event.data) or progress
    return progress


def _error_event(data: bytes) -> Fault:
    try:
        fault = error_in(from_json(data))
    except ValueError:
        fault = None
    return replace(fault or Fault(text=data.decode("utf-8", "replace")), status=200)


def _refusal(response: "httpx2.Response") -> Fault:
    """Read an answer whose status is an error."""
    text = response.text
    try:
        fault = error_in(from_json(response.content))
    except ValueError:
        fault = None
    headers = {name.lower(): value for name, value in response.headers.items()}
    place = f"{response.request.method} {response.url.copy_with(username=None, password=None)}"
    words = fault.text if fault is not None else text
    if response.status_code in {404, 405} or response.is_redirect:
        words = f"{place}: {words}"
    return replace(fault or Fault(), status=response.status_code, headers=headers, text=words)
