import shlex
from typing import get_args

import numpy as np
import pytest
import tiny
import written_results

from pipeline import config
from pipeline.config.choices import TABLES
from pipeline.core.errors import InputError
from pipeline.core.naming import Own
from pipeline.core.records import PhaseRecord
from pipeline.datasets.collect import health
from pipeline.datasets.collect.published import described
from pipeline.datasets.prepared import manifest
from pipeline.datasets.prepared.search import Search
from pipeline.evaluation.compare.repeats import Repeat
from pipeline.networks.attention.options import GateInit, PositionName
from pipeline.networks.attention.table import POSITIONS
from pipeline.preview import overriding
from pipeline.reporting import facts, notes, page, pictures, provenance, tables, wording
from pipeline.reporting.examples import Example
from pipeline.reporting.figures import Shown
from pipeline.reporting.material import Material

# ECSM's recipe without what the paper is about.
ECSM = written_results.settings_of("ecsm", attention="none", head="linear")
CITE = "Doe, Roe 2020, Ann's"
CBAM = {"network.attention": "cbam"}
CBAM_OPTIONS = {"position": "residual_block", "gate_init": "paper", "reduction": 8, "kernel_size": 7}
PHASES = [
    {"freeze": "1", "amount": 10, "lr": 1e-3, "regularizer": "none", "trainable": 12810, "frozen": 2257984},
    {"freeze": "features.12", "amount": 50, "lr": 1e-5, "regularizer": "none", "trainable": 2000000, "frozen": 270794},
]


VAL_AS_TEST = {"train": "train", "val": "test"}
SETTINGS = "".join(f"diff --git a/{name} b/{name}\n-auto\n+3c\n" for name in ("params.yaml", "data/recipe.yaml"))
CODE = f"{SETTINGS}diff --git a/pipeline/training/loop.py b/pipeline/training/loop.py\n+import os\n"


def settings(changes):
    """ECSM's settings with other values, by dotted names."""
    return written_results.changed(ECSM, changes)


def repeat(number=1, changes=(), *, recipe=None, origin="torchvision", support=5, **runtime):
    """One repeat of ECSM's recipe with some changes, or of another."""
    tested = {"precision": 0.5, "recall": 0.5, "f1": 0.5}
    each = {"a": tested | {"support": 10}, "b": tested | {"support": support}}
    return Repeat(
        number=number,
        record=record(number, recipe or settings(dict(changes)), origin=origin),
        runtime=written_results.runtime_of(**runtime_of(number) | runtime),
        scores=written_results.scores_of(classes=each, accuracy=0.5, test_images=10),
        history=[{"epoch": epoch, "lr": "0.1", "train_loss": "1", "train_accuracy": "1"} for epoch in ("10", "60")],
        predictions=[{"path": f"{number}/{n}.png", "correct": str(n % 2)} for n in range(10)],
    )


def judged(number, **classes):
    """A repeat whose classes have this recall, of so many test images."""
    scored = {
        name: {"precision": 0.5, "f1": 0.5, "recall": recall, "support": support}
        for name, (recall, support) in classes.items()
    }
    one = repeat(number)
    data = one.record.data.model_copy(update={"classes": tuple(classes)})
    scores = written_results.scores_of(classes=scored, accuracy=0.5, test_images=10)
    return one._replace(scores=scores, record=one.record.model_copy(update={"data": data}))


MANY = [f"c{n}" for n in range(12)]


def record(number, recipe, *, origin="torchvision", **changes):
    values = {
        "recipe_name": "ecsm",
        "device": "cuda",
        "precision": "tf32",
        "weights": {"origin": origin, "license": "", "file_sha256": "", "sha256": ""},
        "phases": [{"freeze": "3b", "amount": 60, "lr": 2e-4, "regularizer": "none", "trainable": 1000, "frozen": 0}],
        "parameters": {"trainable": 1000, "frozen": 0, "regularizer": 0},
        "flops": {"network": 8_178_000_000},
        "parts": {"train": 29 + number, "val": 0, "test": 10},
    }
    return written_results.record_of(number, recipe, classes=["a", "b"], **values | changes)


def runtime_of(number):
    return {
        "train_seconds": 60.0 * number,
        "cache_seconds": 0.0,
        "images_per_second": 1234.5,
        "device_name": "GPU",
        "versions": {"python": "3.11", "torch": f"2.{number}"},
        "git_commit": "c0ffee",
        "started": f"2026-11-21T0{number}:00:00+00:00",
    }


