"""The live view: what each agent does, how long it still takes, frames of any size, and a real terminal."""

import re
from collections.abc import Iterable
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.cli.streams import Lines
from swarm.record import events as e
from swarm.record.outcome import Outcome
from swarm.record.signals import ApprovalAwaited, CallRepeated, PieceHeard, RequestTurned, Signal
from swarm.record.state import State
from swarm.record.steps import Status
from swarm.spec.chat import Message, Text, ToolCall, Usage
from swarm.spec.plan import Step
from swarm.views.board import Board
from swarm.views.facts import EndpointUse, FactFinder, Moment, RunningAgent
from swarm.views.frame import frame
from swarm.views.heartbeat import heartbeat
from swarm.views.left import left
from swarm.views.live import Live
from swarm.views.paint import painted, width_of
from swarm.views.progress import Progress
from swarm.views.screen import Screen
from swarm.views.words import columns
from tests.swarms import Sleeper, run_virtually, steps, workers
from tests.terminals import Terminal
from tests.test_views_safety import PAYLOADS, is_safe


def turn(step: str, *messages: Message, t: float = 1.0) -> e.TurnTaken:
    return e.TurnTaken(
        step=step, attempt=1, messages=messages, usage=Usage(), seconds=1.0, model="m", endpoint="host:1", t=t
    )


def asks(*names: str) -> Message:
    calls = tuple(ToolCall(id=name, name=name, arguments='{"q": 1}') for name in names)
    return Message(role="assistant", tool_calls=calls)


def result(name: str) -> Message:
    return Message(role="tool", parts=(Text(text="found"),), tool_call_id=name)


def board_after(*signals: Signal, now: float = 9.0) -> Board:
    board = Board(lambda: now)
    board.hear(e.StepStarted(step="a", attempt=1, span="s", model="m", t=1.0))
    for signal in signals:
        board.hear(signal)
    return board


class TestBoard:
    def test_an_agent_that_waits_says_for_what_and_since_when(self) -> None:
        sign = board_after(RequestTurned("a", 1, "budget")).signs["a"]
        assert (sign.doing, sign.since, sign.at) == ("budget", 9.0, 9.0)

    def test_a_call_that_waits_for_approval_is_not_a_tool_that_runs(self) -> None:
        state = state_of(steps("a b"), {}, ["a", "b"])
        board = board_after(turn("a", asks("put")), ApprovalAwaited("a", 1, waits=True), now=9.0)
        facts = FactFinder(board).facts(state, 30.0)
        assert [(agent.doing, agent.waits, agent.quiet) for agent in facts.agents if agent.id == "a"] == [
            ("waiting for approval", True, 21.0)
        ]
        assert facts.waiting == {"waiting for approval": 1}
        assert "a (waiting for approval, 21 s)" in heartbeat(facts)
        assert "1 waiting for approval" in heartbeat(facts)
        board.hear(ApprovalAwaited("a", 1, waits=False))
        assert {agent.doing for agent in FactFinder(board).facts(state, 30.0).agents} == {"tool put", "working"}

    def test_the_last_words_of_an_answer_are_kept_and_counted(self) -> None:
        pieces = [PieceHeard("a", 1, "The cache "), PieceHeard("a", 1, "needs 12 GB.")]
        sign = board_after(RequestTurned("a", 1, "wire"), *pieces).signs["a"]
        assert (sign.doing, sign.words, sign.characters) == ("text", "The cache needs 12 GB.", 22)
        long = board_after(RequestTurned("a", 1, "wire"), *[PieceHeard("a", 1, "x" * 50)] * 100).signs["a"]
        assert len(long.words) == 400

    def test_thoughts_and_text_are_told_apart(self) -> None:
        sign = board_after(PieceHeard("a", 1, "Hm.", "thought"), PieceHeard("a", 1, "Yes.")).signs["a"]
        assert (sign.doing, sign.words) == ("text", "Yes.")

    def test_tools_run_one_after_another(self) -> None:
        one = board_after(turn("a", asks("find", "read"))).signs["a"]
        assert (one.doing, one.words) == ("tool", 'find({"q": 1})')
        two = board_after(turn("a", asks("find", "read")), turn("a", result("find"))).signs["a"]
        assert (two.doing, two.words) == ("tool", 'read({"q": 1})')
        none = board_after(turn("a", asks("find")), turn("a", result("find"))).signs["a"]
        assert none.doing == "starts"

    def test_a_step_that_has_ended_has_no_sign(self) -> None:
        failure = e.Failure(kind="empty", message="empty")
        board = board_after(e.StepFailed(step="a", attempt=1, error=failure, retry_in=1.0))
        assert (board.signs, board.failed_attempts) == ({}, 1)

    def test_signals_of_steps_that_do_not_run_are_dropped(self) -> None:
        board = board_after(
            PieceHeard("b", 1, "x"), RequestTurned("b", 1, "wire"), turn("b"), CallRepeated("b", 1, "x", 1)
        )
        assert set(board.signs) == {"a"}


