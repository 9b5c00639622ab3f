"""Stage `evaluate`: the only reader of the test part; the trained network, once."""

import sys
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.assembly import resumption, trained
from pipeline.assembly.machine import machine
from pipeline.assembly.transforms import eval_transform
from pipeline.bank import probing
from pipeline.core import digests, paths, unedited
from pipeline.core.errors import one_line_errors
from pipeline.core.files import repeat_argument, write_json, write_table
from pipeline.core.percents import percent
from pipeline.core.recipe import Recipe
from pipeline.core.scores_record import Scores
from pipeline.datasets.prepared import groups
from pipeline.datasets.prepared.packed import Packed
from pipeline.evaluation import explained_images, scores
from pipeline.training.images import Images
from pipeline.training.predict import scores_and_features


def main(arguments: list[str]) -> None:
    """Score the trained network on the test part and write scores, predictions and logits."""
    before = unedited.sources("evaluate")
    repeat = repeat_argument(arguments)
    recipe = Recipe.read()
    on, data = machine(recipe), Packed.open(paths.PACKED)
    device, precision = on.device, on.precision
    parts = data.assigned(paths.split_file(repeat))
    rows = parts["test"]
    network = trained.load(repeat).to(device).eval()
    images = as_shown(data, rows, repeat=repeat, device=device)
    size = recipe.train.batch_size
    logits = scores_and_features(network, images, torch.tensor(rows), batch_size=size, precision=precision)[0].numpy()
    predicted = predictions(data, rows, logits, groups.of_images([data.paths[row] for row in rows]))
    some = explained_images.select(predicted)
    shown = images.batch(torch.tensor([rows[place] for place in some]))
    explained = explained_images.explain(network, shown, [predicted[place] for place in some], data.classes)
    scored = Scores.model_validate(scores.scores(data.labels[rows], logits, classes=data.classes))
    probe = probing.probed(trained.record(repeat), data, parts["train"], rows, on)
    unedited.check("evaluate", before, way_out="the same command tests again")
    with paths.written_whole(paths.evaluation(repeat)) as target:
        target.mkdir()
        np.save(target / "logits.npy", logits)
        write_table(target / "predictions.csv", predicted)
        scored.write(target / "scores.json")
        explained_images.write(target, explained)
        write_json(target / paths.PROBE, standing(data, rows, probe))
        digests.seal(target)
    resumption.remove_trained(repeat)
    print(f"evaluate: repeat {repeat}: {percent(scored.accuracy)} of {len(rows)} test images are right")


def as_shown(data: Packed, rows: list[int], *, repeat: int, device: torch.device) -> Images:
    """Return the test part with the transform of testing, normalized as the network was trained."""
    record = trained.record(repeat)
    view = eval_transform(record.sizes)
    return Images(data.images, torch.tensor(rows), mean=record.mean, std=record.std, device=device, transform=view)


def predictions(
    data: Packed, rows: list[int], logits: NDArray[np.float32], group: Mapping[str, str] = {}
) -> list[dict[str, object]]:
    """Return a row an image: actual class, predicted class and confidence; and its group, where the user named some."""
    probabilities = torch.from_numpy(logits).double().softmax(1)
    confidence, predicted = probabilities.max(1)
    listed: list[dict[str, object]] = [
        {
            "path": data.paths[row],
            "actual": data.classes[data.labels[row]],
            "predicted": data.classes[guess],
            "confidence": round(sure, 6),
            "correct": int(guess == data.labels[row]),
        }
        for row, guess, sure in zip(rows, predicted.tolist(), confidence.tolist(), strict=True)
    ]
    return [row | {"group": group.get(str(row["path"]), "")} for row in listed] if group else listed


def standing(data: Packed, rows: list[int], probe: probing.Probed) -> dict[str, object]:
    """Return which test images the frozen probe tells right, by path, and how it came about."""
    tested = zip(rows, probe.predicted.tolist(), strict=not probe.reason)
    right = {data.paths[row]: guess == int(data.labels[row]) for row, guess in tested}
    outcome: dict[str, object] = {"reason": probe.reason, "strength": probe.strength, "right": right}
    return outcome | ({"remark": probe.remark} if probe.remark else {})


if __name__ == "__main__":
    with one_line_errors("evaluate"):
        main(sys.argv[1:])
