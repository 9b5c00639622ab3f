"""A training that is cut ends as one that was not, in this process; `tests/faults` kills real ones."""

import errno
import hashlib
import io
import json
import os
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO
from unittest.mock import Mock

import pytest
import simulated_gpu
import tiny
import torch
import yaml

from pipeline.assembly import trained
from pipeline.core import digests, paths
from pipeline.core.errors import InputError
from pipeline.core.stopping import STOPPED, StoppedError, StopRequest
from pipeline.stages import evaluate, split, train
from pipeline.training import kept_state
from pipeline.training.kept_state import KeptState

pytestmark = pytest.mark.usefixtures("project")
TWO_EPOCHS = {"train.budget": {"unit": "epochs", "amount": 2}}
# 36 images: four steps an epoch.
SMALL_BATCHES = {"train.batch_size": 10}
PHASES = [{"freeze": 1, "amount": 1, "lr": 1.0e-3}, {"freeze": "layer3.0", "amount": 1, "lr": 1.0e-4}]
LORA_PHASES = [{"freeze": 1, "amount": 1, "lr": 1.0e-3}, {"freeze": "lora", "amount": 1, "lr": 1.0e-2}]
TRANSFORMER = {"backbone": "vit_b_16", "weights": "none"}
CASES: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "cached features": ({}, {"freeze": "3b"}),
    "everything": ({"train.optimizer": "sgd", "train.schedule": "step"}, {"freeze": "2"}),
    "augmentation and weighted sampling": (
        {"data.augmentation": "flip", "train.sampler": "weighted", "train.class_weights": "balanced"},
        {"freeze": "3c"},
    ),
    "dropout and a validation part": ({"data.split.val": 0.2}, {"head": "mlp1024", "freeze": "1"}),
    "phases": ({"train.phases": PHASES}, {"freeze": "phases"}),
    "a solved head": ({"train.class_weights": "balanced"}, {"freeze": "lp_ft"}),
    "mixed images and an average": (
        {"train.mixup": 0.2, "train.cutmix": 1.0, "train.weight_ema": 0.8, "train.label_smoothing": 0.1},
        {"freeze": "3b"},
    ),
    "early stop of an average": (
        {"data.split.val": 0.2, "train.early_stop": 1, "train.weight_ema": 0.5, "train.layer_decay": 0.5},
        {"freeze": "2", "budget": 4},
    ),
    "an average by phase": ({"train.phases": PHASES, "train.weight_ema": 0.5}, {"freeze": "phases"}),
    "biases": ({"train.weight_ema": 0.5, "train.layer_decay": 0.5}, {"freeze": "bitfit"} | TRANSFORMER),
    "low-rank updates": ({"data.augmentation": "flip"}, {"freeze": "lora"} | TRANSFORMER),
    "an average of low-rank updates, by phase": (
        {"train.phases": LORA_PHASES, "train.weight_ema": 0.5},
        {"freeze": "phases"} | TRANSFORMER,
    ),
    "temporal memory": ({}, {"attention": "hierarchical", "freeze": "3b"}),
    "afa": ({}, {"regularizer": "afa", "freeze": "2"}),
    "spa_gca": ({"data.augmentation": "flip"}, {"regularizer": "spa_gca", "freeze": "3b"}),
    "delta": ({}, {"regularizer": "delta", "freeze": "2"}),
    "iterations": ({"train.budget": {"unit": "iterations", "amount": 5}}, {"regularizer": "l2_sp", "freeze": "2"}),
}


# What a GPU does beside the steps of tests/training/test_steps_on_a_gpu.py.
ON_A_GPU = ("dropout and a validation part", "a solved head", "an average by phase", "delta", "low-rank updates")


