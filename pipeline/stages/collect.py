"""Bring one data set in, the user's own or drawn, with a manifest and a list of what was left out."""

import json
from pathlib import Path

from pipeline import paths
from pipeline.datasets import collecting, manifest
from pipeline.datasets.folder import check_location, layout
from pipeline.datasets.manifest import Rejected, Row
from pipeline.errors import one_line_errors
from pipeline.params import Params, load


def main() -> None:
    """Write the collected images, their manifest, what was rejected, and a description."""
    params = load(paths.PARAMS)
    with paths.written_whole(paths.COLLECTED) as folder:
        target = folder / paths.IMAGES.name
        target.mkdir(parents=True)
        title, rows, rejected = _SETS[params.experiment().settings.data.set](params, target)
        manifest.write(folder / paths.MANIFEST.name, Row, rows)
        manifest.write(folder / paths.REJECTED.name, Rejected, rejected)
        classes = sorted({row.label for row in rows})
        described = {
            "set": params.experiment().settings.data.set,
            "title": title,
            "classes": classes,
            "images": len(rows),
            "rejected": len(rejected),
            "has_parts": any(row.part for row in rows),
        }
        text = json.dumps(described, ensure_ascii=False, indent=2)
        (folder / paths.DATASET.name).write_text(text + "\n", encoding="utf-8")
    told = f", {len(rejected)} files rejected ({paths.REJECTED})" if rejected else ""
    print(f"collect: {len(rows)} images in {len(classes)} classes{told}")


def _drawn(params: Params, target: Path) -> tuple[str, list[Row], list[Rejected]]:
    drawings = collecting.spiders(**params.synthetic.model_dump())
    return "drawn spiders", collecting.draw(drawings, target), []


def _own(params: Params, target: Path) -> tuple[str, list[Row], list[Rejected]]:
    experiment = params.experiment()
    folder = check_location(params.folder)
    files, left_out = layout(folder)
    rows, refused = collecting.bring(files, target)
    rejected = sorted(refused + [Rejected(*out) for out in left_out])
    collecting.check_classes(files, rows, rejected)
    if experiment.settings.data.duplicates == "refuse":
        key = experiment.origins["data.duplicates"]
        collecting.check_duplicates(rows, way_out=f"allow such pairs: -S {key}=allow")
    return folder.name, rows, rejected


_SETS = {"synthetic": _drawn, "folder": _own}


if __name__ == "__main__":
    with one_line_errors("collect"):
        main()
