"""The frozen probes of an experiment's repeats, from the files that the stage `evaluate` wrote."""

import json
from collections.abc import Iterable

from pipeline.core import paths
from pipeline.evaluation.compare import repeats
from pipeline.evaluation.compare.repeats import Files
from pipeline.reporting.material import Probe


def read(files: Files, numbers: Iterable[int]) -> dict[int, Probe]:
    """Return the probe of each repeat, by its number; those that were tested by a version without one are left out.

    Args:
        files: of the experiment.
        numbers: of the repeats.

    Raises:
        InputError: for a file that is not what its stage wrote.
    """
    return {number: probe for number in numbers if (probe := _read(files, number))}


def _read(files: Files, number: int) -> Probe | None:
    path = paths.evaluation(number) / paths.PROBE
    try:
        files.read(path)
    except FileNotFoundError:
        return None
    content = json.loads(repeats.checked(files, path))
    return Probe(content["reason"], content["right"], content.get("remark", ""))
