"""The toolbox of a run: it finds tools by name, opens their kits, and checks the right to each call."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import AsyncExitStack
from itertools import chain

import anyio
from pydantic_core import PydanticSerializationError, from_json

from swarm.base.errors import Problem, SwarmError, TaskError, ToolError
from swarm.base.text import listing
from swarm.base.values import Json, digest
from swarm.record.events import ToolFact
from swarm.spec.chat import Data, MediaFile, ToolSpec
from swarm.tools.called import words_of
from swarm.tools.kinds import Tool, ToolContext, ToolResult, words
from swarm.tools.kit import CLOSING_SECONDS, OPENING_SECONDS, Kit, Offer, Opening, offered
from swarm.tools.sharing import Shares
from swarm.tools.written import written

RESULT_BYTES = 32 * 1024 * 1024
"""Maximum bytes of the words of a result that are kept. Of these a model sees the start, and can read the rest."""
LOST = "lost"
"""Kind of the `ToolError` of a call of which nobody knows whether it took place: its server or its connection broke."""


class Toolbox:
    """The tools of a run, by name: those that are known, and those of kits that open with the run."""

    def __init__(
        self,
        tools: Iterable[Tool] = (),
        *,
        kits: Iterable[Kit] = (),
        granted: Collection[str] | None = None,
        places: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        """`granted` are the tools of kits that the run grants; None: all. `places` are the task's `labels`."""
        self._tools: dict[str, Tool] = {}
        self._offers: dict[str, Offer] = {}
        self._called: dict[str, str] = {}
        """Names in tasks and plans, by the name on the wire."""
        self._recorded: dict[str, str] = {}
        self._kits = tuple(kits)
        self._shares = Shares()
        self._locks: dict[str, anyio.Lock] = {}
        self._places = places or {}
        own = tuple(tools)
        for offer in offered(own):
            self._offer(offer)
        for kit in self._kits:
            for offer in kit.offers:
                if granted is None or offer.name in granted:
                    self._offer(offer)
        for tool in chain(own, *(kit.tools for kit in self._kits)):
            self._add(tool)

    def _offer(self, offer: Offer) -> None:
        if offer.name in self._offers:
            raise TaskError(f"two tools are called {offer.name}\nhint: give one of them another name")
        self._offers[offer.name] = offer

    def _add(self, tool: Tool) -> None:
        """Add a tool that is known now, if the run grants it."""
        if tool.name not in self._offers:
            return
        if self._called.setdefault(tool.spec.name, tool.name) != tool.name:
            other = self._called[tool.spec.name]
            message = f"{tool.name} and {other} would both be called {tool.spec.name} by models"
            raise TaskError(f"{message}\nhint: give one of them another name with `as:`")
        self._tools[tool.name] = tool

    # What there is

    @property
    def tools(self) -> tuple[Tool, ...]:
        """All tools that are known, in the order in which they were given."""
        return tuple(self._tools.values())

    @property
    def kits(self) -> tuple[Kit, ...]:
        """The kits, in the order of the task."""
        return self._kits

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all tools that the run grants, open or not."""
        return tuple(self._offers)

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Names that mean several tools, with the granted ones: a kit's own name, and that with `.*`."""
        groups: dict[str, tuple[str, ...]] = {}
        for kit in self._kits:
            granted = tuple(name for name in kit.names if name in self._offers)
            if kit.prefix and granted and granted != (kit.prefix,):
                groups[kit.prefix] = groups[f"{kit.prefix}.*"] = granted
        return groups

    @property
    def labels(self) -> dict[str, str]:
        """Labels of results, by name of the tool; a tool without a label has no entry."""
        return {name: offer.label for name, offer in self._offers.items() if offer.label is not None}

    @property
    def goes_to(self) -> dict[str, str]:
        """Places that arguments go to, by name of the tool; a tool whose arguments stay in the run has no entry."""
        return {name: offer.goes_to for name, offer in self._offers.items() if offer.goes_to}

    @property
    def about(self) -> dict[str, str]:
        """What each tool is for, in a sentence, as far as it is known."""
        return {name: offer.about for name, offer in self._offers.items() if offer.about}

    @property
    def offers(self) -> tuple[Offer, ...]:
        """All tools that the run grants, as far as they are known."""
        return tuple(self._offers.values())

    @property
    def facts(self) -> tuple[ToolFact, ...]:
        """The granted tools as facts of the run. A tool that is not open is as it was recorded."""
        known = (self._tools.get(name) for name in self._offers)
        return tuple(
            ToolFact(name=tool.name, effect=tool.effect, goes_to=tool.destination, key=tool.key)
            for tool in known
            if tool is not None
        )

    # Lifetime

    async def open(self, opening: Opening) -> None:
        """Open all kits in parallel. Raise `TaskError` with everything that went wrong. The caller closes them."""
        problems: list[Problem] = []

        async def open_one(kit: Kit) -> None:
            try:
                with anyio.fail_after(OPENING_SECONDS):
                    await kit.open(opening)
            except TaskError as error:
                problems.extend(error.problems)
            except TimeoutError:
                problems.append(Problem(f"{kit.name}: did not open in {OPENING_SECONDS:g} seconds", key="tools"))

        async with anyio.create_task_group() as tasks:
            for kit in self._kits:
                tasks.start_soon(open_one, kit)
        if not problems:
            problems += [*self._take_opened(), *self._changed()]
        if problems:
            raise TaskError(*problems)

    def _take_opened(self) -> list[Problem]:
        for kit in self._kits:
            for tool in kit.tools:
                self._add(tool)
                if tool.name in self._offers:
                    self._offers[tool.name] = next(iter(offered([tool])))
        problems: list[Problem] = []
        for kit in self._kits:
            missing = [name for name in kit.names if name in self._offers and name not in self._tools]
            problems += [Problem(f"{kit.name}: there is no tool {name}", key="tools") for name in missing]
        return problems

    def _changed(self) -> list[Problem]:
        """Return a problem for each kit that opened with other tools than the run was started with."""
        return [
            Problem(
                f"{kit.name}: {listing(names)} changed since this run was started\nhint: start a new run", key="tools"
            )
            for kit in self._kits
            if (names := [tool.name for tool in kit.tools if self._recorded.get(tool.name, tool.key) != tool.key])
        ]

    async def close(self) -> None:
        """Close all kits, the last one first, even if the run was cancelled."""
        with anyio.CancelScope(shield=True, deadline=anyio.current_time() + CLOSING_SECONDS):
            for kit in reversed(self._kits):
                await kit.close()

    def recall(self, facts: Iterable[ToolFact]) -> None:
        """Take what a journal says of tools that only an open kit knows: it decides the keys of their steps."""
        self._recorded = {fact.name: fact.key for fact in facts if fact.name not in self._tools}

    # Tools of an attempt

    def named(self, called: str) -> str:
        """Return the name in tasks and plans of a tool that a model calls by its name on the wire."""
        return self._called.get(called, called)

    def get(self, name: str) -> Tool:
        """Return a tool. Raise `ToolError` if it does not exist or is not open."""
        if name not in self._tools:
            message = f"there is no tool called {name} here; there are: {listing(sorted(self._tools))}"
            raise ToolError(message, kind="unknown_tool")
        return self._tools[name]

    def specs(self, names: Iterable[str]) -> tuple[ToolSpec, ...]:
        """Return the specs of these tools, sorted by name: they are part of every prompt.

        Raise `ToolError` if one does not exist.
        """
        return tuple(sorted((self.get(name).spec for name in set(names)), key=lambda spec: spec.name))

    def key(self, names: Iterable[str]) -> str:
        """Return the hash of what decides the results of tools: schema, version, effect.

        Functions alone have the hash of their schemas, as in earlier versions.
        """
        chosen = sorted(set(names))
        tools = [self._tools.get(name) for name in chosen]
        if all(tool is not None and not tool.kit and not tool.version for tool in tools):
            return digest(list(self.specs(chosen)))
        pairs = zip(chosen, tools, strict=True)
        return digest([self._recorded.get(name, "") if tool is None else tool.key for name, tool in pairs])

    # Calls

    async def call(self, name: str, arguments: str, granted: Collection[str], context: ToolContext) -> ToolResult:
        """Run a tool for a model.

        Raise `ToolError`, worded for the model, of one of these kinds:

        unknown_tool   the tool is not granted, whether or not it exists
        label          its results carry a label that the attempt does not carry, or the attempt carries one
                       whose data may not go where the arguments go
        arguments      the arguments do not match the schema
        timeout        the deadline of the call has passed
        lost           it is not known whether the call took place, and the tool may not be called again
        tool           anything else

        Rights are checked first, then the call is shared if the tool allows it. A call that was lost is made
        again once if the tool may repeat it.
        """
        tool = self.check(name, granted, context)
        key = _share_key(tool, arguments, context) if tool.is_shared else None
        if key is None:
            return await self._made(tool, arguments, context)

        async def make() -> ToolResult:
            return await self._made(tool, arguments, context)

        return await self._shares.ask(key, f"{context.step} {context.attempt}", make)

    def check(self, name: str, granted: Collection[str], context: ToolContext) -> Tool:
        """Return a tool that an attempt has the right to call, else raise `ToolError`."""
        if name not in granted:
            message = f"no tool called {name} may be used; these may: {listing(sorted(granted))}"
            raise ToolError(message, kind="unknown_tool")
        tool = self.get(name)
        self._check_labels(tool, context)
        return tool

    async def _made(self, tool: Tool, arguments: str, context: ToolContext) -> ToolResult:
        """Make a call, after those of its kit that must end before it."""
        async with AsyncExitStack() as stack:
            if tool.barrier == "run":
                await stack.enter_async_context(self._locks.setdefault(tool.kit or tool.name, anyio.Lock()))
            try:
                return await _result(tool, await _run(tool, arguments, context))
            except ToolError as error:
                if error.kind != LOST or not tool.is_repeatable:
                    raise
            again = ToolContext(context.step, context.attempt, context.labels, place=context.place)
            return await _result(tool, await _run(tool, arguments, again))

    def _check_labels(self, tool: Tool, context: ToolContext) -> None:
        if tool.label is not None and tool.label not in context.labels:
            message = f"{tool.name} returns data labelled {tool.label}, which this step may not read"
            raise ToolError(message, kind="label")
        place = tool.destination
        barred = [label for label in context.labels if place and place not in self._places.get(label, ())]
        if barred:
            message = f"{tool.name} would send data labelled {listing(barred)} to {place}, which may not see it"
            raise ToolError(message, kind="label")


