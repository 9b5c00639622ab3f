"""Stage `collect`: bring one data set in, published, the user's own or drawn, with a manifest and a list of what was left out."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.core import paths
from pipeline.core.errors import InputError, one_line_errors
from pipeline.core.recipe import Recipe
from pipeline.datasets import manifest
from pipeline.datasets.collect import collecting, leaks, near_duplicates, sets
from pipeline.datasets.collect.folder import check_location, layout
from pipeline.datasets.collect.leaks import Leak
from pipeline.datasets.manifest import Alike, Rejected, Row


class Places(NamedTuple):
    """Places of the user's files, as params.yaml names them: of photographs, and of a set's download."""

    folder: str
    archive: str

    def of(self, key: str) -> str | None:
        """Return the place of a set's own files; None where it is to be downloaded."""
        return None if key == "archive" and Path(self.archive) == paths.NO_ARCHIVE else str(getattr(self, key))


def main(arguments: list[str]) -> None:
    """Write the collected images, their manifest and duplicates, what was rejected, and a description.

    Args:
        arguments: `folder` and `archive` of params.yaml.
    """
    if len(arguments) != len(Places._fields):
        raise InputError(f"{' '.join(arguments)!r}: give the places of photographs and of a set's archive")
    places, recipe = Places(*arguments), Recipe.read()
    name, choice = recipe.data.set, recipe.data.on_leak
    with paths.written_whole(paths.COLLECTED) as folder:
        target = folder / paths.IMAGES.name
        target.mkdir(parents=True)
        title, rows, rejected = _SETS[name](recipe, places, target)
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
            "published": sets.described(name) if name in sets.SETS else None,
        }
        text = json.dumps(described, ensure_ascii=False, indent=2)
        (folder / paths.DATASET.name).write_text(text + "\n", encoding="utf-8")
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


def _drawn(recipe: Recipe, _places: Places, target: Path) -> tuple[str, list[Row], list[Rejected]]:
    drawings = collecting.spiders(**recipe.options_of("data"))
    return "drawn spiders", collecting.draw(drawings, target), []


def _own(recipe: Recipe, places: Places, target: Path) -> tuple[str, list[Row], list[Rejected]]:
    folder = check_location(places.folder)
    files, left_out = layout(folder)
    rows, refused = collecting.bring(files, target)
    rejected = sorted(refused + [Rejected(*out) for out in left_out])
    collecting.check_classes(files, rows, rejected)
    check_duplicates(recipe, rows)
    return folder.name, rows, rejected


def _published(recipe: Recipe, places: Places, target: Path) -> tuple[str, list[Row], list[Rejected]]:
    name = recipe.data.set
    row = sets.known(name)
    print(f"collect: {row.title}, {row.home}: {row.terms}", flush=True)
    title, rows, rejected = sets.bring(name, archive=places.of(row.given_by), target=target)
    if row.given_by == "folder":
        check_duplicates(recipe, rows)
    for line in sets.totals(name, rows):
        print(f"collect: {line}")
    return title, rows, rejected


def check_duplicates(recipe: Recipe, rows: list[Row]) -> None:
    """Refuse one image in two classes of the user's own photographs, unless that is allowed."""
    if recipe.data.duplicates == "refuse":
        collecting.check_duplicates(rows, way_out="allow such pairs: -S defaults.data.duplicates=allow")


_SETS = {"synthetic": _drawn, "folder": _own} | dict.fromkeys(sets.SETS, _published)


if __name__ == "__main__":
    with one_line_errors("collect"):
        main(sys.argv[1:])
