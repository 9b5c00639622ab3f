"""The table of data sets; it imports no torch.

Rows of published sets stand next to their readers, in `sources`.
"""

from pipeline.core.choices import row
from pipeline.datasets.collect import folder
from pipeline.datasets.collect.dataset import DataSet
from pipeline.datasets.collect.sources import arrays, classes, lists, matlab, spiders
from pipeline.datasets.synthetic.synthetic import SPIDERS

SETS: dict[str, DataSet] = {
    "synthetic": DataSet(
        title="drawn spiders",
        description="computer-drawn spiders, to try things out",
        options="pipeline.datasets.collect.options:SyntheticOptions",
        bring="pipeline.datasets.collect.bringing:draw",
        classes=len(SPIDERS),
        given_by=None,
    ),
    "folder": DataSet(
        title="the user's own photographs",
        description="your own photographs, one folder per class",
        bring="pipeline.datasets.collect.bringing:bring_own",
        read=folder.layout,
        given_by="folder",
    ),
    "spiders": spiders.SPIDERS,
    "cub200": lists.CUB,
    "dogs": matlab.DOGS,
    "cars": matlab.CARS,
    "caltech256_30": classes.CALTECH_30,
    "caltech256_60": classes.CALTECH_60,
    "mit67": lists.MIT,
    "cifar10": arrays.CIFAR10,
    "cifar100": arrays.CIFAR100,
    "cifar100_few": arrays.CIFAR100_FEW,
    "animals10": classes.ANIMALS,
    "digits": arrays.DIGITS,
}


def known(name: str) -> DataSet:
    """Return the row of a set.

    Raises:
        InputError: if there is none.
    """
    return row(SETS, name, key="data")