def phased(changes=(), *, phases=PHASES):
    names = ("freeze", "amount", "lr", "regularizer")
    asked = [{name: phase[name] for name in names} | {"continues": False} for phase in phases]
    one = repeat(changes={"network.freeze": "phases", "train.phases": asked} | dict(changes))
    return one._replace(record=one.record.model_copy(update={"phases": tuple(map(PhaseRecord.model_validate, phases))}))


def material(*repeats, **dataset):
    told = {"set": "folder", "title": "Spiders", "has_parts": False, "rejected": 1} | dataset
    images = {"class_images": {"a": 25, "b": 15}, "rejected": [("x.jpg", "cut")], "right": [], "wrong": []}
    return Material(repeats, "a paper, 2023", told, health={"findings": []}, **images)


def test_the_experiment_names_recipe_paper_strategy_weights_and_data():
    told = dict(facts.experiment(material(repeat())))
    assert told["Recipe"] == "ecsm (a paper, 2023)"
    assert told["Strategy"] == "3b: blocks 3 and 4 and the head train"
    assert told["Pre-trained weights"] == "imagenet (torchvision)"
    assert told["Data"] == "Spiders: 40 images, 2 classes"


def test_a_normalization_other_than_imagenets_is_named():
    usual = repeat()
    assert "Normalization" not in dict(facts.experiment(material(usual)))
    data = usual.record.recipe.data.model_copy(update={"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.25)})
    own = usual.record.recipe.model_copy(update={"data": data})
    one = usual._replace(record=usual.record.model_copy(update={"recipe": own}))
    told = dict(facts.experiment(material(one)))
    assert told["Normalization"] == "the backbone's: mean 0.5, 0.5, 0.5; deviation 0.5, 0.5, 0.25"


def test_resizing_that_is_not_bilinear_is_named():
    usual = repeat()
    assert "Resizing" not in dict(facts.experiment(material(usual)))
    data = usual.record.recipe.data.model_copy(update={"interpolation": "bicubic"})
    own = usual.record.recipe.model_copy(update={"data": data})
    one = usual._replace(record=usual.record.model_copy(update={"recipe": own}))
    assert dict(facts.experiment(material(one)))["Resizing"] == "bicubic"


def test_every_recipe_of_params_yaml_says_which_paper_it_is_from():
    values = tiny.shipped()
    assert all(recipe["cite"] for recipe in values["recipes"].values())
    without = values["recipes"]["quick"]
    del without["cite"]
    with pytest.raises(InputError, match=r"key 'recipes\.quick\.cite' is missing"):
        config.check(values)


def test_every_strategy_of_params_yaml_is_explained():
    for name in TABLES["network.freeze"]:
        assert len(wording.strategy(settings({"network.freeze": name}).network)) > len(name) + 10


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "ecsm: resnet50, strategy 3b"),
        (CBAM, "ecsm: resnet50 with cbam attention, strategy 3b"),
        ({"network.freeze": "phases"}, "ecsm: resnet50, in phases"),
        ({"network.freeze": "2"}, "ecsm: resnet50, strategy 2"),
        ({"network.freeze": "2", "network.weights": "none"}, "ecsm: resnet50, from scratch"),
        ({"network.freeze": "1", "network.weights": "none"}, "ecsm: resnet50, strategy 1"),
    ],
)
def test_the_title_names_backbone_strategy_and_the_attention_if_there_is_one(given, told):
    assert facts.title([repeat(changes=given)]) == told


def test_a_strategy_of_phases_leads_to_where_they_are():
    assert dict(facts.experiment(material(phased())))["Strategy"] == "in phases, see Training"


@pytest.mark.parametrize(
    ("freeze", "told"),
    [
        ("1", "1: only the head trains, and so does the attention"),
        ("2", "2: everything trains, from pre-trained values"),
    ],
)
def test_attention_trains_whatever_is_frozen_and_that_is_said_where_something_is(freeze, told):
    assert dict(facts.experiment(material(repeat(changes=CBAM | {"network.freeze": freeze}))))["Strategy"] == told


