"""What DVC's users do: change one thing, sweep, go back, name their own photographs."""

import json
import re
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import stubs
from clones import GENERATED, Clone, experiments, ran, sets, stages, work_off_the_queue
from PIL import Image

from pipeline.commands import sync

TRAINED = ("train", "evaluate")
# Overrides, and what the one line says that `validate` ends with.
# tests/config/test_refused_settings.py has what else is refused, in `validate` alone.
REFUSED = {
    "freeze=bad": "params.yaml: freeze: 'bad' is not one of auto, 1, 2, 3a, 3b, 3c, lora, bitfit, scratch",
}
# A key that is not known, numbers that DVC's matrix would take, and what only the network's plan refuses.
REFUSED_TOO = {
    "+frez=3c": "params.yaml: unknown key 'frez'; did you mean 'freeze'?",
    "attention=cbam backbone=vit_b_16 weights=none": "attention: 'cbam' needs feature maps",
    "repeats=['$(id)']": "repeats.0: '$(id)': a whole number is needed",
}


def runs(root: Path) -> Counter[str]:
    """How many parents and children MLflow has."""
    with closing(sqlite3.connect(root / "mlflow.db")) as store:
        children = store.execute("SELECT count(*) FROM tags WHERE key = 'mlflow.parentRunId'").fetchone()[0]
        every = store.execute("SELECT count(*) FROM runs WHERE lifecycle_stage = 'active'").fetchone()[0]
    return Counter(parents=every - children, children=children)


@pytest.mark.slow
def test_another_strategy_trains_and_tests_again_and_nothing_else(stubbed: Clone) -> None:
    told = stubbed.typed("dvc exp run -S freeze=3c")
    assert sorted(ran(told)) == sorted(stages("validate", *TRAINED, "report"))
    told = stubbed.run("dvc", "exp", "run", *sets("freeze=3c repeats=[1,2]"))
    new = stages("split", *TRAINED, repeats=[2])
    assert new <= set(ran(told))
    assert not ((stages("split", *TRAINED) - new) | {"collect", "preprocess", "source"}) & set(ran(told))


def test_another_recipes_section_re_runs_nothing(stubbed: Clone) -> None:
    stubbed.recipes("quick", "ecsm")
    recipes = stubbed.values()["recipes"]
    recipes["ecsm"]["train"]["lr"] = 0.5
    stubbed.params(recipes=recipes)
    assert ran(stubbed.run("dvc", "repro")) == ["validate"]


@pytest.mark.parametrize("refused", [REFUSED, pytest.param(REFUSED_TOO, marks=pytest.mark.slow)], ids=["few", "more"])
def test_wrong_parameters_and_choices_that_contradict_each_other_stop_the_run_before_anything_is_lost(
    stubbed: Clone, refused: dict[str, str]
) -> None:
    before, content = stubbed.outputs(), stubbed.content()
    assert stubbed.root / "data/recipe.yaml" in content
    for overrides, message in refused.items():
        told = stubbed.run("dvc", "exp", "run", *sets(overrides), code=255)
        lines = [line for line in told.splitlines() if line.startswith("validate: error: ")]
        assert len(lines) == 1, told
        assert message in lines[0]
        assert lines[0].endswith("`git restore params.yaml` undoes it, and your edits there")
        assert "Traceback" not in told
        assert ran(told) == ["validate"]
        assert stubbed.content() == content
        stubbed.run("git", "checkout", "--", "params.yaml")
    assert stubbed.outputs() == before
    assert stubbed.content() == content


@pytest.mark.slow
def test_a_failing_stage_says_why_in_one_line_and_its_output_comes_back(stubbed: Clone, tmp_path: Path) -> None:
    before, content = stubbed.outputs(), stubbed.content()
    (tmp_path / "w.pth").write_text(stubs.OF_ANOTHER_NETWORK, encoding="utf-8")
    told = stubbed.run("dvc", "exp", "run", *sets(f"weights=file weights_file={tmp_path}/w.pth"), code=255)
    assert "source: error: file w.pth: not the values of this backbone; " in told
    assert "Traceback" not in told
    stubbed.run("git", "restore", *GENERATED, "params.yaml")
    stubbed.run("dvc", "checkout")
    assert stubbed.outputs() == before
    assert stubbed.content() == content


@pytest.mark.slow
def test_a_regularizer_is_one_word_and_a_recipe_another(stubbed: Clone) -> None:
    stubbed.recipes("quick", "ecsm")
    told = stubbed.typed(
        "dvc exp run -S regularizer=delta",
        "-S recipe=ecsm -S data=synthetic -S backbone=efficientnet_lite0 -S weights=bundled",
    )
    # The images and the weights are the same ones, divided alike.
    assert sorted(ran(told)) == sorted(stages() - stages("collect", "copies", "split", "source"))
    record = json.loads((stubbed.root / "metrics/train/1/record.json").read_text(encoding="utf-8"))
    assert (record["recipe_name"], record["recipe"]["regularizer"]["method"]) == ("ecsm", "delta")


