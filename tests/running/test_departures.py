"""What the cells of a study have that its file does not say."""

from pathlib import Path

import pytest

from pipeline import config
from pipeline.core.overrides import with_data_set
from pipeline.preview import overriding
from pipeline.running import cells, departures
from pipeline.running.departures import Departures
from pipeline.studies import definition, set_for_all

SPIDERS = (
    "The printed figures are of SPIDER9-IMAGE.",
    "If your folder is a copy of it, `--data spiders` checks its classes and gives them the printed names.",
)


def apart(name: str, *sets: str, data: str | None = None) -> Departures:
    named = definition.find(name)
    planned = cells.plan(named, data=data, sets=sets)
    return departures.from_printed(named, planned, set_for_all.selection(named, with_data_set(data, sets))[1])


def differs(words: str) -> str:
    return f"Differs from the study's file: {words}; the printed figures are of other settings."


@pytest.mark.parametrize(
    ("name", "sets", "lines"),
    [
        ("ecsm-table5", ["recipe=quick", "data=folder", "budget=1"], [differs("recipe=quick, data=folder, budget=1")]),
        ("ecsm-table5", ["attention=none"], []),
        ("csca-table1", ["repeats=[1]", "threads=1", "device=cpu"], []),
        ("spa_gca-table6", ["defaults.data.split.division=1"], []),
        ("csca-table1", ["budget=1"], [differs("budget=1")]),
        ("quick-strategies", ["budget=1"], []),
    ],
    ids=["others", "its own", "of the machine", "one draw", "a value", "of one's own"],
)
def test_settings_that_are_not_the_files_are_said(name: str, sets: list[str], lines: list[str]) -> None:
    assert [line for line in apart(name, *sets).lines if line not in SPIDERS] == lines


@pytest.mark.parametrize("sets", [["lr=0.03", "defaults.train.mixup=0.2"], ["defaults.train.mixup=0.2"]])
def test_what_params_yaml_changes_is_said_too(sets: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    edited = overriding.read(sets).settings.values
    monkeypatch.setattr(config, "read", lambda: edited)
    assert apart("csca-table1").lines == [differs(", ".join(sets))]


def test_cells_on_another_data_set_than_the_printed_figures_are_named() -> None:
    assert apart("spa_gca-figure2").elsewhere == frozenset()
    assert apart("spa_gca-figure2", data="digits").elsewhere == {"ast", "spa", "act", "gca"}
    # Cells of the set that is named are selected, and their figures are of it.
    assert apart("csca-table1", data="cars") == Departures([], frozenset())


def test_figures_of_a_set_that_is_not_public_are_said_to_be_of_it_where_the_cells_are_not(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(b"1")
    place = f"folder={tmp_path}"
    assert apart("ecsm-table5", place) == Departures(list(SPIDERS), frozenset())
    assert apart("ecsm-table5", place, data="spiders") == Departures([], frozenset())
    drawn = apart("ecsm-table8", data="synthetic")
    assert drawn == Departures([differs("data=synthetic"), SPIDERS[0]], frozenset({"ecsm"}))
