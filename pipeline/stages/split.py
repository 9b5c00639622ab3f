"""Divide the collected images into training, validation and test, for one repeat."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from pipeline.core import paths
from pipeline.core.errors import one_line_errors
from pipeline.core.files import repeat_argument
from pipeline.datasets import manifest
from pipeline.datasets.manifest import Alike, Assigned, Row
from pipeline.datasets.splits import PerClass, beside, split
from pipeline.params import Split, load


def main(arguments: list[str]) -> None:
    """Write the split file of the repeat that the only argument numbers."""
    repeat = repeat_argument(arguments)
    settings = load(paths.PARAMS).experiment().settings.data.split
    rows = manifest.read(paths.MANIFEST, Row)
    described = json.loads(paths.DATASET.read_text(encoding="utf-8"))
    published = described["published"]
    assigned = split(
        rows,
        test=settings.test,
        val=settings.val,
        seed=settings.seed,
        repeat=repeat,
        per_class=per_class(settings, published),
        alike=[] if described["on_leak"] == "allow" else manifest.read(paths.GROUPS, Alike),
    )
    if published:
        for line in beside(assigned, counts=published["counts"], printed=published["printed"]):
            print(f"split: {line}")
    with paths.written_whole(paths.split_file(repeat)) as file:
        manifest.write(file, Assigned, assigned)


def per_class(settings: Split, published: Mapping[str, Any] | None) -> PerClass | None:
    """How many images of each class are drawn; None where all are used."""
    if isinstance(settings.per_class, str):
        drawn = published["per_class"] if published and settings.per_class == "auto" else None
        return PerClass(**drawn) if drawn else None
    return PerClass(**settings.per_class.model_dump())


if __name__ == "__main__":
    with one_line_errors("split"):
        main(sys.argv[1:])
