"""A bundle as a folder that MLflow loads: its files, the code for them, a signature and an example."""

import io
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pipeline.bundles import contents
from pipeline.bundles.description import Description
from pipeline.core import paths
from pipeline.networks.backbones.table import TIMM

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

MODEL, SERVED = "bundle", "served.py"
# The rooms that a bundle may import: it and those below it.
ROOMS = ("bundles", "core", "datasets", "evaluation", "networks", "regularizers", "training")
CODE = Path(__file__).parents[1]
# What loading a bundle needs, in the versions that its scores are of.
NEEDS = ("torch", "torchvision", "safetensors", "pillow", "numpy", "tqdm")
# The drawn image of the example has this side.
EXAMPLE_SIDE = 96


def save(target: Path, folder: Path, said: Description, *, run: str = "", model: str = "") -> None:
    """Write a bundle as a folder that MLflow loads.

    `mlflow.pyfunc.log_model` would write the places of the store and of our code into it.
    """
    import mlflow
    from mlflow.models import Model

    described = Model(
        run_id=run or None,
        model_id=model or None,
        metadata={"classes": list(said.classes), "bundle_format": said.format, "kind": said.kind},
    )
    with _code() as code, _listed(folder) as files, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.pyfunc.save_model(
            path=str(target),
            mlflow_model=described,
            python_model=str(CODE / "tracking" / SERVED),
            artifacts={MODEL: str(files)},
            code_paths=[str(code)],
            signature=signature(said),
            input_example=(example(), {"top": 1}),
            pip_requirements=needs(said),
        )
    flavor = described.flavors["python_function"]
    flavor["model_code_path"] = SERVED
    # MLflow writes down where the files were, a place on this machine.
    flavor["artifacts"][MODEL]["uri"] = MODEL
    described.save(str(target / "MLmodel"))
    for cache in target.rglob("__pycache__"):
        shutil.rmtree(cache)


@contextmanager
def _listed(folder: Path) -> Iterator[Path]:
    """Yield a copy of a bundle with the files of its digests: photographs may lie beside them."""
    with TemporaryDirectory() as place:
        copy = Path(place, MODEL)
        copy.mkdir()
        for name in (*contents.check(folder), paths.SUMS):
            shutil.copyfile(folder / name, copy / name)
        yield copy


@contextmanager
def _code() -> Iterator[Path]:
    """Yield a copy of the package with the rooms that a bundle needs."""
    with TemporaryDirectory() as folder:
        package = Path(folder, CODE.name)
        package.mkdir()
        shutil.copyfile(CODE / "__init__.py", package / "__init__.py")
        for room in ROOMS:
            shutil.copytree(CODE / room, package / room, ignore=shutil.ignore_patterns("__pycache__"))
        yield package


def signature(said: Description) -> "ModelSignature":
    """Return what the model takes and gives; the classes are in it, in the order of the scores."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import Array, DataType, Object, Property

    from pipeline.bundles.answering import TOP

    label, number = Property("class", DataType.string), Property("probability", DataType.double)
    by_class = Object([Property(name, DataType.double) for name in said.classes])
    taken: list[Any] = [ColSpec("binary", "image", required=False), ColSpec("string", "path", required=False)]
    given: list[Any] = [
        ColSpec("string", "class"),
        ColSpec("double", "probability"),
        ColSpec(Array(Object([label, number])), "top"),
        ColSpec(by_class, "probabilities"),
    ]
    return ModelSignature(Schema(taken), Schema(given), ParamSchema([ParamSpec("top", DataType.integer, TOP)]))


def example() -> Any:
    """Return an input of the model: a drawn spider as a PNG file's bytes."""
    import pandas  # type: ignore[import-untyped]

    from pipeline.datasets.synthetic.synthetic import spider_image

    content = io.BytesIO()
    spider_image(0, 0, size=EXAMPLE_SIDE, seed=0).save(content, "PNG")
    return pandas.DataFrame({"image": [content.getvalue()]})


def needs(said: Description) -> list[str]:
    """Return what loading it takes, as pip has it, in the versions of its training where they are recorded."""
    of_timm = ("timm",) if said.network.backbone.startswith(TIMM) else ()
    return [f"{name}=={said.origin.versions.get(name) or metadata.version(name)}" for name in (*NEEDS, *of_timm)]
