"""Every backbone, attention mechanism and head, exported with random values and compared: `make export-proof`."""

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

sys.path.append(str(Path(__file__).parents[1]))
import tiny

from pipeline.bundles import exporting, running
from pipeline.bundles.graph import FromPhotographs
from pipeline.core.choices import NONE
from pipeline.datasets.transforms.image_transform import build_eval_transform
from pipeline.networks.attention.table import ATTENTIONS
from pipeline.networks.backbones.table import BACKBONES, known
from pipeline.networks.build import Plan, build
from pipeline.networks.heads.table import HEADS

SIDE, CLASSES = 64, 5
# Number, height and width of photographs: smaller and larger than the network's input, one pixel, wide, tall.
SHAPES = ((3, SIDE, SIDE), (1, 37, 120), (2, 200, 91), (1, 333, 500), (1, 1, 1))
# Largest difference of a log probability, in standard deviations of those of the photographs: random values have steep
# places, where the last digits of float32 grow. Photographs without antialiasing differ by far more.
LIMIT = 1e-2
BACKBONE, HEAD = "resnet18", "linear"
# Of each kind that timm's models are run as: tokens, and maps.
OF_TIMM = ("timm/vit_tiny_patch16_224", "timm/convnext_atto")


class Case(NamedTuple):
    """A network by its parts."""

    backbone: str = BACKBONE
    attention: str = NONE
    head: str = HEAD


class Gap(NamedTuple):
    """The largest difference of a score relative to their spread, how many classes are equal, and the file's size."""

    relative: float
    equal: int
    of: int
    megabytes: float
    seconds: float

    @property
    def passes(self) -> bool:
        """Whether all photographs get the same class and nearly the same scores."""
        return self.equal == self.of and self.relative < LIMIT


def cases() -> Iterator[Case]:
    """Yield each backbone, two of timm's, each attention and each head once, the others as in ResNet-18."""
    yield from (Case(backbone=name) for name in (*BACKBONES, *OF_TIMM))
    yield from (Case(attention=name) for name in ATTENTIONS if name != NONE)
    yield from (Case(head=name) for name in HEADS if name != HEAD)


def network(case: Case) -> nn.Module:
    """Build a network whose every part matters: no value is the zero or one that it starts with."""
    options = tiny.shipped()["options"]
    attention = dict(options["attention"].get(case.attention, {}))
    plan = Plan(
        backbone=case.backbone,
        head=case.head,
        classes=CLASSES,
        image_size=SIDE,
        head_options=dict(options["head"].get(case.head, {})),
        attention=case.attention,
        position=attention.pop("position", None),
        attention_options=attention,
    )
    torch.manual_seed(0)
    built = build(plan, pretrained=None)
    with torch.no_grad():
        for parameter in built.parameters():
            if (parameter == parameter.flatten()[0]).all():
                parameter += 0.3 * torch.randn_like(parameter)
        # Batch norms get the statistics of their input.
        for module in built.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
        built(torch.randn(16, 3, SIDE, SIDE))
    return built.eval()


def whole(case: Case) -> FromPhotographs:
    """Return the network with a preprocessing that crops and resizes twice, the first time as the backbone says."""
    crop, row = SIDE - 8, known(case.backbone)
    return FromPhotographs(
        [network(case)],
        size=SIDE,
        resize="crop",
        interpolation=row.interpolation,
        view=build_eval_transform(image_size=SIDE, crop_size=crop, input_size=SIDE),
        mean=row.mean,
        std=row.std,
    )


def compare(case: Case, kind: str, folder: Path) -> Gap:
    """Export a network, run it on random photographs of several sizes, and compare it with the one in memory."""
    start = time.perf_counter()
    module, file = whole(case), folder / f"model.{kind}"
    (exporting.write_onnx if kind == "onnx" else exporting.write_pt2)(module, file, {})
    model = (running.onnx if kind == "onnx" else running.pt2)(file)
    seconds = time.perf_counter() - start
    draw = np.random.default_rng(0)
    given = [draw.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in SHAPES]
    with torch.no_grad():
        ours = np.concatenate([module(torch.from_numpy(one))[0].double().log().numpy() for one in given])
    theirs = np.concatenate([np.log(model(one).astype(np.float64)) for one in given])
    spread = (ours - ours.mean(0)).std()
    return Gap(
        relative=float(np.abs(ours - theirs).max() / spread),
        equal=int((ours.argmax(1) == theirs.argmax(1)).sum()),
        of=len(ours),
        megabytes=file.stat().st_size / 1e6,
        seconds=seconds,
    )


def main() -> int:
    """Print a table in Markdown; the exit status is 1 if a network differs."""
    print(f"Random values, {SIDE} x {SIDE} pixels, {len(SHAPES)} sizes of photographs; torch {torch.__version__}.\n")
    print("| backbone | attention | head | ONNX: gap, equal classes | pt2: gap, equal classes | MB | s |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    passed = True
    for case in cases():
        with tempfile.TemporaryDirectory() as folder:
            gaps = [compare(case, kind, Path(folder)) for kind in ("onnx", "pt2")]
        cells: list[Any] = [f"`{part}`" for part in case]
        cells += [f"{one.relative:.1e}, {one.equal} of {one.of}" for one in gaps]
        cells += [f"{gaps[0].megabytes:.1f}", f"{sum(one.seconds for one in gaps):.0f}"]
        print(f"| {' | '.join(cells)} |", flush=True)
        passed = passed and all(one.passes for one in gaps)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
