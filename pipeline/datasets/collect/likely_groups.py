"""Groups of photographs that names suggest: folders inside class folders, or a common beginning before a counter."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath

from pipeline.datasets.prepared.manifest import Row

# specimen12_3, 20240501_101112 and P1-b (2): what comes before the last counter, where that has a digit of its own.
_COUNTED = re.compile(r"(?P<before>.*\d.*?)[-_ .(]+\d+\)?$")
# Of the images of a set, from which on names are taken to follow a rule.
_MOST = 0.8
# Mean numbers of images a group between which it may be a specimen, a site or a day.
_FEW, _MANY = 2, 50


def likely(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Return the paths of the images of each likely group, the largest group first, such as "owl/nest 1".

    There are none where names suggest none, and where the user named some.
    """
    if any(row.group for row in rows):
        return {}
    for key in (_folder, _beginning):
        groups: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            if name := key(row):
                groups[name].append(row.path)
        images = sum(map(len, groups.values()))
        if groups and images >= _MOST * len(rows) and _FEW <= images / len(groups) <= _MANY:
            return dict(sorted(groups.items(), key=lambda group: -len(group[1])))
    return {}


def _folder(row: Row) -> str:
    """Return the folder of an image inside its class folder; "" for one that is in the class folder itself."""
    *above, _name = PurePosixPath(row.path).parts
    return "/".join(above) if len(above) > (2 if row.part else 1) else ""


def _beginning(row: Row) -> str:
    """Return what an image's name has before its counter; "" for a name without."""
    path = PurePosixPath(row.path)
    counted = _COUNTED.fullmatch(path.stem)
    return f"{row.label}/{counted['before']}" if counted else ""
