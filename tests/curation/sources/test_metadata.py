import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.sources import Facts, folder
from rules.errors import ConfigurationError
from tests.folders import facts, fates, listed, table, write

HEADER = "File, Title,artist,year,license,attribution,url,style,genre,century,nationality,music_genre,music_features\n"
ROW = (
    'x.jpg,"A, title",Jane Doe,about 1831,CC0-1.0,thanks,https://example.org/1,'
    "Baroque;Rococo,Portrait,18th century,,Jazz,a; b;a\n"
)


def test_csv_gives_every_fact(tmp_path: Path) -> None:
    write(tmp_path, "x.jpg")
    table(tmp_path, "\ufeff" + HEADER + ROW)
    assert facts(tmp_path) == Facts(
        url="https://example.org/1",
        title="A, title",
        creator="Jane Doe",
        year=1831,
        license="CC0-1.0",
        attribution="thanks",
        tags=(
            ("style", "Baroque"),
            ("style", "Rococo"),
            ("genre", "Portrait"),
            ("century", "18th century"),
            ("sub_genre", "Jazz"),
            ("music_feature", "a"),
            ("music_feature", "b"),
        ),
    )


TAGGED = {
    "file_name": "./sub//x.jpg",
    "title": "T",
    "author": ["A", "B"],
    "year": 1831,
    "style": ["Baroque", None],
    "sub_genre": "Jazz",
    "tags": [{"kind": "genre", "value": "Portrait"}, {"kind": "music_features", "value": "slow"}],
}
TAGGED_FACTS = Facts(
    url="sub/x.jpg",
    title="T",
    creator="A, B",
    year=1831,
    tags=(("style", "Baroque"), ("sub_genre", "Jazz"), ("genre", "Portrait"), ("music_feature", "slow")),
)


def test_jsonl_and_parquet_give_the_same_facts(tmp_path: Path) -> None:
    write(tmp_path, "sub/x.jpg")
    table(tmp_path, "\n" + json.dumps(TAGGED) + "\n", "metadata.jsonl")
    assert facts(tmp_path, "sub/x.jpg") == TAGGED_FACTS
    (tmp_path / "metadata.jsonl").unlink()
    pq.write_table(pa.Table.from_pylist([TAGGED | {"picture": b"bytes"}]), tmp_path / "metadata.parquet")
    assert facts(tmp_path, "sub/x.jpg") == TAGGED_FACTS


@pytest.mark.parametrize("sidecar", ["x.jpg.json", "x.json"])
def test_sidecar_wins_over_the_table_where_it_speaks(tmp_path: Path, sidecar: str) -> None:
    write(tmp_path, "x.jpg")
    table(tmp_path, "file,title,creator,license,style\nx.jpg,Table,Jane,CC0-1.0,Baroque\n")
    (tmp_path / sidecar).write_text(json.dumps({"Title": "Sidecar", "tags": ["style:Cubism", "no kind", "genre: X"]}))
    found = facts(tmp_path)
    assert (found.title, found.creator, found.license) == ("Sidecar", "Jane", "CC0-1.0")
    assert found.tags == (("style", "Cubism"), ("genre", "X"))
    assert set(fates(tmp_path)) == {"x.jpg"}


def test_full_name_of_a_sidecar_is_nearer_than_its_stem(tmp_path: Path) -> None:
    write(tmp_path, "x.jpg", "x.mp3")
    (tmp_path / "x.json").write_text('{"title": "both"}')
    (tmp_path / "x.jpg.json").write_text('{"title": "picture"}')
    assert facts(tmp_path).title == "picture"
    assert facts(tmp_path, "x.mp3").title == "both"


def test_json_beside_nothing_is_an_item(tmp_path: Path) -> None:
    write(tmp_path, "a/x.jpg", "x.json", "a/y.json")
    assert fates(tmp_path) == {"a/x.jpg": "", "x.json": "", "a/y.json": ""}


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b"\xff\xfe",
        b"",
        b'{"title": {"a": 1}}',
        b'{"style": [[{}]]}',
        b"[" * 100_000,
        b" " * (1 << 20) + b"{}",
    ],
)
def test_broken_sidecar_is_invalid_metadata_of_its_file(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, "x.jpg", "y.jpg")
    (tmp_path / "x.json").write_bytes(content)
    assert fates(tmp_path) == {"x.jpg": "invalid_metadata", "y.jpg": ""}


