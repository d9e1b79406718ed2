"""The reader of a task's inputs: paths, globs, folders and mappings become files with their content.

First all entries are matched with files, then the files are read. What cannot be read is left out
and named, unless the caller is strict: one damaged file of a thousand is no reason to read none. An
entry that matches nothing, or a rule of the task that is broken, is always an error. All errors are
reported together, by the names of their entries.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from swarm.base.errors import Problem, TaskError
from swarm.base.text import clip, listing
from swarm.readers.extract import Extractor
from swarm.readers.result import Extract
from swarm.readers.texts import Texts
from swarm.spec.files.contents import PENDING, STDIN, Contents, FetchedInput, NamedFile
from swarm.spec.files.folders import MOST_FILES, FoundError, FoundFile, folder_files, glob_files, is_glob
from swarm.spec.files.outputs import OutputFiles
from swarm.spec.task import Input, InputSpec, Task, UnreadInput
from swarm.spec.yaml.strict import Document

STDIN_NAME = "stdin"
"""Name of standard input as an input."""
PLAIN_ENDINGS = frozenset(
    {"", ".md", ".txt", ".csv", ".tsv", ".json", ".jsonl", ".yaml", ".yml", ".toml", ".py", ".log"}
)
"""Endings of names of files that are texts in general, so that reading them does not take long."""
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
"""Start of an address, of any scheme."""


Fetch = Callable[[str], FetchedInput]
"""Returns what an address gave. Raises EntryError if it is no address that may be fetched."""


@dataclass(frozen=True, kw_only=True)
class InputOptions:
    """What a caller says about inputs, in addition to the task."""

    strict: bool = False
    """Whether a file that cannot be read is an error."""
    given: tuple[str, ...] = ()
    """More paths, globs and folders, relative to `given_folder`."""
    given_folder: Path = field(default_factory=Path)
    stdin: Callable[[], bytes] | None = None
    """Returns standard input; None if the caller has none."""
    fetch: Fetch | None = None
    """Returns what an address gave; None if no address may be an input."""
    pictures: bool = False
    """Whether a model accepts images: then pages of scanned documents are inputs."""
    texts: Texts = field(default_factory=lambda: Texts(None))
    """Texts of documents that were read before."""
    is_written: Callable[[Path], bool] | None = None
    """Whether an earlier run has written a file, so that an output may replace it; None if it may replace any file."""
    own_files: tuple[Path, ...] = ()
    """Files and folders of the task itself: they are no data of a folder that is an input."""


@dataclass(frozen=True)
class LoadedInputs:
    """The inputs of a run."""

    inputs: tuple[Input, ...] = ()
    unread: tuple[UnreadInput, ...] = ()
    """What cannot be read."""
    notes: tuple[str, ...] = ()
    """Notes for people."""
    made: tuple[tuple[str, str, Extract], ...] = ()
    """Texts of documents that are not stored yet: hash, version of the reader, text."""
    stdin: bytes | None = None
    """Standard input, if it is an input."""
    fetched: tuple[FetchedInput, ...] = ()
    """What the addresses among the inputs gave, each once."""

    @property
    def is_pending(self) -> bool:
        """Whether an address is not fetched yet."""
        return any(each.kind == PENDING for each in self.inputs)


def read_inputs(task: Task, outputs: OutputFiles | None = None, options: InputOptions | None = None) -> LoadedInputs:
    """Return every input of a task with its content, in the order of its entries; files of a glob sorted by name.

    Raise TaskError with all problems.
    """
    return MatchedInputs(task, outputs or OutputFiles(), options or InputOptions()).read()


class EntryError(Exception):
    """An entry of `inputs:` is wrong."""


def is_address(path: str) -> bool:
    """Return whether an entry is an address, of any scheme: no path begins like one."""
    return _ADDRESS.match(path) is not None


class MatchedInputs:
    """The files of a task's inputs, not yet read.

    A glob (`*`, `?`, `[…]`, `**`) skips hidden files and does not follow links to folders. A file
    that two entries name is read once, with the label, medium and name of either. An output of the
    task that a glob or a folder matches is left out, with a note.
    """

    def __init__(self, task: Task, outputs: OutputFiles, options: InputOptions) -> None:
        self._task = task
        self._options = options
        self._problems: list[tuple[int, str]] = []
        self._notes: list[str] = []
        self._stdin: bytes | None = None
        self._own = tuple(path.resolve() for path in options.own_files)
        files = self._without_outputs(self._matches(), outputs)
        if len(files) > MOST_FILES:
            raise TaskError(Problem(f"{len(files):,} input files; maximum {MOST_FILES:,}", key="inputs"))
        self._problems += _same_names(files)
        self.files = files

    @property
    def may_take_long(self) -> bool:
        """Whether a file may be a document, which another process reads."""
        return any(file.path.suffix.lower() not in PLAIN_ENDINGS for file in self.files)

    def read(self, stopped: Callable[[], bool] = lambda: False) -> LoadedInputs:
        """Read the files. Raise TaskError with all problems, those of the entries included."""
        with Extractor(stopped=stopped) as extractor:
            contents = Contents(extractor, self._options.texts, self._options.pictures)
            for file in self.files:
                contents.read(file)
        if contents.empty:
            self._notes.append(_empty_note(contents.empty))
        problems = [*self._problems, *self._refused(contents)]
        if problems:
            raise TaskError(*(self._problem(entry, message) for entry, message in sorted(problems)))
        return LoadedInputs(
            tuple(contents.inputs),
            tuple(each for _, each in contents.unread),
            (*self._notes, *contents.notes),
            tuple(contents.made),
            self._stdin,
            tuple(file.fetched for file in self.files if file.fetched is not None and not file.fetched.is_pending),
        )

    def _refused(self, contents: Contents) -> Iterator[tuple[int, str]]:
        """Yield the problems of files that cannot be read: all if the caller is strict, or if nothing is left.

        Else only that of a file named by itself whose reader can be installed.
        """
        all_of_them = self._options.strict or not contents.inputs
        for n, (file, unread) in enumerate(contents.unread):
            if all_of_them or (n in contents.needs_extra and not file.by_glob):
                yield file.entry, f"`{clip(unread.name)}` {unread.because}"

    # Files

    def _matches(self) -> tuple[NamedFile, ...]:
        """Return the files that the entries match, each once."""
        matches: dict[str, NamedFile] = {}
        for index, (spec, folder) in enumerate(self._entries()):
            try:
                for found in self._found(spec, index, folder):
                    place = _place(found)
                    matches[place] = _merged(matches[place], found) if place in matches else found
            except (EntryError, FoundError) as error:
                self._problems.append((index, str(error)))
        return tuple(matches.values())

    def _entries(self) -> Iterator[tuple[InputSpec, Path]]:
        """Yield the entries of the task and those that were given, each with the folder of its path."""
        for entry in self._task.inputs:
            yield InputSpec(path=entry) if isinstance(entry, str) else entry, self._task.folder
        for path in self._options.given:
            yield InputSpec(path=path), self._options.given_folder

    def _found(self, spec: InputSpec, entry: int, folder: Path) -> Iterator[NamedFile]:
        """Yield the files that one entry matches. A path that exists is not a glob, whatever characters it has."""
        written = spec.path
        if written == STDIN:
            yield self._standard_input(spec, entry)
            return
        if is_address(written):
            yield self._fetched(spec, entry)
            return
        _check_path(written)
        outside = folder.resolve() != self._task.folder.resolve()
        found, by_glob = self._paths(written, folder)
        if not found:
            raise EntryError(
                f"`{clip(written)}` matches no file in {folder}{_unexpanded(written) or _near(written, folder)}"
            )
        if spec.name is not None and len(found) > 1:
            words = f"`{clip(written)}` matches {len(found)} files; `name` is allowed for one file only"
            raise EntryError(words)
        for each in found:
            base = each.base if by_glob == "folder" else None
            name = spec.name or _in_utf8(each.name)
            yield NamedFile(each.path, name, entry, spec, bool(by_glob), base, outside=outside, because=each.because)

    def _paths(self, written: str, folder: Path) -> tuple[list[FoundFile], str]:
        """Return the files of a path, and whether it is a `folder` or a `glob`; empty for one file."""
        path = folder / written
        try:
            if path.is_dir():
                found = folder_files(written, path)
                return [each for each in found if not self._is_own(each.path)], "folder"
            if path.exists() or not is_glob(written):
                _check_exists(path, written)
                return [FoundFile(written, path, folder)], ""
            return glob_files(written, folder), "glob"
        except OSError as error:
            raise EntryError(f"`{clip(written)}` cannot be read: {error.strerror or error}") from None

    def _is_own(self, path: Path) -> bool:
        """Whether a file belongs to the task itself: its file, its plan, its agents."""
        resolved = path.resolve()
        return any(resolved == own or own in resolved.parents for own in self._own)

    def _standard_input(self, spec: InputSpec, entry: int) -> NamedFile:
        if self._options.stdin is None:
            raise EntryError("`-` is standard input, which this call does not have\nhint: name a file")
        if self._stdin is None:
            self._stdin = self._options.stdin()
        name = spec.name or STDIN_NAME
        return NamedFile(Path(name), name, entry, spec, by_glob=False, content=self._stdin)

    def _fetched(self, spec: InputSpec, entry: int) -> NamedFile:
        shown = clip(spec.path)
        if spec.path.lower().startswith("file:"):
            raise EntryError(f"`{shown}` is an address\nhint: write the path of the file")
        if self._options.fetch is None:
            hint = "add `web: {}` to the task, or `--fetch` to the command; or download it, and name the file"
            raise EntryError(f"`{shown}` is an address, which is fetched only if that is allowed\nhint: {hint}")
        fetched = self._options.fetch(spec.path)
        fetched = replace(fetched, url=fetched.url or spec.path)
        name = spec.name or spec.path
        return NamedFile(Path(fetched.name), name, entry, spec, by_glob=False, fetched=fetched)

    def _without_outputs(self, files: tuple[NamedFile, ...], outputs: OutputFiles) -> tuple[NamedFile, ...]:
        """Return the files that are not outputs of the task. One that is named as an input is a problem."""
        kept: list[NamedFile] = []
        for file in files:
            is_file = file.content is None and file.fetched is None
            output = outputs.same_as(file.path) if is_file else None
            if output is None:
                kept.append(file)
            elif file.by_glob and self._may_replace(file.path):
                self._notes.append(f"`{clip(file.name)}` is an output of this task, so it is left out of the inputs")
            else:
                words = f"`{clip(file.name)}` is an input, and `output: {clip(output.name)}` would replace it"
                hint = "choose another name for the output"
                hint += "; if it is an old report, remove it: no run here has written this file" if file.by_glob else ""
                self._problems.append((file.entry, f"{words}\nhint: {hint}"))
        return tuple(kept)

    def _may_replace(self, path: Path) -> bool:
        return self._options.is_written is None or self._options.is_written(path)

    def _problem(self, index: int, message: str) -> Problem:
        own = len(self._task.inputs)
        if index >= own:
            return Problem(message, key="--input")
        origin = self._task.origin
        where = origin.place(("inputs", index)) if isinstance(origin, Document) else ""
        return Problem(message, where=where, key=f"inputs.{index}")


def _empty_note(names: Sequence[str]) -> str:
    return f"{listing([f'`{clip(name)}`' for name in names], 3)} {'is' if len(names) == 1 else 'are'} empty"


def _is_utf8(name: str) -> bool:
    """Return whether a name that the system gave is text: Python keeps other bytes of it as halves of characters."""
    return _in_utf8(name) == name


def _in_utf8(name: str) -> str:
    """Return a name for prompts and reports; bytes of it that are no text are escaped."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _check_path(written: str) -> None:
    """Raise EntryError for a path that can name no file."""
    if not written.strip():
        raise EntryError("is an empty path\nhint: name a file, or `.` for this folder")
    if "\0" in written:
        raise EntryError("the path contains a NUL character")
    if not _is_utf8(written):
        raise EntryError(f"`{_in_utf8(written)}` is not in UTF-8\nhint: rename it, or name the folder that it is in")


