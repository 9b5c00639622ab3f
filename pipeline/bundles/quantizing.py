"""An ONNX model with 8-bit weights and feature maps, by onnxruntime's own quantization."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.bundles.exporting import INPUT

# What stays in float: the preprocessing, attention's gates and softmax, which are cheap and need their digits.
OPERATIONS = ["Add", "AveragePool", "Clip", "Concat", "Conv", "Gemm", "MatMul", "MaxPool", "Relu"]


def quantize(file: Path, target: Path, photographs: Iterable[NDArray[np.uint8]]) -> None:
    """Write a model with 8-bit weights, by output channel, and 8-bit feature maps.

    The ranges of feature maps are the extremes that they have for some photographs, which must not be tested on.

    Args:
        file: the ONNX model.
        target: the file to write.
        photographs: (1, H, W, 3) uint8 each, as the model takes them.
    """
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        """onnxruntime asks for one photograph after the other, and for None where they end."""

        def __init__(self) -> None:
            self._photographs = iter(photographs)

        def get_next(self) -> dict[str, Any] | None:
            photograph = next(self._photographs, None)
            return None if photograph is None else {INPUT: photograph}

    # It advises to fold batch norms first, which torch's exporter has done.
    logging.disable(logging.WARNING)
    try:
        quantization.quantize_static(
            file,
            target,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=OPERATIONS,
            per_channel=True,
        )
    finally:
        logging.disable(logging.NOTSET)
