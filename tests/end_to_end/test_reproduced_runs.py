"""A run of one clone made again in another: identical, and not once a seed is changed."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.slow


def run_id(clone: Any, repeat: int) -> str:
    """The identifier of this repeat's run in the clone's MLflow."""
    code = (
        "from pipeline.tracking import store, content;"
        "store.quieten();"
        "s = store.opened().__enter__();"
        f"print([r.info.run_id for r in s.client.search_runs([s.experiment], "
        f"'tags.`' + content.REPEAT + '` = \"{repeat}\"')][0])"
    )
    return str(clone.run("python", "-c", code).split()[-1])


def other_clone(clone: Any, place: Path) -> Any:
    """A clone of the clone by git, which looks into the first one's MLflow."""
    clone.run("git", "clone", "--quiet", str(clone.root), str(place))
    other = type(clone)(place, place.parent)
    other.environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{clone.root}/mlflow.db"
    return other


def test_a_run_of_another_clone_is_identical_and_a_changed_seed_is_named(clone: Any, tmp_path: Path) -> None:
    clone.run("orbweaver", "sync")
    run, other = run_id(clone, 1), other_clone(clone, tmp_path / "another clone")
    told = other.typed("orbweaver reproduce RUN_ID", put={"RUN_ID": run})
    assert "identical: all" in told.splitlines()[-1]
    assert "models/trained/1" in told
    assert not list((tmp_path / "another clone").rglob("orbweaver-*"))

    [file] = (clone.root / "mlruns").glob(f"{run}/artifacts/origin.json")
    origin = json.loads(file.read_text(encoding="utf-8"))
    values = yaml.safe_load((other.root / "params.yaml").read_text(encoding="utf-8"))
    other.params(synthetic=values["synthetic"] | {"seed": 7})
    other.commit()
    origin["commit"] = other.run("git", "rev-parse", "HEAD").strip()
    file.write_text(json.dumps(origin), encoding="utf-8")
    told = other.run("orbweaver", "reproduce", run, code=1)
    last = told.splitlines()[-1]
    assert last.startswith("different: ")
    assert "first data/collected" in last
    assert last.endswith("likely cause: parameter synthetic.seed 0 in the run, 7 here")


def test_what_is_reused_from_the_cache_is_not_made_again_but_training_is(clone: Any, stages_ran: Any) -> None:
    clone.environment["TMPDIR"] = str(clone.root.parent)
    more = "--repeat 1 --reuse-data --keep --json"
    told = clone.typed("orbweaver reproduce RUN_ID", more, put={"RUN_ID": "HEAD"})
    assert stages_ran(told) == ["train@1", "evaluate@1", "report"]
    assert json.loads(told[told.index("\n{") :])["identical"]
    [kept] = re.findall("the clone stays in (.*)", told)
    assert (Path(kept) / "metrics/report/index.html").is_file()


def test_a_logged_model_gives_the_logits_of_the_record(clone: Any) -> None:
    assert "1 model added" in clone.run("orbweaver", "sync", "--models")
    assert "0 models added" in clone.run("orbweaver", "sync", "--models")
    code = (
        "import csv, mlflow, numpy as np;"
        f"mlflow.set_tracking_uri('sqlite:///{clone.root}/mlflow.db');"
        "[model] = mlflow.search_logged_models(output_format='list');"
        "loaded = mlflow.pyfunc.load_model(model.model_uri);"
        "print('signature', loaded.metadata.signature);"
        "split = list(csv.DictReader(open('data/split/1.csv')));"
        "test = [row['path'] for row in split if row['part'] == 'test'];"
        "index = [row['path'] for row in csv.DictReader(open('data/packed/index.csv'))];"
        "images = np.load('data/packed/images.npy')[[index.index(path) for path in test]][:7];"
        "wanted = np.load('metrics/evaluate/1/logits.npy')[:7];"
        "print('apart', float(abs(loaded.predict(images) - wanted).max()))"
    )
    told = clone.run("python", "-W", "ignore", "-c", code)
    assert "uint8" in told
    assert float(told.split("apart ")[1].split()[0]) < 1e-4


def test_photographs_of_the_users_own_are_reproduced_from_their_place(clone: Any, tmp_path: Path) -> None:
    folder = tmp_path / "photographs"
    shutil.copytree(clone.root / "data/collected/images", folder)
    clone.run("dvc", "exp", "run", "-n", "own", "-S", "data=folder", "-S", f"folder={folder}")
    assert "identical: all" in clone.run("orbweaver", "reproduce", "own").splitlines()[-1]
    [first] = sorted(folder.rglob("*.*"))[:1]
    shutil.copy(sorted(folder.rglob("*.*"))[1], first)
    last = clone.run("orbweaver", "reproduce", "own", code=1).splitlines()[-1]
    assert f"content of {folder}" in last
