"""Source, train and evaluate on a small drawn set with a narrow network, in this process."""

import contextlib
import csv
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from PIL import Image
from sklearn.metrics import accuracy_score

from pipeline import tracking
from pipeline.assembly import trained as trained_networks
from pipeline.assembly import training
from pipeline.bank import probing
from pipeline.core import digests, paths, provenance, seeding
from pipeline.core.errors import InputError
from pipeline.core.naming import Naming
from pipeline.core.precision import set_float32
from pipeline.core.recipe import Recipe, Tracking
from pipeline.core.records import ModelRecord, PartSizes, Record, Runtime, WeightsRecord
from pipeline.core.scores_record import Scores
from pipeline.datasets.prepared import manifest
from pipeline.datasets.prepared.packed import Packed
from pipeline.evaluation import scores
from pipeline.networks.backbones import resnet
from pipeline.stages import evaluate, preprocess, source, split, train
from pipeline.tracking.results import key_of
from pipeline.training import checkpoints, kept_state, loop

pytestmark = pytest.mark.usefixtures("project")
Logged = list[tuple[dict[str, float], int]]


FULL_SIZE = resnet.RESNET18


def trained() -> dict[str, torch.Tensor]:
    return checkpoints.read(paths.trained(1) / "weights.safetensors")


def record() -> Record:
    file = paths.training_metrics(1) / "record.json"
    return Record.parse(file.read_bytes(), file)


def runtime() -> Runtime:
    return Runtime.parse(paths.runtime_file(1).read_bytes(), paths.runtime_file(1))


def scored() -> Scores:
    file = paths.evaluation(1) / "scores.json"
    return Scores.parse(file.read_bytes(), file)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


STAYS = {
    "1": ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4"),
    "2": (),
    "3a": ("conv1", "bn1", "layer1"),
    "3b": ("conv1", "bn1", "layer1", "layer2"),
    "3c": ("conv1", "bn1", "layer1", "layer2", "layer3"),
}


@pytest.mark.parametrize("strategy", sorted(STAYS))
def test_after_training_exactly_the_planned_tensors_have_changed_buffers_included(strategy: str) -> None:
    tiny.write_params(freeze=strategy)
    train.main(["1"])
    before, after = checkpoints.read(paths.SOURCE_WEIGHTS), trained()
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert same == {name for name in before if name.startswith(STAYS[strategy])}
    assert {name for name in after if name not in before} == {"fc.weight", "fc.bias"}


def test_scratch_uses_no_pretrained_value_and_says_so() -> None:
    before = checkpoints.read(paths.SOURCE_WEIGHTS)
    tiny.write_params(freeze="scratch")
    source.main()
    train.main(["1"])
    after = trained()
    far = (before["conv1.weight"] - after["conv1.weight"]).norm() / before["conv1.weight"].norm()
    assert far > 0.5
    assert record().weights == WeightsRecord(origin="none", license="", file_sha256="", sha256="")


def test_the_same_training_twice_gives_the_same_bytes_of_everything_but_the_run_time() -> None:
    contents = []
    for _ in range(2):
        train.main(["1"])
        files = [*paths.trained(1).iterdir(), *paths.training_metrics(1).iterdir()]
        contents.append({file.as_posix(): file.read_bytes() for file in files})
    assert contents[0] == contents[1]
    assert len(contents[0]) == 7


def test_no_result_follows_from_memory_that_nothing_was_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what torch's deterministic mode fills new memory with, and `make_exact` leaves out, nothing differs."""
    train.main(["1"])
    before = trained()
    exact = seeding.make_exact

    def filled(**asked: Any) -> int:
        used = exact(**asked)
        monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
        return used

    monkeypatch.setattr(seeding, "make_exact", filled)
    train.main(["1"])
    assert torch.utils.deterministic.fill_uninitialized_memory
    after = trained()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("stage", [train, evaluate])
def test_every_stage_that_computes_says_what_float32_is_on_cuda(
    stage: ModuleType, float32: Callable[[], dict[str, str]]
) -> None:
    train.main(["1"])
    set_float32("tf32")
    stage.main(["1"])
    assert set(float32().values()) == {"ieee"}


