"""Trained networks in MLflow, where the user asks for them; the files under models/trained stay the record."""

import warnings
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import InputError
from pipeline.evaluation.compare.repeats import Files
from pipeline.tracking.results import read
from pipeline.tracking.store import opened, quieten, runs_of, told_in_a_line, uri

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

MODEL = "model"


def runs_without_model(files: Files) -> dict[int, str]:
    """Return the MLflow runs, by their repeat, of an experiment's repeats that have no model yet.

    Raises:
        IncompleteError: if the experiment's files are not all there.
        InputError: if the store does not answer.
    """
    results = read(files)
    quieten()
    with told_in_a_line(), opened() as store:
        runs = runs_of(store, results.key)
    wanted = {one.number: runs[one.number] for one in results.repeats if one.number in runs}
    return {repeat: run.info.run_id for repeat, run in wanted.items() if not _has_model(run)}


def _has_model(run: Any) -> bool:
    return bool(run.outputs and run.outputs.model_outputs)


def log_model(
    run: str, network: "nn.Module", *, example: "NDArray[np.uint8]", expected: "NDArray[np.float32]", needs: list[str]
) -> None:
    """Log a network as the model of a run, exported, with its signature and an example.

    Args:
        run: the identifier of a repeat's run.
        network: takes images as they are packed, in eval mode.
        example: images (n, 3, S, S), n of at least 2: with one, the exported network would take one image alone.
        expected: what the network gives for the example, float32 (n, K).
        needs: what loading it takes, as pip has it.

    Raises:
        InputError: if the store does not take it.
    """
    import mlflow
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    if len(example) < 2:
        raise InputError(f"run {run}: {len(example)} image is not enough for an example; two are")
    specs: list[Any] = [TensorSpec(array.dtype, (-1, *array.shape[1:]), name=None) for array in (example, expected)]
    signature = ModelSignature(inputs=Schema(specs[:1]), outputs=Schema(specs[1:]))
    with told_in_a_line(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.set_tracking_uri(uri())
        Model.log(
            artifact_path=None,
            name=MODEL,
            run_id=run,
            flavor=mlflow.pytorch,
            pytorch_model=network,
            input_example=example,
            signature=signature,
            pip_requirements=needs,
        )
