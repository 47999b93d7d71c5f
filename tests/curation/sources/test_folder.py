import os
import random
import socket
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curation.sources import Facts, folder
from curation.store import Home
from rules.errors import ConfigurationError
from tests.folders import fates, listed, table, write


@contextmanager
def unprivileged() -> Iterator[None]:
    """Give up root's right to read everything, for what permissions would otherwise not bind."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65_534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


def test_files_are_listed_by_their_path_within_the_folder(tmp_path: Path) -> None:
    write(tmp_path, "a.jpg", "deep/er/b.mp3", "notes.txt", "deep/README.md")
    found = listed(tmp_path)
    assert set(found) == {"a.jpg", "deep/er/b.mp3", "notes.txt", "deep/README.md"}
    assert found["deep/er/b.mp3"].path == tmp_path / "deep/er/b.mp3"
    assert found["a.jpg"].facts == Facts(url="a.jpg", license="unknown")


def test_hidden_files_and_documents_of_the_root_are_no_items(tmp_path: Path) -> None:
    write(tmp_path, ".x.jpg", ".git/y.jpg", "README", "readme.md", "LICENSE-MIT.txt", "NOTICE", "COPYING", "SOURCES.md")
    write(tmp_path, "License to Kill.mp3", "notice.jpg", "README.jpg", "licenses/a.jpg")
    assert set(fates(tmp_path)) == {"License to Kill.mp3", "notice.jpg", "README.jpg", "licenses/a.jpg"}


@pytest.mark.parametrize("location", ["", "nowhere", "x.jpg", "~nobody-of-this-name/x", "a\0b"])
def test_location_that_is_no_folder_is_refused(tmp_path: Path, location: str) -> None:
    write(tmp_path, "x.jpg")
    with pytest.raises(ConfigurationError, match="expected a folder"):
        folder.entries(location if location[:1] in ("", "~") else str(tmp_path / location))


def test_empty_folder_has_no_items(tmp_path: Path) -> None:
    assert fates(tmp_path) == {}


def test_links_within_the_folder_are_followed_and_others_refused(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    write(root, "a/x.jpg")
    write(elsewhere, "secret.jpg")
    (root / "inside.jpg").symlink_to("a/x.jpg")
    (root / "outside.jpg").symlink_to(elsewhere / "secret.jpg")
    (root / "outside").symlink_to(elsewhere)
    (root / "gone.jpg").symlink_to("a/gone.jpg")
    (root / "gone_outside.jpg").symlink_to("/nowhere/x.jpg")
    (root / "self.jpg").symlink_to("self.jpg")
    (root / "loop").symlink_to(root)
    (root / "a/up").symlink_to("../a")
    assert fates(root) == {
        "a/x.jpg": "",
        "inside.jpg": "",
        "outside.jpg": "outside_folder",
        "outside": "outside_folder",
        "gone.jpg": "unreadable",
        "gone_outside.jpg": "outside_folder",
        "self.jpg": "unreadable",
    }
    assert listed(root)["inside.jpg"].path == root / "a/x.jpg"
    assert listed(root)["outside.jpg"].path is None


def test_folder_that_is_itself_a_link_is_followed(tmp_path: Path) -> None:
    write(tmp_path / "real", "x.jpg")
    (tmp_path / "link").symlink_to("real")
    assert fates(tmp_path / "link") == {"x.jpg": ""}


def test_fifos_and_sockets_are_refused_unopened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.mp3")
    (tmp_path / "link.mp3").symlink_to("x.mp3")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "y.mp3"))
        assert fates(tmp_path) == {"x.mp3": "unreadable", "link.mp3": "unreadable", "y.mp3": "unreadable"}


def test_fifo_beside_a_file_is_no_sidecar(tmp_path: Path) -> None:
    write(tmp_path, "x.jpg")
    os.mkfifo(tmp_path / "x.json")
    assert fates(tmp_path) == {"x.jpg": "", "x.json": "unreadable"}


def test_directory_without_permission_is_a_refusal() -> None:
    with TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        write(root, "x.jpg", "closed/y.jpg")
        (root / "closed").chmod(0o000)
        with unprivileged():
            found = fates(root)
        (root / "closed").chmod(0o700)
    assert found == {"x.jpg": "", "closed/": "unreadable"}


def test_folder_without_permission_is_refused() -> None:
    with TemporaryDirectory() as name:
        Path(name).chmod(0o000)
        with unprivileged(), pytest.raises(ConfigurationError, match="Permission denied"):
            folder.entries(name)


def test_path_longer_than_the_system_allows_is_a_refusal(tmp_path: Path) -> None:
    write(tmp_path, "x.jpg")
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=here)
        deeper = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    found = fates(tmp_path)
    assert found.pop("x.jpg") == ""
    assert list(found.values()) == ["unreadable"]


def test_name_that_is_no_utf8_gets_a_valid_id(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.jpg")
    path.write_bytes(b"x")
    found = listed(tmp_path)
    assert set(found) == {"caf\\xe9.jpg"}
    assert found["caf\\xe9.jpg"].path == path


def test_second_of_two_names_that_compose_to_one_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "é.jpg", "e\u0301.jpg", "ö/x.jpg", "o\u0308/x.jpg", "o\u0308/y.jpg")
    found = listed(tmp_path)
    assert fates(tmp_path) == {
        "é.jpg": "",
        "é.jpg//2": "duplicate_id",
        "ö/x.jpg": "",
        "ö/x.jpg//2": "duplicate_id",
        "ö/y.jpg": "",
    }
    assert found["é.jpg"].path == tmp_path / "e\u0301.jpg"  # its bytes come first


names = st.binary(min_size=1, max_size=40).filter(
    lambda name: not name.startswith(b".") and not {0, ord("/")} & set(name) and not name.endswith(b".json")
)
words = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20).map(
    str.encode
)


@given(
    st.sets(names | words.filter(lambda name: not name.startswith(b".") and not name.endswith(b".json")), max_size=12)
)
@example({b"caf\xe9", b"caf\\xe9", "é".encode(), "e\u0301".encode()})
@settings(max_examples=60, deadline=None)
def test_any_names_give_as_many_entries_with_ids_of_their_own(files: set[bytes]) -> None:
    skipped = {
        name
        for name in files
        if folder.DOCUMENT.fullmatch(os.fsdecode(name)) or name.decode("utf-8", "replace") in folder.TABLES
    }
    with TemporaryDirectory() as root:
        for name in files - skipped:
            (Path(root) / os.fsdecode(name)).touch()
        found = listed(Path(root))
        assert len(found) == len(files - skipped)
        assert {os.fsencode(entry.path.name) for entry in found.values() if entry.path} <= files
        assert all(name.encode().decode() == unicodedata.normalize("NFC", name) for name in found)


def test_order_of_the_listing_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, *(f"{letter}/{mark}{letter}.jpg" for letter in "abc" for mark in ("é", "e\u0301", "x")))
    expected, scandir = [(name, entry.path) for name, entry in sorted(listed(tmp_path).items())], os.scandir

    @contextmanager
    def shuffled(path: Path) -> Iterator[list[os.DirEntry[str]]]:
        with scandir(path) as found:
            yield random.Random(5).sample(children := sorted(found, key=lambda child: child.name), len(children))

    monkeypatch.setattr(os, "scandir", shuffled)
    found = folder._entries(tmp_path, None, {}, [])
    assert sorted((entry.source_id, entry.path) for entry in found) == expected


def test_version_changes_with_the_file_and_with_its_facts(tmp_path: Path) -> None:
    write(tmp_path, "x.jpg")
    first = listed(tmp_path)["x.jpg"].version
    assert listed(tmp_path)["x.jpg"].version == first
    table(tmp_path, "file,title\nx.jpg,A title\n")
    second = listed(tmp_path)["x.jpg"].version
    os.utime(tmp_path / "x.jpg", ns=(1, 1))
    assert len({first, second, listed(tmp_path)["x.jpg"].version}) == 3


def test_work_folder_inside_the_folder_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path, "a.jpg", "out/blobs/b.jpg")
    Home(tmp_path / "out").mark()
    assert set(listed(tmp_path)) == {"a.jpg"}