@pytest.mark.parametrize(
    ("row", "source_id", "reason"),
    [
        ("gone.jpg,T", "gone.jpg", "missing_file"),
        ("sub,T", "sub", "missing_file"),
        (".hidden.jpg,T", ".hidden.jpg", "missing_file"),
        (",T", "metadata.csv//3", "missing_file"),
        ("a\0.jpg,T", "a\0.jpg", "missing_file"),
        ("n" * 4000 + ",T", "n" * 1000 + "//3", "missing_file"),
        ("../../x,T", "../../x", "outside_folder"),
        ("sub/../../x.jpg,T", "sub/../../x.jpg", "outside_folder"),
        ("/etc/passwd,T", "/etc/passwd", "outside_folder"),
        ("..,T", "..", "outside_folder"),
        ("x.jpg,T", "x.jpg//3", "duplicate_id"),
        ("sub/../x.jpg,T", "sub/../x.jpg//3", "duplicate_id"),
    ],
)
def test_row_without_a_file_of_its_own_is_a_refusal(tmp_path: Path, row: str, source_id: str, reason: str) -> None:
    write(tmp_path, "x.jpg", "sub/y.jpg", ".hidden.jpg")
    table(tmp_path, f"file,title\nx.jpg,First\n{row}\n")
    assert fates(tmp_path) == {"x.jpg": "", "sub/y.jpg": "", source_id: reason}
    assert listed(tmp_path)[source_id].facts.title == "T"
    assert listed(tmp_path)[source_id].path is None


def test_rows_that_lead_out_by_the_same_path_are_told_apart(tmp_path: Path) -> None:
    table(tmp_path, "file\n../x\n../x\n")
    assert fates(tmp_path) == {"../x": "outside_folder", "../x//3": "outside_folder"}


@pytest.mark.parametrize("cells", ["x.jpg,T,surplus,1", 'x.jpg,T,"a\nb",1'])
def test_row_with_more_cells_than_columns_is_invalid_metadata(tmp_path: Path, cells: str) -> None:
    write(tmp_path, "x.jpg")
    table(tmp_path, f"file,title\n\n{cells}\n")
    refusal = listed(tmp_path)["x.jpg"].refusal
    assert refusal.reason == "invalid_metadata"
    assert "line 3" in refusal.detail


def test_table_names_files_in_any_normal_form(tmp_path: Path) -> None:
    write(tmp_path, "é.jpg")
    table(tmp_path, "file,title\ne\u0301.jpg,T\n")
    assert facts(tmp_path, "é.jpg").title == "T"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("metadata.csv", b"", "line 1.*no columns.*expected one of file"),
        ("metadata.csv", b"name,title\nx,y\n", "line 1.*name, title.*expected one of file"),
        ("metadata.csv", b"file;title\nx;y\n", "line 1.*file;title.*expected one of file"),
        ("metadata.csv", b'file,title\nx.jpg,T\ny.jpg,"a"b\n', "line 3.*expected CSV"),
        ("metadata.csv", b'file,title\nx.jpg,"open\n', "line 2.*expected CSV"),
        ("metadata.csv", b"file,title\nx.jpg,caf\xe9\n", "line 2.*expected text in UTF-8"),
        ("metadata.csv", "file,title\n".encode("utf-16"), "line 1.*expected text in UTF-8"),
        ("SOURCES.csv", b"title\n", "SOURCES.csv, line 1"),
        ("metadata.jsonl", b'{"file": "x.jpg"}\n{"file"\n', "line 2.*one JSON object a line"),
        ("metadata.jsonl", b'{"file": "x.jpg"}\n["x.jpg"]\n', "line 2.*one JSON object a line"),
        ("metadata.jsonl", b'{"file": "x.jpg"}\n"\xff"\n', "line 2.*UTF-8"),
        ("metadata.jsonl", b'{"title": "x"}\n', "line 1.*expected one of file"),
        ("metadata.jsonl", b"[" * 100_000 + b"\n", "line 1.*one JSON object a line"),
        ("metadata.parquet", b"PAR1 but no table", "expected a Parquet table"),
        ("metadata.parquet", b"", "expected a Parquet table"),
    ],
)
def test_unreadable_table_is_refused_with_its_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigurationError, match=message) as caught:
        folder.entries(str(tmp_path))
    assert name in str(caught.value)


