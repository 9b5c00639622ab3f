"""Asks an extended copy of the project, in one process, all that test_extending.py looks at.

Run in the copy's root: `python tests/extended.py FILE` writes the answers as JSON.
"""

import csv
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from PIL import Image

from pipeline import config
from pipeline.commands import orbweaver
from pipeline.core import paths
from pipeline.core.choices import row
from pipeline.core.errors import InputError
from pipeline.evaluation.scores import SCORES

Answers = dict[str, Any]
OPTIONS = {
    "options.attention.context": "attention=context",
    "options.regularizer.direction": "regularizer=direction",
    "options.optimizer.rmsprop": "defaults.train.optimizer=rmsprop",
}
BACKBONES = ("resnext50_32x4d", "mobilenet_v3_large")
# What a short training has in place of the recipe's values.
SHORT = {"data.image_size": tiny.SIDE, "train.budget.amount": 1}
# Images of each of the 37 classes: two to train on, one to test.
TRAINING = 2


def refusal(call: Callable[[], object]) -> str:
    """Return what is said of what is refused."""
    try:
        call()
    except InputError as error:
        return str(error)
    raise AssertionError("nothing is refused")


def changed(key: str, value: Any = None) -> Answers:
    """Return the values of params.yaml with another one, or without it where that is None."""
    values = tiny.shipped()
    *above, last = key.split(".")
    place = values
    for part in above:
        place = place[part]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return values


def unknown() -> dict[str, str]:
    """Return what is said of a choice that is not known."""
    settings = ("backbone", "attention", "regularizer", "defaults.train.optimizer", "data", "recipe")
    told = {key: refusal(lambda key=key: config.check(changed(key, "mine"))) for key in settings}  # type: ignore[misc]
    return told | {"metric": refusal(lambda: row(SCORES, "mine", key="metric"))}


def described(*overrides: str) -> Any:
    """Return what `orbweaver describe` says of these overrides, or the line that it ends with."""
    words = [word for override in overrides for word in ("-S", override)]
    done = CliRunner().invoke(orbweaver, ["describe", "--json", *words])
    if isinstance(done.exception, InputError):
        return str(done.exception)
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout)


def answers() -> Answers:
    """Return all of them; the last changes params.yaml."""
    context = "options.attention.context"
    return {
        "unknown": unknown(),
        "missing": {key: refusal(lambda key=key: config.check(changed(key))) for key in OPTIONS},  # type: ignore[misc]
        "options": {key: described(choice)["settings"] for key, choice in OPTIONS.items()},
        "context": described("backbone=mobilenet_v3_large", "weights=imagenet", "attention=context", "freeze=3b"),
        "residual_block": {
            backbone: described(
                f"backbone={backbone}",
                "weights=imagenet",
                "attention=se",
                "options.attention.se.position=residual_block",
            )
            for backbone in BACKBONES
        },
        "last_stage": described("attention=context", f"{context}.position=last_stage", f"{context}.gate_init=identity"),
        "refused": described("attention=context", f"{context}.gate_init=half"),
        "recipe": described("recipe=pets"),
        "per_data": described("recipe=pets", "data=spiders"),
        "chain": chain(),
    }


def draw_pets(folder: Path) -> Path:
    """Write a small copy of the set, unpacked, and return its absolute place."""
    (folder / "images").mkdir(parents=True)
    (folder / "annotations").mkdir()
    random, lists = np.random.default_rng(0), {"trainval.txt": [], "test.txt": []}  # type: ignore[var-annotated]
    for kind in range(37):
        for number in range(TRAINING + 1):
            name = f"a_kind_{kind:02}_{number + 1}"
            pixels = random.integers(0, 256, (tiny.SIDE, tiny.SIDE, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"images/{name}.jpg")
            lists["test.txt" if number == TRAINING else "trainval.txt"].append(f"{name} {kind + 1} 1 1\n")
    for name, lines in lists.items():
        (folder / "annotations" / name).write_text("".join(lines), encoding="utf-8")
    return folder.resolve()


def chain() -> Answers:
    """Return what a short training of the new recipe leaves, random values in place of pre-trained ones."""
    from pipeline.assembly import run_record
    from pipeline.training import optim

    made: list[str] = []
    make = optim.make_optimizer

    def noted(*words: Any, **options: Any) -> Any:
        optimizer = make(*words, **options)
        made.append(type(optimizer).__name__)
        return optimizer

    # For good: this process is the test's own.
    patch = pytest.MonkeyPatch()
    patch.setattr(optim, "make_optimizer", noted)
    patch.setattr(run_record, "MEASURED_SECONDS", 0.01)
    tiny.draw_no_charts(patch)
    archive = str(draw_pets(Path("pets")))
    tiny.write(tiny.recipe("pets", SHORT, **tiny.small(), archive=archive, weights="none", freeze="2"))
    tiny.chain()
    trained, tested = paths.training_metrics(1), paths.evaluation(1)
    dataset = read_json(paths.DATASET)
    predictions = read_table(tested / "predictions.csv")
    return {
        "record": read_json(trained / "record.json"),
        "curves": (trained / "history.csv").read_text(encoding="utf-8").partition("\n")[0],
        "optimizer": made[-1],
        "dataset": dataset,
        "parts": Counter(image["part"] for image in read_table(paths.MANIFEST)),
        "scores": read_json(tested / "scores.json"),
        "actual": [dataset["classes"].index(image["actual"]) for image in predictions],
        "logits": np.load(tested / "logits.npy").tolist(),
        "summary": read_json(paths.SUMMARY),
        "page": (paths.REPORT / "index.html").read_text(encoding="utf-8"),
    }


def read_json(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def read_table(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(answers()), encoding="utf-8")
