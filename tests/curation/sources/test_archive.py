import contextlib
import io
import unicodedata
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.errors import ItemError
from curation.sources import _archive
from curation.sources._archive import Archive, Member
from tests.archives import deflated, record, written, zipped


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[bytes], Archive]:
    def open_archive(data: bytes) -> Archive:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.zip"
        path.write_bytes(data)
        return Archive(path)

    return open_archive


def content(archive: Archive, member: Member) -> bytes:
    return b"".join(archive.chunks(member))


def reason_of(archive: Archive, member: Member) -> str:
    with pytest.raises(ItemError) as caught:
        content(archive, member)
    return f"{caught.value.reason}: {caught.value.detail}"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_are_read_as_they_were_written(opened: Callable[[bytes], Archive], method: int) -> None:
    wanted = {"Cubism/a.jpg": b"one" * 1_000_000, "b.png": b"", "c": bytes(range(256)) * 9_999}
    with opened(zipped(wanted, method)) as archive:
        assert {member.name: content(archive, member) for member in archive.members} == wanted


def test_pieces_are_of_bounded_size(opened: Callable[[bytes], Archive]) -> None:
    with opened(zipped({"blank.bmp": bytes(15_000_000)})) as archive:
        pieces = [len(piece) for piece in archive.chunks(archive.members[0])]
    assert (sum(pieces), max(pieces)) == (15_000_000, _archive.CHUNK_BYTES)


