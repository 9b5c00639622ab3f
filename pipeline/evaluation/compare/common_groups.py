"""The same groups of test images in several experiments, between which the user may have named some."""

from collections.abc import Mapping, Sequence

import scipy

from pipeline.evaluation.compare.experiments import Experiment


def applied(experiments: Sequence[Experiment]) -> list[Experiment]:
    """Return experiments whose test images are in the same groups: two that one of them has in one group are in one.

    The user may have named groups between two experiments.
    """
    of_each = [{path: g for trial in one.trials.values() for path, g in trial.groups.items()} for one in experiments]
    if all(one == of_each[0] for one in of_each):
        return list(experiments)
    common = joined(of_each)
    return [
        one._replace(trials={number: trial._replace(groups=common) for number, trial in one.trials.items()})
        for one in experiments
    ]


def joined(groupings: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the groups of images that are in one group in any of several groupings, also by way of other images.

    >>> joined([{"1.jpg": "a", "2.jpg": "a"}, {"2.jpg": "x", "3.jpg": "x"}, {"4.jpg": "y"}])
    {'1.jpg': '0', '2.jpg': '0', '3.jpg': '0', '4.jpg': '1'}
    """
    paths = sorted({path for grouping in groupings for path in grouping})
    sets = scipy.cluster.hierarchy.DisjointSet(paths)
    for place, grouping in enumerate(groupings):
        for path, group in grouping.items():
            sets.add((place, group))
            sets.merge(path, (place, group))
    number: dict[object, str] = {}
    return {path: number.setdefault(sets[path], str(len(number))) for path in paths}
