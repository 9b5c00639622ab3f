import os
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import limits
import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from pipeline import config
from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.core.files import flat, read_yaml
from pipeline.core.naming import Naming
from pipeline.datasets.collect.sources.spiders import PRINTED
from pipeline.networks.backbones.table import BACKBONES
from pipeline.stages import validate


def write_params(recipe: str = "quick", changes: Mapping[str, Any] | None = None, **axes: Any) -> None:
    """The recipe as it is, or changed, in params.yaml alone."""
    tiny.put(tiny.recipe(recipe, changes, **axes))


def validated(recipe: str = "quick", changes: Mapping[str, Any] | None = None, **axes: Any) -> bytes:
    """What the stage writes for a recipe."""
    write_params(recipe, changes, **axes)
    validate.main()
    return paths.RECIPE.read_bytes()


DELTAS_BATCHES = "recipes.quick.options.regularizer.delta.batches is in its place"
VIT = {"backbone": "vit_b_16", "recipe": "ecsm", "data": "synthetic", "attention": "none", "weights": "none"}
ODD_SIZE = {"image_size": 50}
ODD_SIZE_REFUSED = "50 is not a multiple of 16, as vit_b_16 needs; 48 is"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("DVC_ROOT", "DVC_EXP_NAME", paths.ROOT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "L'épeire & co"
    for label in ("a b", "ç"):
        (folder / label).mkdir(parents=True)
        for number in range(2):
            Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(folder / label / f"{number}.png")
    return folder


def test_the_file_is_the_resolved_recipe_with_every_key_and_says_what_it_is() -> None:
    text = validated(freeze="3c").decode()
    resolved = config.resolve(config.load()).recipe
    named = Naming(data="synthetic", changes={"freeze": "3c"}, own={"freeze": "3b"})
    resolved = resolved.model_copy(update={"naming": named})
    assert text.startswith("# Written by the stage validate from params.yaml: ")
    assert read_yaml(paths.RECIPE) == resolved.model_dump(mode="json")
    assert type(resolved).read() == resolved
    assert resolved.network.freeze == "3c"


@pytest.mark.parametrize("cores", [2, 16])
@pytest.mark.parametrize("gpu", [False, True])
def test_the_file_is_the_same_on_every_machine(gpu: bool, cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    here = validated(attention="se")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(cores)), raising=False)
    assert validated(attention="se") == here
    assert b"device: auto\nthreads: auto\n" in here


@pytest.mark.parametrize(
    ("recipe", "spelt"),
    [
        ("quick", {"data": "synthetic", "freeze": "3b", "lr": 2e-3, "budget": 5, "batch_size": 32, "head": "linear"}),
        ("spa_gca", {"data": "synthetic", "image_size": 256, "regularizer": "spa_gca", "attention": "none"}),
        ("animals", {"data": "synthetic", "freeze": "phases", "lr": 1e-3, "budget": 50, "augmentation": "animals"}),
    ],
)
def test_what_was_auto_spelt_out_leaves_every_byte_of_the_file(recipe: str, spelt: dict[str, Any]) -> None:
    assert validated(recipe, **spelt) == validated(recipe, data="synthetic")


def test_no_place_of_the_users_files_is_in_the_file(photographs: Path) -> None:
    weights = photographs / "mine.pth"
    weights.touch()
    places = {"folder": str(photographs), "archive": "/sets/cub.tgz", "weights_file": str(weights)}
    text = validated(data="folder", weights="file", **places).decode()
    assert "set: folder" in text
    assert "weights: file" in text
    assert not [place for place in places.values() if place in text]


def test_the_same_photographs_elsewhere_leave_every_byte_of_the_file(photographs: Path) -> None:
    before = validated(data="folder", folder=str(photographs))
    (photographs.parent / "elsewhere").mkdir()
    moved = photographs.rename(photographs.parent / "elsewhere" / photographs.name)
    assert validated(data="folder", folder=str(moved)) == before
    assert b"elsewhere" not in before
    renamed = moved.rename(moved.with_name("spiders"))
    again = validated(data="folder", folder=str(renamed))
    assert again.splitlines() == [
        b"  data: spiders" if old == b"  data: L'\xc3\xa9peire & co" else old for old in before.splitlines()
    ]
    assert again != before


def test_an_option_of_a_choice_that_is_not_made_leaves_every_byte_of_the_file() -> None:
    options = {"options.attention.se.reduction": 8, "options.optimizer.sgd.momentum": 0.5}
    assert validated(changes=options) == validated()
    assert validated(changes=options, attention="se") != validated(attention="se")


