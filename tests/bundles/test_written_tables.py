"""Predictions in three formats, with names that nobody should have."""

import csv
import json

import pytest
from applied import HOSTILE

from pipeline.bundles import tables
from pipeline.bundles.predictions import Doubt, Guess, Prediction

TOP = (Guess("=cat", 0.75), Guess('do"g\n', 0.25))
DOUBT = "set_90,set_95,ask,strange,distance,energy"
BAD = Prediction(path="bad.jpg", error="empty: 0 bytes")


def write(folder, ending, *rows, top=3):
    file = folder / f"out{ending}"
    with tables.written(file, top) as add:
        for row in rows:
            add(row)
    return file


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_a_name_comes_back_from_json(tmp_path, name):
    one = Prediction(path=name, top=TOP)
    (whole,) = json.loads(write(tmp_path, ".json", one).read_text(encoding="utf-8"))
    (line,) = write(tmp_path, ".jsonl", one).read_text(encoding="utf-8").removesuffix("\n").split("\n")
    assert whole == json.loads(line)
    assert whole["path"] == name


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_a_name_comes_back_from_csv_and_is_no_formula(tmp_path, name):
    with write(tmp_path, ".csv", Prediction(path=name, top=TOP), BAD).open(encoding="utf-8", newline="") as stream:
        first, second = csv.DictReader(stream)
    marked = f"'{name}" if name.startswith(("=", "'")) else name
    assert first["path"] == marked.encode("utf-8", "backslashreplace").decode("utf-8")
    assert second["path"] == "bad.jpg"
    assert first["class"] == "'=cat"


def test_a_table_has_the_classes_in_falling_order_and_the_reason_of_a_bad_file(tmp_path):
    rows = write(tmp_path, ".csv", Prediction(path="1.jpg", top=(Guess("a", 1 / 3), Guess("b", 0))), BAD, top=2)
    assert rows.read_text(encoding="utf-8").splitlines() == [
        f"path,class,probability,class_2,probability_2,{DOUBT},error",
        "1.jpg,a,0.333333,b,0.000000,,,,,,,",
        "bad.jpg,,,,,,,,,,,empty: 0 bytes",
    ]


def test_json_has_null_for_what_is_not_known(tmp_path):
    unknown = dict.fromkeys(DOUBT.split(","))
    rows = json.loads(write(tmp_path, ".json", Prediction(path="1.jpg", top=(Guess("a", 1 / 3),)), BAD).read_text())
    assert rows == [
        {
            "path": "1.jpg",
            "class": "a",
            "probability": 0.333333,
            "top": [{"class": "a", "probability": 0.333333}],
            **unknown,
            "error": None,
        },
        {"path": "bad.jpg", "class": None, "probability": None, "top": [], **unknown, "error": "empty: 0 bytes"},
    ]


def test_doubt_is_written_in_all_formats(tmp_path):
    doubt = Doubt(sets={90: ("a", "b")}, ask=True, strange=False, distance=0.5, energy=-1.25)
    one = Prediction(path="1.jpg", top=(Guess("a", 0.75),), doubt=doubt)
    (row,) = json.loads(write(tmp_path, ".json", one, top=1).read_text())
    assert {name: row[name] for name in DOUBT.split(",")} == {
        "set_90": ["a", "b"],
        "set_95": None,
        "ask": True,
        "strange": False,
        "distance": 0.5,
        "energy": -1.25,
    }
    assert write(tmp_path, ".csv", one, top=1).read_text().splitlines()[1] == (
        "1.jpg,a,0.750000,a; b,,1,0,0.500000,-1.250000,"
    )


@pytest.mark.parametrize("ending", [".json", ".jsonl", ".csv"])
def test_a_table_without_a_file_is_a_table(tmp_path, ending):
    text = write(tmp_path, ending, top=1).read_text()
    assert text == {".json": "[\n]\n", ".jsonl": "", ".csv": f"path,class,probability,{DOUBT},error\n"}[ending]


def test_nothing_is_written_where_the_work_fails(tmp_path):
    (tmp_path / "out.csv").write_text("before")

    def fail():
        with tables.written(tmp_path / "out.csv", 1) as add:
            add(BAD)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [file.name for file in tmp_path.iterdir()] == ["out.csv"]
    assert (tmp_path / "out.csv").read_text() == "before"
