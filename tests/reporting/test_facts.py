import shlex
from pathlib import Path

import pytest

import pipeline
from pipeline import params
from pipeline.commands.describe import read
from pipeline.reporting import facts
from pipeline.reporting.aggregate import Repeat
from pipeline.reporting.facts import Material

ROOT = Path(pipeline.__file__).parents[1]
RECIPE = {
    "data": {"set": "folder"},
    "network": {"backbone": "resnet50", "weights": "imagenet", "freeze": "3b", "attention": "none", "head": "linear"},
    "train": {
        "budget": {"unit": "epochs", "amount": 60},
        "batch_size": 32,
        "optimizer": "adam",
        "lr": 2e-4,
        "schedule": "constant",
    },
    "regularizer": {"method": "none"},
}


def repeat(number=1, *, freeze="3b", origin="torchvision", support=5, **runtime):
    tested = {"precision": 0.5, "recall": 0.5, "f1": 0.5}
    return Repeat(
        number=number,
        record={
            "paper": "ecsm",
            "recipe": RECIPE | {"network": RECIPE["network"] | {"freeze": freeze}},
            "device": "cuda",
            "threads": 2,
            "data": {"set": "folder", "classes": ["a", "b"], "images": 40, "sha256": "d"},
            "weights": {"origin": origin, "sha256": ""},
            "code": "c",
            "parameters": {"trainable": 1000, "frozen": 0},
            "parts": {"train": 29 + number, "val": 0, "test": 10},
        },
        runtime={
            "train_seconds": 60.0 * number,
            "cache_seconds": 0.0,
            "images_per_second": 1234.5,
            "device_name": "GPU",
            "threads": 2,
            "versions": {"python": "3.11", "torch": f"2.{number}"},
            "git_commit": "c0ffee",
            "git_dirty": False,
            "started": f"2026-11-21T0{number}:00:00+00:00",
        }
        | runtime,
        scores={"test_images": 10, "classes": {"a": tested | {"support": 10}, "b": tested | {"support": support}}},
        history=[],
        predictions=[],
    )


def material(*repeats, **dataset):
    told = {"set": "folder", "title": "Spiders", "has_parts": False} | dataset
    return Material(repeats, told, {"a": 25, "b": 15}, rejected=[("x.jpg", "cut")], right=[], wrong=[])


def test_the_experiment_names_paper_strategy_weights_and_data():
    told = dict(facts.experiment(material(repeat())))
    assert told["Paper"] == "ecsm (Wang, Chen, Shi 2023, Symmetry 15, 1727)"
    assert told["Strategy"] == "3b: blocks 3 and 4 and the head train"
    assert told["Starting weights"] == "imagenet (torchvision)"
    assert told["Data"] == "Spiders: 40 images, 2 classes"


def test_an_unexplained_strategy_is_named_alone():
    assert dict(facts.experiment(material(repeat(freeze="new"))))["Strategy"] == "new"


def test_random_values_are_not_called_by_the_unused_weights():
    told = dict(facts.experiment(material(repeat(freeze="scratch", origin="none"))))
    assert told["Starting weights"] == "none: random values"


@pytest.mark.parametrize(
    ("given", "note"),
    [
        (material(repeat()), "A single repeat has no spread: how much of this value is chance is not known."),
        (material(repeat(1), repeat(2)), "over 2 repeats, each with its own random split and seed"),
        (material(repeat(1), repeat(2), has_parts=True), "each with the set's own parts and its own seed"),
        (material(repeat()), "Each repeat tests 10 images: one image more or less is 10.00\u00a0%."),
        (material(repeat(), set="synthetic"), "The images are drawn by a program"),
        (material(repeat(git_dirty=True)), "Files differed from the recorded commit"),
        (material(repeat(support=0)), "Without a test image, so not judged: b."),
    ],
)
def test_what_limits_the_result_is_said(given, note):
    assert any(note in told for told in facts.notes(given))


def test_photographs_from_a_clean_commit_have_no_further_warning():
    assert len(facts.notes(material(repeat()))) == 3


def test_data_tell_sizes_parts_and_what_was_left_out():
    told = dict(facts.data(material(repeat(1), repeat(2))))
    assert told["Images"] == "40; 15 to 25 a class"
    assert (told["Training images"], told["Test images"], told["Files left out"]) == ("30 to 31", "10", "1")


def test_training_tells_time_with_its_range_and_no_cache_where_there_was_none():
    told = dict(facts.training([repeat(1), repeat(2)]))
    assert told["Time a repeat"] == "1\u00a0min 30\u00a0s (1\u00a0min 0\u00a0s to 2\u00a0min 0\u00a0s)"
    assert told["Device"] == "GPU (cuda)"
    assert "Frozen part, computed once" not in told


def test_versions_that_differ_between_repeats_are_all_told():
    assert dict(facts.hashes([repeat(1), repeat(2)]))["torch"] == "2.1, 2.2"


def test_weights_without_a_hash_say_so():
    assert dict(facts.hashes([repeat()]))["Starting weights, SHA-256"] == "none"


def test_a_clean_commit_needs_no_more_than_repro():
    assert facts.reproduce([repeat()]) == ["git checkout c0ffee", "dvc repro"]


def test_without_git_every_value_of_the_recipe_is_spelled_out_as_dvc_reads_it(monkeypatch):
    monkeypatch.chdir(ROOT)
    settings = params.load(Path("params.yaml")).experiment()
    recipe = settings.recipe()
    recipe["train"]["lr"] = 0.00001
    recipe["train"] |= {"schedule": "step", "schedule_options": {"step": {"at": [0.25, 0.75], "factor": 0.5}}}
    recipe["data"]["set"] = "folder"
    one = repeat(2, git_commit="")
    one.record.update(paper="quick", recipe=recipe, threads=3)
    [command] = facts.reproduce([one])
    words = shlex.split(command.replace("\\\n", " "))
    assert words[:3] == ["dvc", "exp", "run"]
    found = read([word for word in words[3:] if word != "-S"])
    assert found.experiment().recipe() == recipe
    assert (found.repeats, found.threads, found.folder) == ((2,), 3, "YOUR_FOLDER")


def test_the_newest_commit_is_the_one_to_check_out():
    first, second = repeat(1, git_commit="beef"), repeat(2)
    assert facts.reproduce([first, second])[0] == "git checkout c0ffee"
