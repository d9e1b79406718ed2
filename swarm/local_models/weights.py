"""The choice of a GGUF file in a repository, which has models in many sizes and parts."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from swarm.base.errors import TaskError

USUAL = "Q4_K_M"
"""The default quantization, as in llama.cpp and Ollama."""
LISTED = 40
"""Maximum files that an error lists. The others are counted."""

_SAFE = re.compile(r"(?![ .-])[A-Za-z0-9 _.+=,()-]{1,200}(?<![ .])", re.ASCII)
_PART = re.compile(r"(.+)-([0-9]{5})-of-([0-9]{5})", re.IGNORECASE)
_TAG = re.compile(r"[-.]((?:UD-)?[A-Z0-9_]*[0-9][A-Z0-9_]*)$", re.IGNORECASE)
_ASIDE = re.compile(r"mmproj|imatrix|mtp-|eagle3-|dflash-|dspark-", re.IGNORECASE)
"""Files in repositories that are not models: projectors, statistics and draft models."""


@dataclass(frozen=True)
class HubFile:
    """A file of a repository."""

    path: str
    """Path inside the repository."""
    size: int
    """Size in bytes."""
    sha256: str = ""
    """Hash according to the hub; empty for a file on this machine."""


@dataclass(frozen=True)
class Weights:
    """One model: a file, or all its parts in order."""

    name: str
    """Path without `.gguf` and without the number of a part."""
    files: tuple[HubFile, ...]

    @property
    def path(self) -> str:
        """Path of the file to serve: the first part."""
        return self.files[0].path

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return sum(file.size for file in self.files)


def is_safe(path: str) -> bool:
    """Return whether a path of a repository is safe on this machine: plain names, not hidden."""
    return all(_SAFE.fullmatch(part) for part in path.split("/"))


def weights_in(files: Iterable[HubFile]) -> tuple[Weights, ...]:
    """Return the complete models among files, the smallest first. Other files are ignored."""
    found: dict[tuple[str, int], dict[int, HubFile]] = {}
    for file in files:
        stem, dot, kind = file.path.rpartition(".")
        if not dot or kind.lower() != "gguf" or not is_safe(file.path):
            continue
        name, number, count = stem, 1, 1
        part = _PART.fullmatch(stem)
        if part is not None:
            name, number, count = part[1], int(part[2]), int(part[3])
        found.setdefault((name, count), {})[number] = file
    whole = [
        Weights(name, tuple(parts[number] for number in range(1, count + 1)))
        for (name, count), parts in found.items()
        if parts.keys() == set(range(1, count + 1))
    ]
    return tuple(sorted(whole, key=lambda each: (each.size, each.name)))


def chosen(all_: Sequence[Weights], choice: str) -> Weights | None:
    """Return the model that a file name or quantization means, or None if not exactly one.

    An empty choice means the only model, or else the only one with the quantization `USUAL`.
    """
    models = [each for each in all_ if _is_model(each)]
    if not choice and len(models) == 1:
        return models[0]
    found = _meant(all_, choice or USUAL)
    return found[0] if len(found) == 1 else None


def label_of(weights: Weights, all_: Sequence[Weights]) -> str:
    """Return the shortest choice that means this model: its quantization, else its path."""
    tag = _TAG.search(weights.name)
    return tag[1] if tag and chosen(all_, tag[1]) is weights else weights.path


def not_chosen(all_: Sequence[Weights], repo: str, choice: str) -> TaskError:
    """Return the error for a choice that does not mean exactly one model, with a list of models."""
    models = [each for each in all_ if _is_model(each)]
    if not models:
        return TaskError(
            f"{repo} has no complete GGUF file with a checksum\n"
            "hint: most repositories with GGUF files end in -GGUF: https://huggingface.co/models?library=gguf"
        )
    matching = _meant(all_, choice) if choice else []
    if matching:
        wrong = f"`{choice}` may mean {len(matching)} models of {repo}"
    elif choice:
        wrong = f"{repo} has no `{choice}`"
    else:
        wrong = f"{repo} has {len(models)} models, and not exactly one {USUAL}"
    shown = matching or models
    lines = [f"{repo}:{label_of(each, all_)} ({each.size / 1e6:,.0f} MB)" for each in shown[:LISTED]]
    if len(shown) > LISTED:
        lines.append(f"and {len(shown) - LISTED} more")
    return TaskError(f"{wrong}; choose one:", *lines)


def _is_model(weights: Weights) -> bool:
    return _ASIDE.search(PurePosixPath(weights.path).name) is None


def _meant(all_: Sequence[Weights], choice: str) -> list[Weights]:
    """Return all models that a choice may mean, by the strictest rule that finds any."""
    wanted = re.escape(choice)
    at_end = re.compile(rf"(?:^|[-._/]){wanted}$", re.IGNORECASE)
    anywhere = re.compile(rf"(?:^|[-._/]){wanted}(?:$|[-./])", re.IGNORECASE)
    rules: tuple[Callable[[Weights], object], ...] = (
        lambda each: any(choice in (file.path, PurePosixPath(file.path).name) for file in each.files),
        lambda each: choice in (each.name, PurePosixPath(each.name).name),
        lambda each: _is_model(each) and at_end.search(each.name),
        lambda each: _is_model(each) and anywhere.search(each.name),
    )
    for rule in rules:
        found = [each for each in all_ if rule(each)]
        if found:
            return found
    return []
