"""The working tree's trained networks as MLflow has models: from packed images to class scores."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from pipeline import tracking
from pipeline.assembly import trained
from pipeline.assembly.transforms import eval_transform
from pipeline.core import paths, provenance
from pipeline.datasets.prepared.packed import Packed
from pipeline.datasets.transforms.image_transform import ImageTransform
from pipeline.networks.network import Network

# Two at least, or the exported network takes one image alone.
EXAMPLES = 4
NEEDS = ("torch", "torchvision", "numpy")


class FromPixels(nn.Module):
    """A network with the transform of testing: center crop, resizing, normalization.

    Shape:
        Input (N, 3, S, S) uint8, red green blue, S the side that images are packed at; output (N, K) class scores.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: Network, view: ImageTransform, data: Packed) -> None:
        super().__init__()
        self.network = network
        self.view = view
        self.register_buffer("mean", 255 * torch.tensor(data.mean).view(1, 3, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(data.std).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return the class scores of packed images."""
        shown = self.view.eval_transform(images).to(torch.float32)
        scores: Tensor = self.network((shown - self.mean) / self.std)
        return scores


def from_pixels(repeat: int, data: Packed) -> FromPixels:
    """Return the trained network of a repeat, from the working tree, in eval mode."""
    return FromPixels(trained.load(repeat), eval_transform(trained.sizes(repeat)), data).eval()


def log_models() -> int:
    """Log what the working tree's experiment has trained, where its runs have no model yet; gives how many."""
    runs = tracking.runs_without_model(tracking.Folder(Path()))
    versions = provenance.versions()
    needs = [f"{name}=={versions[name]}" for name in NEEDS]
    data = Packed.open(paths.PACKED)
    example = np.array(data.images[:EXAMPLES])
    for repeat, run in tqdm(runs.items(), desc="models", disable=None):
        network = from_pixels(repeat, data)
        with torch.no_grad():
            expected = network(torch.from_numpy(example)).numpy()
        tracking.log_model(run, network, example=example, expected=expected, needs=needs)
    return len(runs)
