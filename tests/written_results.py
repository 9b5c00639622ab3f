"""What stages leave, written without training anything: of one repeat, and of three for the report."""

import csv
import json
from pathlib import Path

import numpy as np
import tiny

from pipeline import config, tracking
from pipeline.core import digests
from pipeline.core.recipe import Recipe
from pipeline.core.records import Record, Runtime
from pipeline.core.scores_record import Scores
from pipeline.core.seeding import digest
from pipeline.datasets.prepared.manifest import Pair

CLASSES = ["<script>", 'L\'épeire "d$iadème$"', "Plator", "Trichonephila clavata"]
# Actual and predicted class of the four test images in each repeat: 3, 2 and 4 of them are right.
TESTED = {1: [0, 1, 2, 2], 2: [0, 0, 2, 2], 3: [0, 1, 2, 3]}
# The hash of the data set.
DATA = "cd" * 32
STARTED = "2026-11-21T03:00:00+00:00"


def write_json(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")


def write_csv(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([header, *rows])


def write_params(repeats, changes=None):
    tiny.write(tiny.recipe("quick", changes, repeats=repeats))


def write_data():
    names = [(f"{number}/{image}.png", name) for number, name in enumerate(CLASSES) for image in range(2)]
    fields = ["part", "bytes", "sha256", "width", "height", "mode", "note", "group"]
    rows = [(*row, "", 10, "0" * 64, 8, 8, "RGB", "", "") for row in names]
    write_csv(Path("data/collected/manifest.csv"), ["path", "label", *fields], rows)
    bad = [(f"bad/{n}.jpg", "truncated <JPEG>") for n in range(25)]
    write_csv(Path("data/collected/rejected.csv"), ["path", "reason"], bad)
    write_csv(Path("data/copies/pairs.csv"), Pair._fields, [])
    write_json(Path("data/copies/search.json"), {"images": 8, "hashed": 0, "aligned": 0})
    dataset = {
        "own": True,
        "set": "folder",
        "title": "Spiders & co",
        "classes": CLASSES,
        "images": 8,
        "rejected": 25,
    }
    write_json(Path("data/collected/dataset.json"), dataset | {"has_parts": False, "published": None})
    write_csv(Path("data/packed/index.csv"), ["path", "label"], names)
    np.save("data/packed/images.npy", np.arange(8 * 3 * 8 * 8).reshape(8, 3, 8, 8).astype(np.uint8))
    for folder in ("data/collected", "data/copies", "data/packed"):
        digests.seal(Path(folder))


ONE_PHASE = ({"freeze": "3b", "amount": 2, "lr": 0.001, "regularizer": "none", "trainable": 1234, "frozen": 5678},)


def settings_of(name, changes=None, **axes):
    """What a record holds of a recipe, resolved as `tiny.recipe` has it."""
    return config.resolve(config.check(tiny.recipe(name, changes, **axes))).recipe.settings()


def changed(settings, changes):
    """Settings with values in place of some, by dotted names, checked no more than a record's are."""
    plain = settings.model_dump(mode="json")
    for key, value in changes.items():
        *above, last = key.split(".")
        section = plain
        for name in above:
            section = section[name]
        section[last] = value
    return type(settings).model_validate(plain)


def record_of(repeat, recipe, *, data_set="folder", classes=CLASSES, **changes):
    """What a training follows from."""
    content = {
        "recipe": recipe.model_dump(mode="json"),
        "device": "cpu",
        "device_model": "",
        "cpu_instructions": "avx512",
        "precision": "fp32",
        "threads": 2,
        "data": {"set": data_set, "classes": list(classes), "images": 8},
        "weights": {"origin": "package weights 1.0", "license": "Apache-2.0", "file_sha256": "", "sha256": "ef" * 32},
        "code": "12" * 32,
    }
    counted = {
        "phases": ONE_PHASE,
        "parameters": {"trainable": 1234, "frozen": 5678, "regularizer": 0},
        "stages": {"stem": {"trainable": 0, "frozen": 5678}, "head": {"trainable": 1234, "frozen": 0}},
        "flops": {"network": 297_000_000},
        "parts": {"train": 4, "val": 0, "test": 4},
    }
    named = {"key": digest(content), "recipe_name": "quick", "repeat": repeat, "seed": repeat}
    return Record.model_validate(named | content | counted | changes)


def runtime_of(**changes):
    """All that may differ between two equal trainings."""
    values = {
        "train_seconds": 10.0,
        "cache_seconds": 1.5,
        "epoch_seconds": [1.0, 1.0],
        "images_per_second": 50.0,
        "inference_images_per_second": {},
        "device_name": "A <CPU>",
        "threads": 2,
        "cpu_instructions": "avx512",
        "versions": {"python": "3.11.7", "torch": "2.15.0"},
        "git_commit": "0123456789abcdef",
        "git_dirty": False,
        "git_changes": "",
        "naming": {},
        "started": STARTED,
        "data_sha256": DATA,
    }
    return Runtime.model_validate(values | changes)


def scores_of(confusion=((1, 1), (1, 1)), names=("a", "b"), **changes):
    """Scores of a test part with this confusion; the recalls are its own."""
    matrix = np.array(confusion)
    rows = zip(np.diag(matrix) / np.maximum(matrix.sum(1), 1), matrix.sum(1).tolist(), strict=True)
    each = [{"precision": 0.5, "recall": hit, "f1": 0.5, "support": support} for hit, support in rows]
    accuracy = float(matrix.trace() / max(matrix.sum(), 1))
    values = {"accuracy": accuracy, "macro_f1": 0.5, "balanced_accuracy": 0.75, "test_images": int(matrix.sum())}
    values |= {"classes": dict(zip(names, each, strict=True)), "confusion": matrix.tolist(), "reliability": []}
    return Scores.model_validate(values | changes)


def write_trained(record, history, runtime, *, root=Path()):
    """A repeat's record, curves and run time; gives the folder of its metrics."""
    folder = root / f"metrics/train/{record.repeat}"
    write_csv(folder / "history.csv", list(history[0]), [row.values() for row in history])
    record.write(folder / "record.json")
    file = root / f"metrics/runtime/{record.repeat}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    runtime.write(file)
    digests.seal(file)
    digests.seal(folder)
    return folder


def write_training(repeat, *, changed="", phases=ONE_PHASE, speeds=()):
    """A repeat's training; `changed` is a file that differed from the commit."""
    columns = ("epoch", "iteration", "lr", "train_loss", "train_accuracy")
    history = [dict(zip(columns, row, strict=True)) for row in [(1, 1, 0.1, repeat, 0.5), (2, 2, 0.1, 0.5, 1)]]
    flops = {"network": 297_000_000} | ({"without_attention": 296_000_000} if speeds else {})
    record = record_of(repeat, Recipe.read().settings(), key="ab" * 32, phases=phases, flops=flops)
    measured = {"train_seconds": 10.0 * repeat, "inference_images_per_second": dict(speeds)}
    measured |= {"git_dirty": bool(changed), "git_changes": changed and f"diff --git a/{changed} b/{changed}\n"}
    folder = write_trained(record, history, runtime_of(**measured))
    lie = {"edges": [0.0, 1.0, 2.0], "start": [0.5, 0.5], "trained": [0.25, 0.75], "random": [1.0, 0.0]}
    write_json(folder / "values.json", {"conv1.weight": lie, "bn1.weight": lie})
    digests.seal(folder)


def write_evaluation(repeat, predicted):
    folder = Path(f"metrics/evaluate/{repeat}")
    confusion = [[int(predicted[actual] == guess) for guess in range(4)] for actual in range(4)]
    right = sum(actual == guess for actual, guess in enumerate(predicted)) / 4
    others = {"top5_accuracy": 1.0, "nll": 0.1 * repeat, "calibration_error": 0.01 * repeat}
    folder.mkdir(parents=True, exist_ok=True)
    scores_of(confusion, CLASSES, balanced_accuracy=right, **others).write(folder / "scores.json")
    rows = [
        (f"{actual}/0.png", CLASSES[actual], CLASSES[guess], 0.9, int(actual == guess))
        for actual, guess in enumerate(predicted)
    ]
    fields = ["path", "actual", "predicted", "confidence", "correct"]
    write_csv(folder / "predictions.csv", fields, rows)
    write_pictures(folder, [dict(zip(fields, row, strict=True)) for row in rows])


def write_pictures(folder, images):
    """Maps of all test images, as of a network with ECSM attention and the head `conv1x1`."""
    layers = {"last": "attention.block4", "finer": "layer3.1"}
    described = {"images": images, "layers": layers, "attention": "attention.block4", "features": [0]}
    write_json(folder / "pictures.json", described)
    maps = np.arange(len(images) * 4, dtype=np.uint8).reshape(len(images), 2, 2) * 15
    names = ("grad_cam", "grad_cam_actual", "layer_cam", "class_maps", "attention.spatial.position")
    arrays = dict.fromkeys(names, maps) | {"attention.eca.channel": np.eye(len(images), 6, dtype=np.float32)}
    arrays |= {f"features.{stage}": np.ones((1, 4, 4, 4), dtype=np.uint8) for stage in ("stem", "block1")}
    np.savez_compressed(folder / "pictures.npz", **arrays)
    digests.seal(folder)


def write_all():
    write_params([1, 2, 3])
    write_data()
    for repeat, predicted in TESTED.items():
        write_training(repeat)
        write_evaluation(repeat, predicted)


def report_of(root, patch):
    """Write everything below `root`, make it the place to be, and give the page of the report on it."""
    from pipeline.stages import report

    patch.chdir(root)
    patch.setattr(tracking, "try_publish", lambda files, **_: None)
    write_all()
    report.main()
    return root / "metrics/report/index.html"
