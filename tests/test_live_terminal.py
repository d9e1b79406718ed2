"""The live view of a real process on a real terminal, recorded at both sizes."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.commands import serving
from tests.terminals import OURS, Recording, record
from tests.test_views_safety import PAYLOADS, is_safe

UNCHANGED: Mapping[str, str] = MappingProxyType({})
WORDS = " ".join(f"The service {n} needs {n} GB of memory." for n in range(3))
HOSTILE = " ".join(PAYLOADS[:20]) * 2


def talking(folder: Path, count: int, wide: int) -> None:
    rules = [{"when": "hostile item", "text": HOSTILE, "pause": 0.02}, {"when": "", "text": WORDS, "pause": 0.03}]
    (folder / "rules.json").write_text(json.dumps(rules))
    items = ["hostile item", *(f"service {n}" for n in range(1, count))]
    task = {
        "goal": "How much memory does each service need?",
        "swarm": "always",
        "limits": {"workers": wide, "steps": 5_000},
        "plan": [
            {"id": "read", "each": items, "prompt": "Read about {item}."},
            {"id": "sum", "prompt": "Sum up.", "needs": ["read"]},
        ],
    }
    (folder / "task.yaml").write_text(json.dumps(task))


def recorded(
    folder: Path, count: int, wide: int, size: tuple[int, int], variables: Mapping[str, str] = MappingProxyType({})
) -> Recording:
    talking(folder, count, wide)
    with serving("--rules", str(folder / "rules.json")) as url:
        task = json.loads((folder / "task.yaml").read_text())
        task["models"] = {"default": {"endpoint": url, "name": "talker", "stream": True}}
        (folder / "task.yaml").write_text(json.dumps(task))
        return record(folder, "run", "task.yaml", "--no-cache", size=size, variables=variables)


def agrees_with_show(folder: Path, found: Recording) -> None:
    """Check that the totals at the end of a recording are those of `swarm show`."""
    shown = record(folder, "show", "last", "--json", size=(200, 50))
    run = json.loads(shown.written)
    steps, usage = run["steps"], run["usage"]
    tokens = usage["input_tokens"] + usage["output_tokens"]
    totals = (
        f"{run['status']}: {steps['done']:,} of {steps['total']:,} steps done, "
        f"{usage['calls']:,} calls, {tokens:,} tokens"
    )
    assert totals in " ".join(" ".join(found.lines).split()), found.lines


def is_only_ours(text: str) -> bool:
    return is_safe(OURS.sub("", text))


SIZES = [(80, 24), (200, 50)]


class TestTerminal:
    @pytest.mark.slow  # three processes
    def test_five_agents(self, empty: Path) -> None:
        found = recorded(empty, 5, 3, (80, 24))
        assert found.code == 0
        frames = [screen for screen in found.screens if any("▓" in line for line in screen)]
        assert any("read.2" in line for screen in frames for line in screen)
        assert any(re.search(r"127.0.0.1:\d+: [1-3] of 3 calls", line) for screen in frames for line in screen)
        assert is_only_ours(found.written)
        assert not any("▓" in line for line in found.lines)
        agrees_with_show(empty, found)

    @pytest.mark.slow  # each runs a swarm of real calls for about ten seconds
    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize(("count", "wide"), [(100, 100), (1000, 1000)])
    def test_many_agents_at_both_sizes(self, empty: Path, count: int, wide: int, size: tuple[int, int]) -> None:
        found = recorded(empty, count, wide, size)
        frames = [screen for screen in found.screens if any("▓" in line for line in screen)]
        assert found.code == 0
        assert frames
        room = size[0] // 62 * (size[1] - 10)
        assert any("more agents" in line for screen in frames for line in screen) == (count > room)
        assert is_only_ours(found.written)
        agrees_with_show(empty, found)

    @pytest.mark.slow  # three more processes
    def test_no_colour_and_dumb_terminals_and_ci(self, empty: Path) -> None:
        plain = recorded(empty, 5, 5, (80, 24), {"NO_COLOR": "1"})
        assert any("▓" in line for screen in plain.screens for line in screen)
        assert not re.search(r"\x1b\[\d+(;\d+)*m", plain.written)
        for name, value in (("TERM", "dumb"), ("CI", "true")):
            lines = recorded(empty, 5, 5, (80, 24), {name: value})
            assert "read.1 started" in lines.written
            assert "▓" not in lines.written