def write(case: str, device: str = "cpu") -> None:
    changes, axes = CASES[case]
    options = tiny.small()["options"]
    options["attention"]["hierarchical"]["temporal_memory"] = True
    options["regularizer"]["delta"]["batches"] = 1
    # Of the head that DELTA measures the channels with, whose every step is a stop too.
    options["regularizer"]["l2_fe"]["budget"]["amount"] = 2
    tiny.write_params(TWO_EPOCHS | SMALL_BATCHES | changes, options=options, **{"device": device} | axes)
    if "data.split.val" in changes:
        split.main(["1"])


def outputs() -> dict[str, str]:
    """Return the digests of all that a training leaves, but for its times."""
    folders = (paths.trained(1), paths.training_metrics(1))
    files = sorted(file for folder in folders for file in folder.rglob("*") if file.is_file())
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def epochs_timed() -> int:
    """Return of how many epochs the record of the run has the time."""
    return len(json.loads(paths.runtime_file(1).read_text(encoding="utf-8"))["epoch_seconds"])


def unfinished() -> list[Path]:
    """The checkpoints of trainings whose result is not written."""
    return [place for place in paths.CHECKPOINTS.glob("*") if not (place / kept_state.MARK).exists()]


def train_until_asked(monkeypatch: pytest.MonkeyPatch, *numbers: signal.Signals, steps: int) -> None:
    """Train, and have the process asked to stop after so many steps, once by each signal."""
    offer, done = KeptState.offer, 0

    def stopping(self: KeptState, *arguments: Any) -> None:
        nonlocal done
        done += 1
        if done == steps:
            for number in numbers or (signal.SIGTERM,):
                os.kill(os.getpid(), number)
        offer(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(KeptState, "offer", stopping)
        train.main(["1"])


def trained_in_pieces(monkeypatch: pytest.MonkeyPatch, *, steps: int) -> int:
    """Train, asked to stop after so many steps again and again; return how often."""
    for count in range(200):
        try:
            train_until_asked(monkeypatch, steps=steps)
        except StoppedError:
            continue
        return count
    raise AssertionError("it does not end")


def check(case: str, monkeypatch: pytest.MonkeyPatch, *, steps: int) -> None:
    write(case)
    train.main(["1"])
    undisturbed, epochs = outputs(), epochs_timed()
    for folder in (paths.trained(1), paths.training_metrics(1), paths.CHANNELS):
        shutil.rmtree(folder, ignore_errors=True)
    assert trained_in_pieces(monkeypatch, steps=steps) >= 2
    assert outputs() == undisturbed
    assert epochs_timed() == epochs
    assert not unfinished()


@pytest.mark.parametrize("case", ["dropout and a validation part", "phases", "spa_gca"])
def test_a_training_that_is_stopped_now_and_then_ends_with_the_same_bytes(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(case, monkeypatch, steps=3)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_training_that_is_stopped_after_every_step_ends_with_the_same_bytes(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A validation that is stopped is begun anew, so that one step more is needed to come beyond it.
    check(case, monkeypatch, steps=2 if "data.split.val" in CASES[case][0] else 1)


@pytest.mark.slow
@pytest.mark.parametrize("case", ON_A_GPU)
def test_a_training_on_a_gpu_goes_on_after_a_stop_and_ends_as_on_the_cpu(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(case)
    train.main(["1"])
    values = trained.load(1).state_dict()
    with simulated_gpu.simulated_gpu():
        write(case, device="cuda")
        assert trained_in_pieces(monkeypatch, steps=3) >= 2
    record = json.loads((paths.training_metrics(1) / "record.json").read_text(encoding="utf-8"))
    assert (record["device"], record["device_model"]) == ("cuda", simulated_gpu.NAME)
    for name, value in trained.load(1).state_dict().items():
        assert torch.equal(value, values[name]), name


def stopped_once(monkeypatch: pytest.MonkeyPatch, *numbers: signal.Signals) -> list[Path]:
    """Train two steps of four; return the files of the checkpoint."""
    numbers = numbers or (signal.SIGUSR1,)
    line = rf"^stopped by {numbers[0].name} in epoch 1, after step 2 of 4; the same command goes on from here$"
    with pytest.raises(StoppedError, match=line) as stopped:
        train_until_asked(monkeypatch, *numbers, steps=2)
    assert stopped.value.status == STOPPED
    return sorted(paths.CHECKPOINTS.rglob("*.pt"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_while_results_are_written_ends_the_command_after_them(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """With status 0 DVC would go on with the next stage; a scheduler ends that one by itself."""
    write("everything")
    saved = train.trained.save

    def asked(*words: Any) -> None:
        os.kill(os.getpid(), number)
        saved(*words)

    monkeypatch.setattr(train.trained, "save", asked)
    if number == signal.SIGINT:
        with pytest.raises(StoppedError, match="stopped by SIGINT after its last step; the same command") as stopped:
            train.main(["1"])
        assert stopped.value.status == 130
    else:
        train.main(["1"])
    assert paths.runtime_file(1).exists()
    assert not unfinished()


def test_a_training_that_has_a_schedulers_signal_twice_keeps_its_state_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write("everything")
    # SLURM's, then ours to the group of processes, then that of the stage whose DVC has ended.
    assert len(stopped_once(monkeypatch, signal.SIGTERM, signal.SIGINT, signal.SIGTERM)) == 1
    train.main(["1"])
    assert ", in epoch 1, after step 2 of 4\n" in capsys.readouterr().out


def test_a_damaged_checkpoint_is_named_and_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write("everything")
    [file] = stopped_once(monkeypatch)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    train.main(["1"])
    told = capsys.readouterr().out
    assert f"{file} is damaged, its content is not what its name says; left out" in told
    assert "goes on" not in told
    assert paths.trained(1).exists()


def test_two_that_train_the_same_at_once_leave_a_checkpoint_that_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stop = StopRequest()
    stop.note("SIGTERM")
    one, other = (KeptState(tmp_path / "kept", minutes=0, stop=stop, name="train") for _ in range(2))

    def keep(keeper: KeptState, step: int) -> None:
        with pytest.raises(StoppedError):
            keeper.offer(lambda: {"step": step}, lambda: "here")

    save, waiting = torch.save, [2]

    def slow(content: object, stream: BinaryIO) -> None:
        whole = io.BytesIO()
        save(content, whole)
        stream.write(whole.getvalue()[:100])
        stream.flush()
        if waiting:
            keep(other, waiting.pop())
        stream.write(whole.getvalue()[100:])

    monkeypatch.setattr(torch, "save", slow)
    keep(one, 1)
    assert one.load() == {"step": 1}
    assert "damaged" not in capsys.readouterr().out
    assert len(list((tmp_path / "kept").iterdir())) == 1


def kept_once(folder: Path, step: int) -> KeptState:
    """A keeper that has written a state and was stopped."""
    stop = StopRequest()
    stop.note("SIGTERM")
    keeper = KeptState(folder, minutes=0, stop=stop, name="train")
    with pytest.raises(StoppedError):
        keeper.offer(lambda: {"step": step}, lambda: "here")
    return keeper


def test_a_checkpoint_that_another_process_replaces_while_it_is_read_gives_the_later_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keeper = kept_once(tmp_path / "kept", 1)
    [earlier] = (tmp_path / "kept").iterdir()
    whole = digests.sha256

    def replaced(file: Path) -> str:
        if file == earlier and earlier.exists():
            earlier.unlink()
            kept_once(tmp_path / "kept", 2)
        return whole(file)

    monkeypatch.setattr(digests, "sha256", replaced)
    assert keeper.load() == {"step": 2}
    assert "damaged" not in capsys.readouterr().out


def test_a_checkpoint_that_cannot_be_read_now_is_named_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keeper = kept_once(tmp_path / "kept", 1)
    [file] = (tmp_path / "kept").iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(digests, "sha256", Mock(side_effect=OSError(errno.ESTALE, "Stale file handle")))
        assert keeper.load() is None
    assert f"{file} cannot be read: Stale file handle; left out" in capsys.readouterr().out
    assert keeper.load() == {"step": 1}


@pytest.mark.parametrize("changes", [{"train.lr": 2e-3}, {"train.batch_size": 9}], ids=["rate", "batch"])
def test_another_experiment_never_goes_on_from_it(
    changes: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write("everything")
    [file] = stopped_once(monkeypatch)
    tiny.write_params(TWO_EPOCHS | SMALL_BATCHES | CASES["everything"][0] | changes, freeze="2")
    train.main(["1"])
    assert "goes on" not in capsys.readouterr().out
    # It waits for its own experiment.
    assert file.exists()


def test_where_it_goes_on_is_said_and_curves_in_mlflow_have_every_epoch_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], unfollowed: list[tuple[Any, int]]
) -> None:
    write("everything")
    with pytest.raises(StoppedError):
        train_until_asked(monkeypatch, steps=5)
    assert [step for _, step in unfollowed] == [1]
    unfollowed.clear()
    capsys.readouterr()
    train.main(["1"])
    # The run of the process that is gone is replaced.
    assert [step for _, step in unfollowed] == [1, 2]
    assert ", in epoch 2, after step 1 of 4\n" in capsys.readouterr().out


def test_a_checkpoint_is_written_now_and_then_while_nothing_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    write("everything")
    written: list[str] = []
    monkeypatch.setattr(kept_state, "LEAST_SHARE", 0)
    monkeypatch.setattr(KeptState, "_write", lambda _self, _state, where: written.append(where))
    values = yaml.safe_load(paths.RECIPE.read_text(encoding="utf-8"))
    paths.RECIPE.write_text(yaml.dump(values | {"checkpoint_every": 1e-9}), encoding="utf-8")
    train.main(["1"])
    assert written[:2] == ["in epoch 1, after step 1 of 4", "in epoch 1, after step 2 of 4"]
    written.clear()
    paths.RECIPE.write_text(yaml.dump(values | {"checkpoint_every": 0}), encoding="utf-8")
    train.main(["1"])
    assert written == []


def test_the_next_checkpoint_removes_what_a_kill_left_half_written_and_not_what_another_process_writes(
    tmp_path: Path,
) -> None:
    left, written = tmp_path / f".{'a' * 32}.partial", tmp_path / f".{'b' * 32}.partial"
    for file in (left, written):
        file.touch()
    os.utime(left, (time.time() - 7200, time.time() - 7200))
    stop = StopRequest()
    stop.reason = "SIGTERM"
    keeper = KeptState(tmp_path, minutes=0, stop=stop, name="train")
    with pytest.raises(StoppedError, match="the same command goes on from here"):
        keeper.offer(lambda: {}, lambda: "in epoch 1")
    assert [file.name for file in sorted(tmp_path.iterdir()) if file.suffix == ".partial"] == [written.name]


@pytest.mark.parametrize("case", ["phases", "afa"])
def test_a_training_that_is_stopped_before_the_first_step_of_a_phase_goes_on_from_the_end_of_the_one_before(
    case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(case)
    train.main(["1"])
    undisturbed = outputs()
    for folder in (paths.trained(1), paths.training_metrics(1)):
        shutil.rmtree(folder)
    monkeypatch.setattr(kept_state, "SHORT_SECONDS", 0.0)
    finished = KeptState.finished

    def stopping(self: KeptState, *arguments: Any) -> None:
        finished(self, *arguments)
        os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(KeptState, "finished", stopping)
        patch.setattr(KeptState, "offer", lambda *_arguments: None)
        with pytest.raises(StoppedError, match="between two checkpoints; the same command goes on from the last"):
            train.main(["1"])
    capsys.readouterr()
    train.main(["1"])
    assert "at the end of phase 1\n" in capsys.readouterr().out
    assert outputs() == undisturbed
    assert not unfinished()


def test_where_the_result_cannot_be_written_the_next_run_does_not_train_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write("everything")
    monkeypatch.setattr(kept_state, "SHORT_SECONDS", 0.0)

    def full(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device", "models/trained/1")

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.assembly.trained.save", full)
        with pytest.raises(OSError, match="No space left"):
            train.main(["1"])
    capsys.readouterr()
    train.main(["1"])
    told = capsys.readouterr().out
    assert ", at its end" in told
    assert "epoch" not in told
    assert len((paths.training_metrics(1) / "history.csv").read_text(encoding="utf-8").splitlines()) == 3


def test_a_training_that_dvc_could_not_record_is_not_trained_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write("everything")
    monkeypatch.setattr(kept_state, "SHORT_SECONDS", 0.0)
    train.main(["1"])
    undisturbed = outputs()
    # DVC deletes them before it runs the stage again.
    for folder in (paths.trained(1), paths.training_metrics(1)):
        shutil.rmtree(folder)
    capsys.readouterr()
    train.main(["1"])
    told = capsys.readouterr().out
    assert ", at its end" in told
    assert "epoch" not in told
    assert outputs() == undisturbed
    evaluate.main(["1"])
    assert not list(paths.CHECKPOINTS.iterdir())


def test_what_another_training_has_kept_stays_where_one_is_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    write("everything")
    monkeypatch.setattr(kept_state, "SHORT_SECONDS", 0.0)
    train.main(["1"])
    other = paths.CHECKPOINTS / "other"
    other.mkdir()
    (other / kept_state.MARK).write_text("of another network", encoding="utf-8")
    evaluate.main(["1"])
    assert list(paths.CHECKPOINTS.iterdir()) == [other]


def test_a_training_that_is_asked_to_stop_while_it_writes_its_results_ends_as_any_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write("everything")
    save = trained.save

    def stopping(*arguments: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        save(*arguments)

    monkeypatch.setattr(trained, "save", stopping)
    train.main(["1"])
    assert paths.runtime_file(1).exists()
    assert not unfinished()


def test_a_full_disk_is_named_before_the_first_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    write("everything")
    monkeypatch.setattr(shutil, "disk_usage", lambda _place: SimpleNamespace(free=2**20))
    with pytest.raises(InputError, match=r"^models/trained: 17\.\d MB needed, 1\.0 MB free on its disk; make"):
        train.main(["1"])


def test_a_checkpoint_that_another_process_takes_away_meanwhile_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    for name in ("1.pt", "2.pt"):
        (folder / name).touch()
    for place in (folder / "1.pt", folder / "2.pt", folder):
        os.utime(place, (0, 0))
    plain = Path.stat

    def taken(file: Path, **options: Any) -> os.stat_result:
        there = plain(file, **options)
        if file.name == "1.pt":
            file.unlink()
            # Its folder is as old as it was.
            os.utime(folder, (0, 0))
        return there

    monkeypatch.setattr(Path, "stat", taken)
    kept_state.remove_old(tmp_path)
    assert not folder.exists()


def test_a_checkpoint_of_which_nothing_was_heard_for_a_month_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    write("everything")
    # Days, and whether its result is written.
    kept = {"old": (31.0, False), "young": (29.0, False), "finished": (1.1, True), "just finished": (0.9, True)}
    for name, (days, finished) in kept.items():
        folder = paths.CHECKPOINTS / name
        folder.mkdir(parents=True)
        files = [folder / "1.pt", *([folder / kept_state.MARK] if finished else [])]
        for place in (*files, folder):
            place.touch()
            os.utime(place, (time.time() - 24 * 3600 * days,) * 2)
        # Writing a file touches its folder.
        os.utime(folder, (time.time() - 24 * 3600 * days,) * 2)
    train.main(["1"])
    assert {folder.name for folder in paths.CHECKPOINTS.iterdir()} == {"young", "just finished"}
