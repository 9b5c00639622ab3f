"""What MLflow is sent without `mlflow.images`, and with it."""

import csv
import json
from pathlib import Path

import pytest
from PIL import Image

from pipeline import tracking
from pipeline.core import digests
from pipeline.datasets.collect import left_out
from pipeline.tracking import labels, privacy

HERE = tracking.Folder(Path())
PLACE = "/home/someone/my spiders"
PARAMS = "diff --git a/params.yaml b/params.yaml\n--- a/params.yaml\n+++ b/params.yaml\n@@ -1,2 +1,2 @@\n"


@pytest.mark.parametrize(
    "told",
    [
        f"{PARAMS}-folder: data/own\n+folder: {PLACE}\n",
        f"{PARAMS} folder: {PLACE}\n+lr: 0.1\n",
        f"{PARAMS}+weights_file: mine.pth\n",
        "diff --git a/data/own/a/IMG_1.jpg b/data/own/a/IMG_1.jpg\nnew file mode 100644\n",
        "diff --git a/data/own/a/IMG_1.heic b/data/own/a/IMG_1.heic\nold mode 100755\n",
        "diff --git a/a.txt b/b.txt\nrename from a/photo (1).DNG\nrename to b.txt\n",
        "diff --git a/x.bin b/x.bin\nGIT binary patch\nliteral 4\nLcmZQzWMT#Y01f~L\n",
    ],
)
def test_changes_with_a_place_or_an_image_are_not_kept(told):
    assert privacy.changes(told) is None


def changed(file, *lines):
    return "\n".join([f"diff --git a/{file} b/{file}", f"--- a/{file}", f"+++ b/{file}", "@@ -1 +1,2 @@", *lines, ""])


SOURCE, STUDY, NOTES = "pipeline/training/loop.py", "studies/mine.yaml", "docs/notes.md"


@pytest.mark.parametrize(
    ("file", "line"),
    [
        (".dvc/config", "    analytics = false"),
        (".dvc/config.local", "x"),
        ("where.yaml", "slurm:"),
        ("deploy/.env", "x"),
        ("data/groups.csv", "smith,a"),
        (STUDY, "url = /mnt/nas/dvc"),
        (STUDY, "  folder: /mnt/clinic/patients-2024"),
        (STUDY, "set: {repeats: [1], folder: 'patients'}"),
        (STUDY, "  folder: data/own patients"),
        (STUDY, "  - ../patients"),
        (STUDY, "  - ~/patients"),
        (STUDY, r"  - C:\patients"),
        (STUDY, r"  - \\nas\patients"),
        (STUDY, "title: of patient_smith/IMG_0001.jpg"),
        (NOTES, "patient_smith/IMG_0001.HEIC,smith"),
        (NOTES, "From `/mnt/clinic`."),
        (NOTES, "dvc remote add storage ssh://me@host/data"),
        (NOTES, "rsync me@nas.example.org:photos ."),
        (NOTES, "password = hunter2"),
        (NOTES, 'secret_access_key: "x"'),
        (SOURCE, "API_KEY = 'x'"),
        (SOURCE, "    headers = {'token': 'x'}"),
        (SOURCE, "    # as in https://example.org/a"),
    ],
)
@pytest.mark.parametrize("sign", ["+", "-", " "])
def test_a_place_an_address_a_secret_or_an_images_name_in_any_file_hides_the_changes(file, line, sign):
    assert privacy.changes(changed(file, "+x", f"{sign}{line}")) is None


@pytest.mark.parametrize("ending", [*sorted(left_out.PICTURES - {""}), ".dcm", ".svs", ".ndpi"])
def test_the_name_of_a_picture_of_any_kind_hides_the_changes(ending):
    assert privacy.changes(changed(NOTES, f"+patient_smith{ending}, left eye")) is None
    assert privacy.changes(changed(NOTES, f"+patient_smith{ending.upper()}")) is None