HIERARCHICAL = {"position": "last_stage", "gate_init": "identity", "reduction": 16, "memory_momentum": 0.9}


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("none", None, "none"),
        (
            "cbam",
            CBAM_OPTIONS,
            "cbam in every residual block, r 8, a kernel of 7 × 7, gates as the paper has them",
        ),
        ("se", {"position": "every_stage"}, "se after every stage"),
        ("csca", {"position": "last_stage", "mode": "joint"}, "csca behind the last stage, joint"),
        (
            "hierarchical",
            HIERARCHICAL | {"temporal_memory": False},
            "hierarchical behind the last stage, r 16, gates that start at one",
        ),
        (
            "hierarchical",
            HIERARCHICAL | {"temporal_memory": True},
            "hierarchical behind the last stage, temporal memory of momentum 0.9, r 16, gates that start at one",
        ),
        ("another", {"position": "last_stage", "heads": 4}, "another behind the last stage, heads 4"),
        ("without_options", None, "without_options"),
    ],
)
def test_attention_is_told_with_its_position_and_options(name, options, told):
    taken = {"network.attention": name, "options.attention": {name: options} if options else {}}
    found = dict(facts.experiment(material(repeat(changes=taken))))["Attention"]
    assert found == told


def test_every_position_and_gate_of_params_yaml_has_words():
    assert set(get_args(PositionName)) == set(POSITIONS)
    assert set(get_args(GateInit)) == set(wording.GATES)


def test_an_unexplained_strategy_is_named_alone():
    assert dict(facts.experiment(material(repeat(changes={"network.freeze": "new"}))))["Strategy"] == "new"


def test_everything_from_random_values_is_called_scratch_and_no_weights_are_named():
    random = {"network.freeze": "2", "network.weights": "none"}
    told = dict(facts.experiment(material(repeat(changes=random, origin="none"))))
    assert told["Strategy"] == "scratch: everything trains, from random values"
    assert told["Pre-trained weights"] == "none: random values"


def test_scratch_asked_for_is_told_as_scratch_whatever_weights_are_named():
    asked = tiny.experiment(freeze="scratch", weights="imagenet").settings()
    told = dict(facts.experiment(material(repeat(recipe=asked, origin="none"))))
    assert told["Strategy"] == "scratch: everything trains, from random values"
    assert told["Pre-trained weights"] == "none: random values"


@pytest.mark.parametrize(
    ("given", "note"),
    [
        (material(repeat()), "A single repeat has no spread: how much of this value is chance is not known."),
        (material(repeat(1), repeat(2)), "over 2 repeats, each with its own random split and seed"),
        (material(repeat()), "Each repeat tests 10 images: one image more or less is 10\u00a0points."),
        (material(repeat(), set="synthetic"), "The images are drawn by a program"),
        (material(repeat(changes={"train.sampler": "weighted"})), "macro-F1, beside it, counts every class"),
        (material(repeat(changes={"train.class_weights": "balanced"})), "accuracy favors frequent ones"),
        (material(repeat(git_dirty=True, git_changes=CODE)), "Source files differed from the recorded commit"),
        (material(repeat(git_dirty=True, git_changes=CODE)), "pipeline/training/loop.py. The commit alone does not"),
        (material(repeat(git_dirty=True, git_changes=None)), "files (which ones was too much to keep)"),
        (material(repeat(support=0)), "Without a test image, so not judged: b."),
        (
            material(judged(1, a=(0.5, 4), b=(0.0, 2), c=(1.0, 4))),
            "Without one right prediction: 1 of 3 classes, b (n = 2); n is the number of test images.",
        ),
        (
            material(judged(1, a=(0.0, 4), b=(0.0, 2)), judged(2, a=(0.5, 4), b=(0.0, 1))),
            "Without one right prediction: 1 of 2 classes, b (n = 3); n is the number of test images in all repeats.",
        ),
        (material(judged(1, **dict.fromkeys(MANY, (0.0, 1)))), "c8 (n = 1), c9 (n = 1) and 2 more; n is"),
        (
            material(judged(1, **dict.fromkeys(MANY, (0.0, 0)))),
            "not judged: c0, c1, c2, c3, c4, c5, c6, c7, c8, c9 and 2",
        ),
    ],
)
def test_what_limits_the_result_is_said(given, note):
    assert any(note in told for told in notes.limits(given))


def test_where_every_class_is_recognized_none_is_said_to_lack_a_right_prediction():
    assert not any("Without one right" in note for note in notes.limits(material(repeat(support=0))))


