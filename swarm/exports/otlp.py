"""Spans in OpenTelemetry's own form: as a file, or sent to a collector (OTLP over HTTP).

The collector is a second destination of data: it is named by the user, and what `OTEL_…` variables or a proxy say does
not count. Nothing here is on the run's path: the spans of a live run are made from its journal, in a thread that
follows it.
"""

import json
import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from swarm.base.errors import Problem, TaskError
from swarm.base.machine import is_installed
from swarm.base.network import wrong_address
from swarm.base.values import Json
from swarm.base.version import __version__
from swarm.exports.spans import SpanBuilder, SpanRecord, spans_of
from swarm.record import events as e
from swarm.record.recorded import Recorded
from swarm.record.state import State
from swarm.spec.files.references import masked_url

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

PATH = "/v1/traces"
"""Path of a collector if its address has none."""
BATCH = 512
"""Maximum spans of one request."""
WAITING = 8_192
"""Maximum spans that wait for a collector that does not answer; older ones are dropped, and counted."""
SECONDS = 2.0
"""Maximum seconds of a connection, and of an answer."""
HEADERS = {"Content-Type": "application/x-protobuf", "User-Agent": f"local-agent-swarm/{__version__}"}
_BILLION = 1_000_000_000
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_IDS = ("traceId", "spanId", "parentSpanId")


@dataclass(frozen=True)
class Destination:
    """A collector, as the user named it."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    said_by: str = "--otlp"
    """The option or the key of the task that names it, for messages."""


@dataclass(frozen=True)
class Delivered:
    """What a collector took."""

    sent: int
    total: int
    url: str
    said_by: str
    status: int = 0
    """HTTP status of the request that failed; 0 if there was no answer."""

    @property
    def problem(self) -> str:
        """What was not sent; empty if all was."""
        if self.sent == self.total:
            return ""
        why = f"no collector answers at {self.url}"
        if self.status:
            why = f"the collector at {self.url} answered with status {self.status}"
        return f"{self.said_by}: {why}; {self.sent:,} of {self.total:,} spans were sent"


def otlp_bytes(found: Recorded) -> bytes:
    """Return the spans of a run as one OTLP request in JSON. Raise `TaskError` without the extra `otel`."""
    _check_extra()
    from google.protobuf.json_format import MessageToDict
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    request = MessageToDict(encode_spans([_readable(span) for span in spans_of(found)]))
    return json.dumps(_with_hexadecimal_ids(request), separators=(",", ":")).encode() + b"\n"


def send_run(found: Recorded, to: Destination) -> Delivered:
    """Send the spans of a recorded run. Raise `TaskError` for a wrong address, or without the extra."""
    sender = Sender(to)
    spans = spans_of(found)
    batches = [spans[start : start + BATCH] for start in range(0, len(spans), BATCH)]
    sent = 0
    for batch in batches:
        if not sender.send(batch):
            break
        sent += len(batch)
    sender.close()
    return sender.delivered(sent, len(spans))


class Sender:
    """Sends batches of spans to one collector."""

    def __init__(self, to: Destination) -> None:
        """Take a collector. Raise `TaskError` if its address is none, or without the extra `otel`."""
        check_destination(to)
        import httpx2

        self._to = to
        self._url = _address(to)
        self._status = 0
        # No variable and no proxy leads the spans elsewhere, or adds the headers of another collector.
        self._client = httpx2.Client(trust_env=False, follow_redirects=False, timeout=SECONDS)

    def send(self, spans: Sequence[SpanRecord]) -> bool:
        """Send a batch. Return whether the collector took it."""
        import httpx2
        from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

        body = encode_spans([_readable(span) for span in spans]).SerializeToString()
        try:
            answer = self._client.post(self._url, content=body, headers={**self._to.headers, **HEADERS})
        except (httpx2.HTTPError, httpx2.InvalidURL):
            self._status = 0
            return False
        self._status = 0 if answer.is_success else answer.status_code
        return answer.is_success

    def delivered(self, sent: int, total: int) -> Delivered:
        """Return what was sent of all spans, without what an address has of secrets."""
        return Delivered(sent, total, masked_url(self._url), self._to.said_by, self._status)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


class LiveSpans:
    """Sends the spans of a run while it works. It is used by one thread, which is not the run's."""

    def __init__(self, to: Destination, state: Callable[[], State], earlier: int = 0) -> None:
        """Take a collector, what returns the state of the run, and the number of its earlier stretches.

        Raise what `Sender` raises.
        """
        self._sender = Sender(to)
        self._state = state
        self._earlier = earlier
        self._builder: SpanBuilder | None = None
        self._waiting: list[SpanRecord] = []
        self._made = self._sent = 0
        self._has_failed = False

    def take(self, events: Iterable[e.Stamped]) -> None:
        """Send the spans that events end. After a failure nothing more is tried before the end."""
        self._builder = self._builder or SpanBuilder(self._state(), self._earlier)
        for event in events:
            spans = self._builder.take(event)
            self._made += len(spans)
            self._waiting += spans
        del self._waiting[:-WAITING]
        if not self._has_failed:
            self._send()

    def close(self) -> Delivered:
        """Send what waits, in one more try after a failure, and return what was sent of all."""
        self._send()
        self._sender.close()
        return self._sender.delivered(self._sent, self._made)

    def _send(self) -> None:
        while batch := self._waiting[:BATCH]:
            if not self._sender.send(batch):
                self._has_failed = True
                return
            self._sent += len(batch)
            del self._waiting[:BATCH]


