"""Pre-trained weights: where they are from, and whether they fit the backbone."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.core import compiler, digests
from pipeline.core.errors import InputError
from pipeline.core.recipe import Recipe
from pipeline.core.vision import models
from pipeline.datasets.download import fetching
from pipeline.datasets.download.cache import Advice
from pipeline.datasets.download.download import Download
from pipeline.networks import build
from pipeline.networks.backbones.table import BACKBONES, backbone, known, make
from pipeline.pretrained import hub
from pipeline.training import checkpoints

# The side for which values are checked where the backbone has none of its own; those that depend on it are fitted.
CHECKED_SIZE = 224
ADVICE = Advice("TORCH_HOME", "go online once, or give a file of your own: -S weights=file -S weights_file=/path/to/it")


class Pretrained(NamedTuple):
    """Pre-trained values.

    Attributes:
        values: by the backbone's own names.
        origin: where they are from.
        file_sha256: of the file that was read; "" where none was.
        license: of the weights; "" where their publisher states none.
    """

    values: dict[str, Tensor]
    origin: str
    file_sha256: str = ""
    license: str = ""


def get(recipe: Recipe, file: Path) -> Pretrained:
    """Return the weights that a recipe names.

    Args:
        recipe: its backbone and weights.
        file: the user's own, for the weights `file`.

    Raises:
        InputError: for a file that is damaged, and an address that does not answer.
    """
    return ORIGINS[recipe.network.weights](recipe, file)


def fitting(pretrained: Pretrained, name: str) -> dict[str, Tensor]:
    """Return the values of a backbone, and of the hidden layers of its classifier where it has some.

    Raises:
        InputError: where they are not those of this backbone.
    """
    row, side = backbone(name), known(name).side or CHECKED_SIZE
    values = build.backbone_weights(pretrained.values, row)
    with compiler.meta_device():
        plain = make(name, side)
    build.check_backbone(plain, row, row.fit(values, side), origin=pretrained.origin)
    return values | build.hidden_layers(pretrained.values, row)


def nothing(_recipe: Recipe, _file: Path) -> Pretrained:
    """Return no values: the backbone keeps its random ones."""
    return Pretrained({}, "none")


def from_file(_recipe: Recipe, file: Path) -> Pretrained:
    """Read the user's own file."""
    return Pretrained(checkpoints.read(file), f"file {file.name}", digests.sha256(file))


def from_places365(recipe: Recipe, _file: Path) -> Pretrained:
    """Read the Places365 authors' own file, from torch's cache or its own address; no hash of it is published."""
    url = BACKBONES[recipe.network.backbone].places365
    path = fetch(url)
    return Pretrained(checkpoints.read(path), f"Places365 {url}", digests.sha256(path))


def from_timm(recipe: Recipe, _file: Path) -> Pretrained:
    """Read timm's own weights of its model, from the cache of the Hugging Face hub or from there."""
    row = known(recipe.network.backbone)
    path, digest = hub.fetch(row)
    # The folder is named after the hub's revision.
    return Pretrained(checkpoints.read(path), f"timm {row.hub} {path.name} {path.parent.name}", digest, row.license)


def fetch(url: str, begins: str = "") -> Path:
    """Fetch a file into torch's cache, unless it is there; a transfer that was cut goes on where it was.

    Args:
        url: its address.
        begins: the first digits of its SHA-256; "" where none is published.

    Raises:
        InputError: where the address does not give it.
    """
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    cached = folder / Path(url).name
    if cached.is_file():
        return cached
    return fetching.fetch(Download(cached.name, (url,), sha256_begins=begins), cache=folder, advice=ADVICE)


def from_torchvision(recipe: Recipe, _file: Path) -> Pretrained:
    """Read torchvision's ImageNet weights, from its cache or its own address."""
    weights = backbone(recipe.network.backbone).imagenet
    assert weights is not None  # `check_weights` has refused all others.
    values, digest = download(weights)
    return Pretrained(values, f"torchvision {type(weights).__name__}.{weights.name} {weights.url}", digest)


def download(weights: models.WeightsEnum) -> tuple[dict[str, Tensor], str]:
    """Fetch weights into torch's cache, unless they are there, with the hash in their file name checked each time.

    Returns:
        The values, and the file's SHA-256.

    Raises:
        InputError: where the address does not answer or what came is not what was published.
    """
    published = Path(weights.url).stem.rpartition("-")[2]
    cached = fetch(weights.url, published)
    if not (digest := digests.sha256(cached)).startswith(published):
        raise InputError(f"weights: {cached} is not what was published; delete it, and it is downloaded again")
    values: dict[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    return values, digest


def from_package(recipe: Recipe, _file: Path) -> Pretrained:
    """Read the weights that are installed with this project, under the names of this project's network."""
    return packaged(recipe.network.backbone)


def packaged(name: str) -> Pretrained:
    """Read the weights of a backbone that are installed with this project.

    Raises:
        InputError: where the file is missing or not what was published.
    """
    package = BACKBONES[name].bundled
    assert package is not None  # `check_weights` has refused all others.
    path = package.place()
    way_out = "delete .venv, and `make setup` installs it again"
    if not path.is_file():
        raise InputError(f"weights: {path} is not there; {way_out}")
    if (digest := digests.sha256(path)) != package.sha256:
        raise InputError(
            f"weights: {path} is not the file of {package.package}: SHA-256 {digest} instead of {package.sha256}; "
            f"{way_out}"
        )
    own = backbone(name).bundled_names
    parted = [(*theirs.rpartition("."), value) for theirs, value in checkpoints.read(path).items()]
    values = {f"{own[module]}.{leaf}": value for module, _, leaf, value in parted}
    return Pretrained(values, f"ImageNet, package {package.package}", digest, package.license)


# A row of `WEIGHTS` each.
ORIGINS: dict[str, Callable[[Recipe, Path], Pretrained]] = {
    "bundled": from_package,
    "none": nothing,
    "file": from_file,
    "imagenet": from_torchvision,
    "places365": from_places365,
    "timm": from_timm,
}