def test_a_member_written_to_a_pipe_is_read(opened: Callable[[bytes], Archive]) -> None:
    """Its header holds no sizes; they follow the data."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jpg", b"abc" * 100)
    with opened(pipe.getvalue()) as read:
        assert content(read, read.members[0]) == b"abc" * 100


def test_a_member_in_zip64_is_read(opened: Callable[[bytes], Archive]) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive, archive.open("a.jpg", "w", force_zip64=True) as out:
        out.write(b"abc")
    with opened(data.getvalue()) as read:
        assert content(read, read.members[0]) == b"abc"


def test_a_state_changes_with_the_content_only(opened: Callable[[bytes], Archive]) -> None:
    archives = [opened(zipped({"x": b"", "a": one}, method)) for one in (b"1", b"2") for method in (0, 8)]
    states = [archive.members[1].state for archive in archives]
    assert states[0] == states[1] != states[2] == states[3]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../evil.jpg", "leads upwards"),
        ("a/../../evil.jpg", "leads upwards"),
        ("a/../b.jpg", "leads upwards"),
        ("/etc/passwd", "absolute"),
        ("//host/share", "absolute"),
        ("C:/evil.jpg", "absolute"),
        ("c:evil.jpg", "absolute"),
        ("..\\evil.jpg", "holds a backslash"),
        ("a\\b.jpg", "holds a backslash"),
        ("a\0.jpg", "holds control characters"),
        ("a\x1b[2J.jpg", "holds control characters"),
        ("a\u202egpj.exe", "holds control characters"),
        ("", "no name"),
        (".", "no name"),
        ("a" * 1_001, "longer than 1,000 characters"),
    ],
)
def test_a_name_that_leads_astray_is_refused(opened: Callable[[bytes], Archive], name: str, why: str) -> None:
    with opened(written(record(name.encode(), b"x", flags=_archive.UTF_8), record(b"good.jpg", b"y"))) as archive:
        bad, good = archive.members
        assert reason_of(archive, bad).startswith("unsafe_name")
        assert reason_of(archive, bad).endswith(why)
        assert bad.name.isprintable()
        assert content(archive, good) == b"y"


@pytest.mark.parametrize(
    ("raw", "flags", "name"),
    [
        (b"Albrecht_Du\xcc\x88rer/1.jpg", 0, "Albrecht_D\u00fcrer/1.jpg"),  # UTF-8 without its flag, decomposed
        (b"caf\x82.jpg", 0, "caf\u00e9.jpg"),  # code page 437
        ("Хокусай.jpg".encode(), _archive.UTF_8, "Хокусай.jpg"),
        (b"./a//b.jpg", 0, "a/b.jpg"),
    ],
)
def test_names_are_composed_unicode(opened: Callable[[bytes], Archive], raw: bytes, flags: int, name: str) -> None:
    with opened(written(record(raw, b"x", flags=flags))) as archive:
        assert archive.members[0].name == name
        assert content(archive, archive.members[0]) == b"x"


def test_of_members_with_one_name_the_first_is_read(opened: Callable[[bytes], Archive]) -> None:
    with opened(written(*(record(b"a.jpg", each) for each in (b"1", b"2", b"3")))) as archive:
        first, second, third = archive.members
        assert content(archive, first) == b"1"
        assert reason_of(archive, second).startswith("duplicate_id")
        assert len({first.name, second.name, third.name}) == 3


def test_many_members_with_one_name_take_no_longer_than_others(opened: Callable[[bytes], Archive]) -> None:
    with opened(written(*(record(b"a", b"") for _ in range(20_000)))) as archive:
        assert len({member.name for member in archive.members}) == 20_000


def test_a_link_is_refused(opened: Callable[[bytes], Archive]) -> None:
    with opened(written(record(b"a.jpg", b"/etc/passwd", mode=0o120777))) as archive:
        assert reason_of(archive, archive.members[0]).startswith("unknown_type: a link")


def test_directories_are_no_members(opened: Callable[[bytes], Archive]) -> None:
    assert not opened(written(record(b"a/", b""), record(b"../", b""))).members


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"flags": 1, "local_flags": 0}, "encrypted"),
        ({"local_flags": 1}, "encryption: its header says 1"),
        ({"method": 14, "local_method": 14}, "compressed by method 14"),
        ({"method": 8}, "have no end"),
        ({"local_method": 8}, "method: its header says 8"),
        ({"local_name": b"b.jpg"}, "name: its header says b'b.jpg'"),
        ({"local_crc": 1}, "CRC: its header says 1"),
        ({"local_size": 2}, "size: its header says 2"),
        ({"local_compressed": 2}, "compressed size: its header says 2"),
        ({"crc": 7}, "CRC"),
        ({"size": 2}, "more than the 2 bytes"),
        ({"size": 2_000}, "3 bytes; the directory says 2,000"),
        ({"size": 200 << 20}, "3 bytes that would grow to 209,715,200"),
        ({"compressed": 1_000, "size": 1_000}, "overlaps"),
    ],
)
def test_a_member_that_is_not_what_the_directory_says_is_damaged(
    opened: Callable[[bytes], Archive], said: dict[str, int], why: str
) -> None:
    bad = record(b"a.jpg", b"abc", **said)
    if not any(key.startswith("local") for key in said):  # then both say so
        bad |= {f"local_{key}": bad[key] for key in ("method", "crc", "size", "compressed")}
    with opened(written(bad, record(b"good.jpg", b"y"))) as archive:
        assert reason_of(archive, archive.members[0]).startswith("damaged_member")
        assert why in reason_of(archive, archive.members[0])
        assert content(archive, archive.members[1]) == b"y"


@pytest.mark.parametrize(
    ("packed", "why"),
    [
        (deflated(b"abc" * 100) + b"more", "something follows"),
        (deflated(b"abc" * 100)[:-1], "have no end"),
        (b"", "have no end"),
        (b"\xff" * 9, "cannot be decompressed"),
    ],
)
def test_compressed_data_must_end_where_the_member_does(
    opened: Callable[[bytes], Archive], packed: bytes, why: str
) -> None:
    with opened(written(record(b"a.jpg", packed, method=8, size=300, crc=zlib.crc32(b"abc" * 100)))) as archive:
        assert why in reason_of(archive, archive.members[0])


def test_a_member_that_grows_beyond_its_size_is_given_up_at_once(opened: Callable[[bytes], Archive]) -> None:
    bomb = deflated(bytes(50_000_000))
    with opened(written(record(b"a.jpg", bomb, method=8, size=1_000_000, crc=0))) as archive:
        pieces = archive.chunks(archive.members[0])
        with pytest.raises(ItemError, match="more than the 1,000,000 bytes"):
            next(pieces)


def test_members_that_share_their_bytes_are_not_read(opened: Callable[[bytes], Archive]) -> None:
    bomb = written(*(record(f"{number}.jpg".encode(), b"abc") for number in range(9)), shared=True)
    with opened(bomb) as archive:
        reasons = [reason_of(archive, member) for member in archive.members[1:]]
    assert {reason.partition(":")[0] for reason in reasons} == {"damaged_member"}


@pytest.mark.parametrize("offsets", [(-1,), (-(1 << 32),), (1 << 63,), (1 << 63, (1 << 64) - 1), (12_345,)])
def test_a_member_that_begins_outside_of_the_archive_is_not_read(
    opened: Callable[[bytes], Archive], offsets: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As zipfile gives them: it takes what precedes an archive for the difference between two offsets."""
    honest = zipfile.ZipFile.infolist

    def moved(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
        infos = honest(archive)
        for info, offset in zip(infos, offsets, strict=False):
            info.header_offset = offset
        return infos

    monkeypatch.setattr(zipfile.ZipFile, "infolist", moved)
    with opened(zipped({"a.jpg": b"abc", "b.jpg": b"abc", "c.jpg": b"abc"})) as archive:
        for member in archive.members[: len(offsets)]:
            assert reason_of(archive, member).startswith("damaged_member")
        assert content(archive, archive.members[2]) == b"abc"


def test_an_offset_that_counts_from_before_the_archive_is_damaged(opened: Callable[[bytes], Archive]) -> None:
    data = bytearray(zipped({"a.jpg": b"abc", "b.jpg": b"abc"}))
    end = data.rindex(b"PK\5\6")
    data[end + 19] = 0xFF  # of where the directory begins: then zipfile moves all members to and fro
    with opened(bytes(data)) as archive:
        assert {reason_of(archive, member).partition(":")[0] for member in archive.members} == {"damaged_member"}


def test_a_member_that_reaches_into_the_directory_is_not_read(opened: Callable[[bytes], Archive]) -> None:
    with opened(written(record(b"a.jpg", b"abc", compressed=60, size=60))) as archive:
        assert "overlaps" in reason_of(archive, archive.members[0])


@pytest.mark.parametrize("keep", [0, 10, 0.5, -1, -10])
def test_a_truncated_archive_is_no_archive(opened: Callable[[bytes], Archive], keep: float) -> None:
    data = zipped({f"{number}.jpg": bytes(1_000) for number in range(9)})
    with pytest.raises(ItemError, match=r"damaged_member: 0\.zip is no whole zip archive"):
        opened(data[: int(len(data) * keep) if isinstance(keep, float) else keep])


def test_a_name_that_is_not_in_its_encoding_makes_no_archive(opened: Callable[[bytes], Archive]) -> None:
    with pytest.raises(ItemError, match="is no whole zip archive"):
        opened(written(record(b"\xff.jpg", b"x", flags=_archive.UTF_8)))


def test_what_lies_before_the_first_member_is_no_matter(opened: Callable[[bytes], Archive]) -> None:
    with opened(b"#!/bin/sh\n" + zipped({"a.jpg": b"abc"})) as archive:
        assert content(archive, archive.members[0]) == b"abc"


def test_an_archive_that_is_replaced_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zipped({"a": b"1"}))
    Archive(path).close()
    path.write_bytes(zipped({"b": b"22"}))
    with Archive(path) as archive:
        assert [member.name for member in archive.members] == ["b"]


