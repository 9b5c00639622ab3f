"""Stage `collect`: bring one data set in, with a manifest and a list of what was left out."""

import json
from collections.abc import Sequence
from pathlib import Path

from pipeline.core import digests, paths, places
from pipeline.core.errors import one_line_errors
from pipeline.core.recipe import Recipe
from pipeline.datasets.collect import bringing, collecting, leaks, left_out, near_duplicates, published, sets
from pipeline.datasets.collect.dataset import Collected, Request
from pipeline.datasets.collect.leaks import Leak
from pipeline.datasets.prepared import manifest
from pipeline.datasets.prepared.manifest import Alike, Rejected, Row


def main() -> None:
    """Write the collected images, their manifest and duplicates, what was rejected, and a description."""
    recipe = Recipe.read()
    name, choice = recipe.data.set, recipe.data.on_leak
    with paths.written_whole(paths.COLLECTED) as folder:
        target = folder / paths.IMAGES.name
        target.mkdir(parents=True)
        title, rows, rejected = bring(recipe, target)
        alike = near_duplicates.find(rows, target)
        leaking = leaks.leaks(rows, alike)
        if choice == "refuse":
            leaks.check(leaking, key="defaults.data.on_leak")
        if choice == "drop":
            rows, rejected = dropped(leaking, rows, rejected, target)
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
            "leaks": len(leaking),
            "published": published.described(name),
        }
        text = json.dumps(described, ensure_ascii=False, indent=2)
        (folder / paths.DATASET.name).write_text(text + "\n", encoding="utf-8")
        digests.seal(folder)
    for line in summary(rows, rejected, alike, leaking if choice == "allow" else []):
        print(f"collect: {line}")


def dropped(
    leaking: Sequence[Leak], rows: Sequence[Row], rejected: Sequence[Rejected], target: Path
) -> tuple[list[Row], list[Rejected]]:
    """Return the rows that stay and those that are rejected when leaks leave their part; their files go."""
    gone = {leak.path for leak in leaking}
    for path in gone:
        (target / path).unlink()
    return [row for row in rows if row.path not in gone], sorted([*rejected, *leaks.rejections(leaking)])


def summary(
    rows: Sequence[Row], rejected: Sequence[Rejected], alike: Sequence[Alike], allowed: Sequence[Leak]
) -> list[str]:
    """Return the numbers of images, rejections and duplicates, in lines."""
    lines = [f"{len(rows)} images in {len({row.label for row in rows})} classes"]
    lines += left_out.summary(rejected, paths.REJECTED)
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


def bring(recipe: Recipe, target: Path) -> Collected:
    """Bring the set in, saying its terms and what is published of it."""
    row = sets.known(recipe.data.set)
    if row.is_published:
        print(f"collect: {row.title}, {row.home}: {row.terms}", flush=True)
    place = places.own(row.given_by) if row.given_by else None
    if place and Path(place) == paths.NO_ARCHIVE:
        place = None
    request = Request(recipe.data.set, target, place=place, drawing=recipe.options_of("data"))
    collected = bringing.bring(request)
    if row.given_by == "folder" and recipe.data.duplicates == "refuse":
        collecting.check_duplicates(collected.rows, way_out="allow such pairs: -S defaults.data.duplicates=allow")
    if row.is_published:
        for line in published.totals(recipe.data.set, collected.rows):
            print(f"collect: {line}")
    return collected


if __name__ == "__main__":
    with one_line_errors("collect"):
        main()
