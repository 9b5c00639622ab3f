"""The card says what it is of, and Hugging Face's own library reads it."""

import os
from dataclasses import replace
from typing import Any

import pytest
from described import CALIBRATED, ENSEMBLE, FINAL, ORIGIN, REPEAT, of

from pipeline.bundles import card
from pipeline.bundles.description import Description, Score
from pipeline.bundles.license import commercial_use

os.environ["HF_HUB_OFFLINE"] = "1"
from huggingface_hub import ModelCard

KINDS = pytest.mark.parametrize("said", [REPEAT, ENSEMBLE, FINAL], ids=lambda one: one.kind)


@KINDS
def test_hugging_faces_own_library_reads_it(said: Description) -> None:
    read = ModelCard(card.text(said), ignore_metadata_errors=False)
    assert read.data.pipeline_tag == "image-classification"
    assert read.data.license == "apache-2.0"
    assert read.text.strip().startswith("# ResNet-18 for folder")


def test_its_metadata_hold_the_scores_of_the_network_itself() -> None:
    read = ModelCard(card.text(REPEAT))
    results = {one.metric_type: one.metric_value for one in read.data.eval_results}
    assert results == {"accuracy": 0.875, "nll": 0.5}
    assert {one.dataset_split for one in read.data.eval_results} == {"test"}


@pytest.mark.parametrize("said", [ENSEMBLE, FINAL], ids=lambda one: one.kind)
def test_without_a_score_of_its_own_it_says_so_and_no_metadata_hold_the_repeats_mean(said: Description) -> None:
    text = card.text(said)
    assert ModelCard(text).data.eval_results is None
    assert "**No test score of its own.**" in text
    assert "each with a network of its own" in text
    assert "| accuracy | 85.0 % | 75.0 % to 95.0 % |" in text


def test_the_name_of_a_class_reads_as_it_is() -> None:
    text = card.text(replace(REPEAT, classes=("Araneus (female)", "a &lt; b", "~~x~~ $y$")))
    assert "Araneus (female)" in text
    assert r"a \&lt; b" in text
    assert r"\~\~x\~\~ \$y\$" in text


def test_scores_are_those_of_the_description() -> None:
    text = card.text(REPEAT)
    assert "On 27 test images that were not used to train this network or to select an epoch." in text
    assert "the score of the chosen one is optimistic" in text
    assert "| accuracy | 87.5 % | 80.0 % to 92.5 % |" in text
    assert "| NLL | 0.500 | none |" in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (None, ""),
        ({}, "Nothing was changed from the recipe."),
        ({"lr": {"value": 0.0001, "recipe": 0.001}}, "Changed from the recipe: lr 0.0001 (recipe 0.001)."),
        (
            {
                "data": {"value": "my_spiders", "recipe": "synthetic"},
                "defaults.train.schedule": {"value": "step", "recipe": None},
            },
            r"Changed from the recipe: data my\_spiders (recipe synthetic), defaults.train.schedule step.",
        ),
    ],
    ids=["a bundle of an older version", "none", "one", "two"],
)
def test_what_was_changed_of_the_recipe_is_said(changes: dict[str, Any] | None, said: str) -> None:
    text = card.text(of(changes=changes))
    assert ("from the recipe" in text) == bool(said)
    assert said in text
    intro = text.partition("# ResNet-18 for folder")[2].partition("## Use")[0]
    assert said in intro
    assert "\n\n\n" not in text


def test_a_single_repeat_is_not_shown_twice() -> None:
    text = card.text(of(repeats=(2,)))
    assert text.count("| accuracy |") == 1


@KINDS
def test_a_network_that_nothing_was_held_out_for_is_not_called_calibrated(said: Description) -> None:
    assert "**Not calibrated:**" in card.text(said)


@pytest.mark.parametrize(
    ("license", "use", "known"),
    [
        ("Apache-2.0", "yes", "apache-2.0"),
        ("CC-BY-NC-4.0", "no", "cc-by-nc-4.0"),
        ("CC-BY-NC-SA-3.0", "no", "unknown"),
        ("", "unknown", "unknown"),
        ("Proprietary", "unknown", "unknown"),
    ],
)
def test_the_license_of_the_weights_says_whether_they_may_be_sold(license: str, use: str, known: str) -> None:
    text = card.text(of(weights_license=license))
    assert commercial_use(license) == use
    assert f"Commercial use of the pre-trained weights: **{use}**" in text
    assert ModelCard(text).data.license == known