def state_of(graph: tuple[Step, ...], ended: dict[str, float], running: Iterable[str] = ()) -> State:
    """Return a run in which steps took so long, one after another, and others have just started."""
    state = State()
    state.apply(e.RunStarted(run="r", trace="", versions={}, task={"limits": {"workers": 4}}, agents=()))
    state.apply(e.StepsAdded(by="task", steps=graph))
    t = 0.0
    for name, took in ended.items():
        state.apply(e.StepStarted(step=name, attempt=1, span="s", model="m", t=t))
        t += took
        state.apply(e.StepFinished(step=name, attempt=1, outcome=Outcome(output="x"), t=t))
    for name in running:
        state.apply(e.StepStarted(step=name, attempt=1, span="s", model="m", t=t))
    return state


class TestLeft:
    def test_it_is_not_known_before_a_similar_step_has_ended(self) -> None:
        state = state_of(steps("a b:a"), {}, ["a"])
        assert left(state, 1.0, 4).seconds is None

    def test_it_is_the_longest_chain_of_what_similar_steps_took(self) -> None:
        state = state_of(steps("a b:a c:b d:a"), {"a": 10.0}, ["b", "d"])
        found = left(state, 14.0, 4)
        assert found.seconds == pytest.approx(16.0)  # b: 6 more seconds, then c: 10
        assert found.critical == {"b", "c"}

    def test_it_is_all_work_on_the_workers_if_that_is_more(self) -> None:
        graph = (*steps("a"), *(Step(id=f"s{n}") for n in range(20)))
        state = state_of(graph, {"a": 10.0}, ["s0", "s1", "s2", "s3"])
        assert left(state, 10.0, 4).seconds == pytest.approx(50.0)

    def test_chains_that_meet_again_are_followed_to_their_end(self) -> None:
        state = state_of(steps("x a b:a,c c:a d:b,c e:d"), {"x": 10.0}, ["a"])
        assert left(state, 10.0, 4).seconds == pytest.approx(50.0)

    def test_a_step_that_takes_longer_than_usual_is_not_over_at_once(self) -> None:
        state = state_of(steps("a b"), {"a": 10.0}, ["b"])
        assert left(state, 500.0, 4).seconds == pytest.approx(2.5)

    def test_what_a_plan_says_is_used_if_nothing_else_is_known(self) -> None:
        state = state_of((Step(id="a", seconds=30.0), Step(id="b", seconds=20.0, needs=("a",))), {}, ["a"])
        assert left(state, 0.0, 4).seconds == pytest.approx(50.0)

    def test_at_the_end_nothing_is_left_and_nothing_is_critical(self) -> None:
        ran = run_virtually(steps("a b:a"), Sleeper())
        assert left(ran.state, 9.0, 4).critical == frozenset()

    def test_a_long_chain_and_a_wide_map_are_quick(self) -> None:
        chain = (Step(id="s0"), *(Step(id=f"s{n}", needs=(f"s{n - 1}",)) for n in range(1, 5_000)))
        state = state_of(chain, {"s0": 1.0}, ["s1"])
        assert left(state, 1.0, 4).seconds == pytest.approx(4_999.0)


