"""A call of a caller's function: whatever it does becomes a value, or words for the model."""

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from itertools import islice
from typing import Any, cast

import anyio
import anyio.to_thread

from swarm.base.errors import ToolError

ERROR_CHARACTERS = 2000
"""Maximum characters of an exception's message that a model sees."""
MOST_ITEMS = 10_000
"""Maximum items that are taken of a generator: it may never end."""


async def called(function: Callable[..., Any], values: Mapping[str, Any]) -> Any:
    """Call a function and return its value. Raise `ToolError` for whatever it raises.

    A coroutine function runs here, another one in a thread. An exit, or a cancellation that the function made itself,
    is an error like others: it ends neither the attempt nor the run.
    """
    if _is_async(function):
        return await _awaited(function(**values))
    # Cancellation point: the thread is left behind, its result is dropped.
    found = await anyio.to_thread.run_sync(functools.partial(_ran, function, values), abandon_on_cancel=True)
    is_open = inspect.isawaitable(found) or isinstance(found, AsyncIterator)
    return await _awaited(cast("Any", found)) if is_open else cast("Any", found)


def words_of(error: BaseException) -> str:
    """Return an exception in words for a model."""
    name = type(error).__name__
    try:
        words = str(error)[:ERROR_CHARACTERS]
    except Exception:  # noqa: BLE001 - code of the caller
        return name
    return f"{name}: {words}" if words else name


def _is_async(function: Callable[..., Any]) -> bool:
    if isinstance(function, functools.partial):
        return _is_async(cast("Callable[..., Any]", function.func))
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _ran(function: Callable[..., Any], values: Mapping[str, Any]) -> Any:
    """Call a function in its thread, where no exception but its own can arise."""
    try:
        found = function(**values)
        if isinstance(found, Iterator):
            return _all(list(islice(cast("Iterator[Any]", found), MOST_ITEMS + 1)))
    except ToolError:
        raise
    except BaseException as error:
        raise ToolError(words_of(error)) from error
    return found


async def _awaited(found: Awaitable[Any] | AsyncIterator[Any]) -> Any:
    """Wait for a value, in a task of its own: a cancellation of that task alone is the function's own."""
    values: list[Any] = []
    errors: list[ToolError] = []

    async def take() -> None:
        try:
            values.append(await (_listed(found) if isinstance(found, AsyncIterator) else found))
        except ToolError as error:
            errors.append(error)
        except (anyio.get_cancelled_exc_class(), KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001 - `sys.exit` in a function must not end the run
            made = ToolError(words_of(error))
            made.__cause__ = error
            errors.append(made)

    async with anyio.create_task_group() as task:
        task.start_soon(take)
    if errors:
        raise errors[0]
    if not values:
        raise ToolError("the function was cancelled, by itself or by what it waited for")
    return values[0]


async def _listed(found: AsyncIterator[Any]) -> list[Any]:
    items: list[Any] = []
    async for item in found:
        items.append(item)
        if len(items) > MOST_ITEMS:
            break
    return _all(items)


def _all(items: list[Any]) -> list[Any]:
    if len(items) > MOST_ITEMS:
        raise ToolError(f"the function gives more than {MOST_ITEMS:,} items")
    return items
