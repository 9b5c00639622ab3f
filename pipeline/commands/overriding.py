"""params.yaml with `-S` words put in by DVC's own grammar, the file itself as it is."""

import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline import config
from pipeline.config import Resolved
from pipeline.core.errors import InputError
from pipeline.datasets.collect import sets

# A key of a recipe, in a word after -S without a sign in front.
OF_A_RECIPE = re.compile(r"recipes\.(?P<recipe>\w+)\.(?P<name>[\w.]+)=(?P<value>.*)", re.DOTALL)


def read(overrides: Sequence[str]) -> Resolved:
    """Return the experiment of params.yaml with overrides put in; the file itself stays as it is.

    Raises:
        InputError: for an override that DVC would refuse, and for what params.yaml may not hold.
    """
    return next(read_each([overrides]))


def read_each(cells: Iterable[Sequence[str]]) -> Iterator[Resolved]:
    """Yield the same for many. The copies are JSON, which DVC reads and writes in a fraction of the time.

    Raises:
        InputError: as `read` does.
    """
    values = config.read()
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "params.json"
        for overrides in cells:
            changed = values
            if overrides:
                copy.write_text(json.dumps(values, default=str), encoding="utf-8")
                _override(copy, overrides, values)
                changed = json.loads(copy.read_text(encoding="utf-8"))
            yield config.resolve(config.check(changed))


def _override(copy: Path, overrides: Sequence[str], values: Mapping[str, Any]) -> None:
    from dvc.exceptions import DvcException
    from dvc.utils.hydra import apply_overrides

    try:
        apply_overrides(copy, list(overrides))
    except DvcException as error:
        reason = str(error.__cause__ or error).partition("\n")[0].partition(". To append")[0].rstrip(".")
        way_out = _instead(overrides, values) or "the keys are those of params.yaml"
        raise InputError(f"-S {' -S '.join(overrides)}: {reason}; {way_out}") from None


def _instead(overrides: Sequence[str], values: Mapping[str, Any]) -> str:
    """Return the word that sets what a recipe does not state; "" where no word is of such a key."""
    for word in overrides:
        match = OF_A_RECIPE.fullmatch(word)
        own = values.get("recipes", {}).get(match["recipe"]) if match else None
        if match and isinstance(own, Mapping) and not _holds(own, match["name"]):
            name = match["name"] if match["name"].startswith("options.") else f"defaults.{match['name']}"
            if _holds(values, name):
                return (
                    f"the recipe {match['recipe']} does not state {match['name']}; "
                    f"set it for all that do not with -S {name}={match['value']}"
                )
    return ""


def _holds(values: Any, name: str) -> bool:
    for key in name.split("."):
        if not isinstance(values, Mapping) or key not in values:
            return False
        values = values[key]
    return True


def places(resolved: Resolved) -> dict[str, str]:
    """Return the places of the user's own files that the experiment reads, by their key in params.yaml."""
    axes, given_by = resolved.settings.axes, sets.known(resolved.recipe.data.set).given_by
    read_by = {
        "folder": given_by == "folder",
        "archive": given_by == "archive" and resolved.settings.place_of("archive") is not None,
        "weights_file": resolved.recipe.network.weights == "file",
    }
    return {name: getattr(axes, name) for name, is_read in read_by.items() if is_read}