def check_destination(to: Destination) -> None:
    """Raise `TaskError` if a collector cannot be sent to: its address or a header is wrong, or the extra is missing."""
    _check_extra()
    _address(to)
    for name, value in to.headers.items():
        if not _HEADER.fullmatch(name) or not value.isascii() or any(ord(each) < 32 for each in value):
            raise TaskError(Problem(f"the header `{name[:40]}` has characters that no header has", key=to.said_by))


def _check_extra() -> None:
    """Raise `TaskError` if the library is not installed."""
    if not all(map(is_installed, ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.common"))):
        message = 'spans need the extra `otel`\nhint: pip install "local-agent-swarm[otel]"'
        raise TaskError(message)


def _address(to: Destination) -> str:
    """Return the address of a collector with a path. Raise `TaskError` if it is none."""
    url = to.url
    why = wrong_address(url)
    if why is None and urlsplit(url).scheme not in ("http", "https"):
        why = "the address is not http:// or https://"
    if why is not None:
        raise TaskError(Problem(f"{why}\nhint: for example http://127.0.0.1:4318", key=to.said_by))
    parts = urlsplit(url)
    return url if parts.path.strip("/") else parts._replace(path=PATH).geturl()


def _readable(record: SpanRecord) -> "ReadableSpan":
    """Return a span of the library's type, made without a tracer."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

    def context(span: str) -> SpanContext:
        return SpanContext(int(record.trace, 16), int(span, 16), is_remote=False, trace_flags=TraceFlags(1))

    return ReadableSpan(
        name=record.name,
        context=context(record.span),
        parent=context(record.parent) if record.parent else None,
        resource=Resource({"service.name": "swarm", "service.version": __version__}),
        attributes=record.attributes,
        kind=SpanKind.CLIENT if record.is_client else SpanKind.INTERNAL,
        status=Status(StatusCode.ERROR, record.error) if record.error else Status(StatusCode.UNSET),
        start_time=round(record.start * _BILLION),
        end_time=round(max(record.start, record.end) * _BILLION),
        instrumentation_scope=InstrumentationScope("swarm", __version__),
    )


def _with_hexadecimal_ids(value: Json) -> Json:
    """Return a request with its ids in hexadecimal digits, as OTLP's JSON has them; protobuf's own has base64."""
    if isinstance(value, dict):
        value = cast("dict[str, Json]", value)
        ids = {key: b64decode(inner).hex() for key, inner in value.items() if key in _IDS and isinstance(inner, str)}
        return {key: _with_hexadecimal_ids(inner) for key, inner in value.items()} | ids
    if isinstance(value, list):
        return [_with_hexadecimal_ids(inner) for inner in cast("list[Json]", value)]
    return value
