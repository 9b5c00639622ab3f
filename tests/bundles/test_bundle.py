"""Bundles are made, loaded and applied: the scores are `evaluate`'s to the bit."""

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import formats
import numpy as np
import pytest
import tiny
import torch
from bundle_files import write
from PIL import Image
from scipy.special import softmax

from pipeline import tracking
from pipeline.assembly import certain, final_training
from pipeline.bundles import bundle, card, contents, description
from pipeline.bundles.certainty import REFERENCE
from pipeline.core import digests, paths
from pipeline.core.errors import InputError
from pipeline.datasets.prepared.manifest import Alike
from pipeline.datasets.prepared.packed import Packed
from pipeline.evaluation.compare import repeats
from pipeline.reporting import confidence_intervals
from pipeline.stages import bundle as stage

# What a loader may not need; ruamel reads YAML.
NOT_NEEDED = ("pydantic", "dvc", "mlflow", "scipy", "sklearn", "yaml", "ruamel", "pandas", "click", "jinja2")


def of_test(repeat: int = 1) -> tuple[list[Path], np.ndarray]:
    """The files of a repeat's test images and the scores that `evaluate` has written."""
    rows = (paths.evaluation(repeat) / "predictions.csv").read_text(encoding="utf-8").splitlines()[1:]
    return [paths.IMAGES / row.split(",")[0] for row in rows], np.load(paths.evaluation(repeat) / "logits.npy")


def pixels(loaded: bundle.Bundle, files: list[Path]) -> np.ndarray:
    return np.stack([loaded.pixels(file) for file in files])


def test_the_scores_of_test_images_are_those_of_evaluate_to_the_bit(bundled: Path) -> None:
    files, logits = of_test()
    loaded = bundle.load(bundled, device="cpu")
    assert np.array_equal(loaded.run(pixels(loaded, files)).logits, logits[None])


@pytest.mark.parametrize("kind", ["repeat", "ensemble"])
def test_a_network_that_says_other_than_when_it_was_tested_is_not_bundled(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: description.Kind
) -> None:
    """As after an edit of a module of one's own: the card would have the score of other code."""
    plain = bundle.scores_and_features

    def edited(*words: Any, **options: Any) -> tuple[torch.Tensor, torch.Tensor]:
        scores, features = plain(*words, **options)
        return scale * scores, features

    monkeypatch.setattr(bundle, "scores_and_features", edited)
    scale = 1.001
    write(tmp_path / "as on another device", kind)
    scale = 0.8
    with pytest.raises(InputError, match="repeat 1: its network gives other class scores than were recorded"):
        write(tmp_path / "edited", kind)


def test_neither_order_nor_number_of_images_changes_a_bit(bundled: Path) -> None:
    files, logits = of_test()
    loaded = bundle.load(bundled, device="cpu")
    images = pixels(loaded, files)
    some = np.random.default_rng(0).permutation(len(files))[:7]
    assert np.array_equal(loaded.run(images[some]).logits[0], logits[some])
    assert np.array_equal(loaded.run(images[3:4]).logits[0], logits[3:4])


def test_an_image_file_becomes_the_pixels_that_preprocess_has_packed(bundled: Path) -> None:
    data = Packed.open(paths.PACKED)
    loaded = bundle.load(bundled, device="cpu")
    assert np.array_equal(pixels(loaded, [paths.IMAGES / path for path in data.paths]), data.images)


def test_features_are_what_the_head_takes(bundled: Path) -> None:
    files, _ = of_test()
    loaded = bundle.load(bundled, device="cpu")
    outputs = loaded.run(pixels(loaded, files[:4]))
    assert outputs.features.shape == (4, tiny.WIDTHS[-1])
    (network,) = loaded.networks
    weight, bias = (value.detach().numpy() for value in network.model.fc.parameters())
    assert outputs.features @ weight.T + bias == pytest.approx(outputs.logits[0], abs=1e-5)


