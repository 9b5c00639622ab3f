import json
import shutil
import time
from pathlib import Path

import pytest
import tiny
import yaml
from written_results import DATA

from pipeline import tracking
from pipeline.core import digests, paths
from pipeline.running.executors import logs
from pipeline.tracking import background, failures, labels, metric_names, publishing, store
from pipeline.tracking.results import key_of

HERE = tracking.Folder(Path())


def by_repeat(runs):
    found = {run.data.tags.get(labels.REPEAT): run for run in runs()}
    assert len(found) == len(runs())
    return found


def identifiers(runs):
    return {repeat: run.info.run_id for repeat, run in by_repeat(runs).items()}


def history(run, name):
    from mlflow import MlflowClient

    return [(point.step, point.value) for point in MlflowClient(tracking.uri()).get_metric_history(run, name)]


def test_an_experiment_has_one_run_and_one_below_it_for_each_repeat(tracked, files, runs):
    files.experiment(tracked)
    assert tracking.publish(HERE).outcome == "added"
    found = by_repeat(runs)
    assert set(found) == {None, "1", "2"}
    assert {found[repeat].data.tags["mlflow.parentRunId"] for repeat in ("1", "2")} == {found[None].info.run_id}
    assert {run.info.status for run in found.values()} == {"FINISHED"}


def test_publishing_again_adds_nothing(tracked, files, runs, points):
    files.experiment(tracked)
    tracking.publish(HERE)
    before = identifiers(runs), points()
    assert tracking.publish(HERE).outcome == "unchanged"
    assert (identifiers(runs), points()) == before


def test_the_experiments_run_has_mean_and_deviation_parameters_and_report(tracked, files, runs):
    files.experiment(tracked)
    tracking.publish(HERE)
    run = by_repeat(runs)[None]
    assert run.data.metrics["accuracy"] == pytest.approx(0.65)
    assert {"accuracy_sd", "macro_f1", "balanced_accuracy", "train_seconds"} <= set(run.data.metrics)
    expected = {"network.freeze": "3b", "train.lr": "0.001", "repeats": "[1, 2]", "seeds": "[1, 2]", "threads": "2"}
    assert run.data.params.items() >= expected.items()
    artifacts = Path("mlruns", run.info.run_id, "artifacts")
    assert (artifacts / "report/figures/curves.svg").exists()


def test_a_repeats_run_has_its_curves_scores_and_where_they_come_from(tracked, files, runs):
    files.experiment(tracked)
    tracking.publish(HERE)
    run = by_repeat(runs)["2"]
    assert history(run.info.run_id, "train_loss") == [(1, pytest.approx(1 / 3)), (2, 0.25), (3, 0.2)]
    assert run.data.metrics["precision/Araneus diadematus"] == run.data.metrics["precision/C sharp"] == 0.7
    expected = {"strategy": "3b", "dvc.data": "a" * 32 + ".dir", "mlflow.source.git.commit": "f" * 40}
    assert run.data.tags.items() >= expected.items()
    [data] = run.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("synthetic", "a" * 32 + ".dir")
    names = {path.name for path in Path("mlruns", run.info.run_id, "artifacts").iterdir()}
    assert names == {"predictions.csv", "scores.json", "record.json", "runtime.json", "origin.json"}


def test_a_training_that_was_followed_is_completed_not_repeated(tracked, files, runs):
    record = files.experiment(tracked, repeats=(1,))[0]
    with tracking.follow(record, data_sha256=DATA, repeats=[1]) as live:
        for row in files.rows(1):
            live.log(row, row["epoch"])
    followed = identifiers(runs)
    assert tracking.publish(HERE).outcome == "completed"
    assert identifiers(runs) == followed
    assert [step for step, _ in history(followed["1"], "train_loss")] == [1, 2, 3]
    assert by_repeat(runs)["1"].data.metrics["accuracy"] == 0.6


def test_a_curve_with_a_gap_is_filled(tracked, files, runs):
    record = files.experiment(tracked, repeats=(1,))[0]
    with tracking.follow(record, data_sha256=DATA, repeats=[1]) as live:
        live.log(files.rows(1)[1], 2)
    tracking.publish(HERE)
    assert sorted(step for step, _ in history(identifiers(runs)["1"], "train_loss")) == [1, 2, 3]


def test_a_curve_that_says_otherwise_is_replaced(tracked, files, runs):
    record = files.experiment(tracked, repeats=(1,))[0]
    with tracking.follow(record, data_sha256=DATA, repeats=[1]) as live:
        live.log({"train_loss": 9.0}, 1)
    followed = identifiers(runs)
    tracking.publish(HERE)
    assert identifiers(runs)["1"] != followed["1"]
    assert history(identifiers(runs)["1"], "train_loss")[0] == (1, 0.5)