def _place(file: NamedFile) -> str:
    """Return what two entries have in common that name the same thing: its address, or its path without links."""
    if file.fetched is not None:
        return file.fetched.url
    return f"{STDIN} {file.name}" if file.content is not None else str(file.path.resolve())


def _check_exists(path: Path, written: str) -> None:
    if not path.exists():
        folder = path.parent
        if path.is_symlink():
            words = "is a link to something that does not exist\nhint: name the file itself"
            raise EntryError(f"`{clip(written)}` {words}")
        raise EntryError(
            f"there is no file `{clip(written)}` in {folder}{_unexpanded(written) or _near(path.name, folder)}"
        )


def _near(written: str, folder: Path) -> str:
    """Return `; did you mean …?` with the nearest name in the folder of a path, as the end of a message."""
    path = folder / written
    try:
        names = sorted(entry.name for entry in path.parent.iterdir())[:1000]
    except OSError:
        return ""
    by_lower_case = {name.lower(): name for name in reversed(names)}
    near = difflib.get_close_matches(path.name.lower(), by_lower_case, n=1, cutoff=0.6)
    if not near or not PurePosixPath(written).name:
        return ""
    return f"; did you mean `{clip(str(PurePosixPath(written).with_name(by_lower_case[near[0]])))}`?"


