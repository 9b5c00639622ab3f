"""Groups of images that are copies of each other, from pairs."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse

from pipeline.datasets.prepared.manifest import Alike, Pair

# From the surest to the least sure.
NAMES = {"exact": "byte-equal", "near": "near duplicates", "alike": "alike, not confirmed"}
_STRENGTH = {kind: place for place, kind in enumerate(NAMES)}


def grouped(pairs: Sequence[Pair]) -> list[Alike]:
    """Return the images of the pairs with numbers of their groups, sorted by path.

    Each has the first image that it duplicates, among those that it is most surely a copy of.
    """
    linked = sorted({path for pair in pairs for path in (pair.path, pair.of)})
    if not linked:
        return []
    node = {path: number for number, path in enumerate(linked)}
    ends = np.array([(node[pair.of], node[pair.path]) for pair in pairs]).T
    graph = sparse.coo_array((np.ones(len(pairs)), (ends[0], ends[1])), shape=(len(linked), len(linked)))
    groups = sparse.csgraph.connected_components(graph, directed=False)[1]
    original: dict[str, tuple[str, str]] = {}
    for pair in sorted(pairs, key=lambda pair: (_STRENGTH[kind(pair)], pair.of, pair.path)):
        original.setdefault(pair.path, (kind(pair), pair.of))
    # SciPy's numbers of components follow no documented order.
    renumbered: dict[int, int] = {}
    return [
        Alike(path, renumbered.setdefault(int(group), len(renumbered) + 1), *original.get(path, ("", "")))
        for path, group in zip(linked, groups, strict=True)
    ]


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
