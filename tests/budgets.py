"""What tests of the budget share: an honest server that counts what it would bill, and a task for it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from swarm.spec.plan import Plan, Step
from swarm.spec.task import Limits, Model, Price, Task
from swarm.testing import Answer, FakeServer
from swarm.testing.fake import Received

Count = Callable[[bytes], int]
COUNTS: dict[str, Count] = {"prose": lambda text: -(-len(text) // 4), "bytes": len}


def texts(value: Any) -> list[bytes]:
    if isinstance(value, str):
        return [value.encode("utf-8", "replace")]
    if isinstance(value, dict):
        return [text for item in cast("dict[str, Any]", value).values() for text in texts(item)]
    return [text for item in cast("list[Any]", value) for text in texts(item)] if isinstance(value, list) else []


class Tariffed:
    """Answers on a loopback server, and counts what it would bill: an honest tokenizer, a cap that is honoured."""

    def __init__(self, count: Count, words: int = 300) -> None:
        self.count = count
        self.words = words
        self.billed = 0
        self.calls = 0

    def __call__(self, received: Received) -> Answer:
        body = received.body
        took = sum(self.count(text) for text in texts(body["messages"]))
        text = f"Found {self.calls}. [s1] " + "word " * self.words
        while (gave := self.count(text.encode())) > body["max_tokens"]:
            text = text[: len(text) * body["max_tokens"] // gave - 1]
        self.billed += took + gave
        self.calls += 1
        cut = len(text) < 5 * self.words
        return Answer(
            text,
            usage={"prompt_tokens": took, "completion_tokens": gave, "total_tokens": took + gave},
            finish="length" if cut else "stop",
        )


def wide(folder: Path, server: FakeServer, count: int = 12, **limits: Any) -> Task:
    steps = (
        *(Step(id=f"s{n}", prompt=f"Find {n}.") for n in range(1, count + 1)),
        Step(id="end", agent="reducer", prompt="Merge.", after=tuple(f"s{n}" for n in range(1, count + 1))),
    )
    price = Price(input=1.0, output=4.0)
    models = {"default": Model(endpoint=server.url, name="m", max_tokens=2_000, price=price)}
    return Task(goal="Find.", plan=Plan(steps=steps), models=models, folder=folder, limits=Limits(**limits))
