import csv
from collections import Counter

import limits
import pytest

from pipeline.core.errors import InputError
from pipeline.datasets.prepared.manifest import Alike, Assigned, Indexed, Rejected, Row, read, write
from pipeline.datasets.prepared.splits import split

NAMES = [
    "with space.jpg",
    "l'été.jpg",
    "-rf.jpg",
    'a,"b".jpg',
    "two\nlines.jpg",
    "=1+1.jpg",
    " blank ",
    "'",
    "'=x",
    "''",
]
FORMULAS = ["=1+1.jpg", "+1.jpg", "-1.jpg", "@SUM(A1).jpg", "=cmd|' /C calc'!A1.jpg"]


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        (Row, Row("a/1.jpg", "a", "", 10, "00ff", 4, 3, "CMYK", "CMYK to RGB, rotated by EXIF")),
        (Rejected, Rejected("a/2.jpg", "empty: 0 bytes")),
        (Assigned, Assigned("a/1.jpg", "a", "train")),
        (Indexed, Indexed("a/1.jpg", "a")),
    ],
)
def test_rows_come_back_as_they_were_written(tmp_path, kind, row):
    write(tmp_path / "x.csv", kind, [row, row])
    assert read(tmp_path / "x.csv", kind) == [row, row]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_comes_back(tmp_path, name):
    write(tmp_path / "x.csv", Indexed, [Indexed(name, "Füße")])
    assert read(tmp_path / "x.csv", Indexed) == [Indexed(name, "Füße")]


def test_the_file_is_utf8_with_plain_line_ends(tmp_path):
    write(tmp_path / "x.csv", Indexed, [Indexed("é.jpg", "é")])
    assert (tmp_path / "x.csv").read_bytes() == "path,label\né.jpg,é\n".encode()


@pytest.mark.parametrize("name", FORMULAS)
def test_no_name_is_a_formula_of_a_spreadsheet(tmp_path, name):
    write(tmp_path / "x.csv", Assigned, [Assigned(f"{name}/1.jpg", name, "train")])
    with (tmp_path / "x.csv").open(encoding="utf-8", newline="") as stream:
        _, row = csv.reader(stream)
    assert row == [f"'{name}/1.jpg", f"'{name}", "train"]
    assert read(tmp_path / "x.csv", Assigned) == [Assigned(f"{name}/1.jpg", name, "train")]


def test_what_many_rows_have_in_common_is_held_once(tmp_path):
    rows = [Row(f"a class/{n}.jpg", "a class", "train", n, "00", 1, 1, "RGB", "gray to RGB") for n in range(2)]
    write(tmp_path / "x.csv", Row, rows)
    one, other = read(tmp_path / "x.csv", Row)
    assert all(getattr(one, name) is getattr(other, name) for name in ("label", "part", "mode", "note"))


def test_a_hundred_thousand_rows_are_written_read_and_divided_in_seconds(tmp_path):
    rows = (
        Row(f"{n % 1000}/{n}.jpg", f"class {n % 1000}", "", n, f"{n:064x}", 500, 375, "RGB", "") for n in range(10**5)
    )
    # Linear in the rows: a million in a minute.
    with limits.within(6):
        write(tmp_path / "x.csv", Row, rows)
        divided = split(read(tmp_path / "x.csv", Row), test=0.3, val=0.1, seed=0, repeat=1)
    assert Counter(row.part for row in divided) == {"train": 63_000, "val": 7_000, "test": 30_000}


def test_no_rows_are_a_table_too(tmp_path):
    write(tmp_path / "x.csv", Rejected, [])
    assert read(tmp_path / "x.csv", Rejected) == []


def test_a_missing_file_names_what_makes_it(tmp_path):
    with pytest.raises(InputError, match=r"^.*/x.csv: no such file; dvc repro makes it$"):
        read(tmp_path / "x.csv", Row)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"path,color\na,b\n",
        b"path,label\na\n",
        b"path,label\na,b,c\n",
        b'path,label\n"a\n',
        b"path,label\n\xff,b\n",
    ],
)
def test_another_file_is_refused(tmp_path, content):
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"^.*/x.csv: not a table of path,label; `dvc repro` makes it again$"):
        read(tmp_path / "x.csv", Indexed)


def test_a_number_must_be_one(tmp_path):
    write(tmp_path / "x.csv", Row, [Row("a", "a", "", 1, "", 1, 1, "", "")])
    text = (tmp_path / "x.csv").read_text().replace(",1,", ",many,")
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(
        InputError, match=r"x\.csv: 'a': bytes: 'many' is not a whole number; `dvc repro` makes it again$"
    ):
        read(tmp_path / "x.csv", Row)


@pytest.mark.parametrize("number", ["", "-1", "1_0", " 1", "1.0", "²", "٣"])
def test_a_number_is_of_digits_alone(tmp_path, number):
    (tmp_path / "x.csv").write_text(f"path,group,kind,of\na,{number},,\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"'a': group: .* is not a whole number"):
        read(tmp_path / "x.csv", Alike)


def test_a_part_that_there_is_not_is_named_with_its_image(tmp_path):
    (tmp_path / "x.csv").write_text("path,label,part\na.png,a,train\nb.png,a,t2ain\n", encoding="utf-8")
    message = r"x\.csv: 'b\.png': part: 't2ain' is not one of train, val, test; `dvc repro` makes it again$"
    with pytest.raises(InputError, match=message):
        read(tmp_path / "x.csv", Assigned)