def _unexpanded(written: str) -> str:
    """Return what is wrong with a path that a shell would have changed; empty if that is not it."""
    if not written.startswith(("~", "$")):
        return ""
    return f"; `{written[0]}` is not expanded\nhint: write the whole path"


def _merged(first: NamedFile, second: NamedFile) -> NamedFile:
    """Return a file that two entries match.

    A label in one of them is kept, so a glob cannot remove it.
    """
    spec = first.spec
    for key in ("label", "as_", "name"):
        one, other = getattr(spec, key), getattr(second.spec, key)
        if one is not None and other is not None and one != other:
            key_in_file = key.rstrip("_")
            values = f"`{key_in_file}: {one}` in one entry and `{key_in_file}: {other}` in this one"
            raise EntryError(f"`{clip(first.name)}` has {values}")
        if one is None and other is not None:
            spec = spec.model_copy(update={key: other})
    base = first.base if second.base is not None else None
    by_glob = first.by_glob and second.by_glob
    return replace(first, spec=spec, name=spec.name or first.name, by_glob=by_glob, base=base)


def _same_names(files: Iterable[NamedFile]) -> Iterator[tuple[int, str]]:
    seen: dict[str, NamedFile] = {}
    for file in files:
        if file.name in seen:
            paths = listing([_shown(seen[file.name]), _shown(file)])
            yield file.entry, f"two inputs have the name `{clip(file.name)}`: {paths}; set another `name` for one"
        seen[file.name] = file


def _shown(file: NamedFile) -> str:
    return str(file.path) if file.fetched is None else file.fetched.url
