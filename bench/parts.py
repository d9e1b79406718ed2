"""A long text on a small context: facts found, tokens read, and what an inserted line changes.

    python bench/parts.py [--bytes 3000000] [--facts 300] [--context 8192] [--kinds 300000]

The reader is a double that never errs: it gives each fact that it is shown, and its answers are cut at the output cap.
So what is lost is lost by the reading in parts. The text is in lines, in sentences on one line, or in words on one
line. It is read by one step, and by one step and a report on its answer, which is longer than a context, too. Facts
are at equal distances, and at every cut, one byte before it and one byte after it. The aim: every fact is found, with
at most 1.3 times the tokens of the text, and the run is `done`; an inserted line changes at most 3 pieces.

A second table is about kinds of texts (`--kinds` bytes of each; 0 leaves it out), with a reader that counts tokens as
real tokenizers do. It is asked for a few facts, or for every record. The ratio is to what cannot be avoided: to read
the text once and to write the answer once. It shows where the tokens go, as multiples of the text: input, frames around
it (rules, roles, prompts, marks), outputs that are read again, and answers. Four calls run at once: if every record is
asked for, up to four first answers are thrown away. The aim: at most 1.3 times.
"""

import argparse
import re
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import TypeGuard

import anyio

sys.path.insert(0, str(Path(__file__).parent.parent))

from swarm.base.cutting import cut_text
from swarm.lifecycle.prepare import Options
from swarm.lifecycle.run import Run
from swarm.results.result import Result
from swarm.spec.chat import Data, Reply, Request, Text, Usage, estimate_tokens, request_tokens, split_data
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Limits, Model, Task
from swarm.testing import Function, reply
from tests import kinds_of_text as kinds

FACT = re.compile(r"fact \d{6} is \d{4}")
STUDY = Step(id="study", prompt="List every fact.", inputs=("long.txt",))
PLANS = {
    "step": Plan(steps=(STUDY,)),
    "report": Plan(steps=(STUDY, Step(id="reduce", agent="reducer", needs=("study",)))),
}
JOINTS = {"lines": "\n", "sentences": ". ", "words": " "}


class Reader(Function):
    """A reader that gives every fact that it is shown, and counts the requests that would not fit its context."""

    def __init__(self, context: int) -> None:
        super().__init__(self._answer)
        self.context = context
        self.too_long = 0

    def _answer(self, request: Request) -> Reply:
        used, cap = request_tokens(request), request.max_tokens or 4096
        self.too_long += used + cap > self.context
        data = [part for message in request.messages for part in split_data(message.parts) if isinstance(part, Data)]
        given = [part for part in data if part.of in ("input", "output")]
        facts = dict.fromkeys(fact for part in given for fact in FACT.findall(part.text))
        source = f" [{given[0].name}]" if request.purpose == "report" and given else ""
        text = "\n".join(f"{fact}{source}" for fact in facts) or "not stated"
        if any("# The summary of this report" in part.text for part in request.messages[-1].parts if is_text(part)):
            text = f"All facts are below{source}."
        whole = estimate_tokens(text) <= cap
        text = text if whole else text.encode()[: 3 * cap].decode("utf-8", "ignore")
        usage = Usage(calls=1, input_tokens=used, output_tokens=estimate_tokens(text))
        return reply(text, usage=usage).model_copy(update={"finish": "stop" if whole else "length"})


