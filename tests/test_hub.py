"""Models of a hub: their names, lists of files, the token, and the message for each error."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from swarm.base.errors import SwarmError, TaskError
from swarm.local_models.hub import HUB, Hub, HubName, LostError, hub_name, hub_of
from swarm.local_models.weights import HubFile
from tests.hub import REPO, FakeHub, fake_hub

TOKEN = "hf_canaryCANARYcanary0123456789"
NAME = HubName(REPO)
MODEL = b"GGUF and the rest"


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with fake_hub() as served:
        served.repos[REPO] = {"README.md": b"# Tiny", "Tiny-Q4_K_M.gguf": MODEL, "BF16/Tiny-BF16.gguf": MODEL * 2}
        yield served


def client(hub: FakeHub, **more: str) -> Hub:
    return hub_of({**hub.environ, **more})


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a/b", HubName("a/b")),
        ("a/b-GGUF:Q4_K_M", HubName("a/b-GGUF", "Q4_K_M")),
        ("a/b:BF16/x-00001-of-00002.gguf", HubName("a/b", "BF16/x-00001-of-00002.gguf")),
        ("a/b:Q8_0@v1.0", HubName("a/b", "Q8_0", "v1.0")),
        ("a/b@refs/pr/1", HubName("a/b", "", "refs/pr/1")),
        ("a/b@main", HubName("a/b")),
        ("hf.co/a/b:Q8_0", HubName("a/b", "Q8_0")),
        ("huggingface.co/a/b", HubName("a/b")),
        ("https://huggingface.co/a/b", HubName("a/b")),
        ("https://hf.co/a/b/tree/main", HubName("a/b")),
        ("https://huggingface.co/a/b/blob/main/x%20y.gguf", HubName("a/b", "x y.gguf")),
        ("https://huggingface.co/a/b/resolve/v2/d/x.gguf?download=true", HubName("a/b", "d/x.gguf", "v2")),
        ("https://huggingface.co/a/b/tree/refs%2Fpr%2F1?show_file_info=x.gguf", HubName("a/b", "x.gguf", "refs/pr/1")),
        ("https://huggingface.co/a/b?show_file_info=x.gguf", HubName("a/b", "x.gguf")),
    ],
)
def test_a_model_is_named_as_elsewhere(text: str, name: HubName) -> None:
    assert hub_name(text) == name
    assert hub_name(str(name)) == name


@pytest.mark.parametrize(
    "text",
    [
        "smollm2",
        "models/small.gguf",
        "/a/b",
        "a/b/c",
        "../b",
        "a/..",
        "a/b:../../x",
        "a/b:.hidden.gguf",
        "a/b:x\\..\\y",
        "a/b:x\n",
        "a/b@../x",
        "a/b@-x",
        "a/b@x/../y",
        "a/x..y",
        "a b/c",
        "a/b:x:y",
        "https://example.com/a/b",
        "https://huggingface.co/datasets/a/b",
        "https://huggingface.co/a/b/resolve/main/..%2F..%2Fx.gguf",
        "https://[huggingface.co/a/b",
        "ä/b",
    ],
)
def test_what_is_no_name_is_none(text: str) -> None:
    assert hub_name(text) is None


def test_a_mirror_may_be_in_an_address() -> None:
    mirror = Hub("https://mirror.example")
    assert hub_name("https://mirror.example/a/b", hosts=mirror.hosts) == HubName("a/b")
    assert hub_name("https://mirror.example/a/b") is None


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://mirror.example",
        "http://127.0.0.1.mirror.example",
        "https://me:secret@mirror.example",
        "file:///etc",
        "x",
    ],
)
def test_a_hub_that_would_not_be_safe_is_refused(endpoint: str) -> None:
    with pytest.raises(TaskError, match="HF_ENDPOINT must be") as raised:
        hub_of({"HF_ENDPOINT": endpoint})
    assert "secret" not in str(raised.value)


def test_the_environment_says_which_hub() -> None:
    assert hub_of({}) == hub_of({"HF_ENDPOINT": "", "HF_TOKEN": ""}) == Hub(HUB, "")
    assert hub_of({"HF_ENDPOINT": "https://mirror.example/"}).endpoint == "https://mirror.example"
    with pytest.raises(TaskError, match="HF_TOKEN has characters") as raised:
        hub_of({"HF_TOKEN": f"{TOKEN}\nmore"})
    assert "canary" not in str(raised.value)
    assert "canary" not in repr(hub_of({"HF_TOKEN": TOKEN}))


def test_files_are_listed_with_what_they_must_be(hub: FakeHub) -> None:
    files = client(hub).files(NAME)
    assert [(file.path, file.size) for file in files] == [("Tiny-Q4_K_M.gguf", 17), ("BF16/Tiny-BF16.gguf", 34)]
    assert hub.asked[0].path == f"/api/models/{REPO}/tree/main?recursive=true"


def test_a_long_list_comes_in_pages(hub: FakeHub) -> None:
    hub.page = 1
    assert len(client(hub).files(NAME)) == 2
    assert len(hub.asked) == 4


def test_a_list_that_has_no_end_is_left(hub: FakeHub) -> None:
    hub.page = 0
    with pytest.raises(SwarmError, match="more than 20 pages"):
        client(hub).files(NAME)
    assert len(hub.asked) == 20


@pytest.mark.parametrize("address", ["STORE/x", "http://[x", "http://127.0.0.1:port/", "/x", "file:///x"])
def test_a_list_does_not_lead_elsewhere(hub: FakeHub, address: str) -> None:
    hub.more = {"Link": f'<{address.replace("STORE", hub.store)}>; rel="next"'}
    with pytest.raises(SwarmError, match="at another host"):
        client(hub).files(NAME)
    assert hub.at("store") == []


@pytest.mark.parametrize(
    "told",
    [
        [],
        {"error": "no"},
        [None, "x", 1],
        [{"type": "file", "path": 1, "lfs": {"oid": "0" * 64, "size": 1}}],
        [{"type": "file", "path": "x.gguf", "lfs": {"oid": "0" * 64, "size": -1}}],
        [{"type": "file", "path": "x.gguf", "lfs": {"oid": "0" * 64, "size": True}}],
        [{"type": "file", "path": "x.gguf", "lfs": {"oid": "abc", "size": 1}}],
        [{"type": "file", "path": "x.gguf", "lfs": None}],
    ],
)
def test_a_list_of_another_shape_has_no_files(hub: FakeHub, told: Any) -> None:
    hub.told = lambda _: told
    assert client(hub).files(NAME) == ()


def test_a_list_that_is_too_long_is_not_read(hub: FakeHub) -> None:
    hub.told = lambda _: ["x" * 8_000_001]
    with pytest.raises(SwarmError, match="exceeds 8000000 bytes"):
        client(hub).files(NAME)


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_said(hub: FakeHub, body: bytes) -> None:
    hub.told = lambda _: body
    with pytest.raises(SwarmError, match="is not a hub of models"):
        client(hub).files(NAME)


def read(hub: FakeHub, **more: str) -> bytes:
    with client(hub, **more).opened(NAME, HubFile("Tiny-Q4_K_M.gguf", len(MODEL))) as body:
        return b"".join(body.chunks)


def test_the_token_goes_to_the_hub_and_not_on(hub: FakeHub) -> None:
    assert read(hub, HF_TOKEN=TOKEN) == MODEL
    assert [each.headers.get("Authorization") for each in hub.at("hub")] == [f"Bearer {TOKEN}"]
    assert TOKEN not in json.dumps([each.headers for each in hub.at("store")])
    assert len(hub.at("store")) == 1


def test_it_says_who_it_is_and_nothing_else(hub: FakeHub) -> None:
    read(hub)
    for each in hub.asked:
        assert each.headers.keys() <= {"Host", "Accept", "Accept-Encoding", "Connection", "User-Agent"}
        assert each.headers["User-Agent"].startswith("local-agent-swarm/")
        assert each.headers["Accept-Encoding"] == "identity"
    assert hub.at("store")[0].path.endswith("?X-Amz-Signature=abc%27~"), "what was signed is sent as it was"


@pytest.mark.parametrize("location", ["http://mirror.example/x", "ftp://127.0.0.1/x", "http://127.0.0.1.example/x"])
def test_no_redirect_leaves_encryption(hub: FakeHub, location: str) -> None:
    hub.refuse = lambda host, path: (302, {"Location": location})
    with pytest.raises(SwarmError, match="without encryption"):
        read(hub)


def test_a_circle_of_redirects_ends(hub: FakeHub) -> None:
    hub.refuse = lambda host, path: (302, {"Location": path})
    with pytest.raises(SwarmError, match="more than 5 times"):
        read(hub)


def test_a_renamed_repository_is_followed(hub: FakeHub) -> None:
    hub.repos["new/Name"] = hub.repos[REPO]
    hub.refuse = lambda host, path: (307, {"Location": path.replace(REPO, "new/Name")}) if REPO in path else None
    assert read(hub, HF_TOKEN=TOKEN) == MODEL
    assert {each.headers.get("Authorization") for each in hub.at("hub")} == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    ("status", "headers", "token", "words"),
    [
        (401, {"X-Error-Code": "GatedRepo"}, "", f"is gated\nhint: accept its terms at .*/{REPO}, then set HF_TOKEN"),
        (403, {"X-Error-Code": "GatedRepo"}, TOKEN, "is gated"),
        (
            401,
            {"X-Error-Code": "RepoNotFound"},
            "",
            f"has no repository {REPO}\nhint: if it is private or gated, set HF_TOKEN",
        ),
        (401, {}, TOKEN, "HF_TOKEN was rejected"),
        (404, {"X-Error-Code": "RepoNotFound"}, TOKEN, "check that HF_TOKEN may read it"),
        (404, {"X-Error-Code": "RevisionNotFound"}, "", "has no revision `main`"),
        (404, {"X-Error-Code": "EntryNotFound"}, "", "no longer has that file"),
        (429, {"Retry-After": "7"}, "", "rate limit of .* reached: retry in 7 s"),
        (429, {"RateLimit": '"api";r=0;t=55'}, "", "retry in 55 s"),
        (429, {"Retry-After": "soon\x1b"}, "", "reached\nhint: set HF_TOKEN"),
        (503, {}, "", r"server error of .* \(503\)\nhint: .* partial downloads are stored"),
        (418, {}, "", "answered 418"),
    ],
)
def test_a_refusal_says_what_to_do(hub: FakeHub, status: int, headers: dict[str, str], token: str, words: str) -> None:
    hub.refuse = lambda host, path: (status, headers)
    with pytest.raises(SwarmError, match=words) as raised:
        client(hub, HF_TOKEN=token).files(NAME)
    assert "canary" not in str(raised.value)


def test_the_store_refuses_for_itself(hub: FakeHub) -> None:
    hub.refuse = lambda host, path: (403, {}) if host == "store" else None
    with pytest.raises(SwarmError, match=r"127\.0\.0\.1, the host of someone/Tiny-GGUF, answered 403"):
        read(hub)


def test_nobody_there_is_said() -> None:
    with pytest.raises(LostError, match=r"127\.0\.0\.1: .* \(check the network"):
        Hub("http://127.0.0.1:9").files(NAME)


def test_files_of_other_revisions_have_a_folder_of_their_own() -> None:
    assert HubName("a/b").folder == Path("a/b")
    assert HubName("a/b", "Q4_K_M", "refs/pr/1").folder == Path("a/b@refs%2Fpr%2F1")
