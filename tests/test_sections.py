"""Reports and other work of several steps: how they are checked and done again, and what their readers see."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from swarm.attempt.types import Given, Missing
from swarm.attempt.verdicts import REASONS, merged_verdict, reasons_in
from swarm.base.values import Json
from swarm.lifecycle.options import Options
from swarm.lifecycle.run import Run
from swarm.record.steps import StepState
from swarm.spec.chat import Data, Reply, Request, Text, split_data
from swarm.spec.plan import Plan, Step, before_of
from swarm.spec.task import InputSpec, Limits, Model, Task
from tests.readers import FACT, PerfectReader, document

pytestmark = pytest.mark.anyio

READ = Step(id="read", each="inputs", prompt="List every fact.")
REDUCE = Step(id="reduce", agent="reducer", needs=("read",), check="critic")
FACTS: Mapping[str, Any] = {"type": "array", "items": {"type": "string"}}


class Newsroom(PerfectReader):
    """Writers that err until a verdict states the right figure, and critics that compare every fact with its source."""

    wrong: Mapping[str, str] = {}
    """Names of facts that writers get wrong, with what they write."""
    writers: tuple[str, ...] = ("report",)
    """Purposes of the requests in which they err."""
    critic_context = 0
    """Context of the model `critic`, if it has one of its own."""

    def __init__(self, context: int, cap: int) -> None:
        super().__init__(context, cap=cap)
        self.seen: list[tuple[str, str, tuple[str, ...]]] = []
        """Judged step, verdict and sources of each critic."""

    async def complete(self, request: Request) -> Reply:
        """Answer within the context of the model that is asked."""
        usual = self.context
        self.context = self.critic_context or usual if request.model == "critic" else usual
        try:
            return await super().complete(request)
        finally:
            self.context = usual

    def _answer(self, request: Request) -> str:
        parts = [part for message in request.messages for part in message.parts if message.role == "user"]
        read = {part.name: part.text for part in split_data(parts) if isinstance(part, Data)}
        schema = json.dumps(request.form.json_schema) if request.form else ""
        if "verdict" in schema:
            words = " ".join(part.text for part in parts if isinstance(part, Text))
            return self._judge(re.findall(r"output of the step (\S+) against", words)[-1], read)
        found = super()._answer(request)
        told = " ".join(read.values())
        for name, error in self.wrong.items():
            right = re.search(rf"The source says ({name} is \d+\.)", told)
            if right is not None:
                found = re.sub(rf"{name} is \d+\.", right[1], found)
            elif request.purpose in self.writers:
                found = re.sub(rf"{name} is \d+\.", error, found)
        verdicts = tuple(f"[{name}]" for name, text in read.items() if '"verdict"' in text)
        found = "\n".join(line for line in found.split("\n") if not verdicts or not line.endswith(verdicts))
        if request.form:
            return json.dumps({"answer": FACT.findall(found)})
        return "\n".join(dict.fromkeys(found.split("\n")))

    def _judge(self, work: str, read: Mapping[str, str]) -> str:
        sources = {name: text for name, text in read.items() if name != work}
        known = {fact.split(" ")[0]: fact for text in sources.values() for fact in FACT.findall(text)}
        claims = FACT.findall(read[work])
        errors = [known[name] for fact in claims if known.get(name := fact.split(" ")[0], fact) != fact]
        verdict = "contradicted" if errors else "supported"
        if claims and not any(fact.split(" ")[0] in known for fact in claims):
            verdict = "cannot tell"
        self.seen.append((work, verdict, tuple(sources)))
        return json.dumps({"verdict": verdict, "reasons": [f"The source says {fact}" for fact in errors]})


async def run(
    folder: Path,
    newsroom: Newsroom,
    *steps: Step,
    files: int = 12,
    critic: bool = False,
    checks: Any = None,
    **more: Any,
) -> Run:
    for n in range(files):
        (folder / f"{n:02}.md").write_text(document(n, words=0), encoding="utf-8")
    models = {"default": Model(endpoint="offline", context=newsroom.context, max_tokens=newsroom.cap)}
    if critic:
        models["critic"] = Model(endpoint="offline", context=newsroom.critic_context, max_tokens=newsroom.cap)
    task = Task(goal="List all facts.", inputs=("*.md",), folder=folder, models=models, plan=Plan(steps=steps), **more)
    options = Options(endpoint=newsroom, cache=False, checks=checks or {})
    async with Run(task, options=options) as done:
        pass
    return done


def facts_of(done: Run) -> list[str]:
    report = done.result.report
    return [] if report is None else FACT.findall(report.text.partition("## Sources")[0])


def right(files: int = 12) -> set[str]:
    return set(FACT.findall("".join(document(n, words=0) for n in range(files))))


class TestCheckedSections:
    async def test_shares_read_all_of_a_report_with_its_sources_and_the_run_is_done(self, tmp_path: Path) -> None:
        newsroom = Newsroom(2_560, 256)
        done = await run(tmp_path, newsroom, READ, REDUCE)

        assert (done.result.status, set(facts_of(done))) == ("done", right())
        assert [(each.step, each.verdict, each.repeats) for each in done.result.checks] == [("reduce", "supported", 0)]
        sections = done.state.steps["reduce.1"].children
        assert len(sections) > 3
        judged: dict[str, set[str]] = {}
        for work, _, sources in newsroom.seen:
            judged.setdefault(work, set()).update(sources)
        written = [name for name in sections[:-1] if done.state.steps[name].kind == "plain"]
        assert {*written, sections[-1]} <= set(judged)
        leaves = {name for work, sources in judged.items() if work != sections[-1] for name in sources}
        assert leaves - {"steps"} == {f"read.{n}" for n in range(1, 13)}
        assert judged[sections[-1]] >= set(written)
        assert done.state.steps["reduce.2.0"].turns == 0

    async def test_only_a_contradicted_section_is_written_again(self, tmp_path: Path) -> None:
        newsroom = Newsroom(2_560, 256)
        newsroom.wrong = {"F-9-3": "F-9-3 is 7."}
        done = await run(tmp_path, newsroom, READ, REDUCE)

        assert (done.result.status, set(facts_of(done)), len(facts_of(done))) == ("done", right(), len(right()))
        assert [(each.verdict, each.repeats) for each in done.result.checks] == [("supported", 1)]
        again = {name: done.state.steps[name] for name in done.state.steps["reduce.3"].children}
        assert [s.step.redoes for s in again.values()].count(None) == len(again) - 1
        old = {s.id.replace(".3.", ".1."): s.step.prompt for s in again.values() if s.step.redoes is None}
        assert old == {name: done.state.steps[name].step.prompt for name in old}

    @pytest.mark.slow  # some fifty attempts
    async def test_a_function_gets_the_whole_report_and_its_reasons_reach_every_section(self, tmp_path: Path) -> None:
        newsroom = Newsroom(3_072, 256)
        newsroom.wrong = {"F-2-2": "F-2-2 is 7.", "F-9-3": "F-9-3 is 7."}
        read: list[str] = []

        def check(text: str, sources: Mapping[str, str]) -> list[str]:
            read.append(text)
            known = set(FACT.findall("".join(sources.values())))
            wrong = [fact.split(" ")[0] for fact in FACT.findall(text) if fact not in known]
            return [f"The source says {fact}" for fact in sorted(known) if fact.split(" ")[0] in wrong]

        step = REDUCE.model_copy(update={"check": "same"})
        done = await run(tmp_path, newsroom, READ, step, checks={"same": check})
        assert (done.result.status, set(facts_of(done)), len(facts_of(done))) == ("done", right(), len(right()))
        assert [len(FACT.findall(text)) for text in read] == [len(right())] * 2

    @pytest.mark.slow  # some fifty attempts
    async def test_a_critic_with_a_small_context_reads_pieces_of_the_work(self, tmp_path: Path) -> None:
        newsroom = Newsroom(65_536, 4_096)
        newsroom.critic_context, newsroom.writers = 3_072, ("text",)
        newsroom.wrong = {"F-9-3": "F-9-3 is 7."}
        study = Step(id="study", prompt="List every fact.", check="critic")
        done = await run(tmp_path, newsroom, study, files=24, critic=True, limits=Limits(workers=4))

        assert (done.result.status, newsroom.refused) == ("done", 0)
        assert set(facts_of(done)) == right(24)
        assert [(each.verdict, each.repeats) for each in done.result.checks] == [("supported", 1)]
        assert {work for work, _, _ in newsroom.seen} == {"study.1", "study.3"}
        assert "cannot tell" in {verdict for _, verdict, _ in newsroom.seen}

    async def test_a_list_of_parts_is_checked_part_by_part(self, tmp_path: Path) -> None:
        newsroom = Newsroom(4_096, 256)
        newsroom.writers, newsroom.wrong = ("text", "json"), {"F-9-3": "F-9-3 is 7."}
        study = Step(id="study", prompt="List every fact.", check="critic", output=dict(FACTS))
        done = await run(tmp_path, newsroom, study)

        assert done.state.steps["study.1"].kind == "stand_in"
        assert (done.result.status, set(facts_of(done))) == ("done", right())

    async def test_work_that_is_done_again_reads_its_inputs_again(self, tmp_path: Path) -> None:
        newsroom = Newsroom(16_384, 2_048)
        newsroom.writers, newsroom.wrong = ("text", "json"), {"F-0-1": "F-0-1 is 7."}
        study = Step(id="study", prompt="List every fact.", check="critic")
        done = await run(tmp_path, newsroom, study, files=1)

        last = newsroom.requests[-2].messages
        parts = split_data(part for message in last for part in message.parts)
        read = [part.name for part in parts if isinstance(part, Data) and part.of != "brief"]
        assert read == ["00.md", "study.1", "study.2"]
        assert (done.result.status, set(facts_of(done))) == ("done", right(1))


def verdict(about: str, stated: str, *reasons: str) -> Given:
    return Given(step=f"c.{about}.{stated[:3]}", about=about, output={"verdict": stated, "reasons": list(reasons)})


class TestVerdicts:
    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ([("a", "supported"), ("b", "contradicted"), ("c", "cannot tell")], "contradicted"),
            ([("a", "supported"), ("b", "cannot tell"), ("c", "qualified")], "cannot tell"),
            ([("a", "supported"), ("b", "qualified")], "qualified"),
            ([("a", "supported"), ("b", "supported")], "supported"),
            ([("a", "supported"), ("a", "cannot tell")], "supported"),
            ([("a", "cannot tell"), ("a", "cannot tell"), ("b", "supported")], "cannot tell"),
            ([("a", "qualified"), ("a", "supported")], "qualified"),
            ([("a", "supported"), ("a", "contradicted")], "contradicted"),
            ([], "unchecked"),
            ([("a", "fine")], "unchecked"),
        ],
    )
    def test_one_verdict_of_several(self, given: list[tuple[str, str]], expected: str) -> None:
        assert merged_verdict([verdict(*each) for each in given])["verdict"] == expected

    def test_a_missing_verdict_leaves_work_unchecked_unless_it_is_contradicted(self) -> None:
        missing = [Missing(step="c.2", because="the server is down")]
        found = merged_verdict([verdict("a", "supported")], missing)
        assert found == {"verdict": "unchecked", "reasons": ["c.2: the server is down"]}
        assert merged_verdict([verdict("a", "contradicted", "No.")], missing)["verdict"] == "contradicted"

    def test_reasons_name_their_piece_and_end(self) -> None:
        found = merged_verdict([verdict("a.1", "contradicted", "No."), verdict("a.2", "supported", "Yes.")])
        assert found["reasons"] == ["[a.1] No."]
        many: list[Json] = [f"{n}" for n in range(REASONS)]
        both = [verdict(about, "contradicted", *(f"{about}{n}" for n in many)) for about in ("a", "b")]
        reasons = reasons_in(merged_verdict(both))
        assert reasons[:2] == ["[a] a0", "[b] b0"]
        assert (len(reasons), reasons[-1]) == (REASONS, "and 21 more")


class Labelled(Newsroom):
    """Remembers which model got which documents."""

    def __init__(self, context: int, cap: int) -> None:
        super().__init__(context, cap)
        self.shown: list[tuple[str, set[int]]] = []

    async def complete(self, request: Request) -> Reply:
        """Note what the model is shown, then answer."""
        parts = [part for message in request.messages for part in message.parts]
        shown = {int(number) for part in parts for number in re.findall(r"F-(\d+)-", str(part))}
        self.shown.append((request.model, shown))
        return await super().complete(request)


LABELS: list[str | None] = [None, None, "lab", None, None, None, None, "lab", None, "hr", None, "hr"]
"""Labels of the documents."""


def labels_below(steps: Mapping[str, StepState], name: str) -> set[str]:
    """Return the labels of all documents that a step was made from."""
    found: set[str] = set()
    stack, seen = [name], {name}
    while stack:
        s = steps[stack.pop()]
        found |= {str(label) for each in s.step.inputs or () if (label := LABELS[int(each[:2])])}
        below = {*before_of(s.step), *(s.children if s.kind == "stand_in" else ())}
        stack += below - seen
        seen |= below
    return found


@pytest.mark.parametrize("check", [None, pytest.param("critic", marks=pytest.mark.slow)])
async def test_a_section_has_the_labels_of_its_leaves_and_goes_where_they_may(
    tmp_path: Path, check: str | None
) -> None:
    newsroom = Labelled(2_560, 256)
    for n in range(12):
        (tmp_path / f"{n:02}.md").write_text(document(n, words=0), encoding="utf-8")
    inputs = tuple(InputSpec(path=f"{n:02}.md", label=LABELS[n]) for n in range(12))
    sizes: dict[str, Any] = {"endpoint": "offline", "context": 2_560, "max_tokens": 256}
    models = {"default": Model(name="outside", **sizes), "inside": Model(name="inside", **sizes)}
    plan = Plan(steps=(READ, REDUCE.model_copy(update={"check": check})))
    labels = {"hr": ("inside",), "lab": ("inside", "default")}
    task = Task(goal="List all.", inputs=inputs, folder=tmp_path, models=models, labels=labels, plan=plan)
    async with Run(task, options=Options(endpoint=newsroom, cache=False)) as done:
        pass

    assert (done.result.status, set(facts_of(done))) == ("done", right())
    private = {n for n, label in enumerate(LABELS) if label == "hr"}
    assert {model for model, shown in newsroom.shown if shown & private} == {"inside"}
    steps = done.state.steps
    partials = [s for s in steps.values() if s.step.partial_of and s.model]
    assert {s.model for s in partials} == {"default", "inside"}
    for s in partials:
        assert s.model == ("inside" if "hr" in labels_below(steps, s.id) else "default"), s.id


class TestReaders:
    """What the last reducer and the readers of a report see."""

    async def test_citations_are_named_by_files_up_to_the_top(self, tmp_path: Path) -> None:
        newsroom = Newsroom(2_560, 256)
        done = await run(tmp_path, newsroom, READ, REDUCE.model_copy(update={"check": None}))

        assert done.result.report is not None
        text = done.result.report.text
        headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert headings[0].startswith("00.md – ")
        assert not [heading for heading in headings if "read." in heading or "reduce." in heading]
        top = newsroom.requests[-1].messages[-1]
        told = next(part.text for part in top.parts if isinstance(part, Data) and part.name == "steps")
        cited = re.findall(r"\[(read\.\d+)\]", " ".join(str(part) for part in top.parts))
        assert cited
        assert all(f"{name} = {int(name[5:]) - 1:02}.md" in told for name in set(cited))

    async def test_a_source_that_is_a_partial_report_is_named_by_what_it_read(self, tmp_path: Path) -> None:
        class Lazy(Newsroom):
            def _answer(self, request: Request) -> str:
                found = super()._answer(request)
                return re.sub(r"\[read\.\d+\]", "[reduce.1]", found) if "All is below" in found else found

        lazy = Lazy(2_560, 256)
        done = await run(tmp_path, lazy, READ, REDUCE.model_copy(update={"check": None}))
        assert done.result.report is not None
        assert "[reduce.1] part of reduce: 00.md – " in done.result.report.text

    @pytest.mark.slow  # a hundred attempts
    async def test_no_fact_is_lost_where_the_model_ignores_the_length_of_a_summary(self, tmp_path: Path) -> None:
        newsroom = Newsroom(2_560, 256)
        step = REDUCE.model_copy(update={"check": None})
        done = await run(tmp_path, newsroom, READ, step, files=30, report="summary")

        assert (done.result.status, set(facts_of(done))) == ("done", right(30))
        assert done.state.steps["reduce.0"].combine == "sections"

    async def test_a_truncated_summary_counts_the_outputs_that_it_does_not_cite(self, tmp_path: Path) -> None:
        newsroom = Newsroom(16_384, 256)
        step = REDUCE.model_copy(update={"check": None})
        done = await run(tmp_path, newsroom, READ, step, report="summary")

        assert done.result.status == "partial"
        assert done.result.report is not None
        found = re.search(r"(\d+) of 12 outputs are not cited in the truncated report: \[read", done.result.report.text)
        assert found is not None
        assert int(found[1]) == 12 - len(set(re.findall(r"\[(read\.\d+)\]", done.result.report.text.split("## ")[0])))
