"""A bundle as each format of bundle.json has it, kept in tests/bundles/formats: what was made once is read for ever.

`python tests/bundles/formats.py` writes that of the present format, once: where its folder is there it stops.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1]))
import tiny
from described import REPEAT

FOLDER = Path(__file__).parent / "formats"
# Few channels, so that the weights are a few kilobytes.
WIDTHS = (4, 4, 4, 8)
SCORES = "scores.npy"


@contextmanager
def narrower() -> Iterator[None]:
    """Make ResNet-18 one of few channels inside."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny, "WIDTHS", WIDTHS)
        tiny._narrow.cache_clear()
        tiny.narrow(patch)
        try:
            yield
        finally:
            tiny._narrow.cache_clear()


def images() -> np.ndarray:
    """Three images as they are packed: uint8 (3, 3, S, S)."""
    return np.random.default_rng(0).integers(0, 256, (3, 3, 96, 96), dtype=np.uint8)


def write() -> None:
    """Write a bundle of the present format, and the scores that it gives."""
    import torch

    from pipeline.assembly import bundling
    from pipeline.bundles import bundle, description
    from pipeline.networks.build import build, plan_of
    from pipeline.training import checkpoints

    folder = FOLDER / str(description.FORMAT)
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    options = {"attention": {}, "head": {"linear": {"dropout": 0.0}}}
    said = replace(REPEAT, network=replace(REPEAT.network, options=options))
    with narrower():
        plan = plan_of(backbone="resnet18", attention="none", head="linear", options=options, classes=2, image_size=96)
        checkpoints.save(build(plan, pretrained=None).model.state_dict(), folder / "weights.safetensors")
        bundling.seal(folder, said)
        np.save(FOLDER / f"{description.FORMAT}-{SCORES}", bundle.load(folder, device="cpu").run(images()).logits)


if __name__ == "__main__":
    write()
