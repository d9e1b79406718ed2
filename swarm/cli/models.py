"""`swarm models`: what each endpoint can do. `swarm models get` is in `swarm.cli.getting`."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swarm.base.text import listing
from swarm.cli import options as o
from swarm.cli.streams import answer, answer_json, say

if TYPE_CHECKING:
    from swarm.base.values import Json
    from swarm.endpoints.choose import Choice
    from swarm.endpoints.probe import Ability
    from swarm.spec.task import Model

LISTED = 6
"""Models of an endpoint that are named; the others are counted."""

OneTask = Annotated[
    str | None,
    typer.Argument(metavar="TASK", help="Task file whose models are shown.", show_default=False),
]
Probe = Annotated[
    bool,
    typer.Option("--probe", help="Also test JSON output and tool calls (two small paid calls per model)."),
]


@dataclass(frozen=True)
class _Examined:
    """The models of a task, or of this machine, and what they can do."""

    choice: "Choice"
    servers: "Mapping[str, tuple[str, ...]]"
    abilities: "list[Ability]"

    @property
    def pools(self) -> dict[str, list[str]]:
        """Members of each pool."""
        return {alias: list(each.use) for alias, each in self.choice.models.items() if each.use is not None}

    @property
    def prices(self) -> "dict[str, dict[str, Json] | None]":
        """Price of each model that is not a pool."""
        return {alias: _price(each) for alias, each in _single(self.choice).items()}


def models(
    task: OneTask = None,
    endpoint: o.Endpoint = None,
    model: o.Model = None,
    probe: Probe = False,
    as_json: o.AsJson = False,
) -> int:
    """Show what each model's endpoint can do.

    Shows whether each endpoint is reachable, its models, parallel calls, context size and price, and
    the local servers on this machine. Free, unless --probe is given.
    """
    import anyio

    found = anyio.run(_examined, task, endpoint, model, probe)
    if as_json:
        prices = found.prices
        rows = [{**asdict(each), "price": prices[each.alias]} for each in found.abilities]
        about = {"why": found.choice.why, "models": rows}
        answer_json({**about, "pools": found.pools, "servers": dict(found.servers)})
    else:
        answer("\n".join(_report(found)))
    return 0


async def _examined(task: str | None, endpoint: str | None, model: str | None, probe: bool) -> _Examined:
    choice, servers, folder = await _chosen(task, endpoint, model)
    single = _single(choice)
    if probe:
        say(_warning(single))
    return _Examined(choice, servers, await _looked(single, probe, folder))


def _single(choice: "Choice") -> "dict[str, Model]":
    """Return the models that are not pools."""
    return {alias: each for alias, each in choice.models.items() if each.use is None}


def _report(found: _Examined) -> list[str]:
    lines = [found.choice.why, ""]
    for each in found.abilities:
        lines += _lines(each, found.prices[each.alias])
    lines += [f"{alias:<12} pool of {', '.join(use)}" for alias, use in found.pools.items()]
    lines += [f"local server {url} ({_some(names)})" for url, names in found.servers.items()]
    return lines


async def _chosen(
    task: str | None, endpoint: str | None, model: str | None
) -> "tuple[Choice, dict[str, tuple[str, ...]], Path]":
    from swarm.endpoints.choose import choose, servers

    folder, named = Path(), dict[str, "Model"]()
    if task is not None:
        from swarm.cli.check import read_leniently
        from swarm.cli.source import source_of
        from swarm.lifecycle.options import Options

        source = source_of([task])
        read = read_leniently(source.name, Options(text=source.text, stdin=source.read_input)).opened.task
        folder, named = read.folder, dict(read.models)
    choice = await choose(named, endpoint=endpoint, model=model, environ=os.environ, folder=folder)
    return choice, await servers(), folder


async def _looked(models: "Mapping[str, Model]", probe: bool, folder: Path) -> "list[Ability]":
    """Examine each model. Earlier runs have stored facts about endpoints in `folder`, that of the task."""
    from swarm.endpoints.probe import look
    from swarm.endpoints.route import route_of
    from swarm.endpoints.wire.learnt import FILE, Memory

    memory = Memory(folder / ".swarm" / "cache" / FILE)
    asked = {alias: model for alias, model in models.items() if model.endpoint is not None}
    return [await look(route_of(alias, model), probe=probe, memory=memory) for alias, model in asked.items()]


def _warning(models: "Mapping[str, Model]") -> str:
    from swarm.endpoints.probe import PROBE_CALLS, PROBE_TOKENS

    count = sum(model.endpoint != "offline" for model in models.values())
    return f"note: --probe makes {PROBE_CALLS * count} calls, each with maximum {PROBE_TOKENS} output tokens"


def _price(model: "Model") -> "dict[str, Json] | None":
    """Return the price of a model in USD per million tokens, or None if it is unknown."""
    from swarm.budget.prices import tariff_of
    from swarm.endpoints.route import route_of

    tariff = tariff_of(route_of("", model))
    if tariff is None:
        return None
    price = tariff.tiers[0][1]
    return {"input": price.input, "output": price.output, "source": tariff.source}


def _lines(found: "Ability", price: "dict[str, Json] | None") -> list[str]:
    lines = [f"{found.alias:<12} {found.name or '(no name)'} at {found.endpoint}: {_state(found)}"]
    if found.reachable and found.problem:
        lines.append(f"{'':<12} {found.problem}")
    lines.append(f"{'':<12} {'; '.join(_facts(found, price))}")
    if found.remembered:
        lines.append(f"{'':<12} known from earlier runs: {found.remembered}")
    if found.models:
        lines.append(f"{'':<12} lists {_some(found.models)}")
    return lines


def _state(found: "Ability") -> str:
    if found.reachable is None:
        return "not checked"
    if found.reachable:
        return "reachable"
    return found.problem or "not reachable"


def _facts(found: "Ability", price: "dict[str, Json] | None") -> Iterator[str]:
    if found.form:
        yield f"output format {found.form}"
    if found.tools is not None:
        yield "tools" if found.tools else "no tools"
    yield f"accepts {', '.join(('text', *found.takes))}"
    if found.slots:
        yield f"{found.slots} parallel calls"
    if found.context:
        yield f"context {found.context:,} tokens"
    yield "price unknown" if price is None else _money(price)


def _money(price: "dict[str, Json]") -> str:
    if price["source"] == "free":
        return "free"
    return f"${price['input']:g} in, ${price['output']:g} out per million tokens ({price['source']})"


def _some(names: tuple[str, ...]) -> str:
    return listing(names, LISTED) if names else ""