def test_an_equal_training_that_took_longer_stays_the_same_run(tracked, files, runs, points):
    files.experiment(tracked, seconds=12.0)
    tracking.publish(HERE)
    before = identifiers(runs), points()
    files.experiment(tracked, seconds=24.0)
    tracking.publish(HERE)
    assert (identifiers(runs), points()) == before


@pytest.mark.parametrize(("refresh", "accuracy"), [(True, 0.8), (False, 0.6)])
def test_other_scores_of_an_equal_training_replace_the_first_only_if_they_are_the_newest(
    tracked, files, runs, refresh, accuracy
):
    files.experiment(tracked, accuracy=0.5)
    tracking.publish(HERE, names=["first"])
    files.experiment(tracked, accuracy=0.7)
    tracking.publish(HERE, refresh=refresh)
    found = by_repeat(runs)
    assert found["1"].data.metrics["accuracy"] == pytest.approx(accuracy)
    assert found["1"].data.tags["mlflow.parentRunId"] == found[None].info.run_id
    assert found[None].data.tags["dvc.experiments"] == "first"


def test_a_parameter_spelt_out_that_is_the_recipes_own_makes_no_other_experiment(files):
    own = tiny.experiment()
    spelt = tiny.experiment(freeze=own.network.freeze, lr=own.train.lr)
    assert spelt.settings() == own.settings()
    assert key_of(files.record(1), DATA, [1, 2]) == key_of(files.record(2), DATA, [2, 1])


@pytest.mark.parametrize("other", [{"freeze": "1"}, {"lr": 0.002}])
def test_another_value_makes_another_experiment(files, other):
    assert key_of(files.record(1, **other), DATA, [1]) != key_of(files.record(1), DATA, [1])


def test_more_repeats_make_another_experiment(files):
    assert key_of(files.record(1), DATA, [1]) != key_of(files.record(1), DATA, [1, 2])


def test_each_name_that_dvc_gives_is_kept_once(tracked, files, runs):
    files.experiment(tracked)
    for names in (["one"], ["two"], ["one"]):
        tracking.publish(HERE, names=names)
    assert by_repeat(runs)[None].data.tags["dvc.experiments"] == "one,two"


def test_artifacts_are_in_the_clone_wherever_a_queue_run_is(tracked, files, runs, monkeypatch, tmp_path):
    elsewhere = tmp_path / "queue"
    files.experiment(elsewhere)
    monkeypatch.setenv("DVC_ROOT", str(tracked))
    monkeypatch.setenv("DVC_EXP_NAME", "gaunt-toga")
    monkeypatch.chdir(elsewhere)
    tracking.try_publish(HERE)
    parent = by_repeat(runs)[None]
    assert parent.data.tags["dvc.experiments"] == "gaunt-toga"
    assert (tracked / "mlruns" / parent.info.run_id / "artifacts/summary.json").exists()
    assert sorted(path.name for path in elsewhere.iterdir()) == ["dvc.lock", "metrics"]


def test_a_run_is_filled_by_two_batches_and_one_that_is_whole_by_none(tracked, files, runs, monkeypatch):
    from mlflow import MlflowClient

    asked, log_batch = [], MlflowClient.log_batch
    monkeypatch.setattr(MlflowClient, "log_batch", lambda *words, **content: asked.append(log_batch(*words, **content)))
    files.experiment(tracked)
    tracking.publish(HERE)
    assert len(asked) == 2 * len(runs()) == 6
    tracking.publish(HERE)
    assert len(asked) == 6


@pytest.mark.parametrize(("away", "asked"), [(2, 3), (9, 3)])
def test_a_report_asks_a_server_that_is_away_three_times_and_says_so_once(monkeypatch, capfd, tmp_path, away, asked):
    tries = []

    def publish(*words, **options):
        tries.append(words)
        if len(tries) <= away:
            raise failures.AwayError("http://host: does not answer")

    monkeypatch.setattr(publishing, "publish", publish)
    monkeypatch.setattr(background, "ASK_AGAIN_SECONDS", 0.0)
    tracking.try_publish(HERE)
    assert len(tries) == asked
    line = "mlflow: http://host: does not answer; the report is whole; `orbweaver sync` fills this in later\n"
    assert capfd.readouterr().err == line
    # A study's command reads it in the log of a cell.
    (tmp_path / "cell.log").write_text(line, encoding="utf-8")
    reason = "http://host: does not answer; `orbweaver sync` fills this in later"
    assert logs.not_sent(tmp_path / "cell.log") == reason