def test_the_record_holds_what_the_result_follows_from_and_no_time_or_place() -> None:
    train.main(["1"])
    found = record()
    assert found.parts == PartSizes(train=36, val=0, test=18)
    assert found.parameters.trainable > found.parameters.frozen > 0
    assert found.recipe == Recipe.read().settings()
    assert found.recipe.network.freeze == "3b"
    assert found.weights.sha256 == digests.sha256(paths.SOURCE_WEIGHTS)
    assert len(found.code) == 64
    assert found.threads == 1
    assert str(Path.cwd()) not in found.dumped()
    measured = runtime()
    assert measured.data_sha256 == Packed.open(paths.PACKED).sha256
    assert measured.train_seconds > 0
    assert measured.images_per_second > 0
    assert len(measured.epoch_seconds) == 1
    assert measured.versions["torch"] == torch.__version__.partition("+")[0]


def test_a_training_is_recorded_with_the_working_tree_in_which_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    run = training.run
    state = {"commit": "a" * 40, "changes": "the first"}

    def edited(*arguments: Any, **options: Any) -> Any:
        state.update(commit="b" * 40, changes="the second")
        return run(*arguments, **options)

    monkeypatch.setattr(provenance, "commit", lambda: (state["commit"], True))
    monkeypatch.setattr(provenance, "changes", lambda: state["changes"])
    monkeypatch.setattr(training, "run", edited)
    train.main(["1"])
    assert (runtime().git_commit, runtime().git_changes) == ("a" * 40, "the first")


def editable() -> Path:
    """A source file of the project that a test may change, by a `pipeline` that is a copy and no link."""
    link = Path("pipeline")
    original = link.resolve()
    link.unlink()
    shutil.copytree(original, link, ignore=shutil.ignore_patterns("__pycache__"))
    return link / "evaluation/explanations.py"


