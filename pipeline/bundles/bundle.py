"""A bundle: a folder with trained networks and all that is needed to apply them as `evaluate` did.

Loading it needs torch, torchvision, safetensors, Pillow and NumPy, and runs no code from the folder.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.bundles import certainty, contents, description
from pipeline.bundles.certainty import Certainty
from pipeline.bundles.description import Description
from pipeline.bundles.pixels import pixels as pixels
from pipeline.core import cpu_instructions, precision, seeding
from pipeline.core.errors import InputError
from pipeline.datasets.transforms.image_transform import ImageTransform, build_eval_transform
from pipeline.networks.build import build, plan_of
from pipeline.networks.network import Network
from pipeline.training import checkpoints
from pipeline.training.images import Images
from pipeline.training.predict import scores_and_features


class Outputs(NamedTuple):
    """Outputs of the networks of a bundle for n images.

    Attributes:
        logits: (M, n, K) float32, class scores of each of the M networks.
        features: (n, D) float32, of the first network.
    """

    logits: NDArray[np.float32]
    features: NDArray[np.float32]


@dataclass(frozen=True)
class Bundle:
    """A loaded bundle.

    Attributes:
        folder: where it is.
        description: all of bundle.json.
        networks: M networks in eval mode, on `device`.
        transform: from packed images to the networks' input.
        device: where they compute.
        precision: as in force there.
        threads: of the CPU.
        certainty: how sure the network is; None of an ensemble.
    """

    folder: Path
    description: Description
    networks: tuple[Network, ...]
    transform: ImageTransform
    device: torch.device
    precision: precision.Precision
    threads: int
    certainty: Certainty | None

    def pixels(self, source: Path | bytes) -> NDArray[np.uint8]:
        """Return an image file, or its content, as it is packed: uint8 (3, S, S), see `pixels`."""
        return pixels(source, self.description.preprocessing)

    def run(
        self,
        images: NDArray[np.uint8],
        *,
        batch_size: int | None = None,
        on_batch: Callable[[], object] = lambda: None,
    ) -> Outputs:
        """Return class scores and features of packed images.

        With the batch size, the device, the CPU's instructions and the number of threads of `evaluate`, the scores are
        its own to the bit, whatever other images there are. Threads and the precision of float32 are then set for the
        process.

        Args:
            images: uint8 (n, 3, S, S), as `pixels` returns them; n >= 1.
            batch_size: images a batch; None for that of `evaluate`.
            on_batch: called before each batch; may raise to stop.
        """
        # For the process, and a bundle that was loaded later has set its own.
        seeding.make_exact(threads=self.threads, device=self.device.type, precision=self.precision)
        rows = torch.arange(len(images))
        prepared = self.description.preprocessing
        shown = Images(images, rows, mean=prepared.mean, std=prepared.std, device=self.device, transform=self.transform)
        size = batch_size or self.description.computation.batch_size
        outputs = [
            scores_and_features(network, shown, rows, batch_size=size, precision=self.precision, on_batch=on_batch)
            for network in self.networks
        ]
        return Outputs(torch.stack([scores for scores, _ in outputs]).numpy(), outputs[0][1].numpy())


def load(folder: Path, *, device: str = "auto") -> Bundle:
    """Load a bundle, with every file compared to its digest first, and set torch up as `evaluate` had it.

    Args:
        folder: the bundle.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".

    Raises:
        InputError: for a folder that is none, a file that is missing or damaged, a device that is not here.
    """
    return assemble(folder, contents.describe(folder), device=device)


def assemble(folder: Path, said: Description, *, device: str) -> Bundle:
    """Build the networks of a bundle whose files are known to be whole, see `load`.

    Raises:
        InputError: for a device that is not here, or files of another form.
    """
    chosen = torch.device(seeding.choose_device(device))
    in_force = precision.in_force(_precision(said), chosen)
    if said.computation.cpu_instructions == cpu_instructions.PORTABLE and chosen.type == "cpu":
        cpu_instructions.prefer_portable()
    threads = said.computation.threads
    # More threads than cores are slower, and a smaller machine has other last digits in any case.
    threads = seeding.make_exact(
        threads=threads if threads <= seeding.cores() else "auto", device=chosen.type, precision=in_force
    )
    prepared = said.preprocessing
    transform = build_eval_transform(
        image_size=prepared.image_size, crop_size=prepared.crop_size, input_size=prepared.input_size
    )
    networks = tuple(_network(said, folder / member.file).to(chosen).eval() for member in said.members)
    judge = certainty.parse(said.calibration, said.outliers, folder)
    return Bundle(folder, said, networks, transform, chosen, in_force, threads, judge)


def _network(said: Description, weights: Path) -> Network:
    plan = plan_of(
        backbone=said.network.backbone,
        attention=said.network.attention,
        head=said.network.head,
        options=said.network.options,
        classes=len(said.classes),
        image_size=said.preprocessing.input_size,
    )
    try:
        network = build(plan, pretrained=None)
    except InputError as error:
        # A row of the user's own, whose code this installation may not have.
        raise InputError(f"{weights.parent}: {error}; the bundle is of commit {said.origin.commit[:12]}") from None
    try:
        network.model.load_state_dict(checkpoints.read(weights))
    except RuntimeError as error:
        raise InputError(
            f"{weights}: not the weights of this bundle's network: {' '.join(str(error).split())}; copy the bundle "
            "again, or install the version that made it"
        ) from None
    return network


def _precision(said: Description) -> precision.Precision:
    for known in ("fp32", "tf32", "bf16"):
        if said.computation.precision == known:
            return known
    raise InputError(
        f"{description.FILE}: computation.precision: {said.computation.precision!r} is not fp32, tf32 or bf16; install "
        "the version that made the bundle"
    )
