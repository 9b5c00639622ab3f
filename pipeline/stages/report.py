"""Stage `report`: gather the repeats of the recipe into numbers, figures and one page."""

import json
from collections.abc import Sequence
from pathlib import Path

from pipeline import tracking
from pipeline.core import paths
from pipeline.core.errors import one_line_errors
from pipeline.core.files import as_cell, write_table
from pipeline.core.recipe import Recipe
from pipeline.evaluation.compare.repeats import Repeat
from pipeline.reporting import aggregate, confidence_intervals, curves, examples, page, pictures, reading, signs, tables
from pipeline.reporting.explained import Explanations
from pipeline.reporting.material import Material


def main() -> None:
    """Write metrics/summary.json, metrics/curves.csv and metrics/report/, say the result, and show it in MLflow."""
    with reading.whole():
        recipe = Recipe.read()
        material = reading.material(recipe)
        explained = reading.explained(material.repeats[0])
    repeats = material.repeats
    with paths.written_whole(paths.SUMMARY) as target:
        write_text(target, json.dumps(confidence_intervals.summary(repeats), indent=2) + "\n")
    with paths.written_whole(paths.CURVES) as target:
        write_table(target, curves.curve_rows(curves.curves(repeats)))
    with paths.written_whole(paths.REPORT) as target:
        write_report(target, material, explained)
    print(f"report: {answer(repeats)}; see {paths.REPORT / 'index.html'}")
    tracking.try_publish(tracking.Folder(Path()), images=recipe.mlflow.images)


def answer(repeats: Sequence[Repeat]) -> str:
    """Return the accuracy with its spread and interval, in a line."""
    accuracy = aggregate.score_spreads(repeats)["accuracy"]
    spread = "mean and sd" if accuracy.n > 1 else "one repeat, so no spread"
    ends = confidence_intervals.percents(confidence_intervals.intervals(repeats).get("accuracy"))
    line = f"test accuracy {tables.percent_spread(accuracy)} ({spread}, n = {accuracy.n}; 95 % interval {ends})"
    return line.replace(signs.NO_BREAK, " ")


def write_report(folder: Path, material: Material, explained: Explanations) -> None:
    """Write the page, its short form, its figures and its tables as files."""
    charts = pictures.pictures(material, explained)
    (folder / "figures").mkdir(parents=True)
    for name, chart in charts.items():
        (folder / "figures" / f"{name}.svg").write_bytes(chart.light)
        (folder / "figures" / f"{name}.png").write_bytes(chart.png)
    maps = pictures.feature_maps(explained)
    photographs = pictures.photographs(material, explained) | {one.name: one.light for one in maps}
    for name, content in photographs.items():
        (folder / "figures" / f"{name}.png").write_bytes(content)
    if material.augmented:
        (folder / "figures" / paths.AUGMENTED).write_bytes(material.augmented)
    predictions = [{"repeat": str(one.number)} | row for one in material.repeats for row in one.predictions]
    write_table(
        folder / "predictions.csv", [{name: as_cell(text) for name, text in row.items()} for row in predictions]
    )
    write_table(folder / "look_first.csv", examples.look_first(material.repeats), columns=examples.LOOK_FIRST)
    write_text(folder / "health.json", json.dumps(material.health, ensure_ascii=False, indent=2) + "\n")
    write_text(folder / "summary.md", page.markdown(material))
    write_text(folder / "index.html", page.page(material, charts, explained, maps))


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8."""
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    with one_line_errors("report"):
        main()
