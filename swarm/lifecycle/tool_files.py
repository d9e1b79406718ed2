"""Python files with tools: `--tools FILE.py`. Only a person names one; a task and a journal name tools, never code."""

import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path

from swarm.base.errors import Problem, SwarmError, TaskError
from swarm.tools import Kit, Tool

OPTION = "--tools"
"""The option that names a file."""


def load_tools(files: Iterable[str] | None) -> tuple[Tool | Kit, ...]:
    """Run Python files and return every tool and kit in them, in the order of their definitions.

    Raise `TaskError` if a file is missing, fails or has no tool.
    """
    found: list[Tool | Kit] = []
    problems: list[Problem] = []
    for file in dict.fromkeys(files or ()):
        try:
            found += _tools_of(Path(file))
        except TaskError as error:
            problems += error.problems
    if problems:
        raise TaskError(*problems)
    return tuple(found)


def _tools_of(path: Path) -> list[Tool | Kit]:
    if not path.is_file():
        raise TaskError(Problem("there is no such file", where=str(path), key=OPTION))
    name = f"swarm_tools_{path.stem}_{abs(hash(path.resolve()))}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TaskError(Problem("is no Python file: its name must end in .py", where=str(path), key=OPTION))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # annotations that are texts are looked up there
    try:
        spec.loader.exec_module(module)
    except SwarmError as error:
        raise TaskError(Problem(str(error), where=str(path), key=OPTION)) from error
    except Exception as error:
        message = f"cannot be used: {type(error).__name__}: {error}"
        raise TaskError(Problem(message, where=f"{path}{_line_of(error, path)}", key=OPTION)) from error
    tools = {id(value): value for value in vars(module).values() if isinstance(value, Tool | Kit)}
    if not tools:
        hint = "hint: write `import swarm`, and `@swarm.tool` above a function with typed arguments"
        raise TaskError(Problem(f"has no tool\n{hint}", where=str(path), key=OPTION))
    return list(tools.values())


def _line_of(error: BaseException, path: Path) -> str:
    """Return `:line` of the last place of an error in a file; empty if it has none there."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f":{error.lineno}"
    lines: list[int] = []
    trace = error.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename).resolve() == path.resolve():
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return f":{lines[-1]}" if lines else ""