words = st.text(max_size=300) | st.sampled_from(PAYLOADS)
agents = st.builds(
    RunningAgent,
    id=st.text(min_size=1, max_size=60) | st.sampled_from(PAYLOADS),
    role=st.just("worker"),
    doing=st.sampled_from(["writing", "waiting for budget", "retrying in 4 s", "tool 検索"]),
    waits=st.booleans(),
    quiet=st.floats(0, 1e6),
    running=st.floats(0, 1e6),
    tokens=st.integers(0, 10**9),
    words=words,
    critical=st.booleans(),
)
calls = st.none() | st.integers(0, 10**5)
endpoints = st.builds(EndpointUse, name=words, used=calls, allowed=calls, why=words)
facts = st.builds(
    Moment,
    run=st.just("r"),
    goal=words,
    t=st.floats(0, 1e7),
    counts=st.dictionaries(st.sampled_from(list(Status)), st.integers(1, 10**6)),
    agents=st.lists(agents, max_size=60).map(tuple),
    models=st.lists(words, max_size=4).map(tuple),
    endpoints=st.lists(endpoints, max_size=6).map(tuple),
    repeated=st.integers(0, 1000),
    used=st.just(("340k of 5.0M tokens", "$0.42 of $5")),
    waiting=st.dictionaries(st.sampled_from(["rate limited", "waiting for budget"]), st.integers(1, 1000)),
    left=st.none() | st.floats(0, 1e6),
    limits=st.just(()),
)


class TestFrame:
    @given(facts, st.integers(1, 220), st.integers(1, 60), st.booleans())
    def test_every_frame_fits_and_is_safe(self, found: Moment, width: int, height: int, ascii_only: bool) -> None:
        lines = frame(found, width, height, ascii_only=ascii_only)
        assert len(lines) <= max(height, 4)
        for line in lines:
            text = painted(line, color=False)
            assert columns(text) == width_of(line) <= max(width, 20)
            assert is_safe(text)
            assert "\n" not in text

    def few(self, count: int, **more: object) -> Moment:
        found = tuple(
            RunningAgent(f"read.{n}", "worker", "writing", False, n, n, 10 * n, f"words {n}", n == 0)
            for n in range(count)
        )
        values = {
            "run": "r", "goal": "Which?", "t": 65.0, "counts": {Status.DONE: 3, Status.RUNNING: max(1, count)},
            "agents": found, "models": ("default: m at host:1",), "endpoints": (), "repeated": 0, "used": ("9 tokens",),
            "waiting": {}, "left": 100.0, "limits": (),
        }  # fmt: skip
        return Moment(**(values | more))  # type: ignore[arg-type]

    def shown(self, found: Moment, width: int, height: int) -> list[str]:
        return [painted(line, color=False) for line in frame(found, width, height)]

    def test_the_header_tells_task_clock_models_and_use(self) -> None:
        lines = self.shown(self.few(1), 60, 20)
        assert lines[0].startswith("Which?")
        assert lines[0].endswith("1:05, about 1:40 left")
        assert lines[1:3] == ["default: m at host:1", "9 tokens"]

    def test_calls_in_flight_and_why_that_changed(self) -> None:
        changed = EndpointUse("host:1", 8, 15, "rate limit: 15 in flight were accepted")
        lines = self.shown(self.few(1, endpoints=(changed,), repeated=2, waiting={"waiting for budget": 3}), 80, 20)
        assert lines[2] == "host:1: 8 of 15 calls (rate limit: 15 in flight were accepted)"
        assert lines[3] == "9 tokens · 2 calls retried · 3 waiting for budget"

    def test_the_bar_has_a_share_for_each_state_in_order(self) -> None:
        counts = {Status.DONE: 500, Status.FAILED: 1, Status.RUNNING: 250, Status.WAITING: 249}
        lines = self.shown(self.few(1, counts=counts), 40, 20)
        assert re.fullmatch("█{19,20}▚▓{9,10}░{9,10}", lines[3])
        assert len(lines[3]) == 40
        assert lines[4].startswith("500 done · 1 failed · 250 running")

    def test_few_agents_have_their_words_on_a_line_of_their_own(self) -> None:
        lines = self.shown(self.few(2), 60, 20)
        assert lines[6:8] == ["◆ read.0  writing     0 s     0", "    words 0"]

    def test_more_agents_have_a_line_each(self) -> None:
        lines = self.shown(self.few(12), 60, 20)
        assert lines[6] == "◆ read.0   writing     0 s     0  words 0"
        assert len(lines) == 18

    def test_agents_without_room_are_counted(self) -> None:
        lines = self.shown(self.few(100), 80, 20)
        assert len(lines) == 20
        assert lines[-1] == "  … and 87 more agents: 87 writing; quiet longest: read.99, 99 s"

    def test_a_wide_terminal_has_columns(self) -> None:
        lines = self.shown(self.few(100), 199, 49)
        assert len(lines) <= 49
        assert lines[6].count("writing") == 3
        assert not any("more agents" in line for line in lines)

    def test_words_are_cleaned_before_they_are_cut(self) -> None:
        secret = self.few(1).agents[0].__class__("a", "worker", "writing", False, 0, 0, 0, "x" * 90 + " key-123", False)
        lines = frame(self.few(1, agents=(secret,)), 40, 20, clean=lambda text: text.replace("key-123", "***"))
        assert "***" in painted(lines[-1], color=False)


