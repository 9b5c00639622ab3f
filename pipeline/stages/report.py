"""Stage `report`: gather the repeats that params.yaml names into numbers, figures and one page."""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import tracking
from pipeline.core import paths, records
from pipeline.core.errors import InputError, one_line_errors
from pipeline.core.recipe import Recipe
from pipeline.datasets.collect import health
from pipeline.datasets.prepared import manifest
from pipeline.reporting import aggregate, confidence_intervals, figures, page, pictures, tables
from pipeline.reporting.aggregate import Example, Repeat
from pipeline.reporting.explained import Explanations
from pipeline.reporting.facts import Material
from pipeline.reporting.figures import Shown

EXAMPLES = 12


def main() -> None:
    """Write metrics/summary.json and metrics/report/, say the result in a line, and show it in MLflow."""
    recipe = Recipe.read()
    repeats = [read_repeat(number) for number in recipe.repeats]
    aggregate.check_same_experiment(repeats)
    material, found = gather(repeats, cite=recipe.cite), read_explained(repeats[0])
    with paths.written_whole(paths.SUMMARY) as target:
        write_text(target, json.dumps(confidence_intervals.summary(repeats), indent=2) + "\n")
    with paths.written_whole(paths.CURVES) as target:
        write_table(target, aggregate.curve_rows(aggregate.curves(repeats)))
    with paths.written_whole(paths.REPORT) as target:
        write_report(target, material, found)
    accuracy = aggregate.score_spreads(repeats)["accuracy"]
    said = tables.percent_spread(accuracy).replace(tables.NO_BREAK, " ")
    spread = "mean and sd" if accuracy.n > 1 else "one repeat, so no spread"
    ends = confidence_intervals.percents(confidence_intervals.intervals(repeats).get("accuracy")).replace(
        tables.NO_BREAK, " "
    )
    told = f"{spread}, n = {accuracy.n}; 95 % interval {ends}"
    print(f"report: test accuracy {said} ({told}); see {paths.REPORT / 'index.html'}")
    tracking.try_publish(tracking.Folder(Path()))


def read_repeat(number: int) -> Repeat:
    """All that training and testing left of one repeat.

    Raises:
        InputError: a file is missing or is not what its stage writes.
    """
    trained, tested = paths.training_metrics(number), paths.evaluation(number)
    kept, runtime = read_json(trained / "record.json"), read_json(paths.runtime_file(number))
    return Repeat(
        number=number,
        record=records.whole(kept, runtime),
        runtime=runtime,
        scores=read_json(tested / "scores.json"),
        history=read_table(trained / "history.csv"),
        predictions=read_table(tested / "predictions.csv"),
    )


def gather(repeats: Sequence[Repeat], *, cite: str) -> Material:
    """The repeats with what the data stages say of the images, and the images that are worth a look."""
    rows = list(manifest.read(paths.MANIFEST, manifest.Row))
    rejected = list(manifest.read(paths.REJECTED, manifest.Rejected))
    counts = Counter(row.label for row in rows)
    dataset = read_json(paths.DATASET)
    return Material(
        repeats=repeats,
        cite=cite,
        dataset=dataset,
        class_images={name: counts[name] for name in repeats[0].classes},
        rejected=[(row.path, row.reason) for row in rejected],
        right=with_images(aggregate.right_examples(repeats, EXAMPLES)),
        wrong=with_images(aggregate.wrong_examples(repeats, EXAMPLES)),
        health=health.examine(
            rows,
            rejected,
            list(manifest.read(paths.GROUPS, manifest.Alike)),
            image_size=repeats[0].record["recipe"]["data"]["image_size"],
            on_leak=dataset["on_leak"],
        ),
        augmented=read_augmented(repeats[0]),
    )


def read_augmented(repeat: Repeat) -> bytes:
    """Training images as a repeat's training varied them, a PNG; nothing where it did not."""
    sheet = paths.training_metrics(repeat.number) / paths.AUGMENTED
    return sheet.read_bytes() if sheet.exists() else b""


