"""The download of a model from a hub on loopback: complete, checked, resumed, and only once."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm.base.errors import SwarmError, TaskError
from swarm.local_models.download import BREAKS, SPARE_BYTES, fetch_from, kept
from swarm.local_models.hub import HubName, LostError, hub_of
from tests.hub import REPO, FakeHub, fake_hub

MODEL = b"GGUF" + bytes(range(256)) * 200
FILE = "Tiny-Q4_K_M.gguf"
SHA256 = hashlib.sha256(MODEL).hexdigest()
PARTS = {f"Big-Q8_0-{number:05}-of-00003.gguf": b"GGUF" + bytes([number]) * 1000 * number for number in (1, 2, 3)}


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with fake_hub() as served:
        served.repos[REPO] = {FILE: MODEL, "README.md": b"# Tiny"}
        yield served


class Client:
    """A download folder, with the messages of its downloads."""

    def __init__(self, hub: FakeHub, folder: Path) -> None:
        self.hub = hub
        self.folder = folder
        self.said: list[str] = []
        self.progress: list[tuple[int, int]] = []

    def get(self, choice: str = "", revision: str = "") -> Path:
        self.said.clear()
        self.progress.clear()
        name = HubName(REPO, choice, revision)
        return fetch_from(hub_of(self.hub.environ), name, self.folder, say=self.said.append, progress=self._note).path

    def _note(self, there: int, total: int) -> None:
        self.progress.append((there, total))

    @property
    def place(self) -> Path:
        return self.folder / REPO

    @property
    def part(self) -> Path:
        return self.place / f".{SHA256}.part"

    def names(self) -> list[str]:
        return sorted(path.relative_to(self.place).as_posix() for path in self.place.rglob("*"))


@pytest.fixture
def client(hub: FakeHub, tmp_path: Path) -> Client:
    return Client(hub, tmp_path / "models")


def test_a_model_is_fetched_and_checked_once(client: Client) -> None:
    path = client.get()
    assert path.read_bytes() == MODEL
    assert path == client.place / FILE
    assert client.names() == [FILE, f"{FILE}.sha256"]
    assert (client.place / f"{FILE}.sha256").read_text() == f"{SHA256}  {FILE}\n"
    assert client.progress[-1] == (len(MODEL), len(MODEL))
    assert client.said[-1] == f"{FILE}: checksum verified"
    assert client.get() == path
    assert client.said == [f"{path} is already downloaded"]
    assert len(client.hub.at("store")) == 1


def test_what_is_vouched_for_is_not_read_again(client: Client) -> None:
    path = client.get()
    as_it_was = path.stat()
    path.write_bytes(bytes(len(MODEL)))
    os.utime(path, ns=(as_it_was.st_atime_ns, as_it_was.st_mtime_ns))
    client.get()
    assert len(client.hub.at("store")) == 1, "same size, same time: nothing says that it is another"
    os.utime(path, ns=(as_it_was.st_atime_ns, as_it_was.st_mtime_ns + 10**12))
    assert client.get().read_bytes() == MODEL, "newer than what vouches for it, so it is read"


def test_a_right_file_that_nothing_vouches_for_is_read_once(client: Client) -> None:
    client.place.mkdir(parents=True)
    (client.place / FILE).write_bytes(MODEL)
    client.get()
    assert client.hub.at("store") == []
    assert client.names() == [FILE, f"{FILE}.sha256"]


def test_a_file_of_another_size_is_fetched_again(client: Client) -> None:
    client.get().write_bytes(MODEL[:-1])
    assert client.get().read_bytes() == MODEL


def test_a_newer_file_at_the_hub_takes_the_place_of_the_older(client: Client) -> None:
    client.get()
    client.hub.repos[REPO][FILE] = MODEL[::-1]
    assert client.get().read_bytes() == MODEL[::-1]
    assert client.names() == [FILE, f"{FILE}.sha256"]


def test_a_revision_is_kept_apart(client: Client) -> None:
    client.hub.repos[f"{REPO}@v1/a"] = {FILE: MODEL * 2}
    assert client.get().read_bytes() == MODEL
    path = client.get(revision="v1/a")
    assert path.read_bytes() == MODEL * 2
    assert path.parent.name == "Tiny-GGUF@v1%2Fa"
    assert client.hub.at("hub")[-1].path == f"/{REPO}/resolve/v1%2Fa/{FILE}"


@pytest.mark.parametrize("sizes", [True, False])
def test_a_connection_that_breaks_is_gone_on_with(client: Client, sizes: bool) -> None:
    client.hub.cut, client.hub.sizes = [1000, 30_000], sizes
    assert client.get().read_bytes() == MODEL
    assert [each.headers.get("Range") for each in client.hub.at("store")] == [None, "bytes=1000-", "bytes=31000-"]


def test_a_call_goes_on_where_the_last_one_broke_off(client: Client) -> None:
    client.hub.cut = [1000, 0]
    with pytest.raises(LostError, match=f"download of {FILE} interrupted at 1 %\nhint: run the same command again"):
        client.get()
    assert client.part.read_bytes() == MODEL[:1000]
    assert client.names() == [f".{SHA256}.part"]
    assert client.get().read_bytes() == MODEL
    assert client.hub.at("store")[-1].headers["Range"] == "bytes=1000-"
    assert client.names() == [FILE, f"{FILE}.sha256"]
    assert client.progress[0][0] > 1000


def test_a_connection_that_only_breaks_is_given_up(client: Client) -> None:
    client.hub.cut = [1] * 100
    with pytest.raises(LostError, match=f"interrupted {BREAKS} times"):
        client.get()
    assert len(client.hub.at("store")) == BREAKS


def test_a_store_that_cannot_begin_later_sends_all(client: Client) -> None:
    client.hub.cut, client.hub.ranges = [1000], False
    assert client.get().read_bytes() == MODEL
    assert len(client.hub.at("store")) == 2


def test_a_beginning_that_is_wrong_is_thrown_away(client: Client) -> None:
    client.place.mkdir(parents=True)
    client.part.write_bytes(b"x" * 1000)
    assert client.get().read_bytes() == MODEL
    assert f"{FILE}: the partial file is not its beginning; downloading it again" in client.said


@pytest.mark.parametrize("there", [MODEL, MODEL + b"more"])
def test_a_part_that_is_whole_or_longer_is_no_trouble(client: Client, there: bytes) -> None:
    client.place.mkdir(parents=True)
    client.part.write_bytes(there)
    assert client.get().read_bytes() == MODEL


@pytest.mark.parametrize(
    ("sent", "sizes", "words"),
    [
        (MODEL[:-1] + b"x", True, f"expected {SHA256}, found .*; the file was removed"),
        (MODEL + b"x", True, "wrong size"),
        (MODEL + b"x" * 10_000_000, False, f"more of {FILE} than its {len(MODEL)} bytes"),
        (MODEL[:-1], True, "wrong size"),
    ],
)
def test_what_is_not_the_file_that_is_meant_is_not_kept(client: Client, sent: bytes, sizes: bool, words: str) -> None:
    client.hub.sent, client.hub.sizes = lambda _: sent, sizes
    with pytest.raises(SwarmError, match=words):
        client.get()
    assert [path.stat().st_size for path in client.place.iterdir()] in ([], [0])
    client.hub.sent = lambda data: data
    assert client.get().read_bytes() == MODEL


def test_another_piece_than_was_asked_for_is_not_taken(client: Client) -> None:
    client.place.mkdir(parents=True)
    client.part.write_bytes(MODEL[:1000])
    client.hub.sent = lambda data: data + b"more"
    with pytest.raises(SwarmError, match="another range"):
        client.get()
    assert client.part.read_bytes() == MODEL[:1000]


def test_a_file_that_changes_meanwhile_is_not_mixed(client: Client) -> None:
    old = client.hub.tree(client.hub.repos[REPO])
    client.hub.told = lambda _: old
    client.hub.repos[REPO][FILE] = MODEL[::-1]
    with pytest.raises(SwarmError, match="was changed at the hub"):
        client.get()
    assert client.hub.at("store") == []


def test_parts_are_all_fetched_and_the_first_serves(client: Client) -> None:
    client.hub.repos[REPO] = dict(reversed(PARTS.items()))
    path = client.get()
    assert path.name == "Big-Q8_0-00001-of-00003.gguf"
    assert {name: (client.place / name).read_bytes() for name in PARTS} == PARTS
    total = sum(map(len, PARTS.values()))
    assert client.progress[-1] == (total, total)
    assert client.progress == sorted(client.progress)


def test_parts_that_are_there_are_kept(client: Client) -> None:
    client.hub.repos[REPO] = PARTS
    client.hub.refuse = lambda host, path: (503, {}) if "00003-of" in path else None
    with pytest.raises(SwarmError, match="server error"):
        client.get()
    assert kept(HubName(REPO), client.folder) is None, "a part is missing"
    client.hub.refuse = lambda host, path: None
    client.get()
    assert len(client.hub.at("store")) == 3
    assert kept(HubName(REPO), client.folder) is not None


def test_without_the_hub_what_was_fetched_is_taken(client: Client) -> None:
    path = client.get("Q4_K_M")
    client.hub.url = "http://127.0.0.1:9"
    assert client.get("Q4_K_M") == path
    assert "the earlier download is used" in client.said[0]
    with pytest.raises(LostError):
        client.get("Q8_0")


def test_a_choice_that_is_none_lists_what_there_is(client: Client) -> None:
    client.hub.repos[REPO] = {"a-Q2_K.gguf": MODEL, "a-Q8_0.gguf": MODEL * 2}
    with pytest.raises(TaskError, match=r"choose one:\nsomeone/Tiny-GGUF:Q2_K \(0 MB\)\n"):
        client.get()
    assert not client.folder.exists()


def test_a_file_that_would_leave_its_folder_is_none(client: Client) -> None:
    client.hub.repos[REPO] = {"../../Q4_K_M.gguf": MODEL}
    with pytest.raises(TaskError, match="has no complete GGUF file"):
        client.get()


def sized(size: int, client: Client) -> None:
    entry = {"type": "file", "path": FILE, "lfs": {"oid": SHA256, "size": size}}
    client.hub.told = lambda _: [entry]


def test_room_is_looked_for_before(client: Client, tmp_path: Path) -> None:
    place = os.statvfs(tmp_path)
    free = place.f_bavail * place.f_frsize
    client.hub.repos[REPO] = {f"a-Q8_0-{number:05}-of-00050.gguf": bytes([number]) for number in range(1, 51)}
    size = min(free // 40, 50_000_000_000)
    client.hub.told = lambda entries: [{**entry, "lfs": {"oid": SHA256, "size": size}} for entry in entries]
    if size * 50 + SPARE_BYTES <= free:
        pytest.skip("a disk of more than two terabytes")
    with pytest.raises(
        SwarmError, match=r"MB free, of which 200 MB must stay free\nhint: free disk space, .* --to DIR"
    ):
        client.get()
    assert client.hub.at("store") == []


def test_what_the_hub_gives_by_its_own_protocol_only_is_said(client: Client) -> None:
    sized(50_000_000_001, client)
    with pytest.raises(SwarmError, match="`hf download`"):
        client.get()


def test_two_at_once_do_not_write_into_one_file(client: Client) -> None:
    client.place.mkdir(parents=True)
    with client.part.open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(SwarmError, match="another process is downloading"):
            client.get()
    assert client.get().read_bytes() == MODEL
