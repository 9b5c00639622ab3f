"""A bundle made from a finished experiment's files."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from shutil import copyfile

import numpy as np
import torch

from pipeline import tracking
from pipeline.assembly import certain, recorded_scores, trained
from pipeline.assembly.certain import Parts
from pipeline.assembly.final_training import Final
from pipeline.bundles import applying, bundle, card, contents, description
from pipeline.bundles.card import Figure
from pipeline.bundles.description import (
    BundleOrigin,
    Computation,
    Description,
    Kind,
    Member,
    Preprocessing,
    Score,
    Structure,
)
from pipeline.core import digests, paths
from pipeline.core.recipe import Recipe
from pipeline.core.records import ModelRecord, Record, Runtime
from pipeline.core.sections import Data
from pipeline.datasets.prepared.packed import Packed
from pipeline.evaluation import scores
from pipeline.evaluation.compare import comparison, statistics, units
from pipeline.evaluation.compare.experiments import ACCURACY
from pipeline.evaluation.compare.repeats import Repeat
from pipeline.reporting import confidence_intervals
from pipeline.tracking.results import Results
from pipeline.training import checkpoints


def write(folder: Path, kind: Kind, numbers: Sequence[int], results: Results, data: Packed) -> None:
    """Write a bundle of trained networks into an empty folder.

    Args:
        folder: where to.
        kind: `repeat` or `ensemble`.
        numbers: the repeats whose networks it holds.
        results: the experiment.
        data: the packed set.

    Raises:
        InputError: for networks that say other than when they were tested.
    """
    members = tuple(Member(file=name, repeat=one) for one, name in zip(numbers, _names(numbers), strict=True))
    for member, number in zip(members, numbers, strict=True):
        source = paths.trained(number) / trained.WEIGHTS
        digests.check(source)
        copyfile(source, folder / member.file)
    repeats = [one for one in results.repeats if one.number in numbers]
    # The description's record, commit and versions are those of the first.
    record, runtime = repeats[0].record, repeats[0].runtime
    model, parts = trained.record(numbers[0]), record.parts.model_dump()
    said = describe(kind, members, record, model, results, runtime=runtime, parts=parts)
    split = digests.sha256(paths.split_file(numbers[0]))
    said = replace(said, scores=own_scores(repeats), origin=replace(said.origin, split_sha256=split))
    networks = bundle.assemble(folder, said, device=said.computation.device)
    recorded_scores.check(networks, data, numbers)
    # Of several networks none but the first has features that the reference is of.
    if kind == "ensemble":
        seal(folder, said)
    else:
        early_stop = record.recipe.train.early_stop > 0
        rows = certain.parts_of(data, numbers[0], early_stop=early_stop)
        seal(folder, *certain.write(folder, networks, said, data, rows))


def write_final(folder: Path, final: Final, recipe: Recipe, results: Results, data: Packed) -> None:
    """Write a bundle of a network that was trained for it into an empty folder.

    Args:
        folder: where to.
        final: the network.
        recipe: its settings.
        results: the experiment whose recipe it follows.
        data: the packed set.
    """
    member = Member(file=contents.WEIGHTS.format(""), repeat=None)
    checkpoints.save(final.network.model.state_dict(), folder / member.file)
    model = trained.model_record(recipe, final.record.data.classes)
    parts = {"train": len(final.train), "calibration": len(final.calibration)}
    said = describe("final", (member,), final.record, model, results, runtime=final.runtime, parts=parts)
    none = torch.empty(0, dtype=torch.long)
    network = bundle.assemble(folder, said, device=said.computation.device)
    seal(folder, *certain.write(folder, network, said, data, Parts(final.train, final.calibration, none)))


def seal(folder: Path, said: Description, figures: Sequence[Figure] = ()) -> None:
    """Write bundle.json, the card with its figures and the digests of all files into a bundle's folder."""
    (folder / description.FILE).write_text(said.dumped(), encoding="utf-8")
    (folder / contents.CARD).write_text(card.text(said, figures), encoding="utf-8")
    digests.seal(folder)