def read_explained(one: Repeat) -> Explanations:
    """What training and testing left for pictures of one repeat, with the images as the network is shown them.

    Raises:
        InputError: a file is missing or is not what its stage writes.
    """
    trained, tested = paths.training_metrics(one.number), paths.evaluation(one.number)
    described, arrays = read_json(tested / "pictures.json"), tested / "pictures.npz"
    side = one.record["recipe"]["data"]["crop_size"]
    images = with_images([aggregate.example(one.number, row) for row in described["images"]])
    try:
        with np.load(arrays, allow_pickle=False) as file:
            found = dict(file)
    except FileNotFoundError:
        raise missing(arrays) from None
    return Explanations(
        repeat=one.number,
        values=read_json(trained / "values.json"),
        described=described,
        arrays=found,
        images=[shown._replace(image=figures.middle(shown.image, side)) for shown in images],
    )


def with_images(examples: Sequence[Example]) -> list[Shown]:
    """Examples with their pixels; of the packed array only their rows are read."""
    array, index = paths.PACKED / paths.PACKED_ARRAY, paths.PACKED / paths.PACKED_INDEX
    row = {image.path: number for number, image in enumerate(manifest.read(index, manifest.Indexed))}
    if unknown := [one.path for one in examples if one.path not in row]:
        raise InputError(f"{index}: lacks {unknown[0]!r}, which was tested; `dvc repro` makes both anew")
    try:
        pixels = np.load(array, mmap_mode="r")
    except FileNotFoundError:
        raise missing(array) from None
    return [Shown(one, np.array(pixels[row[one.path]])) for one in examples]


def write_report(folder: Path, material: Material, found: Explanations) -> None:
    """The page, its short form, its figures and its tables as files."""
    charts = pictures.pictures(material, found)
    (folder / "figures").mkdir(parents=True)
    for name, chart in charts.items():
        (folder / "figures" / f"{name}.svg").write_bytes(chart.light)
        (folder / "figures" / f"{name}.png").write_bytes(chart.png)
    maps = pictures.feature_maps(found)
    for name, content in (pictures.photographs(material, found) | {one.name: one.light for one in maps}).items():
        (folder / "figures" / f"{name}.png").write_bytes(content)
    if material.augmented:
        (folder / "figures" / paths.AUGMENTED).write_bytes(material.augmented)
    write_table(folder / "predictions.csv", all_predictions(material.repeats))
    write_text(folder / "health.json", json.dumps(material.health, ensure_ascii=False, indent=2) + "\n")
    write_text(folder / "summary.md", page.markdown(material))
    write_text(folder / "index.html", page.page(material, charts, found, maps))


def all_predictions(repeats: Sequence[Repeat]) -> list[dict[str, str]]:
    """Every repeat's predictions, with the repeat first."""
    return [{"repeat": str(one.number)} | row for one in repeats for row in one.predictions]


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        InputError: the file is missing or is not JSON.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise missing(path) from None
    except ValueError as error:
        raise InputError(f"{path}: not JSON: {error}; `dvc repro` makes it anew") from None
    return found


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file with a header.

    Raises:
        InputError: the file is missing or has no row.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except FileNotFoundError:
        raise missing(path) from None
    if not rows:
        raise InputError(f"{path}: has no row; `dvc repro` makes it anew")
    return rows


def missing(path: Path) -> InputError:
    """What to say of a file that an earlier stage has not made."""
    return InputError(f"{path}: no such file; `dvc repro` makes it, with all that comes before the report")


def write_table(path: Path, rows: Iterable[Mapping[str, str]]) -> None:
    """Rows as CSV under the names of the first row's keys."""
    listed = list(rows)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(listed[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(listed)


def write_text(path: Path, text: str) -> None:
    """Text as UTF-8."""
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    with one_line_errors("report"):
        main()