def test_its_card_shows_its_figures_whose_digests_are_kept(bundled: Path) -> None:
    shown = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (bundled / contents.CARD).read_text(encoding="utf-8"))
    assert shown == ["reliability.png", "risk-coverage.png"]
    assert {*shown, contents.CARD} < contents.check(bundled)


def test_an_ensemble_holds_the_networks_of_all_repeats(project: Path, tmp_path: Path) -> None:
    loaded = bundle.load(write(tmp_path / "ensemble", "ensemble"), device="cpu")
    assert [one.repeat for one in loaded.description.members] == [1, 2]
    assert not list(loaded.folder.glob("*.png"))
    for repeat in (1, 2):
        files, logits = of_test(repeat)
        assert np.array_equal(loaded.run(pixels(loaded, files)).logits[repeat - 1], logits)


def test_an_ensemble_of_repeats_with_test_images_of_their_own_has_no_score(project: Path, tmp_path: Path) -> None:
    said = contents.describe(write(tmp_path / "ensemble", "ensemble"))
    assert said.scores == {}
    assert said.experiment_scores["accuracy"].images == 2 * len(of_test()[0])


def test_an_ensemble_of_repeats_with_the_same_test_images_has_the_score_of_its_mean(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny.enter(tmp_path / "same", monkeypatch))
    shutil.copytree(project, ".", dirs_exist_ok=True, ignore=shutil.ignore_patterns("pipeline", "dvc.yaml", "bundle"))
    first, second = paths.evaluation(1), paths.evaluation(2)
    shutil.copyfile(first / "predictions.csv", second / "predictions.csv")
    digests.seal(second)
    tested = [repeats.read(repeats.Folder(Path()), repeat) for repeat in (1, 2)]
    paths.SUMMARY.write_text(json.dumps(confidence_intervals.summary(tested)), encoding="utf-8")
    said = contents.describe(write(tmp_path / "ensemble", "ensemble"))
    probabilities = [softmax(np.load(one / "logits.npy").astype(np.float64), axis=1) for one in (first, second)]
    actual = [row.split(",")[1] for row in (first / "predictions.csv").read_text(encoding="utf-8").splitlines()[1:]]
    right = np.array(said.classes)[np.mean(probabilities, axis=0).argmax(1)] == np.array(actual)
    assert said.scores["accuracy"].value == right.mean()
    assert said.scores["accuracy"].low is not None


def test_another_repeat_is_taken_where_it_is_asked_for_and_none_that_is_not_there(
    project: Path, tmp_path: Path
) -> None:
    said = contents.describe(write(tmp_path / "second", repeat=2))
    assert [one.repeat for one in said.members] == [2]
    with pytest.raises(InputError, match=r"^--repeat 3: the experiment has the repeats 1, 2$"):
        write(tmp_path / "third", repeat=3)


def damaged(bundled: Path, to: Path, name: str, content: bytes) -> Path:
    shutil.copytree(bundled, to)
    (to / name).write_bytes(content)
    return to


