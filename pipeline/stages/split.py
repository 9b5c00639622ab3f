"""Stage `split`: divide the collected images into training, validation and test, for one repeat."""

import json
import sys

from pipeline.core import digests, paths
from pipeline.core.errors import one_line_errors
from pipeline.core.files import repeat_argument
from pipeline.core.recipe import Recipe
from pipeline.core.types import PerClass
from pipeline.datasets.prepared import manifest, splits
from pipeline.datasets.prepared.manifest import Alike, Assigned, Row


def main(arguments: list[str]) -> None:
    """Write the split file of the repeat that the only argument numbers."""
    repeat = repeat_argument(arguments)
    settings = Recipe.read().data.split
    digests.check(paths.MANIFEST, paths.DATASET, paths.GROUPS)
    rows = manifest.read(paths.MANIFEST, Row)
    described = json.loads(paths.DATASET.read_text(encoding="utf-8"))
    published = described["published"]
    assigned = splits.split(
        rows,
        test=settings.test,
        val=settings.val,
        seed=settings.seed,
        repeat=repeat,
        per_class=per_class(settings.per_class),
        alike=[] if described["on_leak"] == "allow" else manifest.read(paths.GROUPS, Alike),
    )
    if published:
        for line in splits.comparison_lines(assigned, counts=published["counts"], printed=published["printed"]):
            print(f"split: {line}")
    with paths.written_whole(paths.split_file(repeat)) as file:
        manifest.write(file, Assigned, assigned)
    digests.seal(paths.split_file(repeat))


def per_class(numbers: PerClass | str) -> splits.PerClass | None:
    """Return how many images of each class are drawn; None where all are used."""
    return None if isinstance(numbers, str) else splits.PerClass(**numbers.model_dump())


if __name__ == "__main__":
    with one_line_errors("split"):
        main(sys.argv[1:])
