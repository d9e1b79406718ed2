"""Which of a repository's GGUF files is meant: one model, in many sizes, some of them in several parts."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from swarm.base.errors import TaskError

USUAL = "Q4_K_M"
"""What is taken where nobody says: the quantization that llama.cpp and Ollama take, too."""
LISTED = 40
"""Files that an error lists; the others are counted."""

_SAFE = re.compile(r"(?![ .-])[A-Za-z0-9 _.+=,()-]{1,200}(?<![ .])", re.ASCII)
_PART = re.compile(r"(.+)-([0-9]{5})-of-([0-9]{5})", re.IGNORECASE)
_TAG = re.compile(r"[-.]((?:UD-)?[A-Z0-9_]*[0-9][A-Z0-9_]*)$", re.IGNORECASE)
_ASIDE = re.compile(r"mmproj|imatrix|mtp-|eagle3-|dflash-|dspark-", re.IGNORECASE)
"""What repositories hold beside models: projectors, statistics and drafts, which serve nothing alone."""


@dataclass(frozen=True)
class HubFile:
    """A file of a repository."""

    path: str
    """Inside the repository."""
    size: int
    """Bytes."""
    sha256: str = ""
    """What the hub says it is; empty for a file on this machine."""


@dataclass(frozen=True)
class Weights:
    """One model: a file, or all its parts in their order. It is served by the first."""

    name: str
    """The path without `.gguf`, and without the number of a part."""
    files: tuple[HubFile, ...]

    @property
    def path(self) -> str:
        """What it is served by."""
        return self.files[0].path

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return sum(file.size for file in self.files)


def is_safe(path: str) -> bool:
    """Tell whether a path inside a repository may become one on this machine: plain names, none of them hidden."""
    return all(_SAFE.fullmatch(part) for part in path.split("/"))


def weights_in(files: Iterable[HubFile]) -> tuple[Weights, ...]:
    """Put the parts of models together, the smallest first. What is no GGUF file or lacks a part is left out."""
    found: dict[tuple[str, int], dict[int, HubFile]] = {}
    for file in files:
        stem, dot, kind = file.path.rpartition(".")
        if not dot or kind.lower() != "gguf" or not is_safe(file.path):
            continue
        part = _PART.fullmatch(stem)
        name, number, count = (part[1], int(part[2]), int(part[3])) if part else (stem, 1, 1)
        found.setdefault((name, count), {})[number] = file
    whole = [
        Weights(name, tuple(parts[number] for number in range(1, count + 1)))
        for (name, count), parts in found.items()
        if parts.keys() == set(range(1, count + 1))
    ]
    return tuple(sorted(whole, key=lambda each: (each.size, each.name)))


def chosen(all_: Sequence[Weights], choice: str) -> Weights | None:
    """Find what is meant by a file's name or a quantization, or by nothing; None where that is not one model.

    Nothing means the only model there is, or the only one in `USUAL`.
    """
    models = [each for each in all_ if _is_model(each)]
    if not choice and len(models) == 1:
        return models[0]
    found = _meant(all_, choice or USUAL)
    return found[0] if len(found) == 1 else None


def label_of(weights: Weights, all_: Sequence[Weights]) -> str:
    """Give the shortest choice that means this model: its quantization, else its path."""
    tag = _TAG.search(weights.name)
    return tag[1] if tag and chosen(all_, tag[1]) is weights else weights.path


def not_chosen(all_: Sequence[Weights], repo: str, choice: str) -> TaskError:
    """Say why a choice means no one model, and list what there is."""
    models = [each for each in all_ if _is_model(each)]
    if not models:
        return TaskError(
            f"{repo} has no GGUF file that is whole and has a checksum; "
            "repositories that have some mostly end in -GGUF: https://huggingface.co/models?library=gguf"
        )
    matching = _meant(all_, choice) if choice else []
    if matching:
        wrong = f"{repo} has {len(matching)} models that `{choice}` may mean"
    elif choice:
        wrong = f"{repo} has no `{choice}`"
    else:
        wrong = f"{repo} has {len(models)} models, and not just one {USUAL}"
    shown = matching or models
    lines = [f"{repo}:{label_of(each, all_)} ({each.size / 1e6:,.0f} MB)" for each in shown[:LISTED]]
    if len(shown) > LISTED:
        lines.append(f"and {len(shown) - LISTED} more")
    return TaskError(f"{wrong}; say which:", *lines)


def _is_model(weights: Weights) -> bool:
    return _ASIDE.search(PurePosixPath(weights.path).name) is None


def _meant(all_: Sequence[Weights], choice: str) -> list[Weights]:
    """Find all that a choice may mean, by the strictest rule that finds any."""
    wanted = re.escape(choice)
    rules: tuple[Callable[[Weights], object], ...] = (
        lambda each: any(choice in (file.path, PurePosixPath(file.path).name) for file in each.files),
        lambda each: choice in (each.name, PurePosixPath(each.name).name),
        lambda each: _is_model(each) and re.search(rf"(?:^|[-._/]){wanted}$", each.name, re.IGNORECASE),
        lambda each: _is_model(each) and re.search(rf"(?:^|[-._/]){wanted}(?:$|[-./])", each.name, re.IGNORECASE),
    )
    for rule in rules:
        found = [each for each in all_ if rule(each)]
        if found:
            return found
    return []
