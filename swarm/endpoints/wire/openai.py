"""Chat completions over HTTP: one model of one endpoint, one try per call.

The client library only carries requests. Its retries are off, its request and response types are
skipped (they cost three times the call), and its HTTP client is ours. `dialect` writes requests,
`answers` and `stream` read answers, `judge` turns faults into errors. Retries, waits and limits are
in `swarm.endpoints.traffic`.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import anyio
from pydantic_core import from_json

from swarm.base.errors import EndpointBusy, EndpointRefused
from swarm.base.redaction import Redactor
from swarm.base.values import Json
from swarm.base.version import __version__
from swarm.endpoints.wire.answers import Assembly, is_prose
from swarm.endpoints.wire.audio import Sound, asked_sound
from swarm.endpoints.wire.dialect import Dialect, WireRequest
from swarm.endpoints.wire.error_bodies import error_in
from swarm.endpoints.wire.faults import Fault, fault_of
from swarm.endpoints.wire.judge import judge
from swarm.endpoints.wire.learnt import Learnt
from swarm.endpoints.wire.pieces import hearing
from swarm.endpoints.wire.refused import read_refused
from swarm.endpoints.wire.repetition import Watch
from swarm.endpoints.wire.shapes import BYTE_ORDER_MARK, BadAnswer
from swarm.endpoints.wire.stream import read_answer_in
from swarm.endpoints.wire.uploads import File, Shelf, Uploads
from swarm.endpoints.wire.usage import unread
from swarm.record.signals import teller_of
from swarm.spec.chat import Reply, Request
from swarm.spec.providers import Quirks, quirks_of
from swarm.spec.task import Model

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI

_T = TypeVar("_T")


def load_library() -> None:
    """Import what a client needs: it takes most of a second, in which a live view would stand still."""
    import openai

    assert openai


_CALLS = ("/chat/completions", "/completions", "/responses")
"""Ends of addresses of calls, which people copy in place of the base URL."""
_CLOSE_SECONDS = 1
"""Maximum seconds to close a response that is left before its end."""
_REFUSED_FIELD = frozenset({400, 404, 413, 422, 500, 501})
"""Statuses by which an endpoint rejects a part of a request. Its words decide."""
_GAVE_UP = frozenset({408, 504, 524})
"""Statuses by which a gateway gives up on an answer that takes long. Streamed ones pass."""
_RETRY_AFTER = frozenset({"retry-after", "retry-after-ms"})
"""Headers by which a refusal says how long to wait."""


class OpenAIEndpoint:
    """One model of one endpoint; completes chat requests. Open it with `async with`."""

    def __init__(
        self,
        model: Model,
        *,
        key: str | None = None,
        clean: Callable[[str], str] = str,
        quirks: Quirks | None = None,
        shelf: Shelf | None = None,
        learnt: Learnt | None = None,
        seconds: float | None = None,
        on_headers: Callable[[Mapping[str, str]], None] = lambda _: None,
        on_first_token: Callable[[Request], None] = lambda _: None,
    ) -> None:
        """Set the model, whose `endpoint` is a base URL and whose `name` is set.

        - `key` overrides the model's own.
        - `clean` removes secrets from texts. The key itself is always removed.
        - `quirks` override those of the provider at the base URL: a gateway may be in between.
        - `shelf` is shared by all endpoints at that URL with that key.
        - `learnt` is shared by all endpoints at that URL with that model name.
        - `seconds` is the maximum of one call, if whoever calls keeps the model's deadline itself.
        - `on_headers` receives the headers of every answer, names in lower case; of a refusal only if it does not say
          itself how long to wait.
        - `on_first_token` receives each request at the first token of its streamed answer.
        """
        assert model.endpoint is not None
        assert model.name is not None
        self._model = model
        self._seconds = model.deadline if seconds is None else seconds
        self._url, self._query = base_of(model.endpoint)
        self._key = key if key is not None else next(iter(model.keys), None)
        self._clean = clean
        self._redactor = Redactor((self._key,) if self._key else ())
        self._name = model.name
        self._sound = asked_sound(model)
        quirks = quirks or quirks_of(self._url)
        self._dialect = Dialect(model, name=model.name, quirks=quirks, learnt=learnt)
        self._uploads: Uploads | None = None
        if quirks.store is not None:
            self._uploads = Uploads(quirks.store, self._file, shelf)
        self._on_headers = on_headers
        self._on_first_token = on_first_token
        self._stack = AsyncExitStack()
        self._client: AsyncOpenAI | None = None

    @property
    def label(self) -> str:
        """The endpoint for people: host and port, no credentials."""
        return label_of(self._url)

    async def __aenter__(self) -> Self:
        import httpx2
        from openai import AsyncOpenAI

        from swarm.endpoints.wire.transport import BODY_BYTES, STREAM_BYTES, open_transport

        await self._stack.__aenter__()
        agent = f"local-agent-swarm/{__version__}"
        most = BODY_BYTES if self._sound is None else STREAM_BYTES
        transport = open_transport(self._url, key=self._key, agent=agent, most=most)
        timeout = httpx2.Timeout(None)  # the deadline of the whole call is ours
        http = httpx2.AsyncClient(
            transport=transport,
            timeout=timeout,
            follow_redirects=False,
            trust_env=False,
        )
        client = AsyncOpenAI(
            base_url=self._url,
            default_query=self._query,
            api_key="-",  # the transport adds the key
            max_retries=0,
            timeout=timeout,
            http_client=http,
        )
        self._client = await self._stack.enter_async_context(client)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._uploads is not None and self._client is not None:
            await self._uploads.clear()
        self._client = None
        await self._stack.__aexit__(kind, error, trace)

    async def complete(self, request: Request) -> Reply:
        """Return the model's answer. Raise `EndpointBusy` or `EndpointRefused` if there is none.

        If the endpoint rejects a field, the call is repeated without it, and so are later ones.
        """
        began = anyio.current_time()
        calls = 0
        addresses = {} if self._uploads is None else await self._uploads.addresses(request)
        if isinstance(addresses, Fault):
            raise self._judged(addresses)
        while True:  # ends: each round but the last one teaches the dialect something new
            written = self._dialect.write(request, addresses)
            calls += 1
            result = await self._try(written, request)
            if isinstance(result, Assembly):
                break
            if not self._learns(written, result):
                raise self._judged(result)
        reply = self._dialect.see(written, result.reply(request))
        reply = reply.model_copy(
            update={
                "usage": reply.usage.model_copy(update={"calls": calls}),
                "endpoint": self.label,
                "model": reply.model or self._name,
                "seconds": anyio.current_time() - began,
                "form": written.form,
                "dropped": self._dialect.unreported(written),
            }
        )
        doubt = unread(request, reply.usage)
        if doubt:
            doubts = (*reply.message.doubts, doubt)
            message = reply.message.model_copy(update={"doubts": doubts})
            reply = reply.model_copy(update={"message": message, "prompt_cut": reply.usage.input_tokens})
        fault = result.incomplete()
        if fault is None:
            return reply
        error = self._judged(fault)
        if isinstance(error, EndpointBusy) and result.may_be_whole:
            error.reply = reply
        raise error

    def _learns(self, written: WireRequest, fault: Fault) -> bool:
        """Return whether the dialect learns from a fault how to write the request so that it is accepted."""
        if fault.status in _GAVE_UP:
            self._dialect.learn_to_stream()  # the next try is streamed: this one may have been billed
            return False
        if fault.status not in _REFUSED_FIELD:
            return False
        said = f"{fault.param} {fault.text}"
        return self._dialect.learn(written, said, status=fault.status, code=fault.code)

    def _judged(self, fault: Fault) -> EndpointBusy | EndpointRefused:
        return judge(
            fault,
            endpoint=self.label,
            model=self._name,
            deadline=self._model.deadline,
            clean=self._redact,
        )

    def _redact(self, text: str) -> str:
        return self._redactor.clean(self._clean(text))

    async def listed(self, *, seconds: float) -> tuple[dict[str, Json], ...]:
        """Return the endpoint's list of models (free). Raise `EndpointError` if it has none."""

        async def ask() -> tuple[dict[str, Json], ...]:
            import httpx2

            response = await self._open.get("/models", cast_to=httpx2.Response)
            try:
                return tuple({**entry} for entry in from_json(await response.aread())["data"])
            except (ValueError, KeyError, TypeError):
                fault = Fault(status=200, kind="malformed", text="not a list of models")
            raise BadAnswer(fault)

        result = await self._tried(ask, seconds)
        if isinstance(result, Fault):
            raise judge(result, endpoint=self.label, clean=self._redact)
        return result

    async def _file(self, path: str, file: File | None) -> Json | Fault:
        """Upload a file to the provider's store, or delete the one at a path if `file` is None."""

        async def ask() -> Json:
            import httpx2

            if file is None:
                response = await self._open.delete(path, cast_to=httpx2.Response)
            else:
                response = await self._open.post(
                    path,
                    cast_to=httpx2.Response,
                    body={"purpose": file.purpose},
                    files={"file": (file.name, file.content, file.mime)},
                    options={"headers": {"Content-Type": "multipart/form-data"}},
                )
            try:
                return from_json(await response.aread())
            except ValueError:
                fault = Fault(status=200, kind="malformed", text="the store's answer is not JSON")
            raise BadAnswer(fault)

        return await self._tried(ask, self._model.deadline)

    @property
    def _open(self) -> "AsyncOpenAI":
        assert self._client is not None, "open the endpoint with `async with`"
        return self._client

    async def _try(self, written: WireRequest, request: Request) -> Assembly | Fault:
        async def ask() -> Assembly:
            async with self._sent(written, request) as response:
                return await self._read(response, request)

        result = await self._tried(ask, self._seconds)
        if isinstance(result, Fault):
            return read_refused(result, request) or result
        return result

    async def _tried(self, ask: Callable[[], Awaitable[_T]], seconds: float) -> _T | Fault:
        """Make one call with a deadline. Return its result or its fault.

        Faults are not raised: a traceback would keep the client's objects, and the prompt, alive.
        """
        import httpx2
        from openai import APIStatusError, OpenAIError

        try:
            # Its deadline becomes a `timeout`. A cancellation from outside passes through: below,
            # only `_sent` and the transport do anything about it, and neither waits for long.
            with anyio.fail_after(seconds):
                return await ask()
        except BadAnswer as error:
            return error.fault
        except APIStatusError as error:
            # A refusal that says itself how long to wait is believed over the counters next to it: they may be about
            # another quota, with a reset that is minutes away.
            if _RETRY_AFTER.isdisjoint(error.response.headers):
                self._on_headers(error.response.headers)
            return _refusal(error.response)
        except TimeoutError:
            return Fault(kind="timeout", text=f"no complete answer within {seconds:g} s")
        except (
            OpenAIError,
            httpx2.HTTPError,
            httpx2.InvalidURL,
            OSError,
            anyio.EndOfStream,
        ) as error:
            return fault_of(error)

    @asynccontextmanager
    async def _sent(
        self,
        written: WireRequest,
        request: Request,
    ) -> "AsyncGenerator[httpx2.Response]":
        """Send a request; close the response at the end, however that is reached."""
        import httpx2

        headers = {"traceparent": request.traceparent} if request.traceparent else {}
        response = await self._open.post(
            "/chat/completions",
            cast_to=httpx2.Response,
            content=written.body,
            options={"headers": headers},
            stream=True,  # the library reads no answer: its first bytes tell whether it is a stream
        )
        assert isinstance(response, httpx2.Response)
        self._on_headers(response.headers)
        try:
            yield response
        finally:
            if not response.is_closed:
                # Left half read, or cancelled. The shield lets the connection be closed in spite of
                # a cancellation; the deadline bounds how long that may delay it.
                with anyio.CancelScope(shield=True), anyio.move_on_after(_CLOSE_SECONDS):
                    await response.aclose()

    async def _read(self, response: "httpx2.Response", request: Request) -> Assembly:
        """Read an answer: a stream, or one piece from an endpoint that does not stream."""
        answer = Assembly(
            sound=Sound(self._sound or ""),
            hear=hearing(teller_of(request)),
            watch=Watch() if is_prose(request) else None,
        )
        label = response.headers.get("content-type", "")
        async with aclosing(response.aiter_raw()) as chunks:
            await read_answer_in(chunks, answer, label, lambda: self._on_first_token(request))
        answer.settle()
        return answer


