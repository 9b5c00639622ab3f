"""Name, tags and parameters of a run of MLflow."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.core.files import flat
from pipeline.core.naming import Naming
from pipeline.core.records import Record
from pipeline.tracking import metric_names

# Of the record: what differs between the repeats of one experiment.
OF_ONE_REPEAT = {"repeat", "seed", "parts"}

NAME = "orbweaver"
KEY, REPEAT, CONTENT = f"{NAME}.key", f"{NAME}.repeat", f"{NAME}.content"
PARENT, RUN_NAME, COMMIT = "mlflow.parentRunId", "mlflow.runName", "mlflow.source.git.commit"
NOTE = "mlflow.note.content"
# Whether a run may hold images, names and places.
IMAGES = f"{NAME}.images"
LONGEST_PARAM = 6000


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
    return {metric_names.valid(name): text(value)[:LONGEST_PARAM] for name, value in named.items()}


def text(value: object) -> str:
    """Return a value as MLflow has it in parameters and tags."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _labels(record: Record, naming: Naming) -> dict[str, str]:
    """Return what to filter by in the UI."""
    recipe, budget = record.recipe, record.recipe.train.budget
    return {
        "recipe": record.recipe_name,
        "changes": naming.text(),
        "device": record.device,
        "precision": record.precision,
        "mlflow.source.name": NAME,
        "data": naming.data or recipe.data.set,
        "backbone": recipe.network.backbone,
        "weights": recipe.network.weights,
        "strategy": recipe.network.freeze,
        "attention": recipe.network.attention,
        "head": recipe.network.head,
        "regularizer": recipe.regularizer.method,
        "budget": f"{budget.amount} {budget.unit.removesuffix('s') if budget.amount == 1 else budget.unit}",
    }


def parent_tags(record: Record, naming: Naming) -> dict[str, str]:
    """Return what to find an experiment's run by."""
    return _labels(record, naming) | {RUN_NAME: run_name(record, naming)}


def run_name(record: Record, naming: Naming) -> str:
    """Return the recipe and what the experiment changes of it, such as `quick freeze=3c budget=10`.

    Photographs of the user's own are named where no change does, as the recipe `ecsm` has them by itself.
    """
    changed = any(word.startswith("data=") for word in naming.words())
    data = [] if changed or naming.data in ("", record.recipe.data.set) else [f"data={naming.data}"]
    return " ".join([record.recipe_name, *data, *([naming.text()] if naming.text() else [])])


def child_tags(record: Record, naming: Naming) -> dict[str, str]:
    """Return what to find a repeat's run by."""
    name = f"{run_name(record, naming)} · repeat {record.repeat}"
    return _labels(record, naming) | {RUN_NAME: name, REPEAT: str(record.repeat)}
