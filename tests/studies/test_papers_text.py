"""Every printed figure of the studies against the tables in the papers' own texts.

The environment variable PAPERS_TEXT names the folder that holds the texts, `<recipe>.md`, with a table as lines of
cells that tabs separate, below a line that begins with its caption.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import pipeline
from pipeline.studies import definition
from pipeline.studies.definition import Printed

ROOT = Path(pipeline.__file__).parents[1]
TEXTS = Path(os.environ.get("PAPERS_TEXT", ""))
pytestmark = pytest.mark.skipif(
    not os.environ.get("PAPERS_TEXT"),
    reason="PAPERS_TEXT names no folder with the papers' texts: printed figures are not checked against them",
)
DATA = {
    "Stanford Dogs 120": "dogs",
    "CUB-200-2011": "cub200",
    "Caltech 256-30": "caltech256_30",
    "Caltech 256-60": "caltech256_60",
    "MIT Indoor 67": "mit67",
}
NETWORKS = ("resnet50", "fcn", "ca", "sa", "csca")
REGULARIZERS = ("l2", "l2_fe", "l2_sp", "delta", "afa", "spa_gca")
MODULES = {"ResNet-50": "resnet50", "+SE": "se", "+CBAM": "cbam", "+Self-attention": "self", "+ECSM": "ecsm"}
MODELS = {
    "VGG-16": "vgg16",
    "GoogLeNet": "googlenet",
    "ResNet-50": "resnet50",
    "Vision-Transformer": "vit",
    "EfficientNet": "efficientnet",
    "ECSM-ResNet-50": "ecsm",
}
MISPRINTS = {"Hominidae": "Thomisidae", "Miussulena": "Missulena"}
Figures = dict[str, dict[str, Any]]


def table(paper: str, caption: str, numbers: int) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the rows below a caption that end in so many cells with numbers: their words, and these cells."""
    lines = (TEXTS / f"{paper}.md").read_text(encoding="utf-8").splitlines()
    [start] = [place for place, line in enumerate(lines) if re.match(rf"\W*{caption}(?!\w)", line)]
    found = False
    for line in lines[start + 1 :]:
        cells = [re.sub(r"^[*\s]+|[*\s]+$|</?i>", "", cell) for cell in line.split("\t")]
        if len(cells) > 1 and all(re.match(r"[0-9.]", cell) for cell in cells[-numbers:]):
            found = True
            yield cells[:-numbers], cells[-numbers:]
        elif found and not line.strip():
            return


def number(cell: str) -> float:
    return float(cell.strip("% ").replace(",", ""))


def spread(cell: str) -> dict[str, float]:
    """Return `82.37% $\\pm$ 0.25` as accuracy and deviation."""
    accuracy, deviation = cell.split(r"$\pm$")
    return {"accuracy": number(accuracy), "sd": number(deviation)}


def csca() -> Figures:
    sets = {"CUB-200": "cub200", "Stanford-dogs": "dogs", "Stanford-cars": "cars"}
    return {
        f"{sets[words[0]]}-{network}": {"accuracy": number(cell)}
        for words, cells in table("csca", "Table1", 5)
        for network, cell in zip(NETWORKS, cells, strict=True)
    }


def ecsm_5() -> Figures:
    keys = ("accuracy", "trainable", "frozen", "seconds")
    return {
        words[-1]: dict(zip(keys, map(number, cells), strict=True)) for words, cells in table("ecsm", "Table 5[.]", 4)
    }


def ecsm_6() -> Figures:
    keys = ("parameters_millions", "accuracy", "seconds")
    found = {
        MODULES[words[0]]: dict(zip(keys, map(number, cells), strict=True))
        for words, cells in table("ecsm", "Table 6[.]", 3)
    }
    for words, cells in table("ecsm", "Table 7[.]", 6):
        if words[0] in MODULES and words[0] != "ResNet-50":
            *runs, mean = map(number, cells)
            found[MODULES[words[0]]]["runs"] = tuple(runs)
            assert mean == found[MODULES[words[0]]]["accuracy"]
    return found


