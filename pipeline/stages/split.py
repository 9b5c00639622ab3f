"""Stage `split`: divide the collected images into training, validation and test, for one repeat."""

import json
import sys
from collections.abc import Sequence

from pipeline.core import digests, paths
from pipeline.core.errors import one_line_errors
from pipeline.core.files import repeat_argument
from pipeline.core.recipe import Data, Recipe
from pipeline.core.types import PerClass
from pipeline.datasets.prepared import leaks, manifest, splits
from pipeline.datasets.prepared.manifest import Alike, Assigned, Pair, Row


def main(arguments: list[str]) -> None:
    """Write the split file of the repeat that the only argument numbers."""
    repeat = repeat_argument(arguments)
    data = Recipe.read().data
    settings = data.split
    digests.check(paths.MANIFEST, paths.DATASET, paths.GROUPS, paths.PAIRS)
    described = json.loads(paths.DATASET.read_text(encoding="utf-8"))
    published = described["published"]
    rows = kept(data, manifest.read(paths.MANIFEST, Row), own=described["own"])
    assigned = splits.split(
        rows,
        test=settings.test,
        val=settings.val,
        seed=settings.seed,
        repeat=repeat,
        per_class=per_class(settings.per_class),
        alike=[] if data.on_leak == "allow" else manifest.read(paths.GROUPS, Alike),
        division=settings.division if isinstance(settings.division, int) else None,
        inner=settings.inner,
        train_fraction=settings.train_fraction,
    )
    if published:
        for line in splits.comparison_lines(assigned, counts=published["counts"], printed=published["printed"]):
            print(f"split: {line}")
    with paths.written_whole(paths.split_file(repeat)) as file:
        manifest.write(file, Assigned, assigned)
    digests.seal(paths.split_file(repeat))


def kept(data: Data, rows: Sequence[Row], *, own: bool) -> Sequence[Row]:
    """Return the images that are used, without those that leave their part; refuse what the settings do not allow.

    Args:
        data: what is done about copies across parts and across classes.
        rows: the collected images.
        own: whether the set is in the user's own folder, and so its classes the user's to mend.

    Raises:
        InputError: for copies that are refused.
    """
    pairs = manifest.read(paths.PAIRS, Pair)
    if own and data.duplicates == "refuse":
        leaks.check_classes(rows, pairs, key="defaults.data.duplicates")
    leaking = leaks.leaks(rows, pairs)
    if data.on_leak == "refuse":
        leaks.check(leaking, key="defaults.data.on_leak")
    if leaking:
        print(f"split: note: {leaks.note(leaking, data.on_leak)}")
    gone = {leak.path for leak in leaking} if data.on_leak == "drop" else set()
    return [row for row in rows if row.path not in gone]


def per_class(numbers: PerClass | str) -> splits.PerClass | None:
    """Return how many images of each class are drawn; None where all are used."""
    return None if isinstance(numbers, str) else splits.PerClass(**numbers.model_dump())


if __name__ == "__main__":
    with one_line_errors("split"):
        main(sys.argv[1:])
