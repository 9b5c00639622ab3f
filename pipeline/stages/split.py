"""Stage `split`: divide the collected images into training, validation and test, for one repeat."""

import json
import sys

from pipeline.core import digests, paths
from pipeline.core.errors import one_line_errors
from pipeline.core.files import repeat_argument
from pipeline.core.recipe import Recipe
from pipeline.datasets.prepared import dividing, manifest
from pipeline.datasets.prepared.manifest import Assigned, Pair, Row
from pipeline.datasets.prepared.published_counts import comparison_lines


def main(arguments: list[str]) -> None:
    """Write the split file of the repeat that the only argument numbers."""
    repeat = repeat_argument(arguments)
    data = Recipe.read().data
    digests.check(paths.MANIFEST, paths.DATASET, paths.PAIRS)
    described = json.loads(paths.DATASET.read_text(encoding="utf-8"))
    published = described["published"]
    assigned = dividing.divided(
        data,
        manifest.read(paths.MANIFEST, Row),
        manifest.read(paths.PAIRS, Pair),
        own=described["own"],
        repeat=repeat,
        note=lambda line: print(f"split: note: {line}"),
    )
    if published:
        for line in comparison_lines(assigned, counts=published["counts"], printed=published["printed"]):
            print(f"split: {line}")
    with paths.written_whole(paths.split_file(repeat)) as file:
        manifest.write(file, Assigned, assigned)
    digests.seal(paths.split_file(repeat))


if __name__ == "__main__":
    with one_line_errors("split"):
        main(sys.argv[1:])
