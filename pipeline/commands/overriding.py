"""params.yaml with `-S` words put in by DVC's own grammar, the file itself as it is."""

import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline import params
from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.datasets.collect import sets
from pipeline.params import Params


def read(overrides: Sequence[str]) -> Params:
    """params.yaml with overrides put in by DVC's own grammar; the file itself stays as it is.

    Raises:
        InputError: for an override that DVC would refuse, and for what params.yaml may not hold.
    """
    return next(read_each([overrides])) if overrides else params.load(paths.PARAMS)


def read_each(cells: Iterable[Sequence[str]]) -> Iterator[Params]:
    """The same for many. The copies are JSON, which DVC reads and writes in a fraction of the time.

    Raises:
        InputError: as `read` does.
    """
    values = params.raw(paths.PARAMS)
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "params.json"
        for overrides in cells:
            copy.write_text(json.dumps(values, default=str), encoding="utf-8")
            if overrides:
                _override(copy, overrides)
            yield params.check(json.loads(copy.read_text(encoding="utf-8")), str(paths.PARAMS))


def _override(copy: Path, overrides: Sequence[str]) -> None:
    from dvc.exceptions import DvcException
    from dvc.utils.hydra import apply_overrides

    try:
        apply_overrides(copy, list(overrides))
    except DvcException as error:
        reason = str(error.__cause__ or error).partition("\n")[0].partition(". To append")[0].rstrip(".")
        raise InputError(f"-S {' -S '.join(overrides)}: {reason}; the keys are those of params.yaml") from None


def beside(values: Params) -> dict[str, Any]:
    """What an experiment reads of params.yaml beside its paper's section, as far as its choices read it."""
    chosen = values.experiment().settings
    given_by = sets.known(chosen.data.set).given_by
    read_by = {
        "folder": given_by == "folder",
        "archive": values.place_of("archive") is not None and given_by == "archive",
        "synthetic": chosen.data.set == "synthetic",
        "weights_file": chosen.network.weights == "file",
        "synthetic_source": chosen.network.weights == "synthetic",
    }
    kept = values.model_dump(mode="json", include={name for name, is_read in read_by.items() if is_read})
    if "synthetic_source" in kept:
        kept["synthetic_source"]["train"] = params.only_chosen(kept["synthetic_source"]["train"])
    return kept | values.model_dump(mode="json", include={"repeats", "device", "threads"})
