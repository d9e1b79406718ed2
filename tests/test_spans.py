"""A run as OpenTelemetry spans: from its journal, with its ids, as a file, sent afterwards or live."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

import swarm
from swarm.base.errors import EndpointRefused, TaskError
from swarm.exports.otlp import Destination, LiveSpans, otlp_bytes, send_run
from swarm.exports.spans import SpanBuilder, SpanRecord, spans_of
from swarm.record.folder import RunFolder
from swarm.record.recorded import Recorded, recorded
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Model, Task
from swarm.testing import Function, reply
from tests.commands import TASK, Command, in_process, make_task, only_run
from tests.models import resume_with, run_with

command = pytest.fixture(in_process)
SECRET = "canary-in-a-prompt"


class Collector:
    """A collector on loopback that keeps what it is sent."""

    def __init__(self, status: int = 200) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.status = status
        self.url = ""

    def spans(self) -> list[Any]:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        found: list[Any] = []
        for _, _, body in self.requests:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    found += scope.spans
        return found


@contextmanager
def collector(status: int = 200) -> Generator[Collector]:
    kept = Collector(status)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.requests.append((self.path, dict(self.headers), body))
            self.send_response(kept.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def task(folder: Path) -> Task:
    steps = (
        Step(id="a", prompt=f"First. {SECRET}"),
        Step(id="b", prompt="Fails.", retries=0),
        Step(id="end", agent="reducer", prompt="Merge.", after=("a", "b")),
    )
    return Task(goal="x", plan=Plan(steps=steps), models={"default": Model(endpoint="offline")}, folder=folder)


def answered(request: Any) -> Any:
    words = request.messages[1].parts[-1].text
    return EndpointRefused("no", kind="content_filter") if words.startswith("Fails") else reply(f"Done. [a] {SECRET}")


async def ran(folder: Path) -> Recorded:
    result = await run_with(Function(answered), task(folder))
    return recorded(RunFolder(result.folder))


def named(spans: list[SpanRecord]) -> dict[str, list[SpanRecord]]:
    found: dict[str, list[SpanRecord]] = {}
    for span in spans:
        found.setdefault(span.name.split()[0], []).append(span)
    return found


@pytest.mark.anyio
async def test_spans_are_the_tree_of_the_run(tmp_path: Path) -> None:
    found = await ran(tmp_path)
    spans = spans_of(found)
    by_kind = named(spans)
    (root,) = by_kind["invoke_workflow"]
    attempts = {str(span.attributes["swarm.step"]): span for span in by_kind["invoke_agent"]}
    assert attempts.keys() == {"a", "b", "end"}
    assert {span.parent for span in attempts.values()} == {root.span}
    assert {attempts[name].span for name in attempts} == {event.span for event in events_of_kind(found, "StepStarted")}
    assert {span.trace for span in spans} == {found.first.trace}
    assert {span.parent for span in by_kind["chat"]} == {attempts["a"].span, attempts["end"].span}
    assert (attempts["b"].error, attempts["b"].attributes["error.type"]) == ("content_filter", "content_filter")
    assert len({span.span for span in spans}) == len(spans)
    assert all(root.start <= span.start <= span.end <= root.end for span in spans)
    usage = [span.attributes["gen_ai.usage.output_tokens"] for span in by_kind["chat"]]
    assert sum(int(str(each)) for each in usage) == found.state.usage.output_tokens


def events_of_kind(found: Recorded, kind: str) -> list[Any]:
    return [event for event in found.events if type(event).__name__ == kind]


@pytest.mark.anyio
async def test_no_text_of_a_prompt_or_an_answer_is_in_a_span(tmp_path: Path) -> None:
    assert SECRET.encode() not in otlp_bytes(await ran(tmp_path))


@pytest.mark.anyio
async def test_a_resumed_run_goes_on_in_its_trace(tmp_path: Path) -> None:
    found = await ran(tmp_path)
    await resume_with(Function(lambda _: reply("Done. [a]")), found_folder(tmp_path), failed=True)
    again = spans_of(recorded(RunFolder(found_folder(tmp_path))))
    assert list(spans_of(found)) == again[: len(spans_of(found))], "what was said stays"
    assert {span.trace for span in again} == {found.first.trace}
    assert len(named(again)["invoke_workflow"]) == 2


def found_folder(folder: Path) -> Path:
    return only_run(folder)


@pytest.mark.anyio
async def test_a_torn_journal_gives_what_it_has(tmp_path: Path) -> None:
    found = await ran(tmp_path)
    for length in range(1, len(found.events) + 1):
        builder = SpanBuilder(found.state)
        made = [span for event in found.events[:length] for span in builder.take(event)] + list(builder.rest())
        assert len(named(made)["invoke_workflow"]) == 1
        assert {span.parent for span in made} <= {"", *(span.span for span in made)}


@pytest.mark.anyio
async def test_tools_are_spans_with_their_names(tmp_path: Path) -> None:
    def look(name: str) -> str:
        """Look something up."""
        return f"found {name}"

    calls = iter([{"tool": "look", "arguments": {"name": "x"}}, "Found. [a]"])
    from swarm.spec.chat import Message, Reply, ToolCall, Usage

    def said(_: Any) -> Any:
        made = next(calls, "Done.")
        if isinstance(made, str):
            return reply(made)
        call = ToolCall(id="c1", name="look", arguments='{"name": "x"}')
        return Reply(message=Message(role="assistant", tool_calls=(call,)), finish="tool_calls", usage=Usage(calls=1))

    plan = Plan(steps=(Step(id="a", prompt="Look."),))
    one = Task(goal="x", plan=plan, models={"default": Model(endpoint="offline")}, folder=tmp_path)
    result = await swarm.run(one, endpoint=Function(said), tools=[look], cache=False)
    (tool,) = named(spans_of(recorded(RunFolder(result.folder))))["execute_tool"]
    assert (tool.name, tool.attributes["gen_ai.tool.name"]) == ("execute_tool look", "look")


@pytest.mark.anyio
async def test_a_file_has_ids_in_hexadecimal_digits(tmp_path: Path) -> None:
    found = await ran(tmp_path)
    (resource,) = json.loads(otlp_bytes(found))["resourceSpans"]
    spans = resource["scopeSpans"][0]["spans"]
    assert {span["traceId"] for span in spans} == {found.first.trace}
    assert {span["spanId"] for span in spans} == {span.span for span in spans_of(found)}


@pytest.mark.anyio
async def test_a_collector_gets_the_same_spans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = await ran(tmp_path)
    with collector() as kept, collector() as other:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", other.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=canary")
        monkeypatch.setenv("HTTP_PROXY", other.url)
        sent = send_run(found, Destination(kept.url))
        assert (sent.problem, other.requests) == ("", [])
        assert [path for path, _, _ in kept.requests] == ["/v1/traces"]
        assert "canary" not in str(kept.requests[0][1])
        got = {span.span_id.hex(): (span.name, span.parent_span_id.hex()) for span in kept.spans()}
    assert got == {span.span: (span.name, span.parent) for span in spans_of(found)}


@pytest.mark.anyio
async def test_a_collector_that_is_not_there_is_named(tmp_path: Path) -> None:
    found = await ran(tmp_path)
    sent = send_run(found, Destination("http://127.0.0.1:9"))
    assert sent.problem.startswith("--otlp: no collector answers at http://127.0.0.1:9/v1/traces; 0 of ")


@pytest.mark.parametrize("url", ["", "collector", "ftp://127.0.0.1", "http://a b"])
def test_a_wrong_address_is_refused_before_anything_runs(url: str, command: Command, empty: Path) -> None:
    make_task(empty)
    said = command("run", "task.yaml", "--otlp", url)
    assert said.code == 2
    assert said.errors[0].startswith("--otlp: ")
    assert not (empty / ".swarm").exists()


def test_a_live_run_sends_its_spans(command: Command, empty: Path) -> None:
    make_task(empty)
    with collector() as kept:
        said = command("run", "task.yaml", "--quiet", "--otlp", kept.url)
        assert (said.code, said.err) == (0, "")
        live = {span.span_id.hex() for span in kept.spans()}
        assert command("export", "--otlp", kept.url).code == 0
        assert live == {span.span for span in spans_of(recorded(RunFolder(only_run(empty))))}


def test_a_run_ends_as_without_a_dead_collector(command: Command, empty: Path) -> None:
    make_task(empty)
    without = command("run", "task.yaml", "--quiet", "--no-cache")
    said = command("run", "task.yaml", "--no-cache", "--otlp", "http://127.0.0.1:9")
    assert (said.code, said.out) == (without.code, without.out)
    assert "no collector answers at http://127.0.0.1:9/v1/traces; 0 of " in said.err
    assert command("export", "--otlp", "http://127.0.0.1:9").code == 1


def test_a_collector_that_fails_is_asked_once_more_at_the_end(empty: Path) -> None:
    state = swarm.State()
    with collector(status=400) as kept:
        live = LiveSpans(Destination(kept.url), lambda: state)
        from swarm.record import events as e

        started = e.RunStarted(run="r", trace="1" * 32, versions={}, task={}, agents=())
        state.apply(started)
        for _ in range(50):
            live.take([started, e.RunFinished(status="done")])
        sent = live.close()
    assert (sent.sent, sent.total) == (0, 50)
    assert len(kept.requests) == 2


def test_export_sends_the_whole_run_only(command: Command, empty: Path) -> None:
    make_task(empty)
    assert command("run", "--quiet").code == 0
    said = command("export", "--otlp", "http://127.0.0.1:9", "--format", "csv")
    assert (said.code, "--otlp sends the whole run" in said.errors[0]) == (2, True)


def test_the_extra_is_named_if_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    import swarm.exports.otlp as module

    def nothing(package: str) -> bool:
        return package == ""

    monkeypatch.setattr(module, "is_installed", nothing)
    with pytest.raises(TaskError, match=r'pip install "local-agent-swarm\[otel\]"'):
        LiveSpans(Destination("http://127.0.0.1:4318"), swarm.State)


# A collector of the task


def of_task(url: str) -> str:
    return f"{TASK}otel: {{url: '{url}', headers: {{Authorization: 'Bearer ${{TRACES_KEY}}'}}}}\n"


def test_the_collector_of_a_task_gets_the_run_and_its_resume(
    command: Command, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACES_KEY", "canary-of-a-collector")
    make_task(empty)
    with collector() as kept:
        (empty / "task.yaml").write_text(of_task(kept.url))
        said = command("run", "task.yaml", "--quiet", "--no-cache")
        assert (said.code, said.err) == (0, "")
        run = only_run(empty)
        first = {span.span_id.hex() for span in kept.spans()}
        assert first == {span.span for span in spans_of(recorded(RunFolder(run)))}
        assert {headers["Authorization"] for _, headers, _ in kept.requests} == {"Bearer canary-of-a-collector"}
        # The secret is in no file of the run, and the reference is.
        written = b"".join(path.read_bytes() for path in run.rglob("*") if path.is_file())
        assert b"canary" not in written
        assert b"${TRACES_KEY}" in written
        # A resume goes on in the same trace, and sends only what is new.
        journal = run / "journal.jsonl"
        journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:-1]))
        kept.requests.clear()
        assert command("resume", "last", "--quiet").code == 0
        again = kept.spans()
        assert {span.trace_id.hex() for span in again} == {recorded(RunFolder(run)).first.trace}
        assert not first & {span.span_id.hex() for span in again}
        # The option replaces the task's collector, and its headers stay at home.
        kept.requests.clear()
        other = kept.url.replace("127.0.0.1", "localhost")
        assert command("run", "task.yaml", "-q", "--otlp", other).code == 0
        assert kept.requests
        assert not any("Authorization" in headers for _, headers, _ in kept.requests)


def test_check_shows_the_collector_of_a_task_and_refuses_a_wrong_one(
    command: Command, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_task(empty)
    (empty / "task.yaml").write_text(of_task("http://127.0.0.1:9"))
    said = command("check")
    assert said.code == 2
    assert "TRACES_KEY is not set" in said.errors[0]
    monkeypatch.setenv("TRACES_KEY", "canary-of-a-collector")
    said = command("check")
    assert said.code == 0
    assert "spans: sent to http://127.0.0.1:9 (headers: Authorization)" in said.out
    assert "canary" not in said.out + said.err
    (empty / "task.yaml").write_text(of_task("127.0.0.1:9"))
    for name in ("check", "run"):
        said = command(name)
        assert said.code == 2
        assert said.errors[0].startswith("task.yaml:4:13: otel: ")
    monkeypatch.setenv("TRACES_KEY", "a\nb")
    (empty / "task.yaml").write_text(of_task("http://127.0.0.1:9"))
    assert "the header `Authorization` has characters" in command("check").errors[0]


@pytest.mark.anyio
async def test_a_python_program_sends_spans_and_hears_of_what_was_not_sent(tmp_path: Path) -> None:
    def answer(request: Any) -> Any:
        del request
        return reply("It is known.")

    with collector(status=401) as kept:
        this = {"goal": "Say it.", "swarm": "never", "otel": {"url": kept.url}}
        with pytest.warns(RuntimeWarning, match="otel: the collector at .* answered with status 401; 0 of 3 spans"):
            result = await swarm.run(this, endpoint=Function(answer), runs=tmp_path, cache=False)
        assert result.status == "done"
        kept.status = 200
        kept.requests.clear()
        result = await swarm.run(this, endpoint=Function(answer), runs=tmp_path, cache=False)
        sent = {span.span_id.hex() for span in kept.spans()}
    assert sent == {span.span for span in spans_of(recorded(RunFolder(result.folder)))}
