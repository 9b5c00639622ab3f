"""The one place that makes a tiny project: params.yaml in seconds, narrow networks, the stages in dvc.yaml's order.

Importing it imports no torch.
"""

import contextlib
import copy
import functools
import importlib
import shlex
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

import pipeline
from pipeline import config
from pipeline.config import Resolved
from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.core.recipe import Recipe
from pipeline.stages import validate

if TYPE_CHECKING:
    from torch import nn

ROOT = Path(pipeline.__file__).parents[1]
FILE = ROOT / "params.yaml"
# The side of the images.
SIDE = 48
# The channels of a narrow ResNet's four blocks: no two alike, and none fewer than a reduction of params.yaml.
WIDTHS = (16, 24, 32, 48)
# Random values of the narrow ResNet-18, where git does not look; see `make_weights_file`.
WEIGHTS_FILE = ROOT / f"build/tests/resnet18-{'-'.join(map(str, WIDTHS))}.safetensors"
ONE_EPOCH = {"unit": "epochs", "amount": 1}


@functools.cache
def _read(file: Path) -> dict[str, Any]:
    values: dict[str, Any] = yaml.load(file.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return values


def shipped(**axes: Any) -> dict[str, Any]:
    """params.yaml as the project has it, with other values at its top."""
    return copy.deepcopy(_read(FILE)) | axes


def recipe(name: str, changes: Mapping[str, Any] | None = None, **axes: Any) -> dict[str, Any]:
    """Return params.yaml with one recipe selected, and with that alone: the file is read in a fraction of the time.

    Args:
        name: the recipe's.
        changes: what takes the place of values in its section, or is added there, by their dotted names:
            `{"train.lr": 1e-3}`.
        axes: what takes the place of values at the top of the file.
    """
    section = copy.deepcopy(_read(FILE)["recipes"][name])
    for key, value in (changes or {}).items():
        *above, last = key.split(".")
        place = section
        for part in above:
            place = place.setdefault(part, {})
        # A copy, as further changes may go into it.
        place[last] = copy.deepcopy(value)
    values = copy.deepcopy(_read(FILE) | {"recipes": None})
    return values | {"recipes": {name: section}, "recipe": name} | axes


def small() -> dict[str, Any]:
    """Return what makes any recipe small, at the top of the file: few drawn images, one repeat, one thread."""
    options = copy.deepcopy(_read(FILE)["options"])
    options["data"]["synthetic"] = {"images_per_class": 6, "size": SIDE, "seed": 0}
    return {"repeats": [1], "device": "cpu", "threads": 1, "options": options}


def values(changes: Mapping[str, Any] | None = None, **axes: Any) -> dict[str, Any]:
    """Return the quick recipe in seconds: few small images, one epoch, one repeat; changed as in `recipe`."""
    short = {"data.image_size": SIDE, "train.budget": ONE_EPOCH, "train.lr": 1e-3}
    return recipe("quick", short | dict(changes or {}), **(small() | axes))


def every_recipe(**axes: Any) -> dict[str, Any]:
    """Return the whole file for small drawn images: the quick recipe in seconds, the others as they are."""
    whole = shipped(**small())
    return whole | {"recipes": whole["recipes"] | values()["recipes"]} | axes


def narrow_values(changes: Mapping[str, Any] | None = None, **axes: Any) -> dict[str, Any]:
    """Return `values` with a network that `narrow` makes small, and its random values for pre-trained ones."""
    network = {"network.backbone": "resnet18", "network.weights": "file"}
    pretrained = axes.get("weights", "file") == "file" and axes.get("freeze") != "scratch"
    place = {"weights_file": str(make_weights_file())} if pretrained else {}
    return values(network | dict(changes or {}), **place | axes)


def resolved(changes: Mapping[str, Any] | None = None, **axes: Any) -> Resolved:
    """Return `narrow_values`, checked and resolved."""
    return config.resolve(config.check(narrow_values(changes, **axes)))


def experiment(changes: Mapping[str, Any] | None = None, **axes: Any) -> Recipe:
    """Return the resolved recipe of `narrow_values`."""
    return resolved(changes, **axes).recipe


def put(settings: Mapping[str, Any]) -> None:
    """Put settings into params.yaml where this process is, and into no other file."""
    text = yaml.dump(dict(settings), Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=False)
    paths.PARAMS.write_text(text, encoding="utf-8")


def write(settings: Mapping[str, Any]) -> None:
    """Put settings into params.yaml where this process is, and what they resolve to into data/recipe.yaml if valid."""
    put(settings)
    with contextlib.suppress(InputError):
        resolve_settings()


def resolve_settings() -> None:
    """Write data/recipe.yaml as the stage `validate` does, without a look at the places that params.yaml names."""
    validate.write(config.resolve(config.load()).recipe)


def write_params(changes: Mapping[str, Any] | None = None, **axes: Any) -> None:
    """Put `narrow_values` into params.yaml of the project where this process is."""
    write(narrow_values(changes, **axes))


def enter(root: Path, patch: pytest.MonkeyPatch) -> Path:
    """Make a folder a project with the code and stages of this one, and the place where this process is."""
    root.mkdir(parents=True, exist_ok=True)
    for name in ("dvc.yaml", "pipeline"):
        if not (root / name).is_symlink():
            (root / name).symlink_to(ROOT / name)
    patch.chdir(root)
    patch.delenv("DVC_ROOT", raising=False)
    return root


def copied(project: Path, to: Path) -> Path:
    """Copy what a project holds into another, which a test may change."""
    for name in (paths.PARAMS.name, "data", "models"):
        copy_of = shutil.copytree if (project / name).is_dir() else shutil.copyfile
        copy_of(project / name, to / name)
    return to


def chain(start: str | None = None, end: str | None = None) -> None:
    """Call what dvc.yaml's commands call, in its order, for each repeat of params.yaml.

    Args:
        start: the first stage; by default the first of all.
        end: the last stage; by default the last of all.
    """
    stages = _read(ROOT / "dvc.yaml")["stages"]
    names = list(stages)
    first, last = names.index(start or names[0]), names.index(end or names[-1])
    with pytest.MonkeyPatch.context() as patch:
        if "copies" in names[first : last + 1]:
            search_once(patch)
        _run([stages[name] for name in names[first : last + 1]])


def _run(stages: Sequence[Mapping[str, Any]]) -> None:
    axes = config.load().axes
    for stage in stages:
        _python, _m, module, *words = shlex.split(stage["cmd"])
        main = importlib.import_module(module).main
        for repeat in axes.repeats if "matrix" in stage else axes.repeats[:1]:
            assert words == (["${item}"] if "matrix" in stage else [])
            main(["--repeat", str(repeat)]) if words else main()


def resnet(depth: int = 18, *, classes: int = 1000) -> "nn.Module":
    """Torchvision's ResNet, module for module and name for name, with few channels."""
    from torchvision.models import resnet as models

    block, blocks = {
        18: (models.BasicBlock, [2, 2, 2, 2]),
        50: (models.Bottleneck, [3, 4, 6, 3]),
        101: (models.Bottleneck, [3, 4, 23, 3]),
    }[depth]
    return _narrow()(block, blocks, classes)


@functools.cache
def _narrow() -> Any:
    from torch import nn
    from torchvision.models.resnet import ResNet

    narrow = dict(zip((64, 128, 256, 512), WIDTHS, strict=True))

    class Narrow(ResNet):
        def __init__(self, block: Any, blocks: list[int], classes: int) -> None:
            super().__init__(block, blocks, num_classes=1)
            self.fc = nn.Linear(WIDTHS[-1] * block.expansion, classes)

        def _make_layer(self, block: Any, planes: int, blocks: int, **options: Any) -> nn.Sequential:
            if planes == 64:
                self.inplanes = WIDTHS[0]
                self.conv1 = nn.Conv2d(3, WIDTHS[0], 7, stride=2, padding=3, bias=False)
                self.bn1 = nn.BatchNorm2d(WIDTHS[0])
            return super()._make_layer(block, narrow[planes], blocks, **options)

    return Narrow


def make_weights_file() -> Path:
    """Return the file of the narrow ResNet-18's random values, which this writes unless it is there."""
    if WEIGHTS_FILE.exists():
        return WEIGHTS_FILE
    import torch

    from pipeline.training import checkpoints

    WEIGHTS_FILE.parent.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = resnet()
    # In one step, since another worker may read it.
    with tempfile.NamedTemporaryFile(dir=WEIGHTS_FILE.parent, delete=False) as own:
        checkpoints.save(network.state_dict(), Path(own.name))
    return Path(own.name).replace(WEIGHTS_FILE)


def narrow(patch: pytest.MonkeyPatch) -> None:
    """Make the ResNets of params.yaml and ViT narrow ones: the same modules, a hundredth of the values."""
    from pipeline.networks.backbones import resnet as defined
    from pipeline.networks.backbones import vit

    for depth in (18, 50, 101):
        whole = getattr(defined, f"RESNET{depth}")
        patch.setattr(defined, f"RESNET{depth}", replace(whole, build=functools.partial(_of_any_size, depth)))
    patch.setattr(vit, "VIT_B_16", replace(vit.VIT_B_16, build=_narrow_vit))


def _narrow_vit(image_size: int) -> "nn.Module":
    from pipeline.core.vision import models

    sizes = {"image_size": image_size, "patch_size": 16, "num_layers": 12}
    return models.VisionTransformer(**sizes, num_heads=2, hidden_dim=16, mlp_dim=32)


def _of_any_size(depth: int, _image_size: int) -> "nn.Module":
    return resnet(depth)


def search_once(patch: pytest.MonkeyPatch) -> None:
    """Search equal sets for copies once in a process, among smaller images and fewer neighbors."""
    from pipeline.datasets.copies import alignment, appearance, finding

    patch.setattr(finding, "find", _found_once(finding.find))
    patch.setattr(alignment, "SIDE", 96)
    patch.setattr(appearance, "NEAREST", 2)


_FOUND: dict[Any, Any] = {}


def _found_once(find: Any) -> Any:
    def found(rows: Any, folder: Path, extract: Any) -> Any:
        # Neither labels nor named groups have a say.
        key = tuple((row.path, row.sha256) for row in rows)
        if key not in _FOUND:
            _FOUND[key] = find(rows, folder, extract)
        return _FOUND[key]

    return found


def draw_no_charts(patch: pytest.MonkeyPatch) -> None:
    """Leave charts and photographs out of reports and bundles, where none is looked at: they take seconds."""
    from pipeline.reporting import figures, pictures

    empty = b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    patch.setattr(pictures, "picture", lambda draw, alt: pictures.Picture(empty, empty, empty, alt))
    patch.setattr(pictures, "photographs", lambda material, found: {})
    for name in ("feature_maps", "reliability_diagram", "reliability_diagrams", "risk_coverage"):
        patch.setattr(figures, name, lambda *arguments: b"")