def test_a_report_does_not_promise_what_sync_cannot_do_before_its_store_is_moved_away(clone, files, capfd, tmp_path):
    files.experiment(clone)
    Path("mlflow.db").mkdir()
    tracking.try_publish(HERE)
    line = capfd.readouterr().err
    assert line.startswith(f"mlflow: {clone}/mlflow.db: is not a file; move it away, and `orbweaver sync` makes ")
    assert line.endswith("own; the report is whole\n")
    (tmp_path / "cell.log").write_text(line, encoding="utf-8")
    assert logs.not_sent(tmp_path / "cell.log").endswith("run of your own")


def test_a_run_that_another_made_at_the_same_moment_is_deleted_once_the_older_is_whole(tracked, files, runs):
    files.experiment(tracked)
    tracking.publish(HERE)
    whole = identifiers(runs)
    with store.opened() as opened:
        [key] = {run.data.tags[labels.KEY] for run in runs()}
        for tags in ({}, {labels.REPEAT: "1"}):
            store.make_run(opened, tags | {labels.KEY: key}, started=round(time.time() * 1000) + 10_000)
    assert tracking.publish(HERE).outcome == "unchanged"
    assert identifiers(runs) == whole


def test_what_the_user_has_noted_survives_a_replacement(tracked, files, runs):
    from mlflow import MlflowClient

    files.experiment(tracked, accuracy=0.5)
    tracking.publish(HERE)
    MlflowClient(tracking.uri()).set_tag(identifiers(runs)["1"], "mlflow.note.content", "odd")
    files.experiment(tracked, accuracy=0.7)
    tracking.publish(HERE)
    assert by_repeat(runs)["1"].data.tags["mlflow.note.content"] == "odd"


def test_an_experiments_run_has_the_curves_of_its_repeats_as_their_mean(tracked, files, runs):
    files.experiment(tracked)
    tracking.publish(HERE)
    wanted = [(step, pytest.approx((1 / (step + 1) + 1 / (step + 2)) / 2)) for step in (1, 2, 3)]
    assert history(identifiers(runs)[None], "train_loss") == wanted


def test_a_run_that_changes_nothing_is_named_by_its_recipe_and_described_by_their_answer(tracked, files, runs):
    files.experiment(tracked)
    tracking.publish(HERE)
    found = by_repeat(runs)
    assert found[None].data.tags["mlflow.runName"] == "quick"
    assert found["2"].data.tags["mlflow.runName"] == "quick · repeat 2"
    note = found[None].data.tags["mlflow.note.content"]
    assert note.startswith("Test accuracy **65.0 ± 7.1 (sd) %** over 2 repeats on synthetic, 6 test images each.")


def test_our_description_follows_the_scores_and_the_users_own_stays(tracked, files, runs):
    from mlflow import MlflowClient

    files.experiment(tracked, accuracy=0.5)
    tracking.publish(HERE)
    files.experiment(tracked, accuracy=0.7)
    tracking.publish(HERE)
    assert "**85.0" in by_repeat(runs)[None].data.tags["mlflow.note.content"]
    MlflowClient(tracking.uri()).set_tag(identifiers(runs)[None], "mlflow.note.content", "mine")
    for accuracy in (0.5, 0.6):
        files.experiment(tracked, accuracy=accuracy)
        tracking.publish(HERE)
        assert by_repeat(runs)[None].data.tags["mlflow.note.content"] == "mine"


def test_a_run_that_the_user_deleted_comes_back(tracked, files, runs):
    from mlflow import MlflowClient

    files.experiment(tracked)
    tracking.publish(HERE)
    MlflowClient(tracking.uri()).delete_run(identifiers(runs)[None])
    tracking.publish(HERE)
    found = by_repeat(runs)
    assert found["1"].data.tags["mlflow.parentRunId"] == found[None].info.run_id


@pytest.mark.parametrize("refresh", [True, False])
def test_files_that_were_removed_are_sent_again_under_the_same_runs(tracked, files, runs, points, refresh):
    files.experiment(tracked)
    tracking.publish(HERE)
    before, folder = (identifiers(runs), points()), Path("mlruns")
    names = sorted(file for file in folder.rglob("*") if file.is_file())
    shutil.rmtree(folder)
    assert tracking.publish(HERE, refresh=refresh).outcome == "completed"
    assert sorted(file for file in folder.rglob("*") if file.is_file()) == names
    shutil.rmtree(folder / identifiers(runs)["2"])
    assert tracking.publish(HERE, refresh=refresh).outcome == "completed"
    assert (identifiers(runs), points()) == before
    assert tracking.publish(HERE, refresh=refresh).outcome == "unchanged"


