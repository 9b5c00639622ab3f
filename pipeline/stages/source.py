"""Stage `source`: make the pre-trained weights a tracked file of known content and origin."""

import pickle
import sys
import urllib.error
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from pipeline.core import compiler, paths, seeding
from pipeline.core.errors import InputError, one_line_errors
from pipeline.core.files import write_json
from pipeline.core.loop_settings import LoopSettings
from pipeline.core.recipe import Recipe
from pipeline.core.types import Budget
from pipeline.core.vision import models
from pipeline.datasets.decoding.parallel import mapped
from pipeline.datasets.prepared import packed
from pipeline.datasets.synthetic import synthetic
from pipeline.networks import build
from pipeline.networks.backbones.table import backbone, make, places365
from pipeline.training import checkpoints, contract, loop
from pipeline.training.images import Images

# The side for which values are checked; those that depend on the side are fitted to it.
CHECKED_SIZE = 224


class Source(NamedTuple):
    """Pre-trained values by torchvision's names, where they are from and the SHA-256 of the file read, if one was."""

    values: dict[str, Tensor]
    origin: str
    file_sha256: str = ""


def main(arguments: list[str]) -> None:
    """Get the weights that the recipe names, check that they fit its backbone, and store the backbone's.

    Args:
        arguments: `weights_file` of params.yaml.
    """
    (file,) = arguments
    recipe = Recipe.read()
    network = recipe.network
    row = backbone(network.backbone)
    # A device that is not here is refused now, before a stage that needs it has lost its outputs.
    seeding.choose_device(recipe.device)
    source = SOURCES[network.weights](recipe, Path(file))
    with paths.written_whole(paths.SOURCE) as target:
        target.mkdir()
        record = {"origin": source.origin, "backbone": network.backbone, "file_sha256": source.file_sha256}
        if source.values:
            fitting = row.fit(build.backbone_weights(source.values, row), CHECKED_SIZE)
            build.check_backbone(_on_meta(network.backbone), row, fitting, origin=source.origin)
            stored = target / paths.SOURCE_WEIGHTS.name
            checkpoints.save(
                build.backbone_weights(source.values, row) | build.hidden_layers(source.values, row), stored
            )
            record["sha256"] = checkpoints.sha256(stored)
        write_json(target / paths.SOURCE_RECORD.name, record)
    print(f"source: {source.origin}")


def nothing(_recipe: Recipe, _file: Path) -> Source:
    """No pre-trained values: the backbone keeps its random ones."""
    return Source({}, "none")


def from_file(_recipe: Recipe, file: Path) -> Source:
    """The user's own file."""
    return Source(checkpoints.read(file), f"file {file.name}", checkpoints.sha256(file))


def from_places365(recipe: Recipe, _file: Path) -> Source:
    """The Places365 authors' own file, from torch's cache or its own address; no hash of it is published."""
    url = places365(recipe.network.backbone)
    path = fetch(url)
    return Source(checkpoints.read(path), f"Places365 {url}", checkpoints.sha256(path))


def fetch(url: str) -> Path:
    """Fetch a file into torch's cache, unless it is there.

    Raises:
        InputError: where the address does not answer.
    """
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name
    if not cached.is_file():
        cached.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(cached))
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            raise _not_downloaded(url, error) from None
    return cached


def _not_downloaded(url: str, error: Exception) -> InputError:
    return InputError(
        f"weights: {url} could not be downloaded ({error}); go online once, or give a file of your own: "
        "-S weights=file -S weights_file=/path/to/it"
    )


def from_torchvision(recipe: Recipe, _file: Path) -> Source:
    """Torchvision's ImageNet weights, from its cache or its own address."""
    weights = backbone(recipe.network.backbone).imagenet
    return Source(download(weights), f"torchvision {type(weights).__name__}.{weights.name} {weights.url}")