def base_of(address: str) -> tuple[str, dict[str, object]]:
    """Return the base URL of an address and its query: Azure wants `api-version=…` at the end of each path.

    The address of a call itself is accepted, too.
    """
    parts = urlsplit(address)
    path = parts.path.rstrip("/")
    path = next((path.removesuffix(each) for each in _CALLS if path.endswith(each)), path)
    query: dict[str, object] = dict(parse_qsl(parts.query, keep_blank_values=True))
    return urlunsplit((parts.scheme, parts.netloc, path, "", "")), query


def label_of(url: str) -> str:
    """Return the host and port of a URL, for people: no credentials."""
    address = urlsplit(url)
    host = address.hostname or url
    return f"{host}:{address.port}" if address.port else host


def _target(response: "httpx2.Response") -> str:
    """Return where a redirect leads to, without a query or a password: they may be secret."""
    try:
        target = response.url.join(response.headers.get("location", ""))
        return str(target.copy_with(username=None, password=None, query=None, fragment=None))
    except Exception:  # noqa: BLE001 - a header of any bytes
        return "an address that cannot be read"


def _refusal(response: "httpx2.Response") -> Fault:
    """Return the fault of an answer whose status is an error."""
    text = response.text
    try:
        fault = error_in(from_json(response.content.removeprefix(BYTE_ORDER_MARK)))
    except ValueError:
        fault = None
    headers = {name.lower(): value for name, value in response.headers.items()}
    place = f"{response.request.method} {response.url.copy_with(username=None, password=None)}"
    words = fault.text if fault is not None else text
    if response.is_redirect:
        words = f"{place}: to {_target(response)}"
    elif response.status_code in {404, 405}:  # the base URL may be wrong
        words = f"{place}: {words}"
    return replace(fault or Fault(), status=response.status_code, headers=headers, text=words)