def test_a_small_rate_as_dvc_writes_it_is_a_number() -> None:
    write_params(lr="RATE")
    text = paths.PARAMS.read_text(encoding="utf-8")
    paths.PARAMS.write_text(text.replace("lr: RATE", "lr: 1e-05"), encoding="utf-8")
    validate.main()
    rate = read_yaml(paths.RECIPE)["train"]["lr"]
    assert (type(rate), rate) == (float, 0.00001)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frez": "3c"}, "unknown key 'frez'; did you mean 'freeze'"),
        ({"freeze": "bad"}, "freeze: 'bad' is not one of auto, 1, 2, 3a, 3b, 3c, lora, bitfit, scratch"),
        ({"data": "folder", "folder": "/nowhere"}, "folder: '/nowhere' does not exist"),
        ({"data": "folder", "folder": "photos"}, "folder: 'photos' is relative"),
        ({"data": "folder"}, "data/own"),
        ({"weights": "file"}, "none is named; add -S weights_file=/path/to/it"),
        ({"weights": "file", "weights_file": "w.pth"}, "weights_file: 'w.pth' is relative; give the absolute path"),
        ({"weights": "file", "weights_file": "/w.pth"}, "weights_file: '/w.pth' is not a file; name the file"),
        ({"weights": "file", "weights_file": "/etc/hostname"}, "does not end in .safetensors, .pth, .pt"),
        ({"weights": "file", "weights_file": __file__}, "does not end in .safetensors, .pth, .pt"),
    ],
)
def test_what_cannot_be_used_is_refused_and_the_old_file_stays(changes: dict[str, Any], message: str) -> None:
    before, when = validated(), paths.RECIPE.stat().st_mtime_ns
    write_params(**changes)
    with pytest.raises(InputError) as caught:
        validate.main()
    assert message in str(caught.value)
    assert (paths.RECIPE.read_bytes(), paths.RECIPE.stat().st_mtime_ns) == (before, when)
    assert list(paths.RECIPE.parent.iterdir()) == [paths.RECIPE]


@pytest.mark.parametrize(
    ("variables", "is_there"),
    [
        ({}, False),
        ({"DVC_ROOT": "."}, False),
        ({"DVC_ROOT": ".", "DVC_EXP_NAME": "a"}, True),
        ({"DVC_ROOT": "/elsewhere", "DVC_EXP_NAME": "a"}, False),
        ({"DVC_ROOT": ".", "DVC_EXP_NAME": "a", paths.ROOT_VARIABLE: "/elsewhere"}, False),
    ],
    ids=["by itself", "dvc repro", "dvc exp run", "in a copy of DVC's", "a study's cell"],
)
def test_a_refused_experiment_has_the_way_back_where_dvc_left_its_settings(
    variables: dict[str, str], is_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    write_params(freeze="bad")
    with pytest.raises(InputError, match=r"^params\.yaml: freeze: 'bad' is not one of ") as caught:
        validate.main()
    way_back = "; what -S has set stays in params.yaml: `git restore params.yaml` undoes it, and your edits there"
    assert str(caught.value).endswith(way_back) == is_there


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attention": "se", "backbone": "vit_b_16", "weights": "imagenet"}, "attention: 'se' needs feature maps"),
        ({"attention": "cbam", "backbone": "vgg16", "weights": "none"}, "this backbone has no residual blocks for 'c"),
        (
            {"weights": "places365", "backbone": "vgg16"},
            "params.yaml: weights: there are no 'places365' weights for vgg16; add -S weights=imagenet, or take a "
            "backbone that has some: resnet18, resnet50",
        ),
        (
            {"backbone": "resnet18"},
            "params.yaml: recipes.quick.network.weights: there are no 'bundled' weights for resnet18; add "
            "-S weights=imagenet, or take a backbone that has some: efficientnet_lite0",
        ),
        (
            {"weights": "imagenet"},
            "there are no 'imagenet' weights for efficientnet_lite0; add -S weights=bundled, or take a backbone",
        ),
        (VIT | ODD_SIZE, ODD_SIZE_REFUSED),
        ({"recipe": "animals", "data": "synthetic", "backbone": "resnet18"}, "freeze: 'features.12' is neither a"),
    ],
)
def test_parts_of_a_network_that_do_not_fit_are_refused_before_anything_runs(
    changes: dict[str, Any], message: str
) -> None:
    write_params(**changes)
    with pytest.raises(InputError) as caught:
        validate.main()
    assert message in str(caught.value)
    assert not paths.RECIPE.exists()


