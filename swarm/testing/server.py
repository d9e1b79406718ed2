"""`swarm.testing.FakeServer` as a command, for programs in other processes.

    python -m swarm.testing.server --delay 1.0

Its first line of output is its base URL. It serves until it is interrupted.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio

from swarm.base.values import Json
from swarm.testing.fake import Answer, FakeServer, Received, Respond


def responder(rules: Iterable[Mapping[str, Json]], otherwise: str) -> Respond:
    """Return a function that answers by rules.

    The first rule whose `when` is in the body of a request decides. Its other fields are those of
    the `Answer`.
    """
    known: list[tuple[str, dict[str, Any]]] = []
    for rule in rules:
        fields: dict[str, Any] = dict(rule)
        known.append((str(fields.pop("when", "")), fields))

    def respond(received: Received) -> Answer:
        body = received.raw.decode("utf-8", "replace")
        for when, fields in known:
            if when in body:
                return replace(Answer(), **fields)
        return Answer(otherwise)

    return respond


async def _main(port: int, delay: float, answer: str, rules: list[Any]) -> None:
    async with FakeServer(respond=responder(rules, answer), port=port, delay=delay) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        await anyio.sleep_forever()


def main() -> None:
    """Serve until interrupted. The first line of output is the base URL."""
    parser = argparse.ArgumentParser(prog="python -m swarm.testing.server", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port to listen on [default: a free port]")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer [default: 0]")
    parser.add_argument("--answer", default="ok", help="text if no rule matches [default: ok]")
    parser.add_argument("--rules", type=Path, help='a JSON list of {"when": "part of the request", "text": "answer"}')
    options = parser.parse_args()
    rules: list[Any] = json.loads(options.rules.read_text(encoding="utf-8")) if options.rules else []
    try:
        anyio.run(_main, options.port, options.delay, options.answer, rules)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
