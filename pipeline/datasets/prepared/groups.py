"""Groups of images that stay in one part: copies of each other, from pairs, and groups that the user named."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy

from pipeline.core import digests, paths
from pipeline.core.counting import counted
from pipeline.datasets.prepared import manifest
from pipeline.datasets.prepared.manifest import Alike, Pair, Row

# From the surest to the least sure.
NAMES = {"exact": "byte-equal", "near": "near duplicates", "alike": "alike, not confirmed"}
# The kind of images that are no copies, but in one group of metadata.csv.
NAMED = "group"


class _Link(NamedTuple):
    """Two images that stay together; sorted, the surest copies come first."""

    place: int
    of: str
    path: str
    kind: str


def grouped(pairs: Iterable[Pair], rows: Iterable[Row] = ()) -> list[Alike]:
    """Return the images that stay together with numbers of their groups, sorted by path.

    Each has the first image that it duplicates, among those that it is most surely a copy of; an image that is a copy
    of none has the first one of the group that the user named.

    Args:
        pairs: the copies.
        rows: the images, whose groups are kept together too.
    """
    kinds = [*NAMES, NAMED]
    links = [_Link(kinds.index(kind(pair)), pair.of, pair.path, kind(pair)) for pair in pairs]
    links += [_Link(kinds.index(NAMED), of, path, NAMED) for of, path in _neighbors(rows)]
    linked = sorted({path for link in links for path in (link.path, link.of)})
    joined = scipy.cluster.hierarchy.DisjointSet(linked)
    for link in links:
        joined.merge(link.of, link.path)
    original: dict[str, tuple[str, str]] = {}
    for link in sorted(links):
        original.setdefault(link.path, (link.kind, link.of))
    number: dict[str, int] = {}
    return [
        Alike(path, number.setdefault(joined[path], len(number) + 1), *original.get(path, ("", ""))) for path in linked
    ]


def named(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Return the images of each group that the user named, in the rows' order."""
    members: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.group:
            members[row.group].append(row)
    return dict(members)


def words(rows: Sequence[Row]) -> str:
    """Return how many groups the user named and how large they are; "" for none.

    >>> words([Row(str(n), "owl", "", 1, "", 9, 9, "RGB", "", group) for n, group in enumerate(["a", "a", "b", ""])])
    '2 groups of 1 to 2 images, named in metadata.csv; 1 image in none'
    """
    sizes = [len(members) for members in named(rows).values()]
    if not sizes:
        return ""
    alone = len(rows) - sum(sizes)
    size = f"{min(sizes):,} to {max(sizes):,}" if min(sizes) < max(sizes) else f"{sizes[0]:,}"
    rest = f"; {counted(alone, 'image')} in none" if alone else ""
    return f"{counted(len(sizes), 'group')} of {size} images, named in metadata.csv{rest}"


def read() -> list[Alike]:
    """Return data/copies/groups.csv: the copies, and the images of named groups.

    Raises:
        InputError: where the file is missing, or is not what its stage wrote.
    """
    digests.check(paths.GROUPS)
    return manifest.read(paths.GROUPS, Alike)


def collected() -> list[Row]:
    """Return data/collected/manifest.csv, the collected images.

    Raises:
        InputError: where the file is missing, or is not what its stage wrote.
    """
    digests.check(paths.MANIFEST)
    return manifest.read(paths.MANIFEST, Row)


def of_images(images: Iterable[str]) -> dict[str, str]:
    """Return the group of each image that is in one, by path; nothing where the user named no group.

    A group that is joined to another, as they have copies of one photograph, is one with it.

    Args:
        images: paths, as in the manifest.

    Raises:
        InputError: where a file is missing, or is not what its stage wrote.
    """
    number = {one.path: str(one.group) for one in read()}
    # Not from `kind`: where each photograph of a named group is a copy of another, all are called copies.
    if not named(collected()):
        return {}
    return {image: number[image] for image in images if image in number}


def _neighbors(rows: Iterable[Row]) -> Iterator[tuple[str, str]]:
    """Yield the first image of each named group with each of its others."""
    for first, *others in named(rows).values():
        yield from ((first.path, other.path) for other in others)


def kind(pair: Pair) -> str:
    """Return how sure it is that a pair's images are one: exact, near or alike."""
    if pair.found == "bytes":
        return "exact"
    return "near" if pair.is_copy else "alike"


def numbered(paths: Sequence[str], alike: Sequence[Alike]) -> npt.NDArray[np.int64]:
    """Return a number (n,) for each image: that of its group, or one of its own.

    >>> numbered(["a", "b", "c"], [Alike("a", 1, "", ""), Alike("c", 1, "exact", "a")]).tolist()
    [0, 1, 0]
    """
    group = {one.path: one.group for one in alike}
    first: dict[object, int] = {}
    return np.array([first.setdefault(group.get(path, path), len(first)) for path in paths], dtype=np.int64)
