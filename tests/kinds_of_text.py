"""Texts of several kinds with known facts, and a reader that never errs and counts tokens as real tokenizers do."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from swarm.base.errors import EndpointRefused
from swarm.spec.chat import Data, Message, Reply, Request, Text, Usage, split_data

FACT = re.compile(r"fact \d{6} is \d{4}")
RECORDS = {
    "prose": re.compile(r"[A-Z][a-z ,0-9]+\."),
    "cjk": re.compile(r"[\u4e00-\u9fff][^。\n]*。"),
    "json": re.compile(r'\{"id".*?\}'),
    "jsonl": re.compile(r'\{"id".*?\}'),
    "csv": re.compile(r"^\d+,[0-9a-f]{12},.*$", re.MULTILINE),
    "code": re.compile(r"def \w+\(value\)"),
}
"""What a reader answers that is asked for every record: all of it, but of code only the heads of functions."""
NAMES = {"prose": "long.txt", "cjk": "long.md", "code": "long.py"}
"""Names of the files; any other is `long` with the kind as its ending."""
_WORDS = re.findall(
    r"\w+",
    "the of and report storage valve pressure delivery committee annual region supply harbour measured increase "
    "contract winter table engine under between several method result because during water school",
)
_HAN = (
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出"
    "就分对成会可主发年动同工也能下过子说产种面而方后多定行学法所民得经"
)
_TOKEN = re.compile(r" ?[A-Za-z]{1,5}|[0-9]{1,3}|[^\sA-Za-z0-9\u3000-\u9fff]{1,2}|[\u3000-\u9fff]|\s+")


def tokens_of(text: str) -> int:
    """Return the tokens of a text, about as byte-pair encodings count them: prose has 4.5 bytes each, records 2.2."""
    return sum(1 for _ in _TOKEN.finditer(text))


def fact(number: int) -> str:
    """Return a fact."""
    return f"fact {number:06} is {number * 37 % 9000 + 1000}"


def name_of(kind: str) -> str:
    """Return the name of a file of a kind."""
    return NAMES.get(kind, f"long.{kind}")


def text_of(kind: str, size: int, facts: int) -> str:
    """Return a text of a kind, of about so many bytes, with facts at equal distances."""
    units = list(_units(kind, size, facts, Random(1)))
    if kind == "json":
        return f"[{','.join(units)}]"
    head = "id,sku,quantity,price,note\n" if kind == "csv" else ""
    return head + ("\n" if kind == "jsonl" else "").join(units)


def _units(kind: str, size: int, facts: int, random: Random) -> Iterator[str]:
    done = number = planted = 0
    while done < size:
        said = ""
        if planted < facts and done * facts >= planted * size:
            said, planted = fact(planted), planted + 1
        unit = _unit(kind, number, said, random)
        done += len(unit.encode())
        number += 1
        yield unit


def _unit(kind: str, number: int, said: str, random: Random) -> str:
    def words(count: int) -> str:
        return " ".join(random.choice(_WORDS) for _ in range(count))

    key, price = f"{random.getrandbits(48):012x}", random.randrange(100_000) / 100
    if kind == "prose":
        return f"{words(random.randint(8, 18)).capitalize()}{f', and {said}' if said else ''}. "
    if kind == "cjk":
        han = "".join(random.choice(_HAN) for _ in range(random.randint(12, 30)))
        return f"{han}{f'，{said}' if said else ''}。{'' if number % 6 else chr(10)}"
    if kind == "csv":
        return f"{number},{key},{number % 977},{price:.2f},{said or words(2)}\n"
    if kind == "code":
        head = f'def {words(1)}_{number}(value):\n    """{words(6).capitalize()} {said}."""\n'
        return f"{head}    for index in range({number}):\n        value += index * {number}\n    return value\n\n\n"
    record = {"id": number, "sku": key, "quantity": number % 977, "price": price, "note": said or words(2)}
    return json.dumps(record, separators=(",", ":"))


@dataclass
class Reader:
    """The model. It answers with every fact that it is shown, or with every record, and stops at its output cap.

    It refuses what exceeds its context, and states that size, or not.
    """

    context: int
    every: re.Pattern[str] = FACT
    states: bool = True
    spent: Counter[str] = field(default_factory=Counter[str])
    """Tokens by what they were for: `input`, `outputs` read again, `frames` around both, `answers`; and `calls`."""
    refused: int = 0

    async def complete(self, request: Request) -> Reply:
        """Return what was asked for."""
        data = [part for message in request.messages for part in split_data(message.parts) if isinstance(part, Data)]
        texts = [part for part in data if part.of in ("input", "output")]
        used, cap = sum(tokens_of(message.text) for message in request.messages), request.max_tokens or 4096
        if used + cap > self.context:
            self.refused += 1
            error = EndpointRefused("too long", kind="context_length")
            error.context = self.context if self.states else None
            raise error
        whole = self._answer(request, texts)
        cut = [match.end() for match in _TOKEN.finditer(whole)][:cap]
        text = whole[: cut[-1]]
        read = {of: sum(tokens_of(part.text) for part in texts if part.of == of) for of in ("input", "output")}
        frames = used - sum(read.values())
        self.spent.update(
            calls=1, input=read["input"], outputs=read["output"], frames=frames, answers=len(cut), all=used + len(cut)
        )
        return Reply(
            message=Message(role="assistant", parts=(Text(text=text),)),
            finish="stop" if text == whole else "length",
            usage=Usage(calls=1, input_tokens=used, output_tokens=len(cut)),
            endpoint="reader",
            model="reader",
        )

    def _answer(self, request: Request, texts: list[Data]) -> str:
        found = "\n".join(dict.fromkeys(each for part in texts for each in self.every.findall(part.text)))
        before = [message.text for message in request.messages if message.role == "assistant"]
        if not before:
            return found or "not stated"
        last = before[-1].rpartition("\n")[0].rpartition("\n")[2]  # its last complete line: it is asked for the rest
        return found.partition(f"{last}\n")[2] or "not stated"