def download(weights: models.WeightsEnum) -> dict[str, Tensor]:
    """Fetch weights into torch's cache, unless they are there, with the hash in their file name checked each time.

    Raises:
        InputError: where the address does not answer or what came is not what was published.
    """
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
    try:
        values: dict[str, Tensor] = weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise _not_downloaded(weights.url, error) from None
    except RuntimeError as error:
        raise InputError(f"weights: {weights.url} was refused: {error}") from None
    except pickle.UnpicklingError:
        raise InputError(f"weights: {cached} is damaged; delete it, and it is downloaded anew") from None
    if not checkpoints.sha256(cached).startswith(cached.stem.rpartition("-")[2]):
        raise InputError(f"weights: {cached} is not what was published; delete it, and it is downloaded anew")
    return values


def drawn(recipe: Recipe, _file: Path) -> Source:
    """Train a network of the same structure from random values, on drawn shapes that are no spiders."""
    options = recipe.options_of("weights")
    seed, size = options["seed"], options["image_size"]
    device = torch.device(seeding.choose_device(recipe.device))
    threads = seeding.make_exact(threads=recipe.threads, device=device.type)
    torch.manual_seed(seeding.derive("source", seed))
    plan = build.Plan(
        backbone=recipe.network.backbone,
        head="linear",
        classes=synthetic.SOURCE_CLASSES,
        image_size=size,
        head_options={"dropout": 0.0},
    )
    student = build.build(plan, pretrained=None).to(device)
    array, labels = draw(images=options["images"], size=size, seed=seed)
    rows = torch.arange(len(array))
    images = Images(array, rows, mean=packed.MEAN, std=packed.STD, device=device)
    examples = contract.Examples(images, torch.from_numpy(labels), rows, rows[:0])
    outcome = loop.fit(student, examples, loop_settings(options), seed=seed)
    score = outcome.history[-1]["train_accuracy"]
    print(f"source: {len(array)} drawn images, training accuracy {score:.3f} at the end, {threads} threads")
    return Source(student.model.state_dict(), f"drawn source domain, seed {seed}, {len(array)} images")


def loop_settings(options: Mapping[str, Any]) -> LoopSettings:
    """Return how a network is trained on drawn shapes: Adam with torch's own betas, down half a cosine to zero."""
    return LoopSettings(
        budget=Budget(unit="epochs", amount=options["epochs"]),
        batch_size=options["batch_size"],
        optimizer="adam",
        optimizer_options={"beta1": 0.9, "beta2": 0.999},
        lr=options["lr"],
        weight_decay=0.0,
        schedule="cosine",
        schedule_options={"final": 0.0},
        precision="fp32",
        feature_cache_mb=0,
    )


def draw(*, images: int, size: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw the source domain on all cores: images uint8 (N, 3, S, S) and their class numbers (N,)."""
    labels = np.arange(images, dtype=np.int64) % synthetic.SOURCE_CLASSES
    one = partial(_draw_one, size=size, seed=seed)
    array = np.empty((images, 3, size, size), dtype=np.uint8)
    with mapped(one, list(enumerate(labels.tolist()))) as pictures:
        for number, image in enumerate(tqdm(pictures, "draw", len(labels), unit=" images", disable=None)):
            array[number] = image
    return array, labels


def _draw_one(numbered: tuple[int, int], *, size: int, seed: int) -> NDArray[np.uint8]:
    index, kind = numbered
    return np.asarray(synthetic.source_image(kind, index, size=size, seed=seed)).transpose(2, 0, 1)


def _on_meta(name: str) -> torch.nn.Module:
    with compiler.meta_device():
        return make(name, CHECKED_SIZE)


SOURCES: dict[str, Callable[[Recipe, Path], Source]] = {
    "none": nothing,
    "file": from_file,
    "imagenet": from_torchvision,
    "places365": from_places365,
    "synthetic": drawn,
}


if __name__ == "__main__":
    with one_line_errors("source"):
        main(sys.argv[1:])
