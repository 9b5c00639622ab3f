"""Divide the collected images into training, validation and test, for one repeat."""

import sys

from pipeline import paths
from pipeline.datasets import manifest
from pipeline.datasets.manifest import Assigned, Row
from pipeline.datasets.splits import split
from pipeline.errors import one_line_errors
from pipeline.params import load
from pipeline.stages.files import repeat_argument


def main(arguments: list[str]) -> None:
    """Write the split file of the repeat that the only argument numbers."""
    repeat = repeat_argument(arguments)
    settings = load(paths.PARAMS).experiment().settings.data.split
    rows = manifest.read(paths.MANIFEST, Row)
    assigned = split(rows, test=settings.test, val=settings.val, seed=settings.seed, repeat=repeat)
    with paths.written_whole(paths.split_file(repeat)) as file:
        manifest.write(file, Assigned, assigned)


if __name__ == "__main__":
    with one_line_errors("split"):
        main(sys.argv[1:])