def ecsm_8() -> Figures:
    classes = {
        MISPRINTS.get(words[0], words[0]): {
            "precision": number(cells[0]),
            "recall": number(cells[1]),
            "printed_as": words[0] if words[0] in MISPRINTS else "",
        }
        for words, cells in table("ecsm", "Table 8[.]", 2)
    }
    # The text above the table says which run it is said to be of.
    return {"ecsm": {"accuracy": max(ecsm_6()["ecsm"]["runs"]), "classes": classes}}


def ecsm_9() -> Figures:
    return {MODELS[words[-1]]: {"accuracy": number(cells[0])} for words, cells in table("ecsm", "Table 9[.]", 1)}


def spa_gca_4() -> Figures:
    return _by_data(table("spa_gca", r"Table 4[.]", 6), list(DATA.values()), REGULARIZERS)


def spa_gca_5() -> Figures:
    return _by_data(table("spa_gca", r"Table 5[.]", 4), list(DATA.values()), ("ast", "act", "spa", "gca"))


def spa_gca_6() -> Figures:
    [(_, cells)] = [row for row in table("spa_gca", r"Table 6[.]", 4) if "%" in row[1][0]]
    return {f"r{rate}": spread(cell) for rate, cell in zip((4, 8, 16, 32), cells, strict=True)}


def spa_gca_7() -> Figures:
    return _by_data(table("spa_gca", r"Table 7[.]", 2), list(DATA.values()), ("spa_gca", "gca_spa"))


def _by_data(rows: Iterator[tuple[list[str], list[str]]], data: Sequence[str], columns: Sequence[str]) -> Figures:
    """Return the figures of a table with a row a data set, in the paper's order; a name that stands there must fit."""
    found: Figures = {}
    for name, (words, cells) in zip(data, [row for row in rows if "%" in row[1][0]], strict=True):
        assert DATA.get(words[-1], name) == name
        found |= {f"{name}-{column}": spread(cell) for column, cell in zip(columns, cells, strict=True)}
    return found


def hierarchical() -> Figures:
    rows = [cells for _, cells in table("hierarchical", "TABLE I", 3)]
    return {
        cell: {"accuracy": number(cells[0]), "loss": number(cells[1])}
        for cell, cells in zip(("baseline", "hierarchical"), rows, strict=True)
    }


def animals() -> Figures:
    text = (TEXTS / "animals.md").read_text(encoding="utf-8")
    [told] = re.findall(r"final test set accuracy rate is ([0-9.]+)%", text)
    return {"two-phases": {"accuracy": number(told)}}


BY_STUDY = {
    "animals": animals,
    "csca-table1": csca,
    "ecsm-table5": ecsm_5,
    "ecsm-table6": ecsm_6,
    "ecsm-table8": ecsm_8,
    "ecsm-table9": ecsm_9,
    "hierarchical-table1": hierarchical,
    "spa_gca-table4": spa_gca_4,
    "spa_gca-table5": spa_gca_5,
    "spa_gca-table6": spa_gca_6,
    "spa_gca-table7": spa_gca_7,
}


def count(figures: Mapping[str, Any]) -> int:
    """Return how many numbers a mapping holds."""
    values = list(figures.values())
    inner = sum(count(value) for value in values if isinstance(value, Mapping))
    return inner + sum(len(v) if isinstance(v, tuple) else isinstance(v, int | float) for v in values)


def test_every_study_with_printed_figures_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert {name for name in definition.names() if definition.find(name).study.printed} == set(BY_STUDY)


@pytest.mark.parametrize("name", BY_STUDY)
def test_the_printed_figures_are_those_of_the_text(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-s` tells how many numbers they are."""
    monkeypatch.chdir(ROOT)
    text = {cell: Printed.model_validate(figures) for cell, figures in BY_STUDY[name]().items()}
    assert definition.find(name).study.printed == text
    print(f"{name}: {count({cell: one.model_dump(exclude_none=True) for cell, one in text.items()})} numbers")