def test_without_pretrained_weights_there_is_no_license_of_theirs() -> None:
    text = card.text(of(weights_origin="none", weights_sha256="", weights_license=""))
    assert "No pre-trained weights went into it." in text
    assert "Commercial use" not in text


def test_names_from_outside_break_neither_the_tables_nor_the_metadata() -> None:
    name = "<b>a|b</b>\n# `x` [y](z) ---"
    said = replace(REPEAT, classes=(name, "dog"), origin=replace(ORIGIN, data_set=name, weights_origin=name))
    text = card.text(said)
    shown = r"\<b\>a\|b\</b\> \# \`x\` \[y\](z) ---"
    assert shown in text
    assert f"| pre-trained weights | {shown} |" in text
    assert name.splitlines()[0] not in text.split("\n---\n", 1)[1]
    assert [one.dataset_name for one in ModelCard(text).data.eval_results] == [" ".join(name.split())] * 2


def test_resizing_is_told_as_it_is_done() -> None:
    prepared = replace(REPEAT.preprocessing, resize="crop", image_size=256, crop_size=224, input_size=96)
    text = " ".join(card.text(replace(REPEAT, preprocessing=prepared)).split())
    assert "the short side resized to 256 pixels (bilinear, antialiased) and the center of 256 x 256 cut out" in text
    assert "then the center of 224 x 224, then 96 x 96, scaled to 0..1" in text


def test_a_calibrated_network_says_on_how_many_images_and_what_it_promises() -> None:
    text, said = card.text(CALIBRATED), dict(CALIBRATED.on_test or {})
    assert "Not calibrated" not in text
    assert "Calibrated on 60 images that were held out from training: scores are divided by 1.5" in text
    assert (
        "was 8.0 % before and is 4.0 % after. So few images show 6.0 % on average where every probability is right."
        in text
    )
    del said["calibration_error_by_chance"]
    assert "So few images show" not in card.text(replace(CALIBRATED, on_test=said))
    assert (
        "The 90 % set holds the right class of at least 90 % of images like the held-out ones, with a probability"
        in text
    )
    assert "a probability of 90 % over which images those were. Of the test images it held 93.0 %, with 1.25" in text
    assert "40 images are too few to promise 95 %: that set holds every class." in text
    assert (
        "A person should look where the 90 % set has several classes, or the image is strange: at 25.0 % of the test "
        "images. Of the others 5.0 % are wrong, of all 12.5 %." in text
    )


def test_images_in_groups_are_too_few_as_they_are_worth_fewer() -> None:
    [_, few] = CALIBRATED.calibration["thresholds"] if CALIBRATED.calibration else []
    thresholds = ({**few, "images": 300, "worth": 5.9}, {**few, "images": 30, "worth": 30.0})
    text = card.text(replace(CALIBRATED, calibration={**(CALIBRATED.calibration or {}), "thresholds": thresholds}))
    assert (
        "300 images that count as 5 (near duplicates and groups count once) are too few to promise 95 %: that set "
        "holds every class." in text
    )
    assert "30 images are too few to promise 95 %" in text
    # As an older version wrote it.
    del few["worth"]
    assert "40 images are too few to promise 95 %" in card.text(CALIBRATED)


@pytest.mark.parametrize(
    ("worth", "images", "said"),
    [
        (None, 60, "than those of 97.5 % of the held-out images."),
        (39.0, 60, "than those of 97.5 % of the held-out images."),
        (None, 38, "than those of every one of the held-out images; with so few, more than 5 % of new ones may be"),
        (38.9, 60, "than those of every one of the held-out images; with so few, more than 5 % of new ones may be"),
    ],
)
def test_limits_of_few_images_are_above_all_of_them(worth: float | None, images: int, said: str) -> None:
    outliers = {**(CALIBRATED.outliers or {}), "worth": worth}
    calibration = {**(CALIBRATED.calibration or {}), "images": images}
    assert said in card.text(replace(CALIBRATED, outliers=outliers, calibration=calibration))
    training = card.text(replace(CALIBRATED, outliers={**outliers, "from_images": "training"}, calibration=None))
    assert f"{'every one' if worth == 38.9 else '97.5 %'} of the training images themselves; as the" in training


