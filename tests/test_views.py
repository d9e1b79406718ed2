"""The texts about a run, and that no text of a model, a tool or a file controls a terminal."""

import re
from collections.abc import Iterable
from contextvars import copy_context

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.base.columns import fit
from swarm.base.errors import AnswerError, EndpointRefused, RunNotFoundError
from swarm.planning.lint import Finding
from swarm.record import events as e
from swarm.record.outcome import Outcome
from swarm.record.state import State
from swarm.results.measure import measure
from swarm.spec.chat import Data, MediaFile, Message, Text, ToolCall, Usage
from swarm.spec.plan import Step
from swarm.views import words
from swarm.views.progress import BIG, MOST_BAD, MOST_FAILURES, Progress, summary
from swarm.views.tables import plan_table, run_table, runs_table, step_page
from tests.swarms import Sleeper, run_virtually, steps, workers
from tests.test_measure import refold, turn
from tests.test_views_safety import Row, is_safe, watch

NO = EndpointRefused("no such model", kind="bad_request")


def told(lines: Iterable[str]) -> list[str]:
    """Return progress lines without their counts."""
    return [line.partition("tokens  ")[2].rstrip("\n") or line for line in lines]


class TestProgress:
    def test_each_thing_that_happens_is_told_once(self) -> None:
        ran = run_virtually(steps("a b:a"), Sleeper({"a": 2, "b": 1}))
        lines = watch(ran.events, goal="Which?")
        assert lines[0] == "goal: Which?"
        assert lines[1] == "[0/2 done, 1 running] 0:00 0 tokens  a started (worker, default)"
        assert told(lines[2:]) == [
            "a done in 2.0 s, 0 tokens",
            "b started (worker, default)",
            "b done in 1.0 s, 0 tokens",
            "done",
        ]
        assert lines[-1].startswith("[2/2 done] 0:03")

    def test_looking_twice_tells_nothing_twice(self) -> None:
        ran = run_virtually(steps("a"), Sleeper())
        lines: list[str] = []
        progress = Progress(lines.append)
        progress.show(State())
        progress.show(ran.state)
        progress.show(ran.state)
        assert told(lines) == ["a done in 1.0 s, 0 tokens"]

    def test_looking_seldom_still_tells_every_end(self) -> None:
        ran = run_virtually(steps("a b:a c:b"), Sleeper())
        assert told(watch(ran.events, every=1000)) == [
            "a done in 1.0 s, 0 tokens",
            "b done in 1.0 s, 0 tokens",
            "c done in 1.0 s, 0 tokens",
            "done",
        ]

    def test_failures_retries_and_skips_are_told_with_their_reason(self) -> None:
        gives = {"a": NO, "r": [AnswerError("an empty answer"), Outcome(output="x")]}
        lines = told(watch(run_virtually(steps("a b:a r"), Sleeper(gives=gives)).events))
        assert "a failed: no such model" in lines
        assert "b skipped: it needs a, which failed: no such model" in lines
        assert "r failed, retrying: an empty answer" in lines
        assert "r started (worker, default, attempt 2)" in lines

    def test_instances_waves_and_the_cache_are_told(self) -> None:
        wave = Outcome(output="w", spawned=steps("p q"))
        graph = (Step(id="study", each=(1, 2, 3)), Step(id="next"), Step(id="end", after=("study", "next")))
        gives = {"next": wave, "study.2": Outcome(output="x", cached=True)}
        lines = watch(run_virtually(graph, Sleeper(gives=gives)).events)
        assert "study: 3 instances" in told(lines)
        assert "next done in 1.0 s, 0 tokens, 2 steps planned" in told(lines)
        assert "study.2 done: taken from the cache" in told(lines)
        assert not any("study done" in line for line in lines)
        assert lines[-1].startswith("[7/7 done] 0:03")

    def test_slots_and_limits_are_told(self) -> None:
        graph = (Step(id="study", each=tuple(range(10))), Step(id="end", after=("study",)))
        ran = run_virtually(graph, Sleeper(), workers(4, steps=8))
        slots = e.SlotsChanged.model_validate({"t": 1, "endpoint": "http://x", "from": 1, "to": 2, "why": "used"})
        fewer = slots.model_copy(update={"before": 2, "after": 1})
        lines = told(watch([*ran.events[:3], slots, fewer, *ran.events[3:]]))
        assert "http://x: parallel calls 2" in lines
        assert "http://x: parallel calls 2 → 1" in lines
        assert "limit steps reached (8): only the report can still start" in lines
        assert any(line.startswith("study limited: limits.steps: it has 10 instances, and") for line in lines)

    def test_a_resumed_run_tells_what_was_done_before_in_one_line(self) -> None:
        ran = run_virtually(steps("a b c:a"), Sleeper({"b": 5}))
        cut = next(n for n, event in enumerate(ran.events) if isinstance(event, e.StepFinished))
        state = State()
        for event in ran.events[: cut + 1]:
            state.apply(event)
        state.apply(e.RunResumed(t=state.t, task={}, agents=(), versions={}))
        lines: list[str] = []
        progress = Progress(lines.append)
        progress.show(state)
        assert told(lines) == ["resumed: 1 of 3 steps already done"]
        state.apply(e.StepStarted(t=7, step="b", attempt=2, span="0" * 16, model="default"))
        progress.show(state)
        progress.end(state)
        assert told(lines)[1:] == ["b started (worker, default, attempt 2)", "stopped before the end"]

    def test_a_big_run_gets_a_line_every_few_seconds_and_its_failures(self) -> None:
        count = 20 * BIG
        graph = (Step(id="study", each=tuple(range(count))), Step(id="end", after=("study",)))
        ran = run_virtually(graph, Sleeper(gives={"study.7": NO}), workers(60, steps=10_000))
        lines = watch(ran.events)
        assert len(lines) < 12 < count / 60
        assert "study.7 failed: no such model" in told(lines)
        assert any("from now on a line every 5 s" in line for line in lines)
        assert any(
            re.search(r"running: study\.\d+ \(working, \d+ s\), .* and \d+ more; \d+ waiting", line) for line in lines
        )
        assert lines[-1].startswith(f"[{count}/{count + 1} done, 1 failed] 0:21")

    def test_a_flood_of_failures_is_cut(self) -> None:
        graph = (Step(id="study", each=tuple(range(200))), Step(id="end", after=("study",)))
        own = EndpointRefused("no such model", kind="content_filter")  # a kind that concerns one step only
        gives = {f"study.{n}": own for n in range(1, 201)}
        lines = watch(run_virtually(graph, Sleeper(gives=gives), workers(16, steps=999)).events)
        assert sum("no such model" in line for line in lines) == MOST_FAILURES
        assert "180 more failures" in told(lines)

    def test_colour_only_when_told(self) -> None:
        ran = run_virtually(steps("a b"), Sleeper(gives={"b": NO}))
        plain, painted = watch(ran.events), watch(ran.events, color=True)
        assert not any("\x1b" in line for line in plain)
        assert [re.sub("\x1b\\[[0-9]*m", "", line) for line in painted] == plain
        assert any("\x1b[31mb failed" in line for line in painted)

    def test_tokens_so_far(self) -> None:
        ran = run_virtually(steps("a"), Sleeper())
        events = [*ran.events[:3], turn("a", input_tokens=12_000), *ran.events[3:]]
        assert "a done in 1.0 s, 12,005 tokens" in told(watch(events))
        assert "12k tokens" in watch(events)[-1]