def describe(
    kind: Kind,
    members: tuple[Member, ...],
    record: Record,
    model: ModelRecord,
    results: Results,
    *,
    runtime: Runtime,
    parts: dict[str, int],
) -> Description:
    """Return what a bundle says of itself, without scores of its own.

    Args:
        kind: which networks it holds.
        members: they.
        record: what the first follows from.
        model: their structure.
        results: the experiment.
        runtime: of the first one's training.
        parts: images of the first network by part.
    """
    return Description(
        kind=kind,
        members=members,
        network=structure(model),
        classes=tuple(model.classes),
        preprocessing=preprocessing(model, record.recipe.data),
        computation=Computation(
            batch_size=record.recipe.train.batch_size,
            precision=record.precision,
            threads=record.threads,
            device=record.device,
            device_model=record.device_model,
            cpu_instructions=record.cpu_instructions,
        ),
        scores={},
        experiment_scores=scores_of(results.repeats),
        origin=origin(record, runtime, results, parts),
    )


def structure(model: ModelRecord) -> Structure:
    """Return the parts of a trained network."""
    return Structure(**model.network.model_dump(include={"backbone", "attention", "head"}), options=dict(model.options))


def preprocessing(model: ModelRecord, data: Data) -> Preprocessing:
    """Return what happens to an image before a trained network."""
    return Preprocessing(
        **contents.DECODING,
        resize=data.resize,
        resampling=data.interpolation,
        image_size=model.sizes.image,
        crop_size=model.sizes.crop,
        input_size=model.sizes.input,
        mean=model.mean,
        std=model.std,
    )


def own_scores(repeats: Sequence[Repeat]) -> dict[str, Score]:
    """Return the scores of one network, or of the mean of several networks' probabilities, on unseen test images.

    Several have some only if all repeats have the same test images: else each was trained on others' test images.
    """
    if len(repeats) == 1:
        return scores_of(repeats)
    tested = [[row["path"] for row in one.predictions] for one in repeats]
    if any(names != tested[0] for names in tested):
        return {}
    logits = [recorded_scores.logits(one.number) for one in repeats]
    mean = applying.probabilities(np.stack(logits))
    place = {name: number for number, name in enumerate(repeats[0].classes)}
    actual = np.array([place[row["actual"]] for row in repeats[0].predictions])
    values = scores.scores(actual, scores.logits_of(mean), repeats[0].classes)
    worth = units.effective(units.units(tested[0], confidence_intervals.groups(repeats[0].predictions)))
    ends = statistics.wilson(int((mean.argmax(1) == actual).sum()), len(actual), worth=worth)
    return {
        name: Score(
            value=values[name],
            low=ends.low if name == ACCURACY else None,
            high=ends.high if name == ACCURACY else None,
            images=len(actual),
        )
        for name in scores.SCORES
        if name in values
    }


def scores_of(repeats: Sequence[Repeat]) -> dict[str, Score]:
    """Return each score's mean over repeats, with its 95 % interval where it has one."""
    compared = confidence_intervals.experiment("", repeats)
    images = sum(one.scores.test_images for one in repeats)
    result = {}
    for name in scores.SCORES:
        if name in repeats[0].scores.by_name:
            one = comparison.summary(compared, name)
            low, high = one.interval or (None, None)
            result[name] = Score(value=one.mean, low=low, high=high, images=images)
    return result


def origin(record: Record, runtime: Runtime, results: Results, parts: dict[str, int]) -> BundleOrigin:
    """Return what a network was made from, by the two records of its training."""
    weights, naming = record.weights, runtime.naming
    return BundleOrigin(
        experiment=results.key,
        recipe=record.recipe_name,
        settings=record.recipe.model_dump(mode="json"),
        repeats=tuple(one.number for one in results.repeats),
        commit=runtime.git_commit,
        changed=runtime.git_dirty,
        code=record.code,
        data_set=naming.data or record.data.set,
        data_sha256=runtime.data_sha256,
        images=record.data.images,
        parts=parts,
        weights_origin=weights.public().origin,
        weights_sha256=weights.sha256,
        weights_license=weights.license,
        versions=dict(runtime.versions),
        run=tracking.run_of(results.key),
        changes={name: {"value": value, "recipe": naming.own.get(name)} for name, value in naming.set_values().items()},
    )


def _names(numbers: Sequence[int]) -> Iterable[str]:
    if len(numbers) == 1:
        return [contents.WEIGHTS.format("")]
    return [contents.WEIGHTS.format(f"-{number}") for number in numbers]
