"""The table that says which clip an image belongs to: read whole, and every mistake in it is told with its line."""

from pathlib import Path

import pytest

from curation.releases import Release
from evaluation.subjects import given, items
from rules.errors import ConfigurationError
from tests.evaluation.made_splits import Made, pair_id
from tests.training.loaders import split_of

SPLIT = Made([0, 0, 0, 1, 1])
IDS = [pair_id("test", number) for number in range(5)]


def folder_of(path: Path, table: str | bytes, images: int = 5) -> Path:
    """Write a table, and files image0.png and so on."""
    for number in range(images):
        (path / f"image{number}.png").write_bytes(b"anything")
    (path / "images.csv").write_bytes(table.encode() if isinstance(table, str) else table)
    return path


def table_of(*rows: str) -> str:
    return "\n".join(["file,pair_id", *rows])


WHOLE = table_of(*(f"image{number}.png,{name}" for number, name in enumerate(IDS)))


def test_each_clip_has_the_image_that_the_table_names(tmp_path: Path) -> None:
    found = given.given(folder_of(tmp_path, WHOLE), SPLIT, None, 1)
    assert found.items.pair_ids == tuple(sorted(IDS))
    for name, path in zip(found.items.pair_ids, found.files, strict=True):
        assert path == tmp_path / f"image{IDS.index(name)}.png"
    assert found.left_out == ()


@pytest.mark.parametrize(
    "table",
    [
        b"\xef\xbb\xbf" + WHOLE.encode(),
        WHOLE.replace("\n", "\r\n").encode(),
        (WHOLE + "\n\n\n").encode(),
        WHOLE.replace("file,pair_id", " File , PAIR_ID ").encode(),
        WHOLE.replace(",", ",a note,").replace("file,a note,", "file,note,").encode(),
        WHOLE.replace("image0.png", '"image0.png"').encode(),
    ],
    ids=["byte order mark", "windows", "empty lines", "header", "another column", "quotes"],
)
def test_tables_as_programs_write_them_are_read(tmp_path: Path, table: bytes) -> None:
    assert len(given.given(folder_of(tmp_path, table), SPLIT, None, 1).items) == 5


def test_images_may_lie_in_folders(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.png").write_bytes(b"anything")
    found = given.given(folder_of(tmp_path, WHOLE.replace("image0.png", "more/a.png")), SPLIT, None, 1)
    assert tmp_path / "more" / "a.png" in found.files


def test_without_a_number_the_clips_that_have_images_are_evaluated(tmp_path: Path) -> None:
    found = given.given(folder_of(tmp_path, table_of(f"image0.png,{IDS[0]}", f"image3.png,{IDS[3]}")), SPLIT, None, 1)
    assert set(found.items.pair_ids) == {IDS[0], IDS[3]}


def test_a_number_chooses_the_clips_that_a_run_is_evaluated_on(tmp_path: Path) -> None:
    found = given.given(folder_of(tmp_path, WHOLE), SPLIT, 3, 7)
    assert found.items.digest == items.choose(SPLIT, 3, 7).digest


def test_images_that_are_missing_for_chosen_clips_are_told(tmp_path: Path) -> None:
    chosen = items.choose(SPLIT, 3, 7).pair_ids
    others = [name for name in IDS if name != chosen[1]]
    folder_of(tmp_path, table_of(*(f"image{number}.png,{name}" for number, name in enumerate(others))))
    expected = (
        rf"images are missing for 1 of the 3 clips that --n 3 --seed 7 chooses: {chosen[1]}: .* takes the 4 clips"
    )
    with pytest.raises(ConfigurationError, match=expected):
        given.given(tmp_path, SPLIT, 3, 7)


def test_only_a_few_of_many_missing_images_are_named() -> None:
    table = given._Table(Path("images.csv"))
    with pytest.raises(ConfigurationError, match=r"missing for 9 of the 9 .*: 0, 1, 2, 3, 4 and 4 more: "):
        given._check_all_there(table, tuple("012345678"), "--n 9 --seed 1")


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (f"gone.png,{IDS[1]}", "'gone.png': there is no such file in"),
        (f"..,{IDS[1]}", "'..': expected the path of an image, from"),
        (f"more/../../secret.png,{IDS[1]}", "'more/../../secret.png': expected the path of an image, from"),
        (f"/etc/hostname,{IDS[1]}", "'/etc/hostname': expected the path of an image, from"),
        (f",{IDS[1]}", "'': expected the path of an image, from"),
        (f"{'a' * 5000},{IDS[1]}", f"'{'a' * given.MAX_CHARS}': there is no such file in"),
        (f"a\0.png,{IDS[1]}", r"'a\\x00.png': there is no such file in"),
        (f"image1.png,{IDS[0]}", f"'{IDS[0]}' has an image already, line 2: expected one a clip"),
        (f"image0.png,{IDS[1]}", "'image0.png' is named already, line 2: expected it once"),
        ("image1.png,0123", "'0123': expected the pair_id of a clip of the split test of"),
        ("image1.png,", "'': expected the pair_id of a clip of the split test of"),
        ("image1.png", "1 cells: expected 2"),
        (f"image1.png,{IDS[1]},more", "3 cells: expected 2"),
    ],
    ids=[
        "gone",
        "above",
        "above by a detour",
        "absolute",
        "no file",
        "a long name",
        "no name",
        "a clip twice",
        "a file twice",
        "unknown",
        "no clip",
        "too few cells",
        "too many cells",
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, row: str, expected: str) -> None:
    folder_of(tmp_path, table_of(f"image0.png,{IDS[0]}", row, f"image3.png,{IDS[3]}"))
    with pytest.raises(ConfigurationError, match=f"images.csv:3: {expected}") as told:
        given.given(tmp_path, SPLIT, None, 1)
    assert str(told.value).count("\n") == 0
    assert len(str(told.value)) < 500