@pytest.mark.parametrize(
    ("file", "lines"),
    [
        (STUDY, ["+  folder: data/own", "+  set: {folder: data/own, lr: 0.1}", '+  archive: "data/none"']),
        ("params.yaml", ["-data: synthetic", "+data: folder", "+options.data.folder.limit: 1/2"]),
        ("dvc.yaml", ["+    cmd: python -m pipeline.stages.train ${item}", "+    - data/split/${item}.json"]),
        (SOURCE, ["+def of(folder: Path) -> Path:", '+    return folder / f"{name}.png"', "+    x = a / b / c[1:]"]),
        (SOURCE, ["+    y = x @ w  # (N, D) @ (D, K)", "+    tokens: Tensor = self.tokens(x)", "+    a[..., 1] /= 2"]),
        (SOURCE, ["--- /dev/null", "+x = 1"]),
        (NOTES, ["+See [the settings](settings.md#lr), `pipeline/core` and his and/or her `folder: PATH`."]),
    ],
)
def test_ordinary_edits_are_kept(file, lines):
    patch = changed(file, *lines)
    assert privacy.changes(patch) == patch


@pytest.mark.parametrize("file", ["params.yaml", "dvc.yaml", "pipeline/training/losses.py", "studies"])
def test_edits_anywhere_in_the_projects_settings_are_kept(file):
    root = Path(__file__).parents[2]
    for one in sorted((root / file).glob("*.yaml")) if (root / file).is_dir() else [root / file]:
        lines = one.read_text(encoding="utf-8").splitlines()
        patch = changed(one.relative_to(root).as_posix(), *(f" {line}" for line in lines))
        assert privacy.changes(patch) == patch


@pytest.mark.parametrize("told", ["", f"{PARAMS} folder: data/own        # yours\n-lr: auto\n+lr: 0.1\n"])
def test_other_changes_are_kept(told):
    assert privacy.changes(told) == told


def test_changes_that_name_the_projects_folder_are_not_kept(clone):
    assert privacy.changes(f"+at = '{clone}/data'\n") is None


def test_of_a_lock_the_places_of_the_users_files_are_hidden_and_nothing_else():
    deps = [{"path": PLACE, "md5": "a"}, {"path": "data/none", "md5": "b"}, {"path": "pipeline/core", "md5": "c"}]
    locked = {"collect": {"cmd": "x", "deps": deps}, "train@1": {"deps": [{"path": "data/packed"}]}}
    hidden = privacy.stages(locked)
    assert [dep["path"] for dep in hidden["collect"]["deps"]] == ["hidden", "data/none", "pipeline/core"]
    assert hidden["train@1"] == locked["train@1"]
    assert locked["collect"]["deps"][0]["path"] == PLACE


def test_of_a_report_only_drawn_charts_and_the_summary_are_sent():
    names = ["index.html", "predictions.csv", "look_first.csv", "health.json", "summary.md", "figures/loss.svg"]
    names += ["figures/loss.png", "figures/wrong.png", "figures/augmented.png"]
    kept = privacy.charts(map(Path, names))
    assert [path.as_posix() for path in kept] == ["figures/loss.png", "figures/loss.svg", "summary.md"]


