"""Run exported models on the CPU, as other programs do."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.bundles.exporting import INPUT, OUTPUTS

# From photographs (N, H, W, 3) uint8 to probabilities (N, K) float32.
Runner = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def onnx(file: Path) -> Runner:
    """Return the model of an ONNX file, run by onnxruntime with as many threads as torch has."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    def run(photographs: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(session.run(list(OUTPUTS[:1]), {INPUT: photographs})[0])

    return run


def pt2(file: Path) -> Runner:
    """Return the model of a `.pt2` file, run by torch."""
    module = torch.export.load(file).module()

    @torch.no_grad()
    def run(photographs: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(module(torch.from_numpy(photographs))[0])

    return run
