"""Stages that write small files of the right names at once, for facts that are DVC's and not the stages'.

`clones.py` puts this file into a clone, where it takes the place of the stages: none of them imports torch. What they
write follows from what DVC gives a stage alone: its argument, the parameters and the files that dvc.yaml names.
"""

import csv
import hashlib
import io
import json
import os
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.core import digests, places, provenance
from pipeline.core.errors import InputError, one_line_errors
from pipeline.core.files import read_yaml, repeat_argument
from pipeline.core.naming import Naming
from pipeline.core.records import Record, Runtime
from pipeline.core.scores_record import Scores

CLASSES = ("Araneus diadematus", "Plator")
# Of which half are tested.
IMAGES = 20
# How many of the tested images each strategy tells right in repeat 1; in each further repeat one less.
RIGHT = {"1": 3, "2": 4, "3a": 5, "3b": 6, "3c": 9, "scratch": 2, "phases": 7, "lp_ft": 8, "probe": 2}
# Content of weights_file that stands for another network's values.
OF_ANOTHER_NETWORK = "another network"
# The variable that has training and report shown in MLflow, which takes seconds to import.
PUBLISHES = "STUBS_PUBLISH"

Recipe = dict[str, Any]


def read() -> Recipe:
    """data/recipe.yaml, which the real stage `validate` has written."""
    recipe: Recipe = read_yaml(Path("data/recipe.yaml"))
    return recipe


def digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def digest_of(*places: str) -> str:
    """Of the content of files, and of folders with all that is in them."""
    files = [file for place in map(Path, places) for file in sorted([place, *place.rglob("*")]) if file.is_file()]
    return digest([(file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files])


def write(place: str, content: str | dict[str, Any]) -> None:
    file = Path(place)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content) + "\n", encoding="utf-8")


def write_table(place: str, header: str, rows: Iterable[Sequence[object]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header.split(","), *rows])
    write(place, text.getvalue())


def read_table(place: str) -> list[dict[str, str]]:
    with Path(place).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def read_json(place: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(place).read_text(encoding="utf-8"))
    return found


def collect() -> None:
    recipe = read()
    data = recipe["data"]
    content = digest(data["set"], data["duplicates"], recipe["options"]["data"])
    if data["set"] == "folder":
        content = digest(content, digest_of(places.own("folder")))
    names = [(f"{number % 2}/{number}.png", CLASSES[number % 2]) for number in range(IMAGES)]
    for path, _ in names:
        write(f"data/collected/images/{path}", digest(content, path))
    write_table("data/collected/manifest.csv", "path,label,sha256", [(*row, digest(content, *row)) for row in names])
    write_table("data/collected/rejected.csv", "path,reason", [])
    write("data/collected/dataset.json", {"set": data["set"], "classes": CLASSES, "images": IMAGES})
    digests.seal(Path("data/collected"))


def copies() -> None:
    write("data/copies/search.json", {"manifest": digest_of("data/collected")})
    write_table("data/copies/groups.csv", "path,group,kind,of", [])
    write_table("data/copies/pairs.csv", "path,of", [])
    digests.seal(Path("data/copies"))