class TestScreen:
    @given(
        st.lists(st.lists(st.text("ab ", max_size=12), min_size=1, max_size=8), min_size=1, max_size=6),
        st.lists(st.booleans(), min_size=6, max_size=6),
    )
    def test_lines_stay_above_the_last_frame(self, frames: list[list[str]], says: list[bool]) -> None:
        terminal, screen = Terminal(20, 30), Screen()
        kept: list[str] = []
        for n, lines in enumerate(frames):
            if says[n]:
                kept.append(f"line {n}")
                terminal.feed(screen.above(f"line {n}\n").replace("\n", "\r\n").encode())
            terminal.feed(screen.draw(lines, [len(line) for line in lines], 20).encode())
        shown = [line.rstrip() for line in (*kept, *frames[-1])]
        assert list(terminal.screens[-1][: len(shown)]) == shown
        assert set(terminal.screens[-1][len(shown) :]) == {""}

    def test_lines_that_did_not_change_are_not_written_again(self) -> None:
        screen = Screen()
        screen.draw(["one", "two", "three"], [3, 3, 5], 80)
        again = screen.draw(["one", "2", "three"], [3, 1, 5], 80)
        assert "one" not in again
        assert "2" in again

    def test_a_frame_ends_with_a_cursor_and_with_wrapping(self) -> None:
        assert Screen().draw(["x"], [1], 80).endswith("\x1b[?7h\x1b[?25h")


class TestLive:
    def live(self, written: list[str], size: tuple[int, int] = (80, 24)) -> tuple[Live, list[float]]:
        ticks = [0.0]
        board = Board(lambda: 0.0)
        return Live(written.append, board, size=lambda: size, tick=lambda: ticks[0], color=False), ticks

    def test_the_clock_moves_although_nothing_happens(self) -> None:
        written: list[str] = []
        live, ticks = self.live(written)
        state = state_of(steps("a"), {}, ["a"])
        terminal = Terminal(80, 24)
        clocks: list[str] = []
        for second in range(5):
            ticks[0] = float(second)
            live.show(state, 60.0 + second)
            terminal.feed(written[-1].encode())
            clocks += re.findall(r"1:0\d", terminal.screens[-1][0])
        assert clocks == ["1:00", "1:01", "1:02", "1:03", "1:04"]

    def test_the_clock_moves_although_the_program_is_busy(self) -> None:
        written: list[str] = []
        live, ticks = self.live(written)
        live.show(state_of(steps("a"), {}, ["a"]), 60.0)
        for second, clock in ((0.9, ""), (1.2, "1:01"), (2.0, ""), (2.6, "1:03")):
            ticks[0], before = second, len(written)
            live.keep_time()
            assert bool(clock) == (len(written) > before)
            assert clock in written[-1]
        live.pause(State(), 63.0)
        ticks[0], before = 99.0, len(written)
        live.keep_time()
        assert len(written) == before, "no frame over a question, or over the end"

    def test_no_more_than_eight_frames_a_second(self) -> None:
        written: list[str] = []
        live, ticks = self.live(written)
        state = state_of(steps("a"), {}, ["a"])
        for tick in range(1000):
            ticks[0] = tick / 100
            live.show(state, ticks[0])
        assert len(written) <= 81

    def test_failures_stay_above_the_frame(self) -> None:
        written: list[str] = []
        live, ticks = self.live(written)
        state = state_of(steps("a b"), {}, ["a", "b"])
        terminal = Terminal(80, 24)
        live.show(state, 1.0)
        state.apply(e.StepFailed(step="a", attempt=1, error=e.Failure(kind="empty", message="an empty answer"), t=2.0))
        ticks[0] = 1.0
        live.show(state, 2.0)
        terminal.feed("".join(written).replace("\r\n", "\n").replace("\n", "\r\n").encode())
        assert "a failed: an empty answer" in terminal.screens[-1][0]
        assert "1 failed · 1 running" in " ".join(terminal.screens[-1])

    def test_the_writer_of_lines_asks_for_it_when_there_is_nothing_to_write(self) -> None:
        lines, asked = Lines(), Event()
        lines.idle = asked.set
        lines.write("")
        assert asked.wait(20)
        lines.close()


