"""A bundle as a LoggedModel of MLflow, found again by its content; the folder stays the record.

It has a run of its own, below its experiment's, as its scores are its own: those of one repeat's network, or of several
networks' mean, where the experiment's run has means over repeats.
"""

import io
import os
import shutil
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.bundles import contents
from pipeline.bundles.description import FORMAT, Description
from pipeline.core import paths
from pipeline.core.files import flat
from pipeline.tracking import labels
from pipeline.tracking.background import Background
from pipeline.tracking.failures import told_in_a_line
from pipeline.tracking.store import Store, make_run, opened, quieten, runs_of

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.models import ModelSignature

MODEL, SERVED, TASK = "bundle", "served.py", "image-classification"
# Tags of a model: the bundle's content, its kind, and the key of its experiment.
BUNDLE, KIND, EXPERIMENT = f"{labels.NAME}.bundle", f"{labels.NAME}.kind", f"{labels.NAME}.experiment"
# Whether it has a test score of its own.
SCORED = f"{labels.NAME}.scored"
# The rooms that a bundle may import: it and those below it.
ROOMS = ("bundles", "core", "datasets", "evaluation", "networks", "regularizers", "training")
CODE = Path(__file__).parents[1]
# What loading a bundle needs, in the versions that its scores are of.
NEEDS = ("torch", "torchvision", "safetensors", "pillow", "numpy", "tqdm")
LOG_SECONDS = 120.0
# The drawn image of the example has this side.
EXAMPLE_SIDE = 96


class Logged(NamedTuple):
    """A bundle's model in MLflow: its identifier, its name, and whether it was added just now."""

    model: str
    name: str
    added: bool


def try_log_bundle(folder: Path) -> None:
    """Log a bundle for a command: a failure is one line, after two minutes at most, and stops nothing."""
    work = Background(
        lambda _: log_bundle(folder), meanwhile="the bundle is whole", filled_by="orbweaver sync --models"
    )
    work.finish(LOG_SECONDS)


def log_bundle(folder: Path) -> Logged:
    """Have MLflow hold a bundle as a model with its signature, an example and its scores; again, nothing is added.

    Raises:
        InputError: for a folder that is no bundle, or if the store does not answer.
    """
    said = contents.describe(folder)
    key = content_key(folder)
    quieten()
    with told_in_a_line(), opened() as store:
        parent = runs_of(store, said.origin.experiment).get(None)
        parent_tags = {labels.PARENT: parent.info.run_id} if parent else {}
        if (there := find(store, key)) is not None:
            for name, value in parent_tags.items():
                store.client.set_tag(str(there.source_run_id), name, value)
            return Logged(there.model_id, there.name, False)
        _remove_begun(store, key)
        name = run_name(said, parent.info.run_name if parent else said.origin.recipe)
        tags = {labels.RUN_NAME: name, "mlflow.source.name": labels.NAME, BUNDLE: key, **parent_tags}
        run = make_run(store, tags, started=_now())
        model = _log(store, run, folder, said)
        _log_scores(store, run, model, said)
        store.client.set_terminated(run, "FINISHED")
        # The content's tag comes last: a model that has it is whole.
        store.client.set_logged_model_tags(model, tags_of(said) | {BUNDLE: key})
    return Logged(model, MODEL, True)


def content_key(folder: Path) -> str:
    """Return a hash over the digests of all of a bundle's files."""
    return sha256((folder / paths.SUMS).read_bytes()).hexdigest()


def find(store: Store, key: str) -> "LoggedModel | None":
    """Return the model of a bundle of this content."""
    found = store.client.search_logged_models(
        experiment_ids=[store.experiment], filter_string=f"tags.`{BUNDLE}` = '{key}'"
    )
    return next(iter(found), None)


def tags_of(said: Description) -> dict[str, str]:
    """Return what to find a bundle's model by."""
    return {
        KIND: said.kind,
        EXPERIMENT: said.origin.experiment,
        SCORED: labels.text(bool(said.scores)),
        "repeats": labels.text([one.repeat for one in said.members if one.repeat is not None]),
        "data": said.origin.data_set,
        "data_sha256": said.origin.data_sha256,
        "backbone": said.network.backbone,
        "recipe": said.origin.recipe,
    }


def run_name(said: Description, experiment: str) -> str:
    """Return the name of a bundle's run, such as `quick freeze=3c · bundle of repeat 1`."""
    whose = f"repeat {said.members[0].repeat}" if said.kind == "repeat" else said.kind
    return f"{experiment} · bundle of {whose}"


def _remove_begun(store: Store, key: str) -> None:
    """Delete the runs of attempts that were cut, and their models."""
    for run in store.client.search_runs([store.experiment], f"tags.`{BUNDLE}` = '{key}'"):
        for output in run.outputs.model_outputs if run.outputs else ():
            store.client.delete_logged_model(output.model_id)
        store.client.delete_run(run.info.run_id)


def _log(store: Store, run: str, folder: Path, said: Description) -> str:
    """Log the model's files; gives its identifier."""
    from mlflow.entities import LoggedModelOutput

    model = store.client.create_logged_model(
        store.experiment, name=MODEL, source_run_id=run, params=params(said), model_type=TASK
    ).model_id
    store.client.log_outputs(run, [LoggedModelOutput(model, step=0)])
    with TemporaryDirectory() as place:
        save(Path(place, MODEL), folder, said, run=run, model=model)
        store.client.log_model_artifacts(model, str(Path(place, MODEL)))
    store.client.finalize_logged_model(model, "READY")
    return str(model)


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
    with _code() as code, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.pyfunc.save_model(
            path=str(target),
            mlflow_model=described,
            python_model=str(CODE / "tracking" / SERVED),
            # Written down as it is, so that it names no folder above this one.
            artifacts={MODEL: os.path.relpath(folder)},
            code_paths=[str(code)],
            signature=signature(said),
            input_example=(example(), {"top": 1}),
            pip_requirements=needs(said),
        )
    described.flavors["python_function"]["model_code_path"] = SERVED
    described.save(str(target / "MLmodel"))
    for cache in target.rglob("__pycache__"):
        shutil.rmtree(cache)


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
    return [f"{name}=={said.origin.versions.get(name) or metadata.version(name)}" for name in NEEDS]


def params(said: Description) -> dict[str, str]:
    """Return the settings that it was trained by, under their dotted names."""
    settings = {name: labels.text(value)[: labels.LONGEST_PARAM] for name, value in flat(said.origin.settings)}
    return settings | {"kind": said.kind, "bundle_format": str(FORMAT)}


def _log_scores(store: Store, run: str, model: str, said: Description) -> None:
    """Log the bundle's own scores, on unseen test images, for its run and for the model."""
    from mlflow.entities import Metric

    scores: Sequence[tuple[str, float]] = [(name, one.value) for name, one in said.scores.items()]
    now = _now()
    data = {"dataset_name": said.origin.data_set, "dataset_digest": said.origin.data_sha256[:36]}
    metrics = [Metric(name, value, now, 0, model_id=model, run_id=run, **data) for name, value in scores]
    store.client.log_batch(run, metrics=metrics)


def _now() -> int:
    return round(1000 * time.time())
