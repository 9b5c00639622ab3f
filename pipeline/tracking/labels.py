"""Name, tags and parameters of a run of MLflow."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.core.files import flat
from pipeline.core.recipe import NONE
from pipeline.core.records import Record
from pipeline.networks.strategies import SCRATCH, is_scratch

# Of the record: what differs between the repeats of one experiment.
OF_ONE_REPEAT = {"repeat", "seed", "parts"}

NAME = "orbweaver"
KEY, REPEAT, CONTENT = f"{NAME}.key", f"{NAME}.repeat", f"{NAME}.content"
PARENT, RUN_NAME, COMMIT = "mlflow.parentRunId", "mlflow.runName", "mlflow.source.git.commit"
NOTE = "mlflow.note.content"
LONGEST_NAME, LONGEST_PARAM = 250, 6000


def valid_name(name: str) -> str:
    """Return a name that MLflow takes: letters, digits, `_ - . / :` and blanks stay, others become their code point.

    >>> valid_name("precision/C#"), valid_name("f1/Éristale tenax")
    ('precision/C_x23_', 'f1/Éristale tenax')
    """
    return re.sub(r"[^\w./: -]", lambda match: f"_x{ord(match[0]):x}_", name)[:LONGEST_NAME]


def parent_params(record: Record, data_sha256: str, repeats: Iterable[int]) -> dict[str, str]:
    """Return the parameters that all repeats share, and which repeats they are."""
    shared = _params(record.model_dump(mode="json", exclude=OF_ONE_REPEAT), data_sha256)
    return shared | {"repeats": text(sorted(repeats))}


def child_params(record: Record, data_sha256: str) -> dict[str, str]:
    """Return the recipe's values by their dotted names, and what else the record holds; of classes, how many."""
    return _params(record.model_dump(mode="json"), data_sha256)


def _params(record: Mapping[str, Any], data_sha256: str) -> dict[str, str]:
    others = {name: value for name, value in record.items() if name not in ("format", "key", "recipe")}
    others["data"] = record["data"] | {"classes": len(record["data"]["classes"]), "sha256": data_sha256}
    named = dict(flat(others)) | dict(flat(record["recipe"]))
    return {valid_name(name): text(value)[:LONGEST_PARAM] for name, value in named.items()}


def text(value: object) -> str:
    """Return a value as MLflow has it in parameters and tags."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _labels(record: Record) -> dict[str, str]:
    """Return what to filter by in the UI."""
    recipe = record.recipe
    return {
        "recipe": record.recipe_name,
        "device": record.device,
        "precision": record.precision,
        "mlflow.source.name": NAME,
        "data": recipe.data.set,
        "backbone": recipe.network.backbone,
        "weights": recipe.network.weights,
        "strategy": recipe.network.freeze,
        "attention": recipe.network.attention,
        "regularizer": recipe.regularizer.method,
    }


def parent_tags(record: Record) -> dict[str, str]:
    """Return what to find an experiment's run by."""
    return _labels(record) | {RUN_NAME: run_name(record)}


def run_name(record: Record) -> str:
    """Return what is special about an experiment, such as `resnet18 3b ecsm · quick`."""
    network = record.recipe.network
    strategy = SCRATCH if is_scratch(freeze=network.freeze, weights=network.weights) else network.freeze
    words = (network.backbone, strategy, network.attention, record.recipe.regularizer.method)
    return f"{' '.join(word for word in words if word != NONE)} · {record.recipe_name}"


def child_tags(record: Record) -> dict[str, str]:
    """Return what to find a repeat's run by."""
    name = f"{run_name(record)} · repeat {record.repeat}"
    return _labels(record) | {RUN_NAME: name, REPEAT: str(record.repeat)}
