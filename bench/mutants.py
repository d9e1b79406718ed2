"""Break the core on purpose, one small change at a time, and count the changes that a test notices.

    python bench/mutants.py [--sample 300] [--seed 1] [--workers 2] [--only PATTERN] [--again]

`make mutants` installs mutmut and runs this. mutmut makes the mutants and runs the tests; this script takes the sample
and lists the survivors. `[tool.mutmut]` in pyproject.toml names the modules and the tests. The aim is 85 % of a sample
of 300, or the exit code is 1. Everything happens in a copy, `.venvs/mutants/copy`; `.venvs/mutants/result.json` has the
result for programs.

- The sample is the mutants with the smallest hashes, so that an edit changes only the part of it that was edited.
- A mutant that only rewords a text for people (a string with a blank in it) is not in it: wording is not behaviour.
- `bench/mutants.toml` lists the equivalent mutants, each with the reason why no test can see it. They do not count.
- `--only PATTERN` takes the mutants of some functions, `--again` only the survivors of the last result.
"""

import argparse
import ast
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import chdir, suppress
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from hashlib import sha256
from pathlib import Path
from typing import Any

from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.stats import status_by_exit_code
from mutmut.utils.format_utils import get_mutant_name, orig_function_and_class_names_from_key

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".venvs" / "mutants"
COPY = FOLDER / "copy"
RESULT = FOLDER / "result.json"
EQUIVALENT = Path(__file__).with_suffix(".toml")
AIM = 0.85
NOTICED = {1: "killed", 3: "killed", -24: "timeout"}
"""Exit codes of the tests that count as noticed: a failure, an error of pytest, no end (SIGXCPU). All others do not."""
BYTES = 4 * 2**30
"""Address space of a process. A mutant that never ends may also never stop to allocate."""
POLL_SECONDS = 60
STRING = re.compile(r'"[^"]*"')


@dataclass(frozen=True)
class Mutant:
    """One change of one function."""

    name: str
    """As mutmut calls it."""
    file: str
    line: int
    function: str
    was: str
    becomes: str

    @property
    def change(self) -> tuple[str, str, str]:
        """What identifies it while other lines come and go."""
        return self.function, self.was, self.becomes


def main() -> int:
    """Take a sample, run it, print the score and the survivors. Return 1 if the score is below the aim."""
    options = read_options()
    shutil.rmtree(COPY, ignore_errors=True)
    copy_tree()
    with chdir(COPY):
        everything = [mutant for path in modules() for mutant in mutants_of(path)]
    changes = read_equivalent()
    sample = take_sample(everything, options)
    equivalent = [mutant for mutant in sample if mutant.change in changes]
    sample = [mutant for mutant in sample if mutant.change not in changes]
    for change in changes.keys() - {mutant.change for mutant in everything}:
        print(f"warning: {EQUIVALENT.name}: no such mutant any more: {change[0]}: {change[2]}")
    print(
        f"{len(sample)} of {len(everything)} mutants, seed {options.seed}; {len(equivalent)} more are equivalent",
        flush=True,
    )
    if not sample:
        return 0
    began = time.monotonic()
    run_tests(sample, options.workers)
    seconds = time.monotonic() - began
    return report(sample, equivalent, statuses(sample), seconds)


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sample", type=int, default=300, help="number of mutants [default: 300]")
    parser.add_argument("--seed", type=int, default=1, help="which sample [default: 1]")
    parser.add_argument("--workers", type=int, default=2, help="mutants tested in parallel [default: 2]")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="functions to sample from [default: all]")
    parser.add_argument("--again", action="store_true", help="only the survivors of the last result")
    return parser.parse_args()


# The copy, and the mutants in it


def copy_tree() -> None:
    """Copy what git tracks or would add: mutmut writes next to what it reads."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (COPY / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, COPY / name)


def modules() -> list[Path]:
    """List the modules of the core. Raise FileNotFoundError if one has moved: mutmut would leave it out silently."""
    settings = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutmut"]
    paths = [Path(name) for name in settings["only_mutate"]]
    for path in (*paths, *(Path(name) for name in settings["pytest_add_cli_args_test_selection"])):
        if not path.is_file():
            raise FileNotFoundError(f"pyproject.toml, tool.mutmut: there is no file {path}")
    return paths


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Give the mutants of one module, in the order of the file."""
    source = path.read_text(encoding="utf-8")
    made = mutate_file_contents(str(path), source)
    lines = made.code.splitlines()
    starts = function_lines(ast.parse(source))

    def text_of(name: str, method: str) -> list[str]:
        span = made.line_span_by_function_name[name]
        return [line.replace(name, method) for line in lines[span.start - 1 : span.end]]

    for name in made.mutant_names:
        method, owner = orig_function_and_class_names_from_key(name)
        original = name.partition("__mutmut_")[0] + "__mutmut_orig"
        before, after = text_of(original, method), text_of(name, method)
        function = f"{owner}.{method}" if owner else method
        comments = next(n for n, line in enumerate(before) if re.match(r" *(async )?def ", line))
        first, was, becomes = difference(before, after)
        line = starts[function] - comments + first
        yield Mutant(get_mutant_name(path, name), str(path), line, function, was, becomes)


def function_lines(tree: ast.Module) -> dict[str, int]:
    """Find the line of each function and method that mutmut changes."""
    found: dict[str, int] = {}
    for owner in (tree, *(each for each in tree.body if isinstance(each, ast.ClassDef))):
        prefix = f"{owner.name}." if isinstance(owner, ast.ClassDef) else ""
        functions = (each for each in owner.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))
        found.update({prefix + each.name: each.lineno for each in functions})
    return found