class TestSummary:
    def test_what_stands_in_it(self) -> None:
        ran = run_virtually(steps("a b c:a,b d:+c"), Sleeper({"a": 6, "b": 4}, {"c": NO}))
        state = refold(ran.events, {"limits": {"workers": 4}})
        state.apply(turn("a"))
        text = summary(state, measure(state))
        assert text.splitlines()[0] == "partial: 3 of 4 steps done, 1 call, 15 tokens, price unknown, 8.0 s"
        assert "Speed-up" not in text, "it is not recorded when the call of a ran"
        assert "Workers: maximum 4, peak 2, mean 1.5" in text
        assert "Critical path, 8.0 s: a → c → d" in text
        assert "c failed: no such model" in text
        assert text.splitlines()[-1] == "c failed: no such model"

    def test_flags_come_with_their_evidence(self) -> None:
        ran = run_virtually(steps("a b:a c:b d:c end:d"), Sleeper())
        text = summary(ran.state, measure(ran.state))
        assert "! serial collapse: 4 of 4 steps waited for one another" in text

    def test_one_agent_is_told_nothing_of_parallelism(self) -> None:
        ran = run_virtually(steps("a"), Sleeper())
        assert summary(ran.state, measure(ran.state)).splitlines() == [
            "done: 1 of 1 step done, 0 calls, 0 tokens, 1.0 s",
        ]

    def test_a_run_from_the_cache_has_no_speed_up(self) -> None:
        gives = {name: Outcome(output="x", cached=True) for name in "ab"}
        ran = run_virtually(steps("a b:a"), Sleeper({"a": 0, "b": 0}, gives))
        text = summary(ran.state, measure(ran.state))
        assert "2 of 2 steps done (2 from the cache)" in text
        assert "Speed-up" not in text

    def test_files_that_steps_left_are_counted_by_kind(self) -> None:
        table = MediaFile(medium="file", name="rows.csv", mime="text/csv", sha256="0" * 64, size=1)
        spoken = MediaFile(medium="audio", mime="audio/wav", sha256="1" * 64, size=2)
        ran = run_virtually(steps("a"), Sleeper(gives={"a": Outcome(output="x", media=(table, table, spoken))}))
        lines = summary(ran.state, measure(ran.state)).splitlines()
        assert {"1 audio file in the folder of the run", "2 files in the folder of the run"} < set(lines)
        assert f"media: rows.csv, text/csv, 1 byte: artifacts/{'0' * 64}" in step_page(ran.state, "a", ran.events)

    def test_many_failures_are_counted(self) -> None:
        graph = steps(" ".join(f"s{n}" for n in range(12)))
        ran = run_virtually(graph, Sleeper(gives={f"s{n}": NO for n in range(12)}))
        text = summary(ran.state, measure(ran.state))
        assert text.count("no such model") == 1
        assert "\ns0, s1, s2 and 9 more failed: " in text
        for n, s in enumerate(ran.state.real_steps()):
            s.error = e.Failure(kind=f"kind {n}", message=f"no such model {n}")
        text = summary(ran.state, measure(ran.state))
        assert text.count("no such model") == MOST_BAD
        assert f"and {12 - MOST_BAD} more steps that are not done" in text

    def test_a_run_that_has_not_begun(self) -> None:
        assert "stopped before the end: 0 of 0 steps" in summary(State(), measure(State()))


