"""MLflow's model of a bundle, as code: MLflow runs this file where it loads the model, and nobody imports it.

With MLflow's own pickles nothing could be loaded that has not been trusted first. It finds the package beside it.
"""

import os
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from pandas import DataFrame  # type: ignore[import-untyped]

from pipeline.bundles import answering, bundle
from pipeline.core.errors import InputError

DEVICE, BATCH_SIZE = "ORBWEAVER_DEVICE", "ORBWEAVER_BATCH_SIZE"


class ServedBundle(PythonModel):
    """Answers to images: their bytes in the column `image`, or a file's path in `path`."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the bundle, with every file compared to its digest."""
        self.batch_size = answering.batch_size(BATCH_SIZE, os.environ.get(BATCH_SIZE, ""))
        self.bundle = bundle.load(Path(context.artifacts["bundle"]), device=os.environ.get(DEVICE, "auto"))

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002
        model_input: DataFrame,
        params: dict[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """Return an answer a row.

        Raises:
            MlflowException: with one line, which a server sends with status 400.
        """
        try:
            if model_input.empty:
                # MLflow leaves out columns that the model does not name.
                raise InputError("no image: each row needs the column `image`, a file's bytes in base64, or `path`")
            images = [answering.source(row, number) for number, row in enumerate(model_input.to_dict("records"))]
            return answering.answers(self.bundle, images, batch_size=self.batch_size, **(params or {}))
        except InputError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None


set_model(ServedBundle())