def test_one_test_image_of_a_hundred_is_one_point():
    one = repeat()
    scores = one.scores.model_copy(update={"test_images": 100})
    assert any(note.endswith("is 1\u00a0point.") for note in notes.limits(material(one._replace(scores=scores))))


@pytest.mark.parametrize(
    ("right", "known", "words"),
    [
        (3, 3, ""),
        (2, 2, "2 of 3 classes: the others have no right prediction."),
        (1, 2, "1 of 3 classes: at equal distances in the list of the 2 with a right prediction."),
    ],
)
def test_the_page_says_of_how_many_classes_a_right_prediction_is_shown(right, known, words):
    classes = {name: (0.5 * (place < known), 1) for place, name in enumerate("abc")}
    image = Shown(Example(1, "a/1.png", "a", "a", 0.5), np.zeros((3, 8, 8), dtype=np.uint8))
    given = material(judged(1, **classes))._replace(right=[image] * right)
    assert page.right_of(given) == words


def test_photographs_from_a_clean_commit_have_no_further_warning():
    assert len(notes.limits(material(repeat()))) == 3


def test_a_validation_folder_that_is_taken_as_the_test_part_is_told_among_the_limits():
    rows = [manifest.Row(f"{top}/a/1.jpg", "a", part, 1, top, 99, 99, "RGB", "") for top, part in VAL_AS_TEST.items()]
    search = Search(len(rows), 0, 0)
    options = {"image_size": 64, "on_leak": "refuse", "split": tiny.experiment().data.split}
    found = health.examine(rows, [], [], search, **options, tested="'val' is the test part")
    told = notes.limits(material(repeat())._replace(health=found))
    assert told.count("'val' is the test part.") == 1


def test_settings_that_differ_from_the_commit_are_no_warning_since_the_command_has_them():
    assert len(notes.limits(material(repeat(git_dirty=True, git_changes=SETTINGS)))) == 3


def test_what_an_experiment_changes_of_its_recipe_is_told():
    assert "Changes to the recipe" not in dict(facts.experiment(material(repeat())))
    changes = {"data": "folder", "freeze": "3c", "budget": "auto", "defaults.data.split.val": 0.25}
    naming = {"data": "spiders", "changes": changes}
    # As after -S.
    words = "data=folder freeze=3c defaults.data.split.val=0.25"
    assert dict(facts.experiment(material(repeat(naming=naming))))["Changes to the recipe"] == words


def test_gates_that_may_cost_the_start_are_said_with_the_word_that_changes_them():
    given = material(repeat(changes=CBAM | {"options.attention": {"cbam": CBAM_OPTIONS}}))
    [note] = [note for note in notes.limits(given) if "gates" in note]
    assert note.startswith("Attention 'cbam' starts with gates around one half")
    assert "frozen layers behind them cannot follow. With -S options.attention.cbam.gate_init=identity it" in note
    own = given._replace(own=Own(attention="ecsm", amount=60))
    assert any("the recipe has no such attention, so its budget of 60 epochs" in note for note in notes.limits(own))


def test_data_tell_sizes_parts_and_what_was_left_out():
    told = dict(facts.data(material(repeat(1), repeat(2))))
    assert told["Images"] == "40; 15 to 25 a class"
    alike = material(repeat())._replace(class_images={"a": 70, "b": 70})
    assert dict(facts.data(alike))["Images"] == "140; 70 a class"
    assert (told["Training images"], told["Test images"], told["Files left out"]) == ("30 to 31", "10", "1")


def test_the_chart_of_the_images_of_each_class_says_once_what_is_the_same_for_all():
    assert pictures.counts_alt({"a": 12, "b": 70}) == "Images of each class: from 12 of a to 70 of b."
    assert pictures.counts_alt({"a": 70, "b": 70}) == "Images of each class: 70 of each of the 2 classes."


DOGS = described("dogs")


def imagenet_dogs(weights="imagenet", **given):
    one = repeat(changes={"data.set": "dogs", "network.weights": weights}, **given)
    return material(one, set="dogs", title="Stanford Dogs", has_parts=True, published=DOGS)


def test_a_published_set_is_told_with_home_terms_citation_and_papers():
    told = dict(facts.data(imagenet_dogs()))
    assert told["Home"] == "http://vision.stanford.edu/aditya86/ImageNetDogs/"
    assert told["Terms"].startswith("Images of ImageNet, whose terms hold: ")
    assert told["Citation"].startswith("Khosla, Jayadevaprakash, Yao, Fei-Fei 2011")
    assert told["In the papers"] == "CSCA: split not given; SPA-GCA: the official split; labels only"