class TestPlainLines:
    def test_a_line_every_ten_seconds_even_if_nothing_happens(self) -> None:
        lines: list[str] = []
        board = board_after(RequestTurned("a", 1, "wire"), now=2.0)
        progress = Progress(lines.append, board)
        state = state_of(steps("a b:a"), {}, ["a"])
        for second in range(62):
            progress.show(state, float(second))
        beats = [line for line in lines if "running: a (calling, " in line]
        assert [line.split("] ")[1].split(" ")[0] for line in beats] == ["0:10", "0:20", "0:30", "0:40", "0:50", "1:00"]
        assert "running: a (calling, 58 s); 1 waiting" in beats[-1]

    def test_the_same_facts_as_on_a_terminal(self) -> None:
        found = TestFrame().few(
            3, endpoints=(EndpointUse("host:1", 3, 8, "rate limit"),), repeated=2, waiting={"rate limited": 1}
        )
        assert heartbeat(found) == (
            "running: read.0 (writing, 0 s), read.1 (writing, 1 s) and 1 more; 0 waiting; 1 rate limited; "
            "host:1 3 of 8 calls (rate limit); 2 calls retried; about 1:40 left"
        )


class TestFacts:
    def test_an_agent_without_words_shows_what_it_was_asked(self) -> None:
        item = Step(id="b.1", prompt="Read {item}.", item={"page": "x" * 900}, instance_of="b")
        graph = (Step(id="a", prompt="Find\nthe size."), item)
        found = FactFinder(Board(lambda: 9.0)).facts(state_of(graph, {}, ["a", "b.1"]), 9.0)
        assert {agent.id: agent.task[:12] for agent in found.agents} == {"a": "Find\nthe siz", "b.1": '{"page": "xx'}
        lines = [painted(line, color=False) for line in frame(found, 60, 20)]
        assert "    Find the size." in lines
        assert any(line.startswith('    {"page": "xxx') and line.endswith("…") for line in lines)

    def test_from_a_journal_alone_an_agent_shows_its_last_turn(self) -> None:
        state = state_of(steps("a"), {}, ["a"])
        said = Message(role="assistant", parts=(Text(text="Twelve."),))
        state.apply(turn("a", said, t=4.0))
        found = FactFinder(Board(lambda: 9.0)).facts(state, 9.0)
        (agent,) = found.agents
        assert (agent.words, agent.doing) == ("Twelve.", "working")

    def test_an_agent_of_a_big_run_costs_little(self) -> None:
        graph = (Step(id="study", each=tuple(range(1200))), Step(id="end", after=("study",)))
        ran = run_virtually(graph, Sleeper(), workers(60, steps=10_000))
        found = FactFinder(Board(lambda: ran.state.t)).facts(ran.state, ran.state.t)
        assert found.counts == {Status.DONE: 1201}
        assert found.agents == ()