def test_a_missing_file_is_named(clone, files):
    files.experiment(clone)
    Path("metrics/evaluate/2/scores.json").unlink()
    with pytest.raises(tracking.IncompleteError, match=r"metrics/evaluate/2/scores\.json: No such file"):
        tracking.publish(HERE)


def test_a_missing_artifact_is_named(tracked, files):
    files.experiment(tracked)
    Path("metrics/evaluate/2/predictions.csv").unlink()
    with pytest.raises(tracking.IncompleteError, match=r"metrics/evaluate/2/predictions\.csv: No such file"):
        tracking.publish(HERE)


def test_a_summary_of_other_repeats_is_refused(clone, files):
    files.experiment(clone, repeats=(1, 2))
    summary = Path("metrics/summary.json").read_text(encoding="utf-8")
    files.experiment(clone, repeats=(1, 2), accuracy=0.3)
    Path("metrics/summary.json").write_text(summary, encoding="utf-8")
    with pytest.raises(
        tracking.IncompleteError, match=r"not the summary of the repeats beside it; `dvc repro` makes it again$"
    ):
        tracking.publish(HERE)


def edited(path, change):
    """Change a file of JSON in place."""
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize(
    "change",
    [
        lambda summary: summary["accuracy"].update(mean=0.98),
        lambda summary: summary["macro_f1"].update(sd=0.0),
        lambda summary: summary["train_seconds"].update(mean=1),
        lambda summary: summary.update(top5_accuracy={"mean": 1.0, "n": 2}),
        lambda summary: summary.pop("balanced_accuracy"),
        lambda summary: summary.update(accuracy=3),
        lambda summary: summary["repeats"].update({"1": {"accuracy": "x"}}),
        lambda summary: summary["repeats"].update({"1": []}),
        lambda summary: summary["accuracy"].update(n=10**400),
    ],
    ids=["mean", "sd", "speed", "added", "removed", "number", "text", "list", "huge"],
)
def test_a_summary_that_was_edited_is_refused(clone, files, change):
    files.experiment(clone)
    edited(Path("metrics/summary.json"), change)
    with pytest.raises(
        tracking.IncompleteError, match=r"^metrics/summary\.json: not the summary of the repeats beside"
    ):
        tracking.read(HERE)


def test_a_summary_may_differ_in_the_last_digits_which_another_machine_computes(clone, files):
    files.experiment(clone)
    edited(Path("metrics/summary.json"), lambda summary: summary["accuracy"].update(mean=0.65 + 1e-9))
    assert tracking.read(HERE).summary["accuracy"]["mean"] == 0.65 + 1e-9


@pytest.mark.parametrize(
    "text", ["[]", "null", '"repeats"', '{"repeats": {}}', '{"repeats": 3}', '{"repeats": {"x": 1}}']
)
def test_a_summary_that_names_no_repeats_is_refused(clone, files, text):
    files.experiment(clone)
    Path("metrics/summary.json").write_text(text, encoding="utf-8")
    with pytest.raises(tracking.IncompleteError, match=r"^not files of this version: "):
        tracking.read(HERE)


def test_repeats_of_two_experiments_are_refused(clone, files):
    files.experiment(clone, repeats=(2,), freeze="1")
    record = Path("metrics/train/2/record.json").read_bytes()
    files.experiment(clone, repeats=(1, 2))
    Path("metrics/train/2/record.json").write_bytes(record)
    digests.seal(Path("metrics/train/2"))
    with pytest.raises(tracking.IncompleteError, match="not the summary of the repeats beside it"):
        tracking.publish(HERE)


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"code": "d" * 64}, "code"), ({"threads": 7, "device": "cuda"}, "threads, device")],
    ids=["code", "machine"],
)
def test_repeats_that_dvc_takes_for_alike_and_are_not_are_named_with_what_trains_them_alike(
    clone, files, changes, words
):
    other = files.experiment(clone)[1].model_copy(update=changes | {"key": "another"})
    other.write(paths.training_metrics(2) / "record.json")
    digests.seal(paths.training_metrics(2))
    way_out = "`dvc repro --force --single-item train`, then `dvc repro`, trains all alike"
    with pytest.raises(
        tracking.IncompleteError, match=rf"^record\.json: repeats 1 and 2 differ in {words}; {way_out}$"
    ):
        tracking.read(HERE)


