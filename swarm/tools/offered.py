"""The kits that a task can name in `tools:`: those that are always there, and those that its sections describe.

To add a kit: write its class in a module of its own, and a function here that makes it from the
task. Its section, if it has one, is a field of `Task`.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import chain

from swarm.spec.labels import PLACES
from swarm.spec.task import PythonSpec, Task
from swarm.tools.kit import Kit

Source = Callable[[Task], Iterable[Kit]]
"""Makes kits from a task without opening anything. Raises `TaskError` for a section that cannot be used."""


def _files(task: Task) -> Iterable[Kit]:
    del task
    from swarm.tools.files import FilesKit

    return (FilesKit(),)


def _web(task: Task) -> Iterable[Kit]:
    from swarm.tools.web.kit import web_kits

    return web_kits(task)


def _servers(task: Task) -> Iterable[Kit]:
    from swarm.tools.mcp.kit import kits

    return kits(task, taken=(*NAMED, *PLACES))


def _calculate(task: Task) -> Iterable[Kit]:
    del task
    from swarm.tools.calculate import CalculateKit

    return (CalculateKit(),)


def _python(task: Task) -> Iterable[Kit]:
    from swarm.tools.python import PythonKit

    return (PythonKit(task.python or PythonSpec(), task.folder),)


NAMED: Mapping[str, Source] = {"calculate": _calculate, "files": _files, "python": _python, "web": _web}
"""Kits that are there for every task, by the name that `tools:` has for them."""
DESCRIBED: Mapping[str, Source] = {"mcp": _servers}
"""Kits that sections of a task describe, by the key of the section. They are made only if the task has it."""


def kits_of(task: Task) -> tuple[Kit, ...]:
    """Return every kit that the tools of a task may mean. Raise `TaskError`."""
    if not task.tools:
        return ()
    sources = [*NAMED.values(), *(source for key, source in DESCRIBED.items() if getattr(task, key, None))]
    return tuple(chain.from_iterable(source(task) for source in sources))