def difference(before: list[str], after: list[str]) -> tuple[int, str, str]:
    """Give the index of the first line that differs, and the lines that do, before and after, each as one line."""
    first = 0
    while first < min(len(before), len(after)) - 1 and before[first] == after[first]:
        first += 1
    last = 0
    while last < min(len(before), len(after)) - first - 1 and before[-1 - last] == after[-1 - last]:
        last += 1
    was, becomes = before[first : len(before) - last], after[first : len(after) - last]
    return first, *(" ".join(line.strip() for line in part) for part in (was, becomes))


# The sample


def take_sample(everything: list[Mutant], options: argparse.Namespace) -> list[Mutant]:
    """Take the mutants with the smallest hashes, those that only reword a text left out."""
    pool = [each for each in everything if without_texts(each.was) != without_texts(each.becomes)]
    pool = [each for each in pool if fnmatch(each.function, options.only)]
    if options.again:
        last = json.loads(RESULT.read_text(encoding="utf-8"))["survivors"]
        again = {(each["function"], each["was"], each["becomes"]) for each in last}
        return [each for each in pool if each.change in again]

    def rank(mutant: Mutant) -> str:
        return sha256("\0".join((str(options.seed), *mutant.change)).encode()).hexdigest()

    return sorted(pool, key=rank)[: options.sample]


def without_texts(code: str) -> str:
    """Empty each string with a blank in it."""
    return STRING.sub(lambda found: '""' if " " in found.group() else found.group(), code)


def read_equivalent() -> dict[tuple[str, str, str], str]:
    """Read the equivalent mutants, each with its reason."""
    listed = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8")).get("equivalent", [])
    return {(each["function"], each["was"], each["becomes"]): each["reason"] for each in listed}


# The run


def run_tests(sample: list[Mutant], workers: int) -> None:
    """Let mutmut test the sample. Exit with the end of its log if it cannot."""
    temporary = FOLDER / "tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    command = [sys.executable, "-c", "from mutmut.__main__ import cli; cli()", "run", "--max-children", str(workers)]
    # With CI set, hypothesis draws the same examples every time and keeps none for the next mutant.
    environment = {**os.environ, "CI": "1", "PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "TMPDIR": str(temporary)}
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))
    log_file = FOLDER / "mutmut.log"
    with log_file.open("w", encoding="utf-8") as log:
        names = [mutant.name for mutant in sample]
        process = subprocess.Popen([*command, *names], cwd=COPY, env=environment, stdout=log, stderr=log)
        while process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(POLL_SECONDS)
            with suppress(json.JSONDecodeError):  # it is being written
                print(f"  {len(statuses(sample))} of {len(sample)} tested", flush=True)
    if process.returncode:
        show_failing_tests()
        raise SystemExit(f"mutmut failed, most likely because a test fails without a mutant; its log is {log_file}")


def show_failing_tests() -> None:
    """Run the selected tests without a mutant: mutmut does not say which of them fails."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutmut"]
    tests = (*settings["pytest_add_cli_args"], *settings["pytest_add_cli_args_test_selection"])
    subprocess.run([sys.executable, "-m", "pytest", "-x", "-q", *tests], cwd=ROOT, check=False)


def statuses(sample: list[Mutant]) -> dict[str, str]:
    """Give the status of each mutant that was tested."""
    codes: dict[str, int | None] = {}
    for file in {mutant.file for mutant in sample}:
        with suppress(FileNotFoundError):
            codes |= json.loads((COPY / "mutants" / f"{file}.meta").read_text(encoding="utf-8"))["exit_code_by_key"]
    tested = {each.name: code for each in sample if (code := codes.get(each.name)) is not None}
    return {name: NOTICED.get(code, f"{status_by_exit_code[code]} ({code})") for name, code in tested.items()}


# The result


def report(sample: list[Mutant], equivalent: list[Mutant], found: dict[str, str], seconds: float) -> int:
    """Print and write the result. Return the exit code."""
    survivors = [each for each in sample if found.get(each.name, "not tested") not in NOTICED.values()]
    score = 1 - len(survivors) / len(sample)
    total, missed = Counter(each.file for each in sample), Counter(each.file for each in survivors)
    for each in sorted(survivors, key=lambda mutant: (mutant.file, mutant.line)):
        print(f"\n{each.file}:{each.line}: {each.function}: {found.get(each.name, 'not tested')}")
        print(f"  - {each.was}\n  + {each.becomes}")
    print()
    for file in sorted(total):
        print(f"{total[file] - missed[file]:5} of {total[file]:4}  {file}")
    how = Counter(found.values())
    print(f"{score:.1%} killed: {len(sample) - len(survivors)} of {len(sample)} ({how['timeout']} by time), ", end="")
    print(f"{len(equivalent)} equivalent; {seconds / len(sample):.1f} s per mutant; aim {AIM:.0%}")
    result: dict[str, Any] = {
        "score": round(score, 4),
        "sample": len(sample),
        "killed": len(sample) - len(survivors),
        "seconds": round(seconds),
        "survivors": [asdict(each) | {"status": found.get(each.name, "not tested")} for each in survivors],
        "equivalent": [asdict(each) for each in equivalent],
    }
    RESULT.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return int(score < AIM)


if __name__ == "__main__":
    sys.exit(main())
