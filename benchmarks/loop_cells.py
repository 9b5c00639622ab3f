"""The trainings that `gpu.py` and `throughput.py` time, and how large the former's are on a GPU and in a test."""

from dataclasses import dataclass
from typing import Any

from pipeline.core.precision import Precision


@dataclass(frozen=True)
class Cell:
    """One training.

    Attributes:
        backbone: a row of `BACKBONES`.
        strategy: a row of `STRATEGIES`.
        batch: images a step.
        precision: its name.
        attention: a row of `ATTENTIONS`.
        regularizer: a row of `METHODS` with a loss term, or empty.
        head: a row of `HEADS`.
        seed: of the initial values, the order of images and dropout.
        images: in an epoch.
        held_out: further images, which the trained network classifies.
        epochs: how many.
        side: of the images, in pixels.
        source: `resident` images, `file` as if they did not fit on the device, or `fixed`, one batch again and again.
        cache_mb: size of the feature cache; the plain loop has none.
    """

    backbone: str
    strategy: str
    batch: int
    precision: Precision
    attention: str = "none"
    regularizer: str = ""
    head: str = "linear"
    seed: int = 0
    images: int = 64
    held_out: int = 0
    epochs: int = 2
    side: int = 64
    source: str = "resident"
    cache_mb: int = 16384

    def label(self) -> str:
        """Return it in a few words."""
        rest = [one for one in (self.attention, self.regularizer, self.source) if one not in ("none", "", "resident")]
        return " ".join([self.backbone, self.strategy, f"batch {self.batch}", self.precision, *rest])


@dataclass(frozen=True)
class Size:
    """How large the blocks are; the defaults are for a GPU.

    Attributes:
        large: the network of the timed blocks, and the side and number of its images.
        deeper: a second network for regularizers.
        batches: images a step.
        strategies: their names; block d has the first two.
        precisions: their names.
        every: a part of each table in block a, or all.
        side: of the images where nothing is timed, in pixels.
        rounds: of each timed cell.
        table: repeats, epochs, training and test images of Table 5.
    """

    large: tuple[str, int, int] = ("resnet50", 224, 1024)
    deeper: str = "resnet101"
    batches: tuple[int, ...] = (32, 256)
    strategies: tuple[str, ...] = ("2", "3a", "3b", "3c", "1")
    precisions: tuple[Any, ...] = ("tf32", "bf16")
    every: int | None = None
    side: int = 64
    rounds: int = 3
    table: tuple[int, int, int, int] = (5, 60, 1618, 686)

    def cell(self, strategy: str, batch: int, precision: Any, **changes: Any) -> Cell:
        """Return a timed cell: an epoch that is not counted, then one for each round."""
        name, side, images = self.large
        sizes = {"side": side, "images": images, "epochs": 2}
        return Cell(name, strategy, batch, precision, **sizes | changes)


TINY = Size(
    ("resnet18", 32, 8),
    deeper="resnet34",
    batches=(4,),
    strategies=("3b",),
    precisions=("fp32",),
    every=1,
    side=32,
    rounds=1,
    table=(2, 1, 8, 4),
)