async def _run(tool: Tool, arguments: str, context: ToolContext) -> Json | ToolResult:
    """Run a tool within its deadline."""
    try:
        with context.scope:
            context.scope.deadline = anyio.current_time() + tool.seconds
            # Cancellation point: it cancels an async function, and leaves one in a thread behind.
            return await tool.run(arguments, context)
    except TimeoutError:
        pass  # raised by the tool itself: reported like a deadline
    except SwarmError:
        raise
    except Exception as error:
        raise ToolError(words_of(error)) from error
    finally:
        context.ended.set()
    # The deadline or the tool itself cancelled the scope. A cancelled attempt does not get here.
    message = f"{tool.name} took longer than {tool.seconds:g} seconds and was stopped"
    raise ToolError(message, kind="timeout")


def _share_key(tool: Tool, arguments: str, context: ToolContext) -> str | None:
    """Return what a shared call asks, and with which labels; None if its arguments are not JSON, which is an error."""
    try:
        asked: Json = from_json(arguments.strip() or "{}")
        return digest([tool.name, tool.key, asked, list(context.labels)])
    except (ValueError, PydanticSerializationError, RecursionError):
        return None


async def _result(tool: Tool, value: Json | ToolResult) -> ToolResult:
    """Return a result with its words, its label and its price."""
    labels = () if tool.label is None else (tool.label,)
    if isinstance(value, ToolResult):
        wrong = next((part for part in value.parts if not _is_part(part)), None)
        if wrong is not None:
            raise ToolError(f"a part of the result of {tool.name} is neither words nor a file: {type(wrong).__name__}")
        return ToolResult(value.parts, max(value.total, value.shown), labels, tool.price)
    try:
        # Cancellation point: the call took place, and nobody waits for its result any more.
        kept, total = await written(value, RESULT_BYTES)
    except (PydanticSerializationError, RecursionError, ValueError, TypeError) as error:
        message = f"the result of {tool.name} is neither text nor JSON: {type(value).__name__}"
        raise ToolError(message) from error
    return ToolResult((words(tool.spec.name, kept),), total, labels, tool.price)


def _is_part(part: object) -> bool:
    """Return whether a part of a result is one: functions may put anything there."""
    return isinstance(part, Data | MediaFile)