class TestTables:
    def test_runs(self) -> None:
        text = runs_table(
            [Row(), Row(run="older", status="stopped", goal="x" * 500, at=1e300), Row(status="cancelled")]
        )
        head, first, second, third = text.splitlines()
        assert head.split() == ["RUN", "STATUS", "DONE", "TIME", "STARTED", "GOAL"]
        assert first.split() == ["20260101-120000-abc", "done", "8/9", "2:05", "min", "2026-01-01", "12:00", "Which?"]
        assert second.startswith("older")
        assert third.split()[1] == "cancelled"
        assert all(len(line) <= words.WIDTH for line in text.splitlines())

    def test_a_table_that_does_not_fit_a_narrow_terminal_has_a_few_lines_per_row(self) -> None:
        def on(wide: int) -> list[str]:
            fit(wide)
            return runs_table([Row(), Row(run="older", goal="x " * 300)]).splitlines()

        lines = copy_context().run(on, 40)
        assert lines[0] == "run 20260101-120000-abc"
        assert lines[1].split() == ["status", "done,", "done", "8/9,", "time", "2:05", "min,"]
        assert "run older" in lines
        assert all(len(line) <= 40 for line in lines)
        assert "xx" not in "".join(lines)
        assert copy_context().run(on, 200) == on(words.WIDTH), "a wide terminal changes nothing"

    def test_one_run(self) -> None:
        graph = (Step(id="study", each=(1, 2)), *steps("b end:+study,b"))
        gives = {
            "study.1": Outcome(output="x", cached=True),
            "b": Outcome(output="y", notes=("fixed",)),
            "study.2": NO,
        }
        ran = run_virtually(graph, Sleeper({"study.2": 3}, gives))
        state = refold(ran.events, {"goal": "Which one?", "limits": {"workers": 3}})
        state.apply(turn("b", cached_tokens=7))
        text = run_table(state, measure(state))
        assert "run test: partial, 4.0 s\ngoal: Which one?" in text
        rows = {
            line.split()[0]: line.split()[1:] for line in text.splitlines() if line.startswith(("study.", "b ", "end"))
        }
        assert rows["b"] == ["done", "worker", "default", "1", "1", "15", "1.0", "s"]
        assert rows["study.1"] == ["done", "worker", "default", "1", "0", "0", "cached"]
        assert rows["study.2"][0] == "failed"
        assert list(rows) == ["study.1", "study.2", "b", "end"], "instances where the step they stand for was planned"
        assert "study.2 failed: no such model" in text
        assert "b: fixed" in text
        assert re.search(r"default +1 +10 +5 +7 +unknown", text), "an unknown price is not 0"
        assert "Time: 4.0 s for 5.0 s of calls and tools" in text
        assert "Critical path, 4.0 s: study.2 → end (longest: study.2 75% and end 25%)" in " ".join(text.split())
        assert "Graham's bound for 3 workers" in text
        waits = "Waiting, sum over steps: 4.0 s = 3.0 s for dependencies + 1.0 s for an equal step"
        assert waits in " ".join(text.split())

    def test_one_step(self) -> None:
        ran = run_virtually((Step(id="a", prompt="Look\n  twice."),), Sleeper(gives={"a": {"found": 3}}))
        state = refold(ran.events, {})
        said = Message(
            role="assistant",
            parts=(Text(text="Let me see."),),
            tool_calls=(ToolCall(id="c1", name="find", arguments="{}"),),
        )
        result = Message(role="tool", parts=(Data(of="tool", name="find", text="nothing"),), tool_call_id="c1")
        more = turn("a").model_copy(update={"messages": (said, result)})
        other = turn("b")
        found = Message(role="tool", parts=(Data(of="tool", name="find", text="a tool's turn"),), tool_call_id="c2")
        tool = turn("a").model_copy(update={"messages": (found,), "usage": Usage()})
        state.apply(more)
        text = step_page(state, "a", [*ran.events[:3], more, tool, other, *ran.events[3:]])
        assert "step a: done in 1.0 s, 15 tokens" in text
        assert "prompt\n  Look\n    twice." in text
        assert (
            "turn 1: x, 0.10 s, 10 tokens in, 5 out, finish reason stop\n  assistant:\n    Let me see.\n  calls find {}"
            in text
        )
        assert "  tool c1:\n" in text
        assert "    nothing\n" in text
        assert "tool of turn 1: 0.10 s\n  tool c2:" in text
        assert "turn 2" not in text
        assert '"found": 3' in text

    def test_failed_attempts_of_a_step(self) -> None:
        ran = run_virtually((Step(id="a"),), Sleeper(gives={"a": [AnswerError("empty"), Outcome(output="x")]}))
        text = step_page(ran.state, "a", ran.events)
        assert re.search(r"attempt 1 failed at 1\.0 s: answer: empty; retried after [0-9.]+ s", text)
        assert "attempt 2 started at" in text

    def test_a_step_that_is_not_there(self) -> None:
        ran = run_virtually(steps("a b"), Sleeper())
        with pytest.raises(RunNotFoundError, match=r"no step z; its steps: a and b"):
            step_page(ran.state, "z", ran.events)

    def test_a_plan(self) -> None:
        graph = (
            Step(id="list", prompt="List them.", seconds=5),
            Step(id="study", each="list", needs=("list",), prompt="Assess {item}.", seconds=20),
            Step(id="costs", needs=("list",), seconds=1),
            Step(id="end", agent="reducer", after=("study", "costs"), seconds=4),
        )
        hint = Finding("hint", "unused", "nothing of list is used", "Drop the need.", "costs", "steps.2.needs")
        text = plan_table(graph, [hint])
        lines = [line.split() for line in text.splitlines()]
        assert lines[1] == ["1", "list", "worker", "List", "them."]
        assert lines[2] == ["2", "study", "worker", "each", "of", "list", "Assess", "{item}."]
        assert lines[4][:3] == ["3", "end", "reducer"]
        assert "4 steps in 3 stages, at least 2 in parallel" in text
        assert "Critical path, 3 steps, 29.0 s as planned: list → study → end" in text
        assert "hint: steps.2.needs: nothing of list is used. Drop the need." in text
        assert plan_table(graph, [hint], (("list",), ("study", "costs"), ("end",))) == text

    def test_a_plan_that_goes_round(self) -> None:
        text = plan_table(steps("a:b b:a"))
        assert "cyclic dependency: a → b → a" in text
        assert "no steps" in plan_table(())

    def test_a_list_counts_its_items(self) -> None:
        assert "up to 30 in parallel" in plan_table((Step(id="study", each=tuple(range(30))), *steps("end:study")))


