"""`swarm models`: what each endpoint can do; `swarm models get` is `swarm.cli.getting`."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swarm.cli import options as o
from swarm.cli.streams import answer, answer_json, say
from swarm.errors import TaskError

if TYPE_CHECKING:
    from swarm.endpoints.choose import Choice
    from swarm.endpoints.probe import Ability
    from swarm.frozen import Json
    from swarm.task import Model

LISTED = 6
"""Models of an endpoint that are named; the others are counted."""
GET = "get"

Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="[TASK] | get [NAME]", help="A task file; or a model to fetch.", show_default=False),
]
Probe = Annotated[bool, typer.Option("--probe", help="Try forms and tools, too: two tiny calls a model.")]
To = Annotated[
    str | None,
    typer.Option("--to", metavar="DIR", help="Where `get` keeps files; below ~/.cache by default.", show_default=False),
]


def models(
    words: Words = None,
    endpoint: o.Endpoint = None,
    model: o.Model = None,
    probe: Probe = False,
    to: To = None,
    as_json: o.AsJson = False,
) -> int:
    """Show what each model's endpoint can do.

    Whether it answers, which models it lists, how many calls it takes at once, how much it reads; and the servers
    found on this machine. Costs nothing, unless --probe allows two tiny calls a model.

    `swarm models get NAME` fetches a model once, which `endpoint: local:NAME` then runs on this machine: smollm2, a
    small one, or OWNER/REPO:QUANT of Hugging Face (or a file in place of QUANT, @REVISION at the end, or the address of
    the page). HF_TOKEN is for models that are gated, HF_ENDPOINT for a mirror. Without NAME it lists what there is.
    """
    import anyio

    given = list(words or ())
    if given[:1] == [GET]:
        from swarm.cli.getting import get

        return get(given[1:], to, as_json=as_json)
    if len(given) > 1:
        raise TaskError("one TASK at a time; `swarm models get NAME` fetches a model")
    choice, locals_, folder = anyio.run(_chosen, given[0] if given else None, endpoint, model)
    asked = {alias: each for alias, each in choice.models.items() if each.use is None}
    if probe:
        say(_warning(asked))
    found = anyio.run(_looked, asked, probe, folder)
    pools = {alias: list(each.use) for alias, each in choice.models.items() if each.use is not None}
    prices = {alias: _price(each) for alias, each in asked.items()}
    if as_json:
        rows = [{**asdict(each), "price": prices[each.alias]} for each in found]
        answer_json({"why": choice.why, "models": rows, "pools": pools, "servers": locals_})
        return 0
    lines = [line for each in found for line in _lines(each, prices[each.alias])]
    lines += [f"{alias:<12} the pool of {', '.join(use)}" for alias, use in pools.items()]
    lines += [f"on this machine: {url} ({_some(names)})" for url, names in locals_.items()]
    answer("\n".join((choice.why, "", *lines)))
    return 0


async def _chosen(
    task: str | None, endpoint: str | None, model: str | None
) -> "tuple[Choice, dict[str, tuple[str, ...]], Path]":
    from swarm.endpoints.choose import choose, servers

    folder, named = Path(), dict[str, "Model"]()
    if task is not None:
        from swarm.cli.check import read_leniently
        from swarm.cli.source import source_of

        source = source_of([task])
        read = read_leniently(source.name, o.Asked().options(source)).task
        folder, named = read.folder, dict(read.models)
    choice = await choose(named, endpoint=endpoint, model=model, environ=os.environ, folder=folder)
    return choice, await servers(), folder


async def _looked(models: "Mapping[str, Model]", probe: bool, folder: Path) -> "list[Ability]":
    """Look at each model; `folder` is the task's, where earlier runs have left what endpoints would not have."""
    from swarm.endpoints.probe import look
    from swarm.endpoints.wire.learnt import FILE, Memory

    memory = Memory(folder / ".swarm" / "cache" / FILE)
    asked = {alias: model for alias, model in models.items() if model.endpoint is not None}
    return [await look(alias, model, probe=probe, memory=memory) for alias, model in asked.items()]


def _warning(models: "Mapping[str, Model]") -> str:
    from swarm.endpoints.probe import PROBE_CALLS, PROBE_TOKENS

    count = sum(model.endpoint != "offline" for model in models.values())
    return f"--probe: {PROBE_CALLS * count} calls, each answered with at most {PROBE_TOKENS} tokens"


def _price(model: "Model") -> "dict[str, Json] | None":
    """Give what a model costs, in US dollars a million tokens; None where it is not known."""
    from swarm.prices import tariff_of

    tariff = tariff_of(model)
    if tariff is None:
        return None
    price = tariff.tiers[0][1]
    return {"input": price.input, "output": price.output, "source": tariff.source}


def _lines(found: "Ability", price: "dict[str, Json] | None") -> list[str]:
    state = {True: "answers", False: "does not answer", None: "not asked"}[found.reachable]
    if found.reachable is False and found.problem:
        state = found.problem
    lines = [f"{found.alias:<12} {found.name or '(no name)'} at {found.endpoint}: {state}"]
    if found.reachable and found.problem:
        lines.append(f"{'':<12} {found.problem}")
    facts = [
        f"form {found.form}" if found.form else "",
        "" if found.tools is None else "tools" if found.tools else "no tools",
        f"reads {', '.join(('text', *found.takes))}",
        f"{found.slots} at once" if found.slots else "",
        f"context {found.context:,} tokens" if found.context else "",
        "price not known" if price is None else _money(price),
    ]
    lines.append(f"{'':<12} {'; '.join(filter(None, facts))}")
    if found.remembered:
        lines.append(f"{'':<12} remembered from earlier runs: {found.remembered}")
    if found.models:
        lines.append(f"{'':<12} lists {_some(found.models)}")
    return lines


def _money(price: "dict[str, Json]") -> str:
    if price["source"] == "free":
        return "free"
    return f"${price['input']:g} in, ${price['output']:g} out a million tokens ({price['source']})"


def _some(names: tuple[str, ...]) -> str:
    more = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {more} more" if more > 0 else "")
