"""A bundle as a LoggedModel of MLflow, found again by its content; the folder stays the record.

It has a run of its own, below its experiment's, as its scores are its own: those of one repeat's network, or of several
networks' mean, where the experiment's run has means over repeats.
"""

import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal, NamedTuple

from pipeline.bundles import contents
from pipeline.bundles.description import FORMAT, Description
from pipeline.core import paths
from pipeline.core.files import flat
from pipeline.tracking import artifacts, labels, saving
from pipeline.tracking.background import Background
from pipeline.tracking.failures import told_in_a_line
from pipeline.tracking.saving import MODEL
from pipeline.tracking.store import Store, make_run, opened, patient, quieten, runs_of

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel

TASK = "image-classification"
# Tags of a model: the bundle's content, its kind, and the key of its experiment.
BUNDLE, KIND, EXPERIMENT = f"{labels.NAME}.bundle", f"{labels.NAME}.kind", f"{labels.NAME}.experiment"
# Whether it has a test score of its own.
SCORED = f"{labels.NAME}.scored"
IMAGES = "data_sha256"
LOG_SECONDS = 120.0


class Logged(NamedTuple):
    """A bundle's model in MLflow: its identifier, its name, and what was done; completed: its files were lost."""

    model: str
    name: str
    outcome: Literal["added", "completed", "unchanged"]


def try_log_bundle(folder: Path) -> None:
    """Log a bundle for a command: a failure is one line, after two minutes at most, and stops nothing."""
    work = Background(
        lambda _: log_bundle(folder), meanwhile="the bundle is whole", filled_by="orbweaver sync --models"
    )
    work.finish(LOG_SECONDS)


def log_bundle(folder: Path) -> Logged:
    """Have MLflow hold a bundle as a model with its signature, an example and its scores; again, nothing is added.

    A model whose files were removed gets them again, and so do the versions of registered models that are of it.

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
            lost = artifacts.are_lost(there.artifact_location)
            if lost:
                _send_files(store, str(there.source_run_id), there.model_id, folder, said)
            return Logged(there.model_id, there.name, "completed" if lost else "unchanged")
        _remove_begun(store, key)
        name = run_name(said, parent.info.run_name if parent else said.origin.recipe)
        tags = {labels.RUN_NAME: name, "mlflow.source.name": labels.NAME, BUNDLE: key, **parent_tags}
        run = make_run(store, tags, started=_now())
        model = _log(store, run, folder, said)
        _log_scores(store, run, model, said)
        store.client.set_terminated(run, "FINISHED")
        # The content's tag comes last: a model that has it is whole.
        store.client.set_logged_model_tags(model, tags_of(said) | {BUNDLE: key})
    return Logged(model, MODEL, "added")


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
        IMAGES: said.origin.data_sha256,
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
    _send_files(store, run, model, folder, said)
    store.client.finalize_logged_model(model, "READY")
    return str(model)


def _send_files(store: Store, run: str, model: str, folder: Path, said: Description) -> None:
    with TemporaryDirectory() as place:
        saving.save(Path(place, MODEL), folder, said, run=run, model=model)
        with patient():
            store.client.log_model_artifacts(model, str(Path(place, MODEL)))


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
