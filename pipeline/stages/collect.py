"""Stage `collect`: bring one data set in, with a manifest and a list of what was left out."""

import json
from pathlib import Path

from pipeline.core import digests, paths, places
from pipeline.core.counting import counted
from pipeline.core.errors import one_line_errors
from pipeline.core.recipe import Recipe
from pipeline.datasets.collect import bringing, collecting, left_out, listing, published, sets
from pipeline.datasets.collect.dataset import Collected, Request
from pipeline.datasets.prepared import groups, manifest
from pipeline.datasets.prepared.manifest import Rejected, Row


def main() -> None:
    """Write the collected images, their manifest, what was rejected, and a description."""
    recipe = Recipe.read()
    name = recipe.data.set
    with paths.written_whole(paths.COLLECTED) as folder:
        target = folder / paths.IMAGES.name
        target.mkdir(parents=True)
        title, rows, rejected, tested = bring(recipe, target)
        manifest.write(folder / paths.MANIFEST.name, Row, rows)
        manifest.write(folder / paths.REJECTED.name, Rejected, rejected)
        described = {
            "set": name,
            "title": title,
            "classes": sorted({row.label for row in rows}),
            "images": len(rows),
            "rejected": len(rejected),
            "has_parts": any(row.part for row in rows),
            "tested": tested,
            "own": sets.known(name).given_by == "folder",
            "published": published.described(name),
        }
        text = json.dumps(described, ensure_ascii=False, indent=2)
        (folder / paths.DATASET.name).write_text(text + "\n", encoding="utf-8")
        digests.seal(folder)
    lines = [f"{counted(len(rows), 'image')} in {counted(len({row.label for row in rows}), 'class', 'classes')}"]
    lines += [named] if (named := groups.words(rows)) else []
    for line in [*lines, *left_out.summary(rejected, paths.REJECTED)]:
        print(f"collect: {line}")


def bring(recipe: Recipe, target: Path) -> Collected:
    """Bring the set in, saying its terms and what is published of it."""
    row = sets.known(recipe.data.set)
    if row.is_published:
        print(f"collect: {row.title}, {row.home}: {row.terms}", flush=True)
    place = places.own(row.given_by) if row.given_by else None
    if place and Path(place) == paths.NO_ARCHIVE:
        place = None
    request = Request(recipe.data.set, target, place=place, drawing=recipe.options_of("data"))
    before = listing.states(Path(place)) if place else {}
    collected = bringing.bring(request)
    if place:
        listing.check_unchanged(Path(place), before)
    if row.given_by == "folder" and recipe.data.duplicates == "refuse":
        collecting.check_duplicates(collected.rows, way_out="allow such pairs: -S defaults.data.duplicates=allow")
    if row.is_published:
        for line in published.totals(recipe.data.set, collected.rows):
            print(f"collect: {line}")
    return collected


if __name__ == "__main__":
    with one_line_errors("collect"):
        main()