def split(repeat: int) -> None:
    recipe = read()
    drawn = digest(repeat, recipe["data"]["split"])
    names = [row["path"] for row in read_table("data/collected/manifest.csv")]
    tested = sorted(names, key=lambda path: digest(drawn, path))[: len(names) // 2]
    rows = [(path, "test" if path in tested else "train") for path in names]
    write_table(f"data/split/{repeat}.csv", "path,part", rows)
    digests.seal(Path(f"data/split/{repeat}.csv"))


def preprocess() -> None:
    recipe = read()
    size = [recipe["data"][name] for name in ("image_size", "resize", "interpolation")]
    write("data/packed/images.npy", digest(digest_of("data/collected"), *size))
    names = [(row["path"], row["label"]) for row in read_table("data/collected/manifest.csv")]
    write_table("data/packed/index.csv", "path,label", names)
    classes = sorted({label for _, label in names})
    write("data/packed/meta.json", {"sha256": digest_of("data/packed/images.npy"), "classes": classes})
    digests.seal(Path("data/packed"))


def source() -> None:
    recipe = read()
    weights = recipe["network"]["weights"]
    place = Path(places.own("weights_file"))
    if weights == "file" and place.read_text(encoding="utf-8") == OF_ANOTHER_NETWORK:
        raise InputError(f"file {place.name}: not the values of this backbone; name the one that they are of")
    content = digest(recipe["network"]["backbone"], weights, digest_of(str(place)))
    if weights != "none":
        write("models/source/weights.safetensors", content)
    described = {"origin": weights, "license": "", "file_sha256": "", "sha256": "" if weights == "none" else content}
    write("models/source/source.json", {"weights": described})
    digests.seal(Path("models/source"))


def train(repeat: int) -> None:
    digests.check(Path("data/packed/images.npy"), Path(f"data/split/{repeat}.csv"))
    recipe = read()
    packed, weights = read_json("data/packed/meta.json"), read_json("models/source/source.json")
    parts = [row["part"] for row in read_table(f"data/split/{repeat}.csv")]
    threads = 2 if recipe["threads"] == "auto" else recipe["threads"]
    recorded = {
        "recipe": {name: recipe[name] for name in ("data", "network", "train", "regularizer", "options")},
        "device": "cpu",
        "device_model": "",
        "precision": "fp32",
        "threads": threads,
        "data": {"set": recipe["data"]["set"], "classes": packed["classes"], "images": len(parts)},
        "weights": weights["weights"],
        "code": "c" * 64,
    }
    counted = {"trainable": 10, "frozen": 90}
    names = ("freeze", "amount", "lr", "regularizer")
    others = {
        "phases": [{name: phase[name] for name in names} | counted for phase in recipe["train"]["phases"]],
        "parameters": counted | {"regularizer": 0},
        "stages": {"stem": counted},
        "flops": {"network": 1000},
        "parts": {"train": parts.count("train"), "val": 0, "test": parts.count("test")},
    }
    named = {"key": digest(recorded), "recipe_name": recipe["recipe"], "repeat": repeat, "seed": repeat}
    record = Record.model_validate(named | recorded | others)
    write(f"metrics/train/{repeat}/record.json", record.dumped())
    curves = [(1, 1, 0.1, repeat, 0.5), (2, 2, 0.1, 0.5, 1)]
    write_table(f"metrics/train/{repeat}/history.csv", "epoch,iteration,lr,train_loss,train_accuracy", curves)
    digests.seal(Path(f"metrics/train/{repeat}"))
    commit, dirty = provenance.commit()
    runtime = Runtime(
        train_seconds=round(time.monotonic(), 3),
        cache_seconds=0.5,
        epoch_seconds=(1.0, 1.0),
        images_per_second=10.0,
        inference_images_per_second={},
        device_name="a CPU, 2 cores",
        threads=threads,
        versions={},
        git_commit=commit,
        git_dirty=dirty,
        git_changes=provenance.changes(),
        naming=Naming.model_validate(recipe.get("naming", {})),
        started=datetime.now(UTC),
        data_sha256=packed["sha256"],
    )
    write(f"metrics/runtime/{repeat}.json", runtime.dumped())
    digests.seal(Path(f"metrics/runtime/{repeat}.json"))
    if os.environ.get(PUBLISHES):
        follow(record, packed["sha256"], recipe["repeats"], curves)
    write(
        f"models/trained/{repeat}/weights.safetensors", digest(record.dumped(), digest_of(f"data/split/{repeat}.csv"))
    )
    write(f"models/trained/{repeat}/model.json", {"network": recipe["network"]})
    digests.seal(Path(f"models/trained/{repeat}"))


def follow(record: Record, data_sha256: str, repeats: Sequence[int], curves: Iterable[Sequence[float]]) -> None:
    """Show the training in MLflow, as one that takes long enough is."""
    from pipeline import tracking
    from pipeline.tracking import live

    live.SHOWN_AFTER_SECONDS = 0.0
    with tracking.follow(record, data_sha256=data_sha256, repeats=repeats) as run:
        for epoch, _, rate, loss, accuracy in curves:
            run.log({"lr": rate, "train_loss": loss, "train_accuracy": accuracy}, int(epoch))


def evaluate(repeat: int) -> None:
    network = read_json(f"models/trained/{repeat}/model.json")["network"]
    tested = [row["path"] for row in read_table(f"data/split/{repeat}.csv") if row["part"] == "test"]
    right = min(RIGHT[network["freeze"]] + 1 - repeat, len(tested))
    label = {row["path"]: row["label"] for row in read_table("data/packed/index.csv")}
    classes = sorted(set(label.values()))
    rows = []
    for number, path in enumerate(tested):
        told = label[path] if number < right else next(name for name in classes if name != label[path])
        rows.append((path, label[path], told, 0.9, int(number < right)))
    folder = f"metrics/evaluate/{repeat}"
    write_table(f"{folder}/predictions.csv", "path,actual,predicted,confidence,correct", rows)
    share = right / len(tested)
    numbers = {"precision": share, "recall": share, "f1": share, "support": len(tested) // 2}
    equal = dict.fromkeys(("accuracy", "macro_f1", "balanced_accuracy"), share)
    others = {"test_images": len(tested), "classes": dict.fromkeys(classes, numbers)}
    scores = Scores.model_validate(
        equal | others | {"nll": 0.5, "confusion": [[right, 0], [len(tested) - right, 0]], "reliability": []}
    )
    write(f"{folder}/scores.json", scores.dumped())
    write(f"{folder}/logits.npy", digest_of(f"models/trained/{repeat}", "data/packed"))
    digests.seal(Path(folder))


def report() -> None:
    # They take a while to import, and no other stage needs them.
    from pipeline.evaluation.compare import repeats
    from pipeline.reporting import confidence_intervals

    recipe = read()
    times = [read_json(f"metrics/runtime/{repeat}.json")["train_seconds"] for repeat in recipe["repeats"]]
    tested = [repeats.read(repeats.Folder(Path()), repeat) for repeat in recipe["repeats"]]
    summary = confidence_intervals.summary(tested)
    write("metrics/summary.json", summary)
    write("metrics/report/index.html", f"<p>{recipe['network']['freeze']}, {times} s</p>")
    write("metrics/report/summary.md", f"accuracy {summary['accuracy']['mean']}\n")
    write_table("metrics/curves.csv", "epoch,train_loss,train_accuracy", [(1, 1, 0.5), (2, 0.5, 1)])
    told = [
        (repeat, *row.values())
        for repeat in recipe["repeats"]
        for row in read_table(f"metrics/evaluate/{repeat}/predictions.csv")
    ]
    write_table("metrics/report/predictions.csv", "repeat,path,actual,predicted,confidence,correct", told)
    if os.environ.get(PUBLISHES):
        from pipeline import tracking

        tracking.try_publish(tracking.Folder(Path()))


OF_A_REPEAT = {"split": split, "train": train, "evaluate": evaluate}
OF_ALL = {"collect": collect, "copies": copies, "preprocess": preprocess, "source": source, "report": report}


def main(stage: str, arguments: Sequence[str]) -> None:
    """Run a stage: of the repeat that is given, or of all where dvc.yaml gives none."""
    with one_line_errors(stage):
        if stage in OF_ALL:
            OF_ALL[stage]()
            return
        for repeat in [repeat_argument(arguments)] if arguments else read()["repeats"]:
            OF_A_REPEAT[stage](repeat)


def text(stage: str) -> str:
    """The source file of a stage that is one of these; see `clones.py`."""
    return (
        f'"""Stands for the stage `{stage}`."""\n\nimport sys\n\nfrom pipeline.stages import stubs\n\n'
        f'if __name__ == "__main__":\n    stubs.main("{stage}", sys.argv[1:])\n'
    )


STAGES = (*OF_A_REPEAT, *OF_ALL)