@pytest.mark.parametrize("device", ["cuda:99", "mps" if not torch.backends.mps.is_available() else "cuda"])
def test_a_device_that_is_not_here_is_refused_before_anything_runs(device: str) -> None:
    write_params(device=device)
    with pytest.raises(InputError, match=f"device: '{device}' is not on this machine"):
        validate.main()
    assert not paths.RECIPE.exists()


def test_an_empty_folder_and_one_with_one_class_are_refused(tmp_path: Path, photographs: Path) -> None:
    (tmp_path / "empty").mkdir()
    write_params(data="folder", folder=str(tmp_path / "empty"))
    with pytest.raises(InputError, match="empty"):
        validate.main()
    for file in (photographs / "ç").iterdir():
        file.unlink()
    (photographs / "ç").rmdir()
    write_params(data="folder", folder=str(photographs))
    with pytest.raises(InputError, match="class"):
        validate.main()


def test_what_is_given_but_not_read_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    write_params(folder="/photos", weights_file="/w.pth")
    validate.main()
    told = capsys.readouterr().out
    assert "folder is not read: data is 'synthetic'; add -S data=folder" in told
    assert "weights_file is not read: weights is 'bundled'; add -S weights=file" in told


def test_the_quick_recipe_takes_photographs_without_a_remark(
    photographs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_params(data="folder", folder=str(photographs))
    validate.main()
    assert capsys.readouterr().out == ""


def test_bundled_weights_that_are_not_installed_are_told_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    row = BACKBONES["efficientnet_lite0"]
    assert row.bundled is not None
    gone = replace(row, bundled=replace(row.bundled, module="efficientnet_gone"))
    monkeypatch.setitem(BACKBONES, "efficientnet_lite0", gone)
    write_params()
    with pytest.raises(InputError, match=r"which is not installed; `make setup` installs it, or take others: "):
        validate.main()
    assert not paths.RECIPE.exists()
    write_params(weights="none", freeze="2")
    validate.main()


KAGGLE = "https://www.kaggle.com/datasets/alessiocorrado99/animals10"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"data": "animals10"},
            "archive: Animals-10 cannot be downloaded by a program; log in at Kaggle and download it there "
            f"({KAGGLE}), put archive.zip or what is in them into one folder, and add -S archive=/path/to/that/folder",
        ),
        ({"data": "cars"}, "copies are on Kaggle and in research groups (https://ai.stanford.edu/~jkrause/cars/car_"),
        ({"data": "cars"}, "put cars_train.tgz, cars_test.tgz, car_devkit.tgz, cars_test_annos_withlabels.mat or what"),
        ({"data": "spiders"}, "SPIDER9-IMAGE is not public; ask its makers at Dali University for it, put its class"),
        ({"data": "cub200", "archive": "sets/cub.tgz"}, "archive: 'sets/cub.tgz' is relative, which queued runs would"),
        (
            {"data": "cub200", "archive": "/nowhere/cub.tgz"},
            "archive: '/nowhere/cub.tgz' does not exist; give the file",
        ),
        (
            {"data": "cars", "archive": "/nowhere"},
            "archive: '/nowhere' does not exist; give the file or folder with St",
        ),
        ({"data": "spiders", "folder": "/nowhere"}, "folder: '/nowhere' does not exist"),
        ({"data": "spiders", "folder": "spiders"}, "folder: 'spiders' is relative"),
        ({"data": "birds"}, "data: 'birds' is not one of auto, synthetic, folder, spiders, cub200, dogs, cars, calt"),
    ],
)
def test_a_set_that_cannot_be_had_is_refused_in_a_line_that_says_what_to_do(
    changes: dict[str, Any], message: str
) -> None:
    write_params(**changes)
    with pytest.raises(InputError) as caught:
        validate.main()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not paths.RECIPE.exists()


def test_a_folder_without_all_files_of_a_set_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cars_train.tgz").touch()
    write_params(data="cars", archive=str(tmp_path))
    with pytest.raises(InputError, match=r"^archive: '.*' has no cars_test.tgz; put all files of Stanford Cars there$"):
        validate.main()


def test_spiders_of_other_names_are_refused(photographs: Path) -> None:
    write_params(data="spiders", folder=str(photographs))
    with pytest.raises(InputError, match=r"not the nine classes of SPIDER9-IMAGE: 'a b', 'ç' unknown; no Thomisidae"):
        validate.main()


@pytest.fixture
def spiders(tmp_path: Path) -> Path:
    for label in PRINTED:
        (tmp_path / "spiders" / label).mkdir(parents=True)
        for number in range(2):
            (tmp_path / "spiders" / label / f"{number}.jpg").touch()
    return tmp_path / "spiders"