def text_of(size: int, facts: int, joint: str, most: int) -> str:
    """Return a text with facts at equal distances, and at and around every cut into pieces of `most` bytes."""
    words = [f"w{n:08d}" for n in range(size // (9 + len(joint)))]
    for n in range(facts):
        words[n * len(words) // facts] = fact(n)
    text = joint.join(words)
    places = [piece.own + shift for piece in cut_text(text, most)[1:] for shift in (-1, 0, 1)]
    made: list[str] = []
    last = 0
    for n, place in enumerate(places, facts):
        made += [text[last:place], f" {fact(n)} "]
        last = place
    return "".join([*made, text[last:]])


def fact(number: int) -> str:
    """Return a fact."""
    return f"fact {number:06} is {number * 37 % 9000 + 1000}"


def is_text(part: object) -> TypeGuard[Text]:
    """Whether a part of a message is text that nobody else wrote."""
    return isinstance(part, Text)


async def read(text: str, plan: Plan, reader: Reader | kinds.Reader, file: str, workers: int = 8) -> Result:
    """Run a plan whose first step reads a text."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / file).write_text(text, encoding="utf-8", newline="")
        models = {"default": Model(endpoint="offline", context=reader.context)}
        limits = Limits(tokens=None, workers=workers)
        task = Task(goal="List the facts.", inputs=(file,), plan=plan, models=models, limits=limits, folder=folder)
        async with Run(task, options=Options(endpoint=reader, cache=False)) as run:
            pass
        return run.result


def measure_kinds(size: int, context: int) -> bool:
    """Print the table of kinds, and return whether all aims are met."""
    print("kind   asked for  found  ratio   bytes/token  calls  refused  input  frames  again  answers  status")
    good = True
    for kind, asks_for_all in product(kinds.RECORDS, (False, True)):
        text = kinds.text_of(kind, size, size // 10_000)
        reader = kinds.Reader(context, kinds.RECORDS[kind] if asks_for_all else kinds.FACT)
        file = kinds.name_of(kind)
        plan = Plan(steps=(Step(id="study", prompt="List every one.", inputs=(file,)),))
        result = anyio.run(read, text, plan, reader, file, 4)
        wanted = set(reader.every.findall(text))
        found = wanted & set(reader.every.findall(result.report.text)) if result.report is not None else set[str]()
        total, least = kinds.tokens_of(text), kinds.tokens_of("\n".join(reader.every.findall(text)))
        spent = reader.spent
        ratio = spent["all"] / (total + least)
        share = [spent[name] / total for name in ("input", "frames", "outputs", "answers")]
        good = good and found == wanted and ratio <= 1.3 and result.status == "done"
        print(
            f"{kind:6} {'records' if asks_for_all else 'facts':9}  {len(found) / len(wanted):.3f}  {ratio:.3f}  "
            f"{len(text.encode()) / total:12.2f}  {spent['calls']:5}  {reader.refused:7}  {share[0]:5.2f}  "
            f"{share[1]:6.2f}  {share[2]:5.2f}  {share[3]:7.2f}  {result.status}",
            flush=True,
        )
    return good


def main() -> None:
    """Print the figures, and exit with 1 if an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, default=3_000_000)
    parser.add_argument("--facts", type=int, default=300)
    parser.add_argument("--context", type=int, default=8192)
    parser.add_argument("--kinds", type=int, default=300_000, help="bytes of each kind of text")
    options = parser.parse_args()
    good = True
    for (name, joint), (kind, plan) in product(JOINTS.items(), PLANS.items()):
        text = text_of(options.bytes, options.facts, joint, 3 * options.context // 2)
        began = time.perf_counter()
        reader = Reader(options.context)
        result = anyio.run(read, text, plan, reader, "long.txt")
        seconds = time.perf_counter() - began
        wanted = set(FACT.findall(text))
        found = set(FACT.findall(result.report.text)) & wanted if result.report is not None else set[str]()
        ratio = result.usage.tokens / estimate_tokens(text)
        good = good and found == wanted and ratio <= 1.3 and result.status == "done"
        print(
            f"{name:9} {kind:6}: {len(found) / len(wanted):.3f} of {len(wanted):,} facts, {ratio:.3f} times the "
            f"tokens, {result.usage.calls:,} calls, {reader.too_long} too long, {result.status}, {seconds:.1f} s"
        )
    lines = text_of(options.bytes, options.facts, "\n", 12_000)
    began = time.perf_counter()
    before = cut_text(lines, 12_000)
    seconds = time.perf_counter() - began
    place = lines.index("\n", len(lines) // 3) + 1
    after = cut_text(f"{lines[:place]}a new line\n{lines[place:]}", 12_000)
    changed = len({piece.sha256 for piece in after} - {piece.sha256 for piece in before})
    print(f"an inserted line changes {changed} of {len(after)} pieces; {len(lines):,} bytes are cut in {seconds:.2f} s")
    good = (not options.kinds or measure_kinds(options.kinds, options.context)) and good
    sys.exit(0 if good and changed <= 3 else 1)


if __name__ == "__main__":
    main()
