"""What holds for trees of any size and any kind: nothing twice, nothing lost, no label too few or too many."""

import re
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from erring import ErringReader

from swarm.base.errors import EndpointRefused
from swarm.lifecycle.options import Options
from swarm.lifecycle.run import Run
from swarm.record.folder import RunFolder
from swarm.spec.chat import Data, Reply, Request, split_data
from swarm.spec.plan import Plan, Step
from swarm.spec.task import InputSpec, Limits, Model, Task
from swarm.testing import reply
from tests.readers import PerfectReader, document, share_found
from tests.test_reduction import run, task, text_of
from tests.test_tree_properties import calling

LEAVES = 5_000


def outputs_in(request: Request) -> list[Data]:
    """Return the outputs that a request shows."""
    parts = split_data(part for message in request.messages for part in message.parts)
    return [part for part in parts if isinstance(part, Data) and part.of == "output"]


@dataclass
class Counting(PerfectReader):
    """A model that answers each leaf with the name of its file, and counts the leaves that it is shown in reports."""

    calls: int = 0
    leaves: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])

    async def complete(self, request: Request) -> Reply:
        self.calls += 1
        await anyio.sleep(1.0)
        if request.purpose == "report":
            outputs = outputs_in(request)
            self.leaves.update((part.name, part.text) for part in outputs if part.name.startswith("read."))
            return reply(f"All that is there [{outputs[0].name}].")
        (name,) = re.findall(r"file \w+", request.messages[-1].text)
        return reply(f"This was found in the {name}, and nothing else.")


@pytest.mark.anyio
@pytest.mark.virtual
@pytest.mark.slow  # five thousand steps and a tree over them
@pytest.mark.timeout(600)
async def test_each_of_5000_leaves_is_shown_whole_to_exactly_one_partial(tmp_path: Path) -> None:
    words = [f"file {chr(97 + n // 676)}{chr(97 + n // 26 % 26)}{chr(97 + n % 26)}" for n in range(LEAVES)]
    steps = (
        Step(id="read", each=tuple(words), prompt="What is in the {item}?"),
        Step(id="reduce", agent="reducer", after=("read",)),
    )
    model = Counting(8_192)
    models = {"default": Model(endpoint="offline", context=8_192, max_tokens=1024)}
    limits = Limits(steps=6_000, workers=64)
    done = await run(Task(goal="All.", folder=tmp_path, models=models, plan=Plan(steps=steps), limits=limits), model)
    assert done.result.status == "done"
    whole = {f"This was found in the {name}, and nothing else." for name in words}
    assert {text for _, text in model.leaves} == whole
    assert len(model.leaves) == LEAVES
    assert set(model.leaves.values()) == {1}
    assert model.calls == len(calling(done.state))


@pytest.mark.anyio
async def test_a_partial_has_the_labels_of_its_leaves_and_no_others(tmp_path: Path) -> None:
    names = [f"d/{n:04}.md" for n in range(24)]
    labels = {"d/0000.md": "first", "d/0001.md": "first", "d/0023.md": "last"}
    this = task(
        tmp_path,
        24,
        inputs=tuple(InputSpec(path=name, label=labels.get(name)) for name in names),
        labels={"first": ("default",), "last": ("default",)},
    )
    model = PerfectReader(4_096)
    done = await run(this, model)
    of_leaf = {f"read.{n}": labels.get(name) for n, name in enumerate(names, 1)}
    seen: set[tuple[str, ...]] = set()
    sections = [request for request in model.requests if request.purpose == "report"]
    for request in sections:
        shown = [of_leaf[part.name] for part in outputs_in(request) if part.name in of_leaf]
        if shown:
            assert set(request.labels) == set(filter(None, shown))
            seen.add(request.labels)
    assert seen == {("first",), (), ("last",)}, "most sections have no label at all"
    assert sections[-1].labels == ("first", "last"), "the summary reads all of them"
    assert share_found(text_of(done), 24) == 1.0


class Refusing(ErringReader):
    """A model that writes no report on what a certain step found, however often it is asked."""

    async def complete(self, request: Request) -> Reply:
        if request.purpose == "report" and any(part.name == "read.5" for part in outputs_in(request)):
            raise EndpointRefused("no", kind="refused")
        return await super().complete(request)


def of_every_kind(folder: Path) -> Task:
    """Return a task with parts of a long text, a check, votes, a merged table and a report in sections."""
    (folder / "long.md").write_text(document(90, facts=60, words=3), encoding="utf-8")
    for n in range(4):
        (folder / f"{n}.md").write_text(document(n, facts=8, words=1), encoding="utf-8")
    steps = (
        Step(id="long", prompt="List every fact.", inputs=("long.md",)),
        Step(id="read", each="inputs", inputs=("0.md", "1.md"), prompt="Find the facts in {item}.", check="critic"),
        Step(id="vote", prompt="Find the facts.", inputs=("2.md",), vote=3),
        Step(id="again", prompt="Find the facts.", inputs=("3.md",)),
        Step(id="merged", merge="text", needs=("vote", "again")),
        Step(id="reduce", agent="reducer", after=("long", "read", "merged")),
    )
    return Task(
        goal="List all facts.",
        inputs=("*.md",),
        folder=folder,
        models={"default": Model(endpoint="offline", context=4_096, max_tokens=512)},
        plan=Plan(steps=steps),
        limits=Limits(workers=4),
    )


@pytest.mark.anyio
@pytest.mark.slow  # twenty resumed runs
@pytest.mark.parametrize("kind", ["of every kind", "with a partial that fails"])
async def test_killed_anywhere_and_resumed_the_report_is_the_same(tmp_path: Path, kind: str) -> None:
    fails = kind == "with a partial that fails"
    this = task(tmp_path, 24) if fails else of_every_kind(tmp_path)

    def model() -> Any:
        return Refusing(4_096) if fails else ErringReader(4_096, cap=512)

    done = await run(this, model())
    kinds = {s.combine for s in done.state.steps.values() if s.kind == "stand_in"}
    assert kinds == ({"list", "sections"} if fails else {"list", "sections", "last", "checked", "majority"})
    assert done.result.status == ("partial" if fails else "done")
    assert not fails or share_found(text_of(done), 24) == 1.0, "its leaves are in the report in its place"
    lines = (done.folder.path / "journal.jsonl").read_bytes().splitlines(keepends=True)
    for cut in range(2, len(lines), max(1, len(lines) // 10)):
        copy = tmp_path / "cut" / str(cut)
        copy.parent.mkdir(exist_ok=True)
        shutil.copytree(done.folder.path, copy)
        (copy / "journal.jsonl").write_bytes(b"".join(lines[:cut]))
        async with Run(options=Options(endpoint=model(), cache=False), resume=RunFolder(copy)) as again:
            pass
        assert again.result.report == done.result.report, cut
        assert again.result.status == done.result.status