class TestWords:
    @pytest.mark.parametrize(
        ("value", "written"),
        [(0, "0 s"), (0.42, "0.42 s"), (7.25, "7.2 s"), (59.97, "1:00 min"), (125, "2:05 min"), (11229, "3:07:09 h")],
    )
    def test_seconds(self, value: float, written: str) -> None:
        assert words.seconds(value) == written

    @pytest.mark.parametrize(
        ("n", "written"), [(0, "0"), (950, "950"), (1204, "1.2k"), (34_100, "34k"), (3.4e6, "3.4M")]
    )
    def test_short(self, n: float, written: str) -> None:
        assert words.short(n) == written

    def test_a_line_is_one_line_and_cut(self) -> None:
        assert words.one_line("a\n b\t\tc\u2028d") == "a b c d"
        assert words.one_line("x" * 1000) == "x" * 199 + "…"
        assert words.one_line(" " * 2000 + "x", 10) == "…"

    def test_what_a_block_cuts_is_counted(self) -> None:
        assert words.block("abc\n\tdef", 5) == "  abc\n      …\n".replace("      …\n", "") + "\n  … 3 more characters"

    def test_wide_characters_keep_columns_straight(self) -> None:
        text = words.table(("A", "B"), [("東京", "x"), ("ab", "y"), ("e\u0301", "z")])
        assert [words.columns(line[:-1]) for line in text.splitlines()] == [6, 6, 6, 6]

    @given(st.text(), st.integers(1, 300))
    def test_any_text_in_one_line(self, text: str, most: int) -> None:
        line = words.one_line(text, most)
        assert len(line) <= most
        assert is_safe(line + words.block(text).replace("\n", ""))