def test_where_every_image_is_asked_about_the_network_decides_none() -> None:
    tested = {**(CALIBRATED.on_test or {}), "asked": 1.0, "error_of_others": 0.0}
    text = card.text(replace(CALIBRATED, on_test=tested))
    assert "Those are all test images: the network decides none alone, and 12.5 % of them are wrong." in text
    assert "Of the others" not in text


def test_only_what_is_all_of_them_reads_as_100() -> None:
    scores = {"accuracy": Score(value=0.9995, low=0.9996, high=1.0, images=2000)}
    assert "| accuracy | > 99.9 % | > 99.9 % to 100.0 % |" in card.text(replace(REPEAT, scores=scores))
    tested = {**(CALIBRATED.on_test or {}), "error_of_others": 0.0004}
    assert "Of the others < 0.1 % are wrong" in card.text(replace(CALIBRATED, on_test=tested))


def test_no_set_decides_where_a_person_looks_without_calibration() -> None:
    text = card.text(replace(CALIBRATED, calibration=None))
    assert "A person should look where the image is strange: at 25.0 % of the test images." in text


def test_figures_stand_below_what_they_show_with_their_numbers_in_words() -> None:
    shown = [card.Figure("reliability.png", "Error 8.0 %.", "Of 27 images."), card.Figure("risk.png", "Wrong.", "Of.")]
    text = card.text(CALIBRATED, shown)
    before, after = text.split("![Error 8.0 %.](reliability.png)\n\nOf 27 images.\n\n![Wrong.](risk.png)\n\nOf.\n\n")
    assert before.endswith("of all 12.5 %.\n\n")
    assert after.startswith("## Limits\n")
    assert before + after == card.text(CALIBRATED)
    assert ModelCard(text, ignore_metadata_errors=False).data.pipeline_tag == "image-classification"


def test_scores_of_probabilities_are_said_before_and_after_calibration_in_the_table_and_in_the_metadata() -> None:
    scores = CALIBRATED.scores | {"calibration_error": Score(value=0.08, low=None, high=None, images=27)}
    text = card.text(replace(CALIBRATED, scores=scores, experiment_scores=scores))
    for row in ("NLL, {} calibration | {} |", "calibration error, {} calibration | {} |"):
        before, after = ("0.500", "0.438") if "NLL" in row else ("8.0 %", "4.0 %")
        own, experiment = text.split("The experiment had")
        assert row.format("before", before) in own
        assert row.format("after", after) in own
        assert row.format("before", before) in experiment
        assert row.format("after", after) not in experiment
    named = {one.metric_name: one.metric_value for one in ModelCard(text).data.eval_results}
    assert named == {
        "accuracy": 0.875,
        "NLL, before calibration": 0.5,
        "NLL, after calibration": 0.4375,
        "calibration error, before calibration": 0.08,
        "calibration error, after calibration": 0.04,
    }
    # An older version did not compute it.
    older = {name: value for name, value in (CALIBRATED.on_test or {}).items() if name != "nll_after"}
    assert "NLL, after" not in card.text(replace(CALIBRATED, on_test=older))


def test_intervals_say_what_they_are_over_and_scores_what_they_are() -> None:
    text = card.text(REPEAT)
    assert "| score | value | 95 % interval, over photographs |" in text
    assert "each with a network of its own; the mean scores on their test images:" in text
    assert "| score | mean | 95 % interval, over repeats |" in text
    assert "\n\nWhat they are: accuracy: images whose class has the largest logit; NLL: mean negative" in text
    assert "(lower is better).\n\n## How sure" in text
    single = card.text(replace(FINAL, origin=replace(ORIGIN, repeats=(1,))))
    assert "The experiment had one repeat, with a network of its own, trained on fewer images than this one" in single
    assert "| score | value | 95 % interval, over photographs |" in single


def test_classes_are_a_list_whatever_their_names_begin_with() -> None:
    text = card.text(replace(REPEAT, classes=("cat, small", "1. dog", "- owl")))
    assert "## Classes\n\n- cat, small\n- 1\\. dog\n- \\- owl\n\n## Scores" in text