@pytest.mark.parametrize("published", [{}, {"published": None}])
def test_of_a_set_of_ones_own_nothing_published_is_told(published):
    terms = dict(facts.data(material(repeat(), **published)))
    assert not {"Home", "Terms", "Citation", "In the papers"} & set(terms)


OVERLAP = "The set and the pre-training data overlap: It is a part of ImageNet, labels included: "


@pytest.mark.parametrize("weights", ["imagenet", "bundled"])
def test_dogs_from_imagenet_weights_are_said_to_be_known_to_them(weights):
    (note,) = [note for note in notes.limits(imagenet_dogs(weights)) if note.startswith(OVERLAP)]
    assert note.endswith(" So the accuracy here is higher than on new images.")


@pytest.mark.parametrize("weights", ["none", "file", "places365"])
def test_dogs_from_other_weights_overlap_with_nothing(weights):
    assert not any("overlap" in note for note in notes.limits(imagenet_dogs(weights)))


def test_dogs_trained_from_scratch_overlap_with_nothing_whatever_weights_are_named():
    asked = tiny.experiment(freeze="scratch", weights="imagenet", data="dogs").settings()
    assert not any("overlap" in note for note in notes.limits(imagenet_dogs(recipe=asked, origin="none")))


def test_a_set_without_known_overlap_has_no_such_note():
    given = material(repeat(), set="mit67", title="MIT Indoor 67", published=described("mit67"))
    assert not any("overlap" in note for note in notes.limits(given))


def test_training_images_that_are_drawn_anew_are_not_called_the_sets_own_parts():
    drawn = {"data.set": "cifar100_few", "data.split.per_class": {"train": 10, "test": 5, "val": 0}}
    given = [repeat(number, drawn) for number in (1, 2)]
    published = described("cifar100_few")
    told = notes.limits(material(*given, set="cifar100_few", has_parts=True, published=published))
    assert not any("each with the set's own parts and its own seed" in note for note in told)


@pytest.mark.parametrize(
    ("name", "place"), [("folder", "folder"), ("spiders", "folder"), ("cars", "archive"), ("animals10", "archive")]
)
def test_the_command_that_gives_the_result_back_has_room_for_the_users_files(name, place):
    [command] = provenance.reproduce([repeat(changes={"data.set": name}, git_commit="")], cite=CITE)
    assert f"-S {place}=YOUR_" in command


@pytest.mark.parametrize("name", ["digits", "cub200", "synthetic"])
def test_a_set_that_comes_by_itself_needs_no_place_in_the_command(name):
    [command] = provenance.reproduce([repeat(changes={"data.set": name}, git_commit="")], cite=CITE)
    assert "YOUR_" not in command


SOLVED_PHASE = {"freeze": "3b", "amount": 30, "lr": 0.01, "head": "solved"}


def given_back(one):
    """The experiment of params.yaml with the words of the command that gives a repeat back."""
    [command] = provenance.reproduce([one], cite=CITE)
    words = shlex.split(command.replace("\\\n", " "))
    assert words[:3] == ["dvc", "exp", "run"]
    return overriding.read([word for word in words[3:] if word != "-S"])


@pytest.mark.parametrize(
    ("name", "axes", "changes"),
    [
        ("quick", {"data": "digits"}, {"data.split.per_class": {"train": 20, "test": 50, "val": 0}}),
        ("quick", {"freeze": "scratch"}, {"train.lr": 0.00001}),
        ("quick", {}, {"train.schedule": "step", "options.schedule.step": {"at": [0.25, 0.75], "factor": 0.5}}),
        (
            "quick",
            {"attention": "hierarchical", "augmentation": "csca"},
            {"options.attention.hierarchical.reduction": 4},
        ),
        ("ecsm", {}, {"train.freeze_bn_stats": True}),
        ("spa_gca", {"data": "mit67"}, {}),
        ("spa_gca", {"regularizer": "delta", "data": "dogs"}, {}),
        ("spa_gca", {"regularizer": "l2_fe"}, {}),
        ("animals", {"budget": 5}, {}),
        ("animals", {"freeze": "3b"}, {}),
        ("modern", {}, {"train.mixup": 0.3}),
        ("modern", {"freeze": "phases"}, {"train.lr": 0.01, "train.phases": [SOLVED_PHASE]}),
        ("animals", {}, {"train.phases": [{"freeze": "classifier", "amount": 50, "lr": 1e-3}]}),
    ],
)
def test_without_git_every_value_of_the_recipe_is_spelled_out_as_dvc_reads_it(monkeypatch, name, axes, changes):
    monkeypatch.chdir(tiny.ROOT)
    recipe = written_results.settings_of(name, changes, **axes)
    one = repeat(2, git_commit="")
    found = given_back(one._replace(record=record(2, recipe, recipe_name=name, threads=3)))
    assert found.recipe.settings() == recipe
    assert (found.recipe.recipe, found.recipe.repeats, found.recipe.threads) == (name, (2,), 3)