def notes(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What was remarked on since the last time."""
    start = "validate: note: "
    return [line.removeprefix(start) for line in capsys.readouterr().out.splitlines() if line.startswith(start)]


@pytest.mark.parametrize("data", ["synthetic", "folder", "spiders", "digits"])
def test_an_archive_that_a_set_does_not_need_is_remarked_on(
    data: str, photographs: Path, spiders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_params(data=data, folder=str(spiders if data == "spiders" else photographs), archive="/sets/cub.tgz")
    validate.main()
    assert f"archive is not read: data is {data!r}, which needs none" in notes(capsys)


@pytest.mark.parametrize("data", ["synthetic", "digits", "cub200", "caltech256_30", "cifar100_few"])
def test_a_folder_that_a_set_does_not_read_is_remarked_on(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_params(data=data, folder="/photos")
    validate.main()
    assert notes(capsys) == [f"folder is not read: data is {data!r}; add -S data=folder"]


@pytest.mark.parametrize("data", ["cub200", "dogs", "cars", "mit67", "cifar10", "animals10"])
def test_an_archive_that_is_read_is_not_remarked_on(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "set.zip").touch()
    write_params(data=data, archive=str(tmp_path / "set.zip"))
    validate.main()
    assert notes(capsys) == []


def test_the_folder_of_the_spiders_is_not_remarked_on(spiders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_params(data="spiders", folder=str(spiders))
    validate.main()
    assert notes(capsys) == []


@pytest.mark.parametrize("data", ["digits", "cub200", "mit67", "cifar10"])
def test_what_can_be_downloaded_is_valid_without_a_place(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_params(data=data)
    validate.main()
    assert notes(capsys) == []


def test_what_a_recipe_changes_for_a_data_set_is_in_the_file_and_nothing_else_is() -> None:
    files = {}
    for data in ("dogs", "mit67"):
        validated("spa_gca", data=data)
        files[data] = dict(flat(read_yaml(paths.RECIPE)))
    differing = {key: value for key, value in files["mit67"].items() if files["dogs"].get(key) != value}
    assert (differing.pop("naming.data"), differing.pop("naming.changes.data")) == ("mit67", "mit67")
    assert differing.pop("naming.own.data") == "dogs"
    strengths = {key: differing.pop(key) for key in list(differing) if key.endswith(".alpha")}
    assert differing == {"data.set": "mit67", "network.backbone": "resnet50", "network.weights": "places365"}
    assert strengths == {f"options.regularizer.{method}.alpha": 0.01 for method in ("spa", "gca")}


def test_freezing_random_values_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    write_params(weights="none")
    validate.main()
    assert "layers stay frozen at random values" in capsys.readouterr().out


def test_checking_takes_a_moment() -> None:
    tiny.write(tiny.shipped())
    with limits.within(1):
        validate.main()


def remarks(name: str, **axes: Any) -> list[str]:
    return config.remarks(config.resolve(config.check(tiny.recipe(name, **axes))))


def test_it_is_said_what_the_data_set_or_the_method_decides_in_place_of_the_recipe() -> None:
    notes = remarks("spa_gca", data="mit67")
    assert notes == ["for data 'mit67', recipes.spa_gca.per_data.mit67 decides network.backbone, network.weights"]
    place = "options.regularizer.l2_fe"
    keys = ("weight_decay", "budget", "schedule")
    assert remarks("quick", regularizer="l2_fe") == [
        f"train.{key} is not read: {place}.{key} is in its place" for key in keys
    ]
    assert remarks("quick") == []


def test_phases_that_a_strategy_takes_the_place_of_are_remarked_on() -> None:
    assert remarks("animals", freeze="3b") == ["recipes.animals.train.phases is not read: freeze is '3b'"]


def test_weights_beside_scratch_are_remarked_on() -> None:
    assert remarks("quick", freeze="scratch", weights="imagenet") == [
        "weights is not read: freeze is 'scratch', which begins with random values"
    ]


@pytest.fixture
def committed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The quick recipe in a commit."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    write_params()
    for words in (["init", "-q"], ["add", "params.yaml"], ["commit", "-q", "-m", "first"]):
        author = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        subprocess.run(["git", *author, *words], check=True, capture_output=True)


def changed(key: str, value: Any, **axes: Any) -> None:
    """Change one value of the committed file as `-S` does, and check it."""
    values = tiny.recipe("quick", **axes)
    *sections, last = key.split(".")
    section = values
    for name in sections:
        section = section[name]
    assert section[last] != value
    section[last] = value
    tiny.put(values)
    validate.main()


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize(
    ("key", "value", "axes", "note"),
    [
        ("defaults.train.lr", 0.5, {}, "recipes.quick.train.lr is in its place"),
        ("defaults.network.freeze", "3c", {"freeze": "3a"}, "freeze is in its place"),
        ("defaults.data.image_size", 32, {"image_size": 48}, "image_size is in its place"),
        ("options.attention.se.reduction", 8, {}, "network.attention is 'none'"),
        ("options.optimizer.sgd.momentum", 0.5, {}, "train.optimizer is 'adam'"),
        ("options.regularizer.delta.batches", 2, {"regularizer": "delta"}, DELTAS_BATCHES),
    ],
)
def test_a_changed_value_that_is_not_read_is_remarked_on(
    key: str, value: Any, axes: dict[str, Any], note: str, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(key, value, **axes)
    assert f"{key} is not read: {note}" in notes(capsys)


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize(
    ("key", "value", "axes"),
    [
        ("defaults.train.sampler", "weighted", {}),
        ("defaults.train.weight_decay", 0.1, {}),
        ("options.optimizer.adam.beta1", 0.8, {}),
        ("options.attention.self.reduction", 4, {"attention": "self"}),
        ("options.data.synthetic.images_per_class", 8, {}),
        ("lr", 0.5, {}),
    ],
)
def test_a_changed_value_that_is_read_is_not_remarked_on(
    key: str, value: Any, axes: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    changed(key, value, **axes)
    assert notes(capsys) == []


@pytest.mark.usefixtures("committed")
def test_nothing_is_said_of_values_that_are_as_they_were_committed(capsys: pytest.CaptureFixture[str]) -> None:
    validate.main()
    assert notes(capsys) == []


def test_outside_git_nothing_is_said_of_values_that_are_not_read(capsys: pytest.CaptureFixture[str]) -> None:
    changed("options.attention.se.reduction", 8)
    assert notes(capsys) == []


PAPER_GATES = (
    "starts with gates around one half (gate_init is 'paper'), which changes what the pre-trained network computes"
)


def gates(name: str, options: dict[str, Any] | None = None, **axes: Any) -> list[str]:
    values = tiny.recipe(name, {f"options.attention.{key}": value for key, value in (options or {}).items()}, **axes)
    return [note for note in config.remarks(config.resolve(config.check(values))) if "gate" in note]


@pytest.mark.parametrize(
    ("name", "options", "axes", "reason"),
    [
        ("ecsm", {}, {"budget": 5}, "5 epochs are fewer than the recipe's 60"),
        ("ecsm", {"ecsm.position": "every_stage"}, {}, "frozen layers behind them cannot follow"),
        ("csca", {}, {"freeze": "3a"}, "frozen layers behind them cannot follow"),
        (
            "quick",
            {},
            {"attention": "ecsm"},
            "the recipe has no such attention, so its budget of 5 epochs is not meant for it",
        ),
    ],
)
def test_gates_that_may_cost_a_pre_trained_network_its_start_are_remarked_on(
    name: str, options: dict[str, Any], axes: dict[str, Any], reason: str
) -> None:
    attention = axes.get("attention", name)
    [note] = gates(name, options, **axes)
    assert note.startswith(f"attention '{attention}' {PAPER_GATES}: {reason}")
    word = note.partition("-S ")[2].partition(" ")[0]
    assert word == f"options.attention.{attention}.gate_init=identity"
    assert gates(name, options | {f"{attention}.gate_init": "identity"}, **axes) == []


@pytest.mark.parametrize(
    ("name", "axes"),
    [
        ("ecsm", {}),
        ("ecsm", {"budget": 60, "attention": "ecsm"}),
        ("ecsm", {"budget": 5, "freeze": "scratch"}),
        ("ecsm", {"budget": 5, "attention": "none"}),
        ("quick", {"attention": "self"}),
        ("csca", {}),
        ("hierarchical", {}),
    ],
)
def test_a_papers_own_attention_and_gates_that_lose_nothing_are_not_remarked_on(
    name: str, axes: dict[str, Any]
) -> None:
    assert gates(name, **axes) == []


def test_a_file_that_is_edited_while_it_is_checked_is_checked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    before = validated()

    def edited(*_: object) -> list[str]:
        paths.PARAMS.write_bytes(paths.PARAMS.read_bytes() + b"# Another line.\n")
        return []

    monkeypatch.setattr(config, "remarks", edited)
    with pytest.raises(InputError, match=r"^params.yaml: edited while this ran; `dvc repro` checks it as it is now$"):
        validated(freeze="3c")
    assert paths.RECIPE.read_bytes() == before