def test_an_archive_that_was_just_removed_is_worth_another_try(tmp_path: Path) -> None:
    with pytest.raises(ItemError, match="incomplete: a.zip is gone"):
        Archive(tmp_path / "a.zip")


def test_small_members_are_read_whole_and_large_ones_are_not(opened: Callable[[bytes], Archive]) -> None:
    with opened(zipped({"a.csv": b"abc"})) as archive:
        assert archive.read(archive.members[0], 3) == b"abc"
        with pytest.raises(ItemError, match="too_many_bytes"):
            archive.read(archive.members[0], 2)


parts = st.sampled_from(["..", ".", "", "a", "A.jpg", "C:", "\\", "\0", "é", "e\u0301", "\u202e", " ", "~", "\n"])
names = st.lists(parts, min_size=1, max_size=4).map("/".join) | st.text(max_size=20)


@given(st.lists(names, max_size=12))
def test_every_member_is_found_or_refused_and_none_leads_out(
    tmp_path_factory: pytest.TempPathFactory, members: list[str]
) -> None:
    raw = [name.encode("utf-8", "replace")[:60_000] for name in members]
    path = tmp_path_factory.mktemp("archive") / "a.zip"
    path.write_bytes(written(*(record(name, b"x", flags=_archive.UTF_8) for name in raw)))
    root = Path("/nowhere/at/all")
    with Archive(path) as archive:
        assert len(archive.members) == sum(not name.endswith(b"/") for name in raw)
        assert len({member.name for member in archive.members}) == len(archive.members)
        for member in archive.members:
            assert not _archive.CONTROL.search(member.name)
            if member.refusal is None:
                assert content(archive, member) == b"x"
                assert (root / member.name).resolve().is_relative_to(root)
                assert member.name == unicodedata.normalize("NFC", member.name)


@given(st.binary(max_size=300), st.integers(0, 400), st.binary(max_size=8))
def test_whatever_is_in_an_archive_nothing_else_is_raised(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int, patch: bytes
) -> None:
    data = bytearray(zipped({"a.jpg": noise, "b/c.png": noise[::-1]}))
    data[at : at + len(patch)] = patch
    path = tmp_path_factory.mktemp("archive") / "a.zip"
    path.write_bytes(data)
    with contextlib.suppress(ItemError), Archive(path) as archive:
        for member in archive.members:
            if member.refusal is None:
                content(archive, member)