def test_a_recipe_that_the_commit_lacks_is_spelled_out_after_the_checkout(monkeypatch):
    monkeypatch.chdir(tiny.ROOT)
    changes = {"options.data.synthetic.images_per_class": 6}
    recipe = written_results.settings_of("quick", changes | {"train.lr": 3e-3})
    one = repeat(naming={"changes": changes, "recipe_in_commit": False})
    one = one._replace(record=record(1, recipe, recipe_name="pets"))
    checkout, command = provenance.reproduce([one], cite=CITE)
    assert checkout == "git checkout c0ffee"
    found = overriding.read(shlex.split(command.replace("\\\n", " "))[3:][1::2])
    assert (found.recipe.recipe, found.recipe.cite, found.recipe.settings()) == ("pets", CITE, recipe)


def test_the_command_has_the_users_own_places_as_words_to_put_in(monkeypatch):
    monkeypatch.chdir(tiny.ROOT)
    found = given_back(repeat(changes={"network.weights": "file"}, git_commit=""))
    axes = found.settings.axes
    assert (axes.folder, axes.weights_file) == ("YOUR_FOLDER", "YOUR_FILE")


def test_training_tells_time_with_its_range_and_no_cache_where_there_was_none():
    told = dict(facts.training([repeat(1), repeat(2)]))
    assert told["Training time per repeat"] == "1\u00a0min 30\u00a0s (1\u00a0min 0\u00a0s to 2\u00a0min 0\u00a0s)"
    assert told["Device"] == "GPU (cuda, TF32)"
    assert "Frozen part, computed once" not in told


def test_a_plain_training_tells_nothing_of_what_it_has_not():
    assert [term for term, _ in facts.training([repeat()])] == [
        "Budget",
        "Optimizer",
        "Parameters that train",
        "Frozen parameters and running statistics",
        "FLOPs per image",
        "Training time per repeat",
        "Speed",
        "Device",
        "CPU threads",
        "CPU instructions",
    ]


def test_a_training_on_a_gpu_and_one_of_an_earlier_version_name_no_instructions():
    assert "CPU instructions" not in dict(facts.training([repeat(cpu_instructions="")]))


def test_the_command_asks_for_portable_instructions_where_they_were_in_force(monkeypatch):
    monkeypatch.chdir(tiny.ROOT)
    one = repeat(2, git_commit="")
    assert given_back(one).recipe.cpu_instructions == "native"
    portable = one._replace(record=one.record.model_copy(update={"cpu_instructions": "portable"}))
    assert given_back(portable).recipe.cpu_instructions == "portable"


def test_operations_are_told_in_billions_with_what_is_counted():
    assert dict(facts.training([repeat()]))["FLOPs per image"] == (
        "8.18 billion floating-point operations in the forward pass, a multiplication and an addition counted as two "
        "(convolutions and matrix products alone)"
    )


def test_each_phase_has_a_line_and_the_optimizer_no_rate():
    told = dict(facts.training([phased()]))
    assert told["Budget"] == "60 epochs, batches of 32"
    assert told["Phase 1"] == "10 epochs: strategy 1 at 0.001 (12,810 numbers train)"
    assert told["Phase 2"] == "50 epochs: from features.12 on at 1e-05 (2,000,000 numbers train)"
    assert told["Optimizer"] == "adam, schedule constant, both anew in each phase"
    assert "Parameters that train in the last phase" in told