@pytest.mark.parametrize("file", ["pipeline/core/scores_record.py", "pipeline/core/new.py", "data/recipe.yaml"])
def test_code_and_settings_that_are_edited_during_a_training_are_not_recorded_as_those_that_trained(
    file: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    editable()
    monkeypatch.setattr(kept_state, "SHORT_SECONDS", 0.0)
    run, before = training.run, Path(file).read_bytes() if Path(file).exists() else None

    def edited(*arguments: Any, **options: Any) -> Any:
        result = run(*arguments, **options)
        Path(file).write_bytes((before or b"") + b"# Another line.\n")
        return result

    with monkeypatch.context() as patch:
        patch.setattr(training, "run", edited)
        with pytest.raises(
            InputError, match=rf"^{file}: edited while `train` ran; undo the edit, and the same command"
        ):
            train.main(["1"])
    assert not paths.trained(1).exists()
    Path(file).unlink() if before is None else Path(file).write_bytes(before)
    train.main(["1"])
    assert "goes on from the checkpoint" in capsys.readouterr().out


def test_code_that_is_edited_during_a_test_is_not_recorded_as_that_which_tested(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = editable()
    train.main(["1"])

    def edited(*_: object) -> probing.Probed:
        file.unlink()
        return probing.Probed("a test that does without", None, np.empty(0, int))

    monkeypatch.setattr(probing, "probed", edited)
    with pytest.raises(InputError, match=rf"^{file}: edited while `evaluate` ran; the same command tests again$"):
        evaluate.main(["1"])
    assert not paths.evaluation(1).exists()


def test_what_the_stages_write_is_read_and_written_again_with_the_same_bytes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tiny.write_params({"data.augmentation": "flip"}, attention="se", regularizer="spa_gca", budget=2)
    train.main(["1"])
    evaluate.main(["1"])
    assert re.search(r"^evaluate: repeat 1: [\d.]+ % of \d+ test images are right$", capsys.readouterr().out, re.M)
    places = (paths.training_metrics(1) / "record.json", paths.runtime_file(1), paths.evaluation(1) / "scores.json")
    for found, file in zip((record(), runtime(), scored()), places, strict=True):
        assert found.dumped() == file.read_text(encoding="utf-8")
    model = paths.trained(1) / "model.json"
    assert ModelRecord.parse(model.read_bytes(), model).dumped() == model.read_text(encoding="utf-8")


def test_the_time_of_a_training_has_no_wait_for_mlflow_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextlib.contextmanager
    def slow(
        record: Record, *, data_sha256: str, repeats: tuple[int, ...], naming: Naming, shown: Tracking
    ) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(log=lambda row, step: None)
        time.sleep(60)

    slept: list[float] = []
    monkeypatch.setattr(tracking, "follow", slow)
    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", slept.append)
        ticks = iter(range(1000))
        patch.setattr(time, "perf_counter", lambda: 100 * len(slept) + next(ticks) / 1000)
        train.main(["1"])
    assert slept == [60]
    assert runtime().train_seconds < 100


def test_auto_and_the_same_value_spelt_out_have_one_key_and_another_value_another() -> None:
    keys = []
    for strategy in ("auto", "3b", "3c"):
        tiny.write_params(freeze=strategy)
        train.main(["1"])
        keys.append(record().key)
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize("change", ["code", "weights", "threads"])
def test_other_code_weights_or_threads_have_another_key(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    train.main(["1"])
    before = record().key
    if change == "code":
        monkeypatch.setattr(provenance, "code_hash", lambda: "0" * 64)
    elif change == "threads":
        monkeypatch.setattr(seeding, "make_exact", lambda **_: 2)
    else:
        told = json.loads(paths.SOURCE_RECORD.read_text(encoding="utf-8"))
        told["weights"]["sha256"] = "0" * 64
        paths.SOURCE_RECORD.write_text(json.dumps(told), encoding="utf-8")
        digests.seal(paths.SOURCE)
    train.main(["1"])
    assert record().key != before


def test_curves_are_written_and_followed_epoch_by_epoch(unfollowed: Logged) -> None:
    tiny.write_params({"data.split.val": 0.2})
    split.main(["1"])
    train.main(["1"])
    rows = table(paths.training_metrics(1) / "history.csv")
    assert list(rows[0]) == ["epoch", "iteration", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy"]
    assert [step for _, step in unfollowed] == [1]
    assert float(rows[0]["val_loss"]) == pytest.approx(unfollowed[0][0]["val_loss"])


def test_training_leaves_a_sheet_of_images_as_it_varied_them() -> None:
    tiny.write_params({"data.augmentation": "flip"})
    train.main(["1"])
    with Image.open(paths.training_metrics(1) / paths.AUGMENTED) as sheet:
        assert sheet.format == "PNG"


def test_the_labels_of_test_images_do_not_reach_training() -> None:
    train.main(["1"])
    before = (paths.trained(1) / "weights.safetensors").read_bytes()
    index = paths.PACKED / paths.PACKED_INDEX
    test = {row.path for row in manifest.read(paths.split_file(1), manifest.Assigned) if row.part == "test"}
    rows = manifest.read(index, manifest.Indexed)
    labels = sorted({row.label for row in rows})
    other = {label: labels[(place + 1) % len(labels)] for place, label in enumerate(labels)}
    changed = [row._replace(label=other[row.label]) if row.path in test else row for row in rows]
    manifest.write(index, manifest.Indexed, changed)
    digests.seal(paths.PACKED)
    train.main(["1"])
    assert (paths.trained(1) / "weights.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("precision", "error"),
    [
        ("fp32", torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")),
        ("bf16", torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")),
        ("fp32", torch.AcceleratorError("CUDA error: out of memory")),
    ],
)
def test_a_gpu_without_room_is_told_with_what_takes_it(
    precision: str, error: RuntimeError, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_arguments: Any) -> None:
        raise error

    monkeypatch.setattr(loop, "_forward", no_room)
    tiny.write_params({"train.batch_size": 6, "train.precision": precision, "train.feature_cache_mb": 64})
    with pytest.raises(InputError) as caught:
        train.main(["--repeat", "1"])
    told, halved = str(caught.value), "-S defaults.train.precision=bf16, or "
    start = f"batch_size: the GPU has no room for a step of 6 images of {tiny.SIDE} x {tiny.SIDE} in {precision}; "
    assert told.startswith(f"{start}take -S batch_size=3, or ")
    assert (halved in told) == (precision == "fp32")
    assert told.endswith("-S defaults.train.feature_cache_mb=0 (now 64), or a smaller image_size")
    assert not paths.trained(1).exists()


@pytest.mark.parametrize("allocate", [lambda: torch.empty(2**50), lambda: np.empty(2**50)], ids=["torch", "numpy"])
def test_main_memory_without_room_is_told_with_what_takes_it(
    allocate: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_forward", lambda *_arguments: allocate())
    tiny.write_params({"train.batch_size": 1})
    with pytest.raises(InputError, match=r"^batch_size: main memory has no room for a step of 1 images") as caught:
        train.main(["1"])
    assert "; take a machine with more memory, or -S" in str(caught.value)
    assert "GPU" not in str(caught.value)


def test_a_mistake_of_the_program_keeps_its_error_and_its_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(*_arguments: Any) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied") from KeyError("head")

    monkeypatch.setattr(loop, "_forward", mistaken)
    with pytest.raises(RuntimeError, match="mat1 and mat2") as caught:
        train.main(["1"])
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_loss_that_is_not_finite_names_epoch_step_and_files_and_leaves_nothing() -> None:
    train.main(["1"])
    for folder in (paths.trained(1), paths.training_metrics(1)):
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    factors = dict.fromkeys(("backbone", "attention", "head"), 1e6)
    tiny.write_params({"train.lr": 1e3, "train.lr_factors": factors}, freeze="2")
    with pytest.raises(InputError) as caught:
        train.main(["1"])
    assert str(caught.value).startswith("the loss is not finite in epoch 1, step 2; a smaller lr often helps")
    assert ".png" in str(caught.value)
    assert not paths.trained(1).exists()


@pytest.mark.parametrize("given", [[], ["one"], ["1", "2"], ["-1"]])
def test_a_repeat_is_named_by_one_number(given: list[str]) -> None:
    for stage in (train, evaluate):
        with pytest.raises(InputError, match="is not the number of a repeat"):
            stage.main(given)


def test_evaluation_scores_the_trained_network_on_exactly_the_test_part() -> None:
    train.main(["1"])
    evaluate.main(["1"])
    predictions = table(paths.evaluation(1) / "predictions.csv")
    test = [row for row in manifest.read(paths.split_file(1), manifest.Assigned) if row.part == "test"]
    assert [(row["path"], row["actual"]) for row in predictions] == [(row.path, row.label) for row in test]
    found = scored()
    expected = accuracy_score([row["actual"] for row in predictions], [row["predicted"] for row in predictions])
    assert found.accuracy == expected
    assert found.test_images == len(test) == 18
    assert sum(int(row["correct"]) for row in predictions) / 18 == expected


def test_logits_are_those_of_the_network_that_was_saved() -> None:
    train.main(["1"])
    evaluate.main(["1"])
    data = Packed.open(paths.PACKED)
    first = table(paths.evaluation(1) / "predictions.csv")[0]["path"]
    pixels = torch.from_numpy(np.array(data.images[data.paths.index(first)]))[None].float() / 255
    pixels = (pixels - torch.tensor(data.mean).view(1, 3, 1, 1)) / torch.tensor(data.std).view(1, 3, 1, 1)
    with torch.no_grad():
        expected = trained_networks.load(1).eval()(pixels)[0]
    logits = np.load(paths.evaluation(1) / "logits.npy")
    assert logits.shape == (18, 9)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits[0], expected, rtol=1e-4, atol=1e-4)


def test_trained_weights_fit_torchvisions_own_network(monkeypatch: pytest.MonkeyPatch) -> None:
    import torchvision

    monkeypatch.setattr(resnet, "RESNET18", FULL_SIZE)
    tiny.write_params(freeze="2", weights="none")
    source.main()
    train.main(["1"])
    torchvision.models.resnet18(num_classes=9).load_state_dict(trained())


PHASES = {
    "network.freeze": "phases",
    "train.budget": {"unit": "epochs", "amount": 2},
    "train.phases": [
        {"freeze": "1", "amount": 1, "lr": 1e-3},
        {"freeze": "layer4.1", "amount": 1, "lr": 1e-4},
    ],
}


def test_phases_train_what_each_says_and_the_curves_run_through() -> None:
    tiny.write_params(PHASES)
    train.main(["1"])
    start, end = checkpoints.read(paths.SOURCE_WEIGHTS), trained()
    changed = {name for name in start if not torch.equal(start[name], end[name])}
    assert changed == {name for name in start if name.startswith("layer4.1.")}
    history = table(paths.training_metrics(1) / "history.csv")
    assert [float(row["epoch"]) for row in history] == [1, 2]
    assert [float(row["lr"]) for row in history] == pytest.approx([1e-3, 1e-4])
    phases = record().phases
    assert [phase.freeze for phase in phases] == ["1", "layer4.1"]
    assert phases[0].trainable == tiny.WIDTHS[-1] * 9 + 9
    assert record().parameters.trainable == phases[1].trainable


def test_batch_norms_keep_their_statistics_where_that_is_asked() -> None:
    tiny.write_params({"train.freeze_bn_stats": True}, freeze="2")
    train.main(["1"])
    start, end = checkpoints.read(paths.SOURCE_WEIGHTS), trained()
    assert all(torch.equal(start[name], end[name]) for name in start if "running" in name)
    assert not torch.equal(start["bn1.weight"], end["bn1.weight"])


def test_a_layer_that_is_not_there_is_told_before_training_starts() -> None:
    phases = [{"freeze": "features.12", "amount": 1, "lr": 1e-3}]
    tiny.write_params({"network.freeze": "phases", "train.phases": phases})
    with pytest.raises(InputError, match=r"freeze: 'features\.12' is neither a strategy"):
        train.main(["1"])


def test_a_last_batch_of_one_image_whose_map_is_one_position_is_told() -> None:
    images = len(train.read_parts(Packed.open(paths.PACKED), repeat=1)["train"])
    tiny.write_params({"data.crop_size": 32, "train.batch_size": images - 1}, freeze="2")
    with pytest.raises(InputError, match=rf"batch_size: {images - 1} leaves a last batch of one image"):
        train.main(["1"])


@pytest.mark.parametrize("attention", ["se", "cbam", "ecsm", "hierarchical"])
def test_a_network_with_attention_is_trained_saved_and_tested(attention: str) -> None:
    tiny.write_params(freeze="1", attention=attention)
    train.main(["1"])
    start, end = checkpoints.read(paths.SOURCE_WEIGHTS), trained()
    assert all(torch.equal(start[name], end[name]) for name in start)
    assert any("attention" in name for name in end)
    evaluate.main(["1"])
    assert (paths.evaluation(1) / "scores.json").exists()
    network = trained_networks.load(1)
    assert all(torch.equal(value, network.model.state_dict()[name]) for name, value in end.items())


def test_the_cost_of_attention_is_recorded_beside_that_of_the_network_without() -> None:
    tiny.write_params(freeze="1", attention="se")
    train.main(["1"])
    flops = record().flops
    assert flops.without_attention is not None
    assert flops.network - flops.without_attention == sum(2 * 2 * c * (c // 16) for c in tiny.WIDTHS)
    speed = runtime().inference_images_per_second
    assert set(speed) == {"network", "without_attention"}
    assert min(speed.values()) > 0
    tiny.write_params(freeze="1")
    train.main(["1"])
    assert record().flops.without_attention is None
    assert runtime().inference_images_per_second == {}


def test_crop_and_input_size_reach_training_and_testing() -> None:
    data = {"data.crop_size": 40, "data.input_size": 64, "data.augmentation": "animals"}
    tiny.write_params(data, freeze="3c")
    train.main(["1"])
    model = json.loads((paths.trained(1) / "model.json").read_text(encoding="utf-8"))
    assert model["sizes"] == {"image": 48, "crop": 40, "input": 64}
    evaluate.main(["1"])
    packed = Packed.open(paths.PACKED)
    first = table(paths.evaluation(1) / "predictions.csv")[0]["path"]
    pixels = torch.from_numpy(np.array(packed.images[packed.paths.index(first)]))[None, :, 4:44, 4:44].float()
    pixels = torch.nn.functional.interpolate(pixels, size=64, mode="bilinear", antialias=True) / 255
    pixels = (pixels - torch.tensor(packed.mean).view(1, 3, 1, 1)) / torch.tensor(packed.std).view(1, 3, 1, 1)
    with torch.no_grad():
        expected = trained_networks.load(1).eval()(pixels)[0]
    np.testing.assert_allclose(np.load(paths.evaluation(1) / "logits.npy")[0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sampler", "weighted"),
        ("class_weights", "balanced"),
        ("lr_factors", {"backbone": 0.1, "attention": 1.0, "head": 1.0}),
        pytest.param("layer_decay", 0.5, marks=pytest.mark.slow),
        pytest.param("label_smoothing", 0.1, marks=pytest.mark.slow),
        pytest.param("mixup", 0.2, marks=pytest.mark.slow),
        pytest.param("cutmix", 1.0, marks=pytest.mark.slow),
        pytest.param("weight_ema", 0.5, marks=pytest.mark.slow),
    ],
)
def test_no_option_of_the_loop_is_ignored(key: str, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train.read_parts

    def unbalanced(data: Packed, *, repeat: int) -> dict[str, torch.Tensor]:
        """All but two training images of the first class are left out."""
        parts = whole(data, repeat=repeat)
        first = [row for row in parts["train"].tolist() if data.labels[row] == 0]
        kept = [row for row in parts["train"].tolist() if row not in first[2:]]
        return parts | {"train": torch.tensor(kept)}

    monkeypatch.setattr(train, "read_parts", unbalanced)
    weights = []
    for changes in ({}, {f"train.{key}": value}):
        tiny.write_params(changes, freeze="3c")
        train.main(["1"])
        weights.append(trained())
    assert any(not torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def relabel(part: str) -> None:
    """Give each image of a part the label of the next one of that part, as if they had been collected so."""
    rows = manifest.read(paths.split_file(1), manifest.Assigned)
    chosen = [row for row in rows if row.part == part]
    label = {row.path: other.label for row, other in zip(chosen, [*chosen[1:], chosen[0]], strict=True)}
    for file, kind in ((paths.split_file(1), manifest.Assigned), (paths.MANIFEST, manifest.Row)):
        found = manifest.read(file, kind)
        manifest.write(file, kind, [row._replace(label=label.get(row.path, row.label)) for row in found])
    digests.seal(paths.split_file(1))
    digests.seal(paths.COLLECTED)
    preprocess.main()


def training_outputs() -> dict[str, bytes]:
    """The content of all that training leaves, but the run time."""
    train.main(["1"])
    files = [*paths.trained(1).iterdir(), *paths.training_metrics(1).iterdir()]
    return {file.as_posix(): file.read_bytes() for file in files}


@pytest.mark.parametrize(("part", "same"), [("test", True), ("train", False)])
def test_other_labels_of_test_images_leave_all_that_training_makes_as_it_is(part: str, same: bool) -> None:
    """What names the data set as a whole, test labels too, is beside the run time: MLflow keeps both runs."""
    before, named = training_outputs(), key_of(record(), runtime().data_sha256, [1])
    relabel(part)
    assert (training_outputs() == before) == same
    assert key_of(record(), runtime().data_sha256, [1]) != named


def test_the_labels_of_validation_images_reach_the_curves_and_no_weight() -> None:
    tiny.write_params({"data.split.val": 0.2})
    split.main(["1"])
    weights, losses = [], []
    for _ in range(2):
        train.main(["1"])
        weights.append((paths.trained(1) / "weights.safetensors").read_bytes())
        losses += [row["val_loss"] for row in table(paths.training_metrics(1) / "history.csv")]
        relabel("val")
    assert weights[0] == weights[1]
    assert losses[0] != losses[1]


def test_early_stop_leaves_the_network_of_the_epoch_with_the_least_validation_loss() -> None:
    changes = {"data.split.val": 0.2, "train.lr": 0.02, "train.schedule": "constant"}
    tiny.write_params(changes | {"train.early_stop": 1}, freeze="2", budget=8)
    split.main(["1"])
    train.main(["1"])
    losses = [float(row["val_loss"]) for row in table(paths.training_metrics(1) / "history.csv")]
    epochs = losses.index(min(losses)) + 1
    assert epochs + 1 == len(losses) < 8
    left = (paths.trained(1) / "weights.safetensors").read_bytes()
    tiny.write_params(changes, freeze="2", budget=epochs)
    train.main(["1"])
    assert (paths.trained(1) / "weights.safetensors").read_bytes() == left


def test_early_stop_is_refused_where_there_is_no_validation_part_before_anything_trains() -> None:
    tiny.write_params({"data.split.val": 0.2, "train.early_stop": 3})
    with pytest.raises(
        InputError, match=r"^train.early_stop: 3 needs a validation part, but there is none; set data.split"
    ):
        train.main(["1"])
    assert not paths.trained(1).exists()


def test_all_scores_come_back_from_the_saved_logits_without_a_network() -> None:
    train.main(["1"])
    evaluate.main(["1"])
    place = {name: number for number, name in enumerate(record().data.classes)}
    with (paths.evaluation(1) / "predictions.csv").open(encoding="utf-8", newline="") as stream:
        actual = np.array([place[row["actual"]] for row in csv.DictReader(stream)])
    again = scores.scores(actual, np.load(paths.evaluation(1) / "logits.npy"), list(place))
    assert Scores.model_validate(again) == scored()