@pytest.mark.parametrize("name", ["README.md", description.FILE, "weights.safetensors"])
def test_a_wrong_byte_is_named(bundled: Path, tmp_path: Path, name: str) -> None:
    content = bytearray((bundled / name).read_bytes())
    content[len(content) // 2] ^= 1
    folder = damaged(bundled, tmp_path / "bundle", name, bytes(content))
    with pytest.raises(InputError, match=rf"{name}: damaged: not what SHA256SUMS says; copy the bundle again$"):
        bundle.load(folder)


def test_features_that_are_no_safetensors_are_refused_in_a_line(bundled: Path, tmp_path: Path) -> None:
    content = (bundled / REFERENCE).read_bytes()
    for number, broken in enumerate((b"", b"\xff" * 100, content[: len(content) // 2])):
        folder = damaged(bundled, tmp_path / str(number), REFERENCE, broken)
        digests.seal(folder)
        with pytest.raises(
            InputError, match=r"calibration or outliers in an unknown format .*; copy the bundle again$"
        ):
            bundle.load(folder, device="cpu")


@pytest.mark.parametrize("name", ["SHA256SUMS", "weights.safetensors"])
def test_a_missing_file_is_named(bundled: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(bundled, tmp_path / "bundle")
    (tmp_path / "bundle" / name).unlink()
    with pytest.raises(InputError, match=rf"{name}.*(missing|no such file).*copy the bundle again$"):
        bundle.load(tmp_path / "bundle")


def test_a_folder_that_is_no_bundle_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no bundle: has no bundle\.json; `orbweaver bundle` makes one$"):
        bundle.load(tmp_path)


def changed(bundled: Path, to: Path, **values: object) -> Path:
    """A bundle whose bundle.json says otherwise, sealed anew."""
    shutil.copytree(bundled, to)
    said = json.loads((to / description.FILE).read_text(encoding="utf-8"))
    (to / description.FILE).write_text(json.dumps(said | values), encoding="utf-8")
    digests.seal(to)
    return to


def test_weights_outside_the_folder_are_refused(bundled: Path, tmp_path: Path) -> None:
    members = [{"file": "../../secret.safetensors", "repeat": 1}]
    with pytest.raises(InputError, match=r"members: '\.\./\.\./secret\.safetensors' is not among the files"):
        bundle.load(changed(bundled, tmp_path / "bundle", members=members))


def test_rules_of_decoding_that_are_not_known_are_refused(bundled: Path, tmp_path: Path) -> None:
    said = json.loads((bundled / description.FILE).read_text(encoding="utf-8"))
    folder = changed(bundled, tmp_path / "bundle", preprocessing=said["preprocessing"] | {"resampling": "lanczos"})
    with pytest.raises(
        InputError, match=r"preprocessing\.resampling: 'lanczos' is unknown; this version knows 'bilinear' or 'bicubic'"
    ):
        bundle.load(folder)


def test_a_bicubic_bundle_resizes_photographs_as_pillow_does(bundled: Path, tmp_path: Path) -> None:
    said = json.loads((bundled / description.FILE).read_text(encoding="utf-8"))
    folder = changed(bundled, tmp_path / "bundle", preprocessing=said["preprocessing"] | {"resampling": "bicubic"})
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8))
    picture.save(tmp_path / "picture.png")
    side = said["preprocessing"]["image_size"]
    expected = np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
    assert np.array_equal(bundle.load(folder, device="cpu").pixels(tmp_path / "picture.png"), expected)
    assert not np.array_equal(bundle.load(bundled, device="cpu").pixels(tmp_path / "picture.png"), expected)


def test_weights_of_another_network_are_refused(bundled: Path, tmp_path: Path) -> None:
    said = json.loads((bundled / description.FILE).read_text(encoding="utf-8"))
    folder = changed(bundled, tmp_path / "bundle", classes=said["classes"][:-1])
    with pytest.raises(
        InputError,
        match=r"weights\.safetensors: not the weights of this bundle's network: .*; copy the bundle again, or",
    ):
        bundle.load(folder, device="cpu")


@pytest.mark.parametrize(
    "folder", sorted(place for place in formats.FOLDER.iterdir() if place.is_dir()), ids=lambda place: place.name
)
def test_a_bundle_of_every_format_is_loaded_and_gives_the_scores_that_it_gave(folder: Path) -> None:
    with formats.narrower():
        loaded = bundle.load(folder, device="cpu")
        scores = loaded.run(formats.images()).logits
    assert scores == pytest.approx(np.load(formats.FOLDER / f"{folder.name}-{formats.SCORES}"), abs=1e-4)


def test_the_present_format_is_among_them() -> None:
    assert (formats.FOLDER / str(description.FORMAT) / description.FILE).is_file()


def test_validation_images_calibrate_and_test_images_only_tell_how_well_that_holds(bundled: Path) -> None:
    said = contents.describe(bundled)
    files = of_test()[0]
    record = said.origin.parts
    assert said.calibration is not None
    assert said.calibration["images"] == record["val"] > 0
    assert said.outliers is not None
    assert (said.outliers["images"], said.outliers["from_images"]) == (record["train"], "calibration")
    assert said.on_test is not None
    assert said.on_test["images"] == len(files)
    wrong = 1 - said.scores["accuracy"].value
    assert said.on_test["error"] == pytest.approx(wrong)
    assert said.on_test["calibration_error"] == pytest.approx(said.scores["calibration_error"].value)


def test_copies_of_a_photograph_count_as_one_where_sets_are_calibrated(monkeypatch: pytest.MonkeyPatch) -> None:
    alike = [Alike("a", 1, "exact", "b"), Alike("b", 1, "exact", "a")]
    monkeypatch.setattr(certain.groups, "read", lambda: alike)
    unit = certain.unit_of(["a", "c", "b"])
    assert unit is not None
    assert unit.tolist() == [0, 1, 0]
    assert certain.unit_of(["a", "c"]) is None


def test_validation_images_that_chose_the_epoch_calibrate_nothing(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = tracking.read

    def stopped_early(files: Any) -> Any:
        results = read(files)
        recipe = results.repeats[0].record.recipe
        recipe = recipe.model_copy(update={"train": recipe.train.model_copy(update={"early_stop": 2})})
        repeats = [one._replace(record=one.record.model_copy(update={"recipe": recipe})) for one in results.repeats]
        return results._replace(repeats=repeats)

    monkeypatch.setattr(tracking, "read", stopped_early)
    said = contents.describe(write(tmp_path / "early"))
    assert said.calibration is None
    assert said.outliers is not None
    assert said.outliers["from_images"] == "training"
    text = card.text(said)
    assert "**Not calibrated:** the images that were held out from training chose the epoch" in text


def test_a_final_training_is_refused_where_it_would_stop_by_images_that_it_has_not() -> None:
    recipe = tiny.experiment({"data.split.val": 0.2, "train.early_stop": 2})
    results: Any = SimpleNamespace(
        repeats=[SimpleNamespace(number=1, record=SimpleNamespace(recipe=recipe.settings()))]
    )
    nothing: Any = None
    with pytest.raises(
        InputError, match=r"^--final: train\.early_stop is 2, and a training on all images has none to stop"
    ):
        final_training.train(recipe, nothing, results, held_out=0.2, stop=nothing)


@pytest.mark.parametrize("words", [["--repeat", "1"], ["--ensemble"], ["--final", "0.2"]], ids=" ".join)
def test_no_bundle_has_the_scores_of_other_images(
    words: list[str], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = tracking.read

    def of_other_images(files: tracking.Folder) -> tracking.Results:
        results = read(files)
        runtime = results.repeats[0].runtime.model_copy(update={"data_sha256": "0" * 64})
        return results._replace(repeats=[one._replace(runtime=runtime) for one in results.repeats])

    monkeypatch.setattr(tracking, "read", of_other_images)
    with pytest.raises(InputError, match=r"^data/packed: not the images of the experiment in metrics; run `dvc repro`"):
        stage.main(words)


def test_a_loaded_bundle_judges_as_it_did_when_it_was_made(bundled: Path) -> None:
    files, logits = of_test()
    loaded = bundle.load(bundled, device="cpu")
    assert loaded.certainty is not None
    outputs = loaded.run(pixels(loaded, files))
    judgment = loaded.certainty.judge(outputs.logits[0], outputs.features)
    assert judgment.probabilities == pytest.approx(
        softmax(logits.astype(np.float64) / loaded.certainty.calibration.temperature, axis=1)
    )
    assert loaded.description.on_test is not None
    assert loaded.description.on_test["asked"] == judgment.ask.mean()
    assert loaded.description.on_test["strange"] == judgment.strangeness.strange.mean()


def test_an_ensemble_promises_nothing(project: Path, tmp_path: Path) -> None:
    loaded = bundle.load(write(tmp_path / "ensemble", "ensemble"), device="cpu")
    assert loaded.certainty is None
    assert loaded.description.calibration is None