def test_parquet_without_a_file_column_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"title": ["x"]}), tmp_path / "metadata.parquet")
    with pytest.raises(ConfigurationError, match="the columns are title; expected one of file"):
        folder.entries(str(tmp_path))


def test_two_tables_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "metadata.csv", "SOURCES.csv")
    with pytest.raises(ConfigurationError, match="metadata.csv and SOURCES.csv; expected one"):
        folder.entries(str(tmp_path))


@pytest.mark.parametrize("target", ["../outside.csv", "nowhere.csv", "."])
def test_table_that_leads_out_or_nowhere_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "outside.csv").write_text("file\n")
    root = tmp_path / "root"
    root.mkdir()
    (root / "metadata.csv").symlink_to(target)
    with pytest.raises(ConfigurationError, match="leads out of the folder"):
        folder.entries(str(root))


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("../../x", "../../x"),
        ("one\ntwo\r\nthree\tfour", "one two  three four"),
        ("a\0b\x1b[31mc\x7f\x85", "ab[31mc"),
        ("\u202eevil\u202c \u200fשלום\u2066", "evil שלום"),
        ("n" * 4_000, "n" * 1_000),
        ("  \n ", None),
        ("\ud800", "?"),
        (float("nan"), None),
        (12.5, "12.5"),
        (["a", None, "b"], "a, b"),
        ("🎨 naïve – Größe", "🎨 naïve – Größe"),
    ],
)
def test_hostile_text_is_cleaned_and_kept(tmp_path: Path, written: object, kept: str | None) -> None:
    write(tmp_path, "x.jpg")
    table(tmp_path, json.dumps({"file": "x.jpg", "title": written, "creator": written}) + "\n", "metadata.jsonl")
    assert facts(tmp_path).title == facts(tmp_path).creator == kept


@pytest.mark.parametrize(
    ("written", "year"),
    [
        ("1566", 1566),
        ("1475-1485", 1475),
        ("about 1831", 1831),
        ("c.1490–1500", 1490),
        ("painted in 1490.", 1490),
        ("1888-05-16", 1888),
        ("16.05.1888", 1888),
        ("1890s", 1890),
        ("1503 (?)", 1503),
        ("44 BC", -44),
        ("200-150 B.C.", -200),
        ("3000 bce", -3000),
        ("-44", -44),
        ("79", 79),
        (1888, 1888),
        (1888.0, 1888),
        ("15th century", None),
        ("100th", None),
        ("unknown", None),
        ("0", None),
        ("12345", None),
        ("", None),
        (None, None),
        (9**99, None),
    ],
)
def test_year_is_the_first_of_what_is_written(tmp_path: Path, written: object, year: int | None) -> None:
    write(tmp_path, "x.jpg")
    table(tmp_path, json.dumps({"file": "x.jpg", "year": written}) + "\n", "metadata.jsonl")
    assert facts(tmp_path).year == year


@pytest.mark.parametrize(
    ("written", "meant"), [("stlye", "style"), ("licence", "license"), ("musicfeatures", "music_features")]
)
def test_column_that_is_nearly_one_of_ours_is_refused(tmp_path: Path, written: str, meant: str) -> None:
    write(tmp_path, "x.jpg")
    table(tmp_path, f"file,{written}\nx.jpg,Baroque\n")
    with pytest.raises(ConfigurationError, match=f"metadata.csv: column '{written}': expected '{meant}'"):
        listed(tmp_path)


@pytest.mark.parametrize("column", ["modality", "origin", "note", "id", "source", "description"])
def test_column_of_another_name_is_somebody_s_own(tmp_path: Path, column: str) -> None:
    write(tmp_path, "x.jpg")
    table(tmp_path, f"file,{column}\nx.jpg,anything\n")
    assert facts(tmp_path).tags == ()
