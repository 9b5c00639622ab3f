"""The one place that makes a tiny project: params.yaml in seconds, narrow networks, the stages in dvc.yaml's order.

Importing it imports no torch.
"""

import copy
import functools
import importlib
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

import pipeline.params
from pipeline.core import paths

if TYPE_CHECKING:
    from torch import nn

ROOT = Path(pipeline.__file__).parents[1]
FILE = ROOT / "params.yaml"
# The side of the images.
SIDE = 48
# The channels of a narrow ResNet's four blocks: no two alike, and none fewer than a reduction of params.yaml.
WIDTHS = (16, 24, 32, 48)
ONE_EPOCH = {"unit": "epochs", "amount": 1}


@functools.cache
def _read(file: Path) -> dict[str, Any]:
    values: dict[str, Any] = yaml.load(file.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return values


def shipped(**axes: Any) -> dict[str, Any]:
    """params.yaml as the project has it, with other values at its top."""
    return copy.deepcopy(_read(FILE)) | axes


def recipe(paper: str, changes: Mapping[str, Any] | None = None, **axes: Any) -> dict[str, Any]:
    """params.yaml with one recipe chosen, and with that alone: the file is read in a fifth of the time.

    Args:
        paper: the recipe's name.
        changes: what takes the place of values in its section, by their dotted names: `{"train.lr": 1e-3}`.
        axes: what takes the place of values at the top of the file.
    """
    values = _read(FILE)
    section = copy.deepcopy(values["papers"][paper])
    for name, value in (changes or {}).items():
        *above, last = name.split(".")
        functools.reduce(dict.__getitem__, above, section)[last] = value
    return copy.deepcopy(values | {"papers": None}) | {"papers": {paper: section}, "paper": paper} | axes


def small() -> dict[str, Any]:
    """What makes any recipe small that is in no recipe's section: few drawn images, one repeat, one thread."""
    source = copy.deepcopy(_read(FILE)["synthetic_source"])
    return {
        "repeats": [1],
        "device": "cpu",
        "threads": 1,
        "synthetic": {"images_per_class": 6, "size": SIDE, "seed": 0},
        "synthetic_source": source | {"images": 100, "image_size": SIDE},
    }


def values(changes: Mapping[str, Any] | None = None, **axes: Any) -> dict[str, Any]:
    """The quick recipe in seconds: few small images, one epoch, one repeat; changed as in `recipe`."""
    short = {"data.image_size": SIDE, "train.budget": ONE_EPOCH, "train.lr": 1e-3}
    return recipe("quick", short | dict(changes or {}), **(small() | axes))


def every_recipe(**axes: Any) -> dict[str, Any]:
    """The whole file for small drawn images: the quick recipe in seconds, the sections of the others as they are."""
    given = shipped(**small())
    return given | {"papers": given["papers"] | values()["papers"]} | axes


def params(changes: Mapping[str, Any] | None = None, **axes: Any) -> pipeline.params.Params:
    """`values`, checked."""
    return pipeline.params.check(values(changes, **axes))


def write(given: Mapping[str, Any]) -> None:
    """Put values into params.yaml of the project where this process is."""
    text = yaml.dump(dict(given), Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=False)
    paths.PARAMS.write_text(text, encoding="utf-8")


def write_params(changes: Mapping[str, Any] | None = None, **axes: Any) -> None:
    """Put `values` into params.yaml of the project where this process is."""
    write(values(changes, **axes))


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
    repeats = pipeline.params.load(paths.PARAMS).repeats
    for stage in (stages[name] for name in names[first : last + 1]):
        _python, _m, module, *words = stage["cmd"].split()
        main = importlib.import_module(module).main
        for repeat in repeats if "matrix" in stage else repeats[:1]:
            arguments = [word.replace("${item.repeat}", str(repeat)) for word in words]
            main(arguments) if arguments else main()


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


def narrow(patch: pytest.MonkeyPatch) -> None:
    """Make the ResNets of params.yaml narrow ones: the same modules, a hundredth of the values."""
    from pipeline.networks.backbones import resnet as defined

    for depth in (18, 50, 101):
        whole = getattr(defined, f"RESNET{depth}")
        patch.setattr(defined, f"RESNET{depth}", replace(whole, build=functools.partial(_of_any_size, depth)))


def _of_any_size(depth: int, _image_size: int) -> "nn.Module":
    return resnet(depth)


def draw_no_charts(patch: pytest.MonkeyPatch) -> None:
    """Leave charts and photographs out of reports, where none is looked at: they take seconds."""
    from pipeline.reporting import figures, pictures

    empty = b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    patch.setattr(pictures, "picture", lambda draw, alt: pictures.Picture(empty, empty, empty, alt))
    patch.setattr(pictures, "photographs", lambda material, found: {})
    patch.setattr(figures, "feature_maps", lambda *arguments: b"")