def telling(files, root, *, weights="file mine.pth"):
    """An experiment whose files name a photograph, and places; its name is in each."""
    [record] = files.experiment(root, repeats=(1,))
    origin = record.weights.model_copy(update={"origin": weights})
    record.model_copy(update={"weights": origin}).write(root / "metrics/train/1/record.json")
    digests.seal(root / "metrics/train/1")
    file = root / "metrics/runtime/1.json"
    runtime = json.loads(file.read_text(encoding="utf-8"))
    runtime |= {"git_dirty": True, "git_changes": f"{PARAMS}+folder: {PLACE}\n"}
    file.write_text(json.dumps(runtime), encoding="utf-8")
    digests.seal(file)
    report = root / "metrics/report"
    (report / "index.html").write_text("<img alt='a.png' src='data:image/jpeg;base64,/9j/4AAQ'>", encoding="utf-8")
    (report / "look_first.csv").write_text("path\na.png\n", encoding="utf-8")
    (report / "health.json").write_text('{"files": ["a.png"]}', encoding="utf-8")
    Image.new("RGB", (8, 8)).save(report / "figures/wrong.png")
    lock = json.loads((root / "dvc.lock").read_text(encoding="utf-8"))
    lock["stages"]["collect"] = {"deps": [{"path": PLACE, "md5": "c" * 32 + ".dir"}]}
    (root / "dvc.lock").write_text(json.dumps(lock), encoding="utf-8")


def sent(runs):
    """All that the runs hold, as one text, and the names of their artifacts."""
    texts, names = [], set()
    for run in runs():
        texts += [str(run.data.params), str(run.data.tags), str(run.data.metrics), str(run.inputs)]
        for file in sorted(Path("mlruns", run.info.run_id, "artifacts").rglob("*")):
            if file.is_file():
                names.add(file.name)
                texts.append(file.read_bytes().decode("utf-8", "replace"))
    return "\n".join(texts), names


TELLING = ("a.png", PLACE, "mine.pth", "data:image/jpeg")


def test_no_photograph_no_name_and_no_place_is_sent_unless_asked_for_and_then_all_are(tracked, files, runs):
    telling(files, tracked)
    tracking.publish(HERE)
    text, names = sent(runs)
    assert [word for word in (*TELLING, str(tracked)) if word in text] == []
    assert {"summary.md", "curves.svg", "predictions.csv", "scores.json", "origin.json"} <= names
    with Path("mlruns").glob("*/artifacts/predictions.csv").__next__().open(encoding="utf-8") as stream:
        assert list(csv.DictReader(stream)) == [
            {"actual": "C#", "predicted": "C#", "confidence": "0.9", "correct": "1"}
        ]
    tracking.publish(HERE, images=True)
    text, names = sent(runs)
    assert [word for word in TELLING if word not in text] == []
    assert {"index.html", "wrong.png", "changes.diff"} <= names


def test_what_was_sent_is_deleted_once_the_switch_is_off_and_no_run_is_doubled(tracked, files, runs):
    # With another origin the parameters would say otherwise, and the run be replaced.
    telling(files, tracked, weights="ImageNet")
    tracking.publish(HERE, images=True)
    before = len(runs())
    # As versions without the tag left it, and as HEAD and DVC's experiments are looked at.
    from mlflow import MlflowClient

    for run in runs():
        MlflowClient(tracking.uri()).delete_tag(run.info.run_id, "orbweaver.images")
    (Path("mlruns", runs()[0].info.run_id, "artifacts") / "mine.txt").write_text("the user's own", encoding="utf-8")
    assert tracking.publish(HERE, refresh=False).outcome == "completed"
    text, names = sent(runs)
    assert [word for word in TELLING if word in text] == []
    assert "mine.txt" in names
    assert len(runs()) == before
    assert {run.data.tags[labels.CONTENT] != "" for run in runs()} == {True}
    assert tracking.publish(HERE, refresh=False).outcome == "unchanged"
    assert tracking.publish(HERE).outcome == "unchanged"


def test_a_run_says_what_it_hides(tracked, files, runs):
    telling(files, tracked)
    tracking.publish(HERE)
    [run] = [run for run in runs() if run.data.tags.get(labels.REPEAT) == "1"]
    origin = tracking.recorded(run.info.run_id)
    assert tracking.hides(origin)
    assert origin.changes is None
    assert tracking.key_of(run.info.run_id) == tracking.read(HERE).key
    assert not tracking.hides(tracking.made_from(tracking.read(HERE), [1]).model_copy(update={"stages": {}}))
