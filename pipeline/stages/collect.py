"""Bring one data set in, published, the user's own or drawn, with a manifest and a list of what was left out."""

import json
from pathlib import Path

from pipeline import paths
from pipeline.datasets import collecting, manifest, sets
from pipeline.datasets.folder import check_location, layout
from pipeline.datasets.manifest import Rejected, Row
from pipeline.errors import one_line_errors
from pipeline.params import Params, load


def main() -> None:
    """Write the collected images, their manifest, what was rejected, and a description."""
    params = load(paths.PARAMS)
    name = params.experiment().settings.data.set
    with paths.written_whole(paths.COLLECTED) as folder:
        target = folder / paths.IMAGES.name
        target.mkdir(parents=True)
        title, rows, rejected = _SETS[name](params, target)
        manifest.write(folder / paths.MANIFEST.name, Row, rows)
        manifest.write(folder / paths.REJECTED.name, Rejected, rejected)
        classes = sorted({row.label for row in rows})
        described = {
            "set": name,
            "title": title,
            "classes": classes,
            "images": len(rows),
            "rejected": len(rejected),
            "has_parts": any(row.part for row in rows),
            "published": sets.described(name) if name in sets.SETS else None,
        }
        text = json.dumps(described, ensure_ascii=False, indent=2)
        (folder / paths.DATASET.name).write_text(text + "\n", encoding="utf-8")
    told = f", {len(rejected)} files rejected ({paths.REJECTED})" if rejected else ""
    print(f"collect: {len(rows)} images in {len(classes)} classes{told}")


def _drawn(params: Params, target: Path) -> tuple[str, list[Row], list[Rejected]]:
    drawings = collecting.spiders(**params.synthetic.model_dump())
    return "drawn spiders", collecting.draw(drawings, target), []


def _own(params: Params, target: Path) -> tuple[str, list[Row], list[Rejected]]:
    folder = check_location(params.folder)
    files, left_out = layout(folder)
    rows, refused = collecting.bring(files, target)
    rejected = sorted(refused + [Rejected(*out) for out in left_out])
    collecting.check_classes(files, rows, rejected)
    check_duplicates(params, rows)
    return folder.name, rows, rejected


def _published(params: Params, target: Path) -> tuple[str, list[Row], list[Rejected]]:
    name = params.experiment().settings.data.set
    row = sets.known(name)
    print(f"collect: {row.title}, {row.home}: {row.terms}", flush=True)
    title, rows, rejected = sets.bring(name, archive=params.place_of(row.given_by), target=target)
    if row.given_by == "folder":
        check_duplicates(params, rows)
    for line in sets.totals(name, rows):
        print(f"collect: {line}")
    return title, rows, rejected


def check_duplicates(params: Params, rows: list[Row]) -> None:
    """Refuse one image in two classes or parts of the user's own photographs, unless he allows it."""
    experiment = params.experiment()
    if experiment.settings.data.duplicates == "refuse":
        key = experiment.origins["data.duplicates"]
        collecting.check_duplicates(rows, way_out=f"allow such pairs: -S {key}=allow")


_SETS = {"synthetic": _drawn, "folder": _own} | dict.fromkeys(sets.SETS, _published)


if __name__ == "__main__":
    with one_line_errors("collect"):
        main()
