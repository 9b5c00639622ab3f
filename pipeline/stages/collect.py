"""Bring one data set in, published, the user's own or drawn, with a manifest and a list of what was left out."""

import json
from collections.abc import Sequence
from pathlib import Path

from pipeline.core import paths
from pipeline.core.errors import one_line_errors
from pipeline.datasets import manifest
from pipeline.datasets.collect import bringing, collecting, leaks, near_duplicates, published, sets
from pipeline.datasets.collect.dataset import Collected, Request
from pipeline.datasets.collect.leaks import Leak
from pipeline.datasets.manifest import Alike, Rejected, Row
from pipeline.params import Params, load


def main() -> None:
    """Write the collected images, their manifest and duplicates, what was rejected, and a description."""
    params = load(paths.PARAMS)
    name = params.experiment().settings.data.set
    with paths.written_whole(paths.COLLECTED) as folder:
        target = folder / paths.IMAGES.name
        target.mkdir(parents=True)
        title, rows, rejected = brought(params, target)
        alike = near_duplicates.find(rows, target)
        found = leaks.leaks(rows, alike)
        choice = on_leak(params)
        if choice == "refuse":
            leaks.check(found, key=params.experiment().origins["data.on_leak"])
        if choice == "drop":
            rows, rejected = dropped(found, rows, rejected, target)
        manifest.write(folder / paths.MANIFEST.name, Row, rows)
        manifest.write(folder / paths.REJECTED.name, Rejected, rejected)
        manifest.write(folder / paths.GROUPS.name, Alike, alike)
        described = {
            "set": name,
            "title": title,
            "classes": sorted({row.label for row in rows}),
            "images": len(rows),
            "rejected": len(rejected),
            "has_parts": any(row.part for row in rows),
            "on_leak": choice,
            "leaks": len(found),
            "published": published.described(name),
        }
        text = json.dumps(described, ensure_ascii=False, indent=2)
        (folder / paths.DATASET.name).write_text(text + "\n", encoding="utf-8")
    for line in told(rows, rejected, alike, found if choice == "allow" else []):
        print(f"collect: {line}")


def on_leak(params: Params) -> leaks.Choice:
    """What is done with an image on both sides of the set's parts."""
    data = params.experiment().settings.data
    row = sets.known(data.set)
    return leaks.resolved(data.on_leak, as_published=bool(row.official or row.per_class))


def dropped(
    found: Sequence[Leak], rows: Sequence[Row], rejected: Sequence[Rejected], target: Path
) -> tuple[list[Row], list[Rejected]]:
    """What is kept and what is listed as rejected when leaks leave their part; their files go."""
    gone = {leak.path for leak in found}
    for path in gone:
        (target / path).unlink()
    return [row for row in rows if row.path not in gone], sorted([*rejected, *leaks.rejections(found)])


def told(
    rows: Sequence[Row], rejected: Sequence[Rejected], alike: Sequence[Alike], allowed: Sequence[Leak]
) -> list[str]:
    """What came of it, in lines to show."""
    refused = f", {len(rejected)} files rejected ({paths.REJECTED})" if rejected else ""
    lines = [f"{len(rows)} images in {len({row.label for row in rows})} classes{refused}"]
    if copies := sum(bool(one.kind) for one in alike):
        lines.append(f"{copies} images are copies or near duplicates of others ({paths.GROUPS})")
    if not near_duplicates.is_compared(rows):
        lines.append(f"more than {near_duplicates.MOST:,} images: looked for byte-equal copies alone")
    if allowed:
        lines.append(
            f"note: on_leak is 'allow': {len(allowed)} images of an earlier part are in a later one too, "
            f"the first {allowed[0].path!r} as {allowed[0].of!r}"
        )
    return lines


def brought(params: Params, target: Path) -> Collected:
    """Bring the set in, saying its terms and what is published of it."""
    name = params.experiment().settings.data.set
    row = sets.known(name)
    if row.is_published:
        print(f"collect: {row.title}, {row.home}: {row.terms}", flush=True)
    drawing = params.synthetic.model_dump()
    collected = bringing.bring(Request(name, target, place=params.place_of(row.given_by), drawing=drawing))
    if row.given_by == "folder":
        check_duplicates(params, collected.rows)
    if row.is_published:
        for line in published.totals(name, collected.rows):
            print(f"collect: {line}")
    return collected


def check_duplicates(params: Params, rows: list[Row]) -> None:
    """Refuse one image in two classes of the user's own photographs, unless he allows it."""
    experiment = params.experiment()
    if experiment.settings.data.duplicates == "refuse":
        key = experiment.origins["data.duplicates"]
        collecting.check_duplicates(rows, way_out=f"allow such pairs: -S {key}=allow")


if __name__ == "__main__":
    with one_line_errors("collect"):
        main()