def test_files_of_another_version_are_refused(clone, files):
    files.experiment(clone)
    Path("metrics/summary.json").write_text("{}", encoding="utf-8")
    with pytest.raises(tracking.IncompleteError, match=r"not files of this version: KeyError\('repeats'\)"):
        tracking.publish(HERE)


@pytest.mark.parametrize("name", ["train/2/record.json", "runtime/2.json", "evaluate/2/scores.json"])
def test_files_of_an_older_format_are_refused_with_the_way_out(clone, files, name):
    files.experiment(clone)
    file = Path("metrics") / name
    old = json.loads(file.read_text(encoding="utf-8"))
    del old["format"]
    file.write_text(json.dumps(old), encoding="utf-8")
    paths.digests(file).unlink()
    message = rf"^metrics/{name}: has no format, but this version reads format 4; `dvc repro` makes it again$"
    with pytest.raises(tracking.IncompleteError, match=message):
        tracking.publish(HERE)


def test_a_network_that_was_trained_anew_and_not_tested_is_not_published(tracked, files, runs):
    files.experiment(tracked)
    lock = yaml.safe_load(Path("dvc.lock").read_text(encoding="utf-8"))
    path = "models/trained/2"
    lock["stages"]["train@2"] = {"outs": [{"path": path, "md5": "new"}]}
    lock["stages"]["evaluate@2"] = {"deps": [{"path": path, "md5": "old"}]}
    Path("dvc.lock").write_text(yaml.safe_dump(lock), encoding="utf-8")
    with pytest.raises(tracking.IncompleteError, match=r"^models/trained/2: trained anew but not tested yet"):
        tracking.publish(HERE)
    assert runs() == []
    lock["stages"]["evaluate@2"]["deps"][0]["md5"] = "new"
    Path("dvc.lock").write_text(yaml.safe_dump(lock), encoding="utf-8")
    assert tracking.publish(HERE).outcome == "added"


def test_a_stage_is_not_stopped_by_a_server_that_is_not_there(clone, files, monkeypatch, capfd):
    files.experiment(clone)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setattr(publishing, "PUBLISH_SECONDS", 20.0)
    started = time.monotonic()
    tracking.try_publish(HERE)
    assert time.monotonic() - started < 30
    [line] = capfd.readouterr().err.splitlines()
    assert line.endswith("; the report is whole; `orbweaver sync` fills this in later")


def test_a_network_that_diverged_is_shown(tracked, files, runs):
    files.experiment(tracked, repeats=(1,))
    curves = Path("metrics/train/1/history.csv")
    curves.write_text("epoch,train_loss,val_loss\n1,nan,\n2,inf,\n", encoding="utf-8")
    digests.seal(curves.parent)
    tracking.publish(HERE)
    assert tracking.publish(HERE).outcome == "unchanged"
    assert [step for step, _ in history(identifiers(runs)["1"], "train_loss")] == [1, 2]
    assert "val_loss" not in by_repeat(runs)["1"].data.metrics


def test_names_and_tags_tell_experiments_of_one_recipe_apart(tracked, files, runs):
    files.experiment(tracked)
    file = Path("metrics/runtime/1.json")
    content = json.loads(file.read_text(encoding="utf-8"))
    content["naming"] = {"data": "clothing10", "changes": {"data": "folder", "head": "mlp1024", "budget": 10}}
    file.write_text(json.dumps(content), encoding="utf-8")
    digests.seal(file)
    tracking.publish(HERE)
    found = by_repeat(runs)
    assert found[None].info.run_name == "quick data=clothing10 head=mlp1024 budget=10"
    assert found["1"].info.run_name == "quick data=clothing10 head=mlp1024 budget=10 · repeat 1"
    expected = {"data": "clothing10", "changes": "data=clothing10 head=mlp1024 budget=10", "head": "linear"}
    assert found[None].data.tags.items() >= (expected | {"budget": "5 epochs", "recipe": "quick"}).items()
    assert found["1"].inputs.dataset_inputs[0].dataset.name == "clothing10"


def test_class_names_that_mlflow_refuses_are_readable_and_none_takes_the_place_of_another():
    from mlflow.utils.validation import _validate_metric_name

    names = metric_names.of_classes(
        ["l'épeire", "l?épeire", "owl (♀)", "Ram C/V", "हिन्दी", "🕷", "..", "a" * 300, "a" * 301]
    )
    assert list(names.values())[:6] == ["l_épeire", "l_épeire 2", "owl female", "Ram C/V", "हनद", "spider"]
    metrics = [metric_names.valid(f"precision/{name}") for name in names.values()]
    assert len(set(metrics)) == len(names)
    for metric in metrics:
        _validate_metric_name(metric)