@pytest.mark.slow
def test_five_strategies_in_the_queue_are_five_runs_in_mlflow_and_none_is_doubled(
    queueing: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    queueing.environment[stubs.PUBLISHES] = "yes"
    queueing.enter(monkeypatch)
    # What has run already is one of the five, and is not trained again.
    sync.command.main([], standalone_mode=False)
    assert runs(queueing.root) == Counter(parents=1, children=1)
    queueing.typed("dvc exp run --queue -S 'freeze=1,2,3a,3b,3c' && dvc queue start -j 2")
    work_off_the_queue(queueing, 5)
    assert len(experiments(queueing)) == 5
    assert runs(queueing.root) == Counter(parents=5, children=5)
    shown = queueing.typed("dvc exp show --only-changed")
    assert all(re.search(rf"\b{strategy}\b", shown) for strategy in ("1", "2", "3a", "3b", "3c"))
    assert "index.html" in queueing.typed("dvc plots diff")

    told = queueing.typed("dvc exp run -n last-block -S freeze=3c")
    told += queueing.typed("dvc exp run -n two-blocks -S freeze=3b")
    assert not stages(*TRAINED) & set(ran(told))
    told = queueing.typed("orbweaver compare last-block two-blocks")
    assert re.search(r"network\.freeze +3c +3b", told)
    sync.command.main([], standalone_mode=False)
    assert runs(queueing.root) == Counter(parents=5, children=5)
    (queueing.root / "mlflow.db").unlink()
    shutil.rmtree(queueing.root / "mlruns")
    # This process has the database open that is gone.
    queueing.run("orbweaver", "sync")
    assert runs(queueing.root) == Counter(parents=5, children=5)


@pytest.mark.slow
def test_a_folder_with_awkward_names_and_bad_files_runs_and_lists_what_is_left_out(
    stubbed: Clone, tmp_path: Path
) -> None:
    stubbed.unstub("collect")
    folder = tmp_path / "mes photos d'été"
    generator = np.random.default_rng(0)
    for label in ("épeire diadème", "L'autre"):
        (folder / label).mkdir(parents=True)
        for number in range(6):
            pixels = generator.integers(0, 256, (60, 50, 3), np.uint8)
            Image.fromarray(pixels).save(folder / label / f"n° {number}.jpg")
    (folder / "L'autre" / "broken.jpg").write_bytes((folder / "L'autre" / "n° 0.jpg").read_bytes()[:200])
    (folder / "L'autre" / "empty.jpg").touch()
    quoted = str(folder).replace("'", "\\'")
    told = stubbed.run("dvc", "exp", "run", "-S", "data=folder", "-S", f"folder='{quoted}'", "preprocess")
    assert "collect: 12 images in 2 classes" in told
    assert (
        'collect: 2 photographs cannot be used, all in data/collected/rejected.csv, the first "L\'autre/broken.jpg": '
        in told
    )
    rejected = (stubbed.root / "data/collected/rejected.csv").read_text(encoding="utf-8")
    assert "L'autre/broken.jpg" in rejected
    assert "L'autre/empty.jpg" in rejected
    assert "épeire diadème" in (stubbed.root / "data/packed/index.csv").read_text(encoding="utf-8")


@pytest.mark.slow
def test_another_folder_named_during_a_run_is_not_recorded_as_the_first(queueing: Clone, tmp_path: Path) -> None:
    for name in ("first", "second"):
        for photograph in ("a/1.png", "a/2.png", "b/1.png", "b/2.png"):
            file = tmp_path / name / photograph
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{photograph} of {name}", encoding="utf-8")
    # The edit is made once DVC has read the file, and `validate` has ended.
    text = f"file.read_text().replace('{tmp_path}/first', '{tmp_path}/second')"
    edit = f"from pathlib import Path\nfile = Path('params.yaml')\nfile.write_text({text})"
    file = queueing.root / "pipeline/stages/collect.py"
    stub = file.read_text(encoding="utf-8")
    file.write_text(f"{edit}\n{stub}", encoding="utf-8")
    queueing.params(data="folder", folder=f"{tmp_path}/first")
    queueing.commit()
    edited = "params.yaml: edited since this run began; `dvc repro` runs it as it is now"
    assert edited in queueing.run("dvc", "exp", "run", "--temp", "collect", code=255)
    assert edited in queueing.run("dvc", "repro", "collect", code=255)
    assert "collect" in ran(queueing.run("dvc", "repro", "collect"))
    locked = (queueing.root / "dvc.lock").read_text(encoding="utf-8")
    assert f"{tmp_path}/second" in locked
    assert f"{tmp_path}/first" not in locked


@pytest.mark.slow
def test_photographs_in_data_own_reach_a_queued_run_when_they_are_named(queueing: Clone) -> None:
    queueing.unstub("collect")
    generator = np.random.default_rng(0)
    for label in ("a", "b"):
        (queueing.root / "data/own" / label).mkdir()
        for number in range(4):
            pixels = generator.integers(0, 256, (50, 50, 3), np.uint8)
            Image.fromarray(pixels).save(queueing.root / "data/own" / label / f"{number}.png")
    told = queueing.run("dvc", "exp", "run", "--temp", "-S", "data=folder", code=255)
    assert "name them by their own place" in told
    place = queueing.root / "data/own"
    told = queueing.run("dvc", "exp", "run", "--temp", "-S", "data=folder", "-S", f"folder='{place}'", "collect")
    assert "collect: 8 images in 2 classes" in told
