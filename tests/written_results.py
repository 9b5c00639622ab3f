"""What stages leave, written without training anything: of one repeat, and of three for the report."""

import csv
import json
from pathlib import Path

import numpy as np
import tiny

from pipeline import config, tracking
from pipeline.core import records
from pipeline.core.recipe import Recipe
from pipeline.core.seeding import digest

CLASSES = ["<script>", 'L\'épeire "d$iadème$"', "Plator", "Trichonephila clavata"]
# Actual and predicted class of the four test images in each repeat: 3, 2 and 4 of them are right.
TESTED = {1: [0, 1, 2, 2], 2: [0, 0, 2, 2], 3: [0, 1, 2, 3]}
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
    fields = ["part", "bytes", "sha256", "width", "height", "mode", "note"]
    rows = [(*row, "", 10, "0" * 64, 8, 8, "RGB", "") for row in names]
    write_csv(Path("data/collected/manifest.csv"), ["path", "label", *fields], rows)
    bad = [(f"bad/{n}.jpg", "truncated <JPEG>") for n in range(25)]
    write_csv(Path("data/collected/rejected.csv"), ["path", "reason"], bad)
    write_csv(Path("data/collected/groups.csv"), ["path", "group", "kind", "of"], [])
    dataset = {
        "on_leak": "refuse",
        "leaks": 0,
        "set": "folder",
        "title": "Spiders & co",
        "classes": CLASSES,
        "images": 8,
        "rejected": 25,
    }
    write_json(Path("data/collected/dataset.json"), dataset | {"has_parts": False, "published": None})
    write_csv(Path("data/packed/index.csv"), ["path", "label"], names)
    np.save("data/packed/images.npy", np.arange(8 * 3 * 8 * 8).reshape(8, 3, 8, 8).astype(np.uint8))


ONE_PHASE = ({"freeze": "3b", "amount": 2, "lr": 0.001, "regularizer": "none", "trainable": 1234, "frozen": 5678},)


def settings_of(name, changes=None, **axes):
    """What a record holds of a recipe, resolved as `tiny.recipe` has it."""
    return config.resolve(config.check(tiny.recipe(name, changes, **axes))).recipe.settings()


def record_of(repeat, recipe, *, data_set="folder", classes=CLASSES, **changes):
    """What a training follows from, as it is before it is divided between its two files."""
    content = {
        "recipe": recipe,
        "device": "cpu",
        "threads": 2,
        "data": {"set": data_set, "classes": list(classes), "images": 8, "sha256": "cd" * 32},
        "weights": {"origin": "drawn source domain", "sha256": "ef" * 32},
        "code": "12" * 32,
    }
    counted = {
        "phases": ONE_PHASE,
        "parameters": {"trainable": 1234, "frozen": 5678},
        "stages": {"stem": {"trainable": 0, "frozen": 5678}, "head": {"trainable": 1234, "frozen": 0}},
        "flops": {"network": 297_000_000},
        "parts": {"train": 4, "val": 0, "test": 4},
    }
    named = {"key": digest(content), "recipe_name": "quick", "repeat": repeat, "seed": repeat}
    return named | content | counted | changes


def runtime_of(record, **changes):
    """All that may differ between two equal trainings."""
    return {
        "train_seconds": 10.0,
        "cache_seconds": 1.5,
        "epoch_seconds": [1.0, 1.0],
        "images_per_second": 50.0,
        "inference_images_per_second": {},
        "device_name": "A <CPU>",
        "threads": 2,
        "versions": {"python": "3.11.7", "torch": "2.15.0"},
        "git_commit": "0123456789abcdef",
        "git_dirty": False,
        "started": STARTED,
        records.DATA: record["data"]["sha256"],
    } | changes


def write_trained(record, history, runtime, *, root=Path()):
    """A repeat's record, curves and run time; gives the folder of its metrics."""
    folder = root / f"metrics/train/{record['repeat']}"
    write_csv(folder / "history.csv", list(history[0]), [row.values() for row in history])
    write_json(folder / "record.json", records.of_training(record))
    write_json(root / f"metrics/runtime/{record['repeat']}.json", runtime)
    return folder


def write_training(repeat, *, dirty=False, phases=ONE_PHASE, speeds=()):
    columns = ("epoch", "iteration", "lr", "train_loss", "train_accuracy")
    history = [dict(zip(columns, row, strict=True)) for row in [(1, 1, 0.1, repeat, 0.5), (2, 2, 0.1, 0.5, 1)]]
    flops = {"network": 297_000_000} | ({"without_attention": 296_000_000} if speeds else {})
    record = record_of(repeat, Recipe.read().settings(), key="ab" * 32, phases=phases, flops=flops)
    measured = {"train_seconds": 10.0 * repeat, "inference_images_per_second": dict(speeds), "git_dirty": dirty}
    folder = write_trained(record, history, runtime_of(record, **measured))
    lie = {"edges": [0.0, 1.0, 2.0], "start": [0.5, 0.5], "trained": [0.25, 0.75], "random": [1.0, 0.0]}
    write_json(folder / "values.json", {"conv1.weight": lie, "bn1.weight": lie})


def write_evaluation(repeat, predicted):
    folder = Path(f"metrics/evaluate/{repeat}")
    confusion = [[int(predicted[actual] == guess) for guess in range(4)] for actual in range(4)]
    right = [int(actual == guess) for actual, guess in enumerate(predicted)]
    scored = {
        name: {"precision": 0.5, "recall": hit, "f1": 0.5, "support": 1}
        for name, hit in zip(CLASSES, right, strict=True)
    }
    scores = {"accuracy": sum(right) / 4, "macro_f1": 0.5, "balanced_accuracy": sum(right) / 4}
    scores |= {"top5_accuracy": 1.0, "nll": 0.1 * repeat, "calibration_error": 0.01 * repeat}
    write_json(folder / "scores.json", scores | {"test_images": 4, "classes": scored, "confusion": confusion})
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
    patch.setattr(tracking, "try_publish", lambda files: None)
    write_all()
    report.main()
    return root / "metrics/report/index.html"