def test_a_line_is_that_of_the_file_though_a_cell_has_several(tmp_path: Path) -> None:
    folder_of(tmp_path, f'file,pair_id,note\nimage0.png,{IDS[0]},"of\ntwo\nlines"\n\ngone.png,{IDS[1]},none')
    with pytest.raises(ConfigurationError, match=r"images\.csv:6: 'gone\.png'"):
        given.given(tmp_path, SPLIT, None, 1)


def test_all_mistakes_are_told_at_once_but_no_more_than_can_be_read(tmp_path: Path) -> None:
    folder_of(tmp_path, table_of(*(f"gone{number}.png,{IDS[0]}" for number in range(30))))
    with pytest.raises(ConfigurationError) as told:
        given.given(tmp_path, SPLIT, None, 1)
    rows = str(told.value).splitlines()
    assert len(rows) == given.MAX_TOLD + 1
    assert rows[-1] == "and 10 more"
    assert f"{tmp_path / 'images.csv'}:21: " in rows[-2]


def test_a_clip_of_another_split_is_told_where_it_is(tmp_path: Path, tiny_release: Release) -> None:
    test, train = (split_of(tiny_release.folder, name) for name in ("test", "train"))
    row = f"image0.png,{train.pairs['pair_id'][0].as_py()}"
    with pytest.raises(ConfigurationError, match=r":2: '\w+': it is of the split train, expected .* of the split test"):
        given.given(folder_of(tmp_path, table_of(row)), test, None, 1)


def test_fewer_images_than_labels_are_refused(tmp_path: Path) -> None:
    folder_of(tmp_path, table_of(f"image0.png,{IDS[0]}"))
    with pytest.raises(ConfigurationError, match=r"images.csv: 1 images: expected at least 2, one for each label"):
        given.given(tmp_path, SPLIT, None, 1)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (b"", "it is empty: expected images.csv with the columns file, pair_id"),
        (b"\n\n", "it is empty"),
        (b"image,pair_id\na,b", r":1: the columns are 'image, pair_id': expected"),
        (b"file,pair_id,file\na,b,c", r":1: the columns are 'file, pair_id, file': expected"),
        (b"file,pair_id\n\xff\xfe,b", "expected CSV in UTF-8"),
        (b'file,pair_id\n"a,b', ":2: expected CSV in UTF-8: unexpected end of data"),
    ],
    ids=["empty", "only line ends", "another name", "a column twice", "another encoding", "open quotes"],
)
def test_what_is_no_such_table_is_refused(tmp_path: Path, table: bytes, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        given.given(folder_of(tmp_path, table), SPLIT, None, 1)


def test_a_folder_without_the_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"there is no images\.csv in it: expected images\.csv with the columns"
    ):
        given.given(tmp_path, SPLIT, None, 1)


@pytest.mark.parametrize("name", ["link.png", "out/private.png"], ids=["file", "folder"])
def test_links_that_lead_out_of_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "private.png").write_bytes(b"anything")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "link.png").symlink_to(tmp_path / "private.png")
    (mine / "out").symlink_to(tmp_path)
    with pytest.raises(ConfigurationError, match=f"'{name}': it is a link that leads out of "):
        given.given(folder_of(mine, WHOLE.replace("image0.png", name)), SPLIT, None, 1)


def test_links_within_the_folder_are_followed(tmp_path: Path) -> None:
    (tmp_path / "link.png").symlink_to("image0.png")
    found = given.given(folder_of(tmp_path, WHOLE.replace("image0.png", "link.png")), SPLIT, None, 1)
    assert tmp_path / "link.png" in found.files


def test_an_image_that_is_spelled_in_two_ways_is_named_twice(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"images\.csv:3: 'image0\.png' is named already, line 2"):
        given.given(folder_of(tmp_path, WHOLE.replace("image1.png", "./image0.png")), SPLIT, None, 1)