def test_ingredients_are_told_where_they_are_there():
    recipe = written_results.settings_of("modern", {"train.cutmix": 0.0})
    history = [{"epoch": f"{n}.0", "val_loss": loss} for n, loss in enumerate(("0.9", "0.5", "0.7"), start=1)]
    told = dict(facts.training([repeat(n, recipe=recipe)._replace(history=history) for n in (1, 2)]))
    plain = dict(facts.training([repeat()]))
    assert {name: told[name] for name in told.keys() - plain.keys()} == {
        "Augmentation": "trivial_augment: a flip and one random operation",
        "Layer decay": "each block's rate is 0.7 times that of the block behind it",
        "Label smoothing": "0.1 of each target is spread over all classes, in training alone",
        "Mixed images": "each with another of its batch by Mixup (alpha 0.2); training's curves are of these",
        "Average of weights": "over the steps, with decay 0.98; validated and tested in place of the last step's",
        "Early stop": "after 10 epochs without a lower validation loss, with the weights of the best epoch",
        "Last and best epoch by repeat": "3, 3 and 2, 2",
    }


def test_which_weights_are_tested_is_said():
    changes = [{}, {"train.early_stop": 0}, {"train.weight_ema": 0.0}]
    assert [wording.tested(written_results.settings_of("modern", one).train) for one in changes] == [
        "The network of the epoch with the least validation loss, the average of its weights over the steps,",
        "The network of the last epoch, the average of its weights over the steps,",
        "The network of the epoch with the least validation loss",
    ]


def test_a_single_phase_has_its_line_and_nothing_anew():
    told = dict(facts.training([phased(phases=[PHASES[0] | {"amount": 1}])]))
    assert told["Phase 1"].startswith("1 epoch: strategy 1")
    assert told["Optimizer"] == "adam, schedule constant"


def test_attention_trains_in_phases_that_freeze_what_is_around_it():
    told = dict(facts.training([phased(CBAM)]))
    assert told["Phase 1"].startswith("10 epochs: strategy 1 and the attention at 0.001")
    assert told["Phase 2"].startswith("50 epochs: from features.12 on and the attention at 1e-05")


FACTORS = {"train.lr_factors": {"backbone": 0.1, "attention": 5.0, "head": 1.0}}


@pytest.mark.parametrize(
    ("given", "rate"),
    [
        ({}, "0.0002"),
        ({"train.lr_factors": dict.fromkeys(("backbone", "attention", "head"), 0.5)}, "0.0001"),
        (FACTORS, "2e-05 (backbone), 0.0002 (head)"),
        (FACTORS | CBAM, "2e-05 (backbone), 0.001 (attention), 0.0002 (head)"),
        (FACTORS | {"network.freeze": "1"}, "0.0002"),
    ],
)
def test_rates_are_told_by_group_where_groups_that_train_differ(given, rate):
    assert dict(facts.training([repeat(changes=given)]))["Optimizer"] == f"adam, rate {rate}, schedule constant"


def test_rates_by_group_are_told_in_each_phase():
    told = dict(facts.training([phased(FACTORS)]))
    assert "strategy 1 at 0.001 (12,810" in told["Phase 1"]
    assert "from features.12 on at 1e-06 (backbone), 1e-05 (head) (2,000,000" in told["Phase 2"]


@pytest.mark.parametrize(
    ("given", "term", "told"),
    [
        ({"train.freeze_bn_stats": True}, "Batch norms", "in eval mode throughout"),
        (
            {"train.sampler": "weighted"},
            "Sampling",
            "weighted: with replacement, each class as often as any other",
        ),
        ({"train.class_weights": "balanced"}, "Class weights", "balanced: the rarer a class"),
        ({"data.augmentation": "csca"}, "Augmentation", "csca: color jitter, flip and rotation"),
    ],
)
def test_what_a_plain_training_has_not_is_told(given, term, told):
    assert dict(facts.training([repeat(changes=given)]))[term].startswith(told)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"input_size": 448}, "packed at 224 px, resized to 448 px"),
        ({"crop_size": 192, "input_size": 192}, "packed at 224 px, cut to 192 px (in training at random)"),
        (
            {"crop_padding": 4},
            "packed at 224 px, cut to 224 px (in training at random after 4 px of zeros on each side)",
        ),
        (
            {"crop_size": 232, "crop_padding": 4, "input_size": 232},
            "packed at 224 px, cut to 232 px (in training after 4 px of zeros on each side)",
        ),
    ],
)
def test_sizes_are_told_where_images_are_cut_or_resized(data, told):
    changes = {f"data.{name}": value for name, value in data.items()}
    assert dict(facts.training([repeat(changes=changes)]))["Image sizes"] == told


