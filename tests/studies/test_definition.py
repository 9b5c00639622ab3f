from pathlib import Path

import pytest

from pipeline.core.errors import InputError
from pipeline.studies import definition

MINE = "title: Mine\ncells:\n  head: {set: {freeze: 1}}\n  top: {set: {freeze: 3c}}\n"


def written(folder: Path, text: str) -> Path:
    file = folder / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_study_of_ones_own_is_found_by_its_file(tmp_path: Path) -> None:
    found = definition.find(str(written(tmp_path, MINE)))
    assert found.name == "mine"
    assert found.study.settings() == {"head": {"freeze": 1}, "top": {"freeze": "3c"}}
    assert found.study.first() == "head"


def test_a_grid_is_every_combination_of_values_and_of_named_choices(tmp_path: Path) -> None:
    text = "title: Mine\ngrid:\n  freeze: [1, 3b]\n  how: {fast: {train.lr: 0.1}, slow: {train.lr: 0.01}}\n"
    study = definition.load(written(tmp_path, text))
    assert study.settings() == {
        "1-fast": {"freeze": 1, "train.lr": 0.1},
        "1-slow": {"freeze": 1, "train.lr": 0.01},
        "3b-fast": {"freeze": "3b", "train.lr": 0.1},
        "3b-slow": {"freeze": "3b", "train.lr": 0.01},
    }


def test_a_value_with_a_point_names_its_cell_with_an_underscore(tmp_path: Path) -> None:
    text = "title: Mine\ngrid: {train.lr: [0.1, 0.01], network.backbone: [resnet18.a1_in1k]}\n"
    assert definition.load(written(tmp_path, text)).settings() == {
        "0_1-resnet18_a1_in1k": {"train.lr": 0.1, "network.backbone": "resnet18.a1_in1k"},
        "0_01-resnet18_a1_in1k": {"train.lr": 0.01, "network.backbone": "resnet18.a1_in1k"},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MINE.replace("title", "titel"), "unknown key 'titel'; did you mean 'title'?"),
        ("cells: {a: }\n", "key 'title' is missing; add it"),
        ("title: Mine\n", "cells: has none; name one"),
        (MINE.replace("set:", "sets:", 1), "unknown key 'cells.head.sets'; did you mean 'set'?"),
        (MINE + "baseline: tip\n", "baseline: 'tip' is no cell; the cells are head, top"),
        (MINE + "printed: {tip: {accuracy: 90}}\n", "printed: 'tip' is no cell"),
        (MINE + "printed: {top: {acuracy: 90}}\n", "unknown key 'printed.top.acuracy'; did you mean 'accuracy'?"),
        (MINE + "printed: {top: {accuracy: 900}}\n", "printed.top.accuracy: 900"),
        (MINE.replace("head:", "my head:"), "cells: 'my head' is no name; letters, digits, - and _ make one"),
        (
            "title: Mine\ngrid: {a: {x: {lr: 1}, x-y: {lr: 2}}, b: {z: {freeze: 1}, y-z: {freeze: 2}}}\n",
            "grid: 'x' with 'y-z' and 'x-y' with 'z' are both the cell 'x-y-z'; rename a choice",
        ),
        (
            MINE.replace("head:", "'1':") + "grid: {freeze: [1, 2]}\n",
            "cells: '1' is also a combination of the grid; rename it in `cells`",
        ),
        ("title: Mine\ngrid: {lr: [0.1, '0_1']}\n", "grid.lr: [0.1, '0_1']: the name '0_1' is there twice; rename one"),
        ("title: Mine\ncells: {1: {set: {freeze: 1}}, '1': }\n", "the name '1' is there twice; rename one"),
        ("title: Mine\ngrid: {freeze: 1}\n", "grid.freeze: 1: a list of values is needed, such as [1]"),
        ("title: Mine\ngrid: {freeze: }\n", "grid.freeze: empty: a list of values is needed, such as [1, 2]"),
        ("title: Mine\ngrid: {lr: [-0.1]}\n", "grid: lr: '-0_1' is no name; letters, digits, - and _ make one"),
        (
            "title: Mine\ngrid: {freeze: [1], repeats: [[1, 2], [3]]}\n",
            "first; give each value one: repeats: {NAME: VALUE}",
        ),
        ("- 1\n", "a mapping of keys is needed"),
        ("a: [", "not YAML"),
        (
            "title: Mine\ncells:\n  a: {set: {lr: 0.1}}\n  a: {set: {lr: 1}}\n",
            'line 4, column 3: found duplicate key "a"',
        ),
    ],
)
def test_a_wrong_file_is_told_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(InputError) as caught:
        definition.load(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert message in str(caught.value)


def test_a_name_that_is_nearly_right_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    with pytest.raises(InputError, match="did you mean 'ecsm-table5'"):
        definition.find("ecsm-tabel5")
    with pytest.raises(InputError, match=r"or give a \.yaml file"):
        definition.find("zzz")


def test_values_are_read_as_in_params_yaml(tmp_path: Path) -> None:
    """By YAML 1.2, as DVC reads: 1e-3 is a number, and `no` is a name."""
    study = definition.load(written(tmp_path, "title: Mine\ncells:\n  no: {set: {lr: 1e-3, attention: off}}\n"))
    assert study.settings() == {"no": {"lr": 0.001, "attention": "off"}}