VARIED = {"data.image_size": 256, "data.crop_size": 224, "data.input_size": 224}


@pytest.mark.parametrize(
    ("changes", "strengths", "told"),
    [
        (VARIED, {}, "the crop: packed at 256 px, cut to 224 px (in training at random)"),
        (
            VARIED | {"data.augmentation": "flip"},
            {},
            "flip: a horizontal flip, and the crop: packed at 256 px, cut to 224 px (in training at random)",
        ),
        (
            {"data.augmentation": "csca"},
            {"hue": 0.05, "rotation": 15.0},
            "csca: color jitter, flip and rotation (hue 0.05, rotation 15)",
        ),
        ({}, {}, ""),
    ],
)
def test_what_makes_training_images_differ_from_epoch_to_epoch_is_told_with_its_strengths(changes, strengths, told):
    assert wording.varied(settings(changes).data, strengths) == told


@pytest.mark.parametrize(("axes", "flipped"), [({}, "flip: a horizontal flip, and "), ({"augmentation": "none"}, "")])
def test_spa_gca_flips_and_crops_as_the_methods_that_it_is_compared_with_unless_the_user_says_none(axes, flipped):
    data = written_results.settings_of("spa_gca", **axes).data
    assert wording.varied(data, {}) == f"{flipped}the crop: packed at 256 px, cut to 224 px (in training at random)"


def test_versions_that_differ_between_repeats_are_all_told():
    assert dict(provenance.hashes([repeat(1), repeat(2)]))["torch"] == "2.1, 2.2"


def test_weights_without_a_hash_say_so():
    assert dict(provenance.hashes([repeat()]))["Pre-trained weights, SHA-256 of their file"] == "none"


def test_the_hash_of_the_file_and_that_of_its_copy_stand_side_by_side():
    weights = {"origin": "file mine.pth", "license": "", "file_sha256": "ab" * 32, "sha256": "cd" * 32}
    one = repeat()
    told = provenance.hashes([one._replace(record=record(1, one.record.recipe, weights=weights))])
    place = [name for name, _ in told].index("Pre-trained weights, SHA-256 of their file")
    assert told[place] == ("Pre-trained weights, SHA-256 of their file", "ab" * 32)
    assert told[place + 1] == ("Pre-trained weights, SHA-256 of the copy in models/source", "cd" * 32)


def test_the_command_names_what_differs_from_the_recipe_and_no_more():
    assert provenance.reproduce([repeat()], cite=CITE) == [
        "git checkout c0ffee",
        "dvc exp run -S recipe=ecsm \\\n  -S 'repeats=[1]' \\\n  -S threads=2 \\\n  -S folder=YOUR_FOLDER",
    ]
    changes = {"freeze": "3c", "recipes.ecsm.train.weight_decay": 1e-4, "defaults.train.sampler": "weighted"}
    _, command = provenance.reproduce([repeat(naming={"changes": changes})], cite=CITE)
    assert command.splitlines()[1:4] == [
        "  -S freeze=3c \\",
        "  -S ++recipes.ecsm.train.weight_decay=0.0001 \\",
        "  -S defaults.train.sampler=weighted \\",
    ]


def test_speed_on_cached_features_is_called_that():
    cached = {"cache_seconds": 1.5}
    frozen = {"stages": {"stem": {"trainable": 0, "frozen": 10}, "head": {"trainable": 5, "frozen": 0}}}
    own = repeat(**cached)

    def told(recipe, **stages):
        one = own._replace(record=record(1, recipe, **stages))
        return {term for term, _ in facts.training([one])}, tables.results([one]).header[-1]

    terms, header = told(settings({}), **frozen)
    assert ("Speed on cached features, not of the whole network" in terms, header) == (
        True,
        "images/s, cached features",
    )
    for recipe, stages in [
        (settings({"data.augmentation": "flip"}), frozen),
        (settings({}), {"stages": {"stem": {"trainable": 10, "frozen": 0}}}),
    ]:
        terms, header = told(recipe, **stages)
        assert ("Speed" in terms, header) == (True, "images/s")


def test_the_newest_commit_is_the_one_to_check_out():
    first, second = repeat(1, git_commit="beef"), repeat(2)
    assert provenance.reproduce([first, second], cite=CITE)[0] == "git checkout c0ffee"
