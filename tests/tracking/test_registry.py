"""Bundles as versions in the registry of a real store; a model of theirs is the bundle's files alone."""

import shutil
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from urllib.request import url2pathname

import described
import pytest

from pipeline import tracking
from pipeline.core import digests
from pipeline.core.errors import InputError
from pipeline.tracking import models, registry, saving

NAME, ALIAS = "orbweaver-spiders", "champion"


def bundle(place, **origin):
    """Write a bundle without a network, of an origin."""
    place.mkdir()
    said = replace(described.REPEAT, origin=replace(described.ORIGIN, **origin))
    (place / "bundle.json").write_text(said.dumped(), encoding="utf-8")
    (place / "README.md").write_text("# Spiders\n", encoding="utf-8")
    (place / "weights.safetensors").write_bytes(b"weights")
    digests.seal(place)
    return place


@pytest.fixture
def bundles(tracked, monkeypatch):
    """Three bundles, by a name that is their experiment's."""
    monkeypatch.setattr(saving, "save", lambda target, folder, said, *, run, model: shutil.copytree(folder, target))
    return {name: bundle(tracked / name, experiment=name) for name in ("first", "second", "third")}


def register(folder, expected):
    return tracking.register(folder, name=NAME, alias=ALIAS, expected=expected)


def versions():
    from mlflow import MlflowClient

    return [str(one.version) for one in MlflowClient(tracking.uri()).search_model_versions(f"name = '{NAME}'")]


def test_of_two_registrations_at_once_the_second_is_refused_and_makes_no_version(bundles):
    assert register(bundles["first"], None) == "1"
    assert register(bundles["second"], "1") == "2"
    with pytest.raises(InputError) as refused:
        register(bundles["third"], "1")
    assert str(refused.value) == f"{NAME}: version 2 took the alias {ALIAS} meanwhile; run the same command again"
    with pytest.raises(InputError, match="version 2 took the alias"):
        register(bundles["third"], None)
    assert versions() == ["2", "1"]
    found = tracking.version_of(NAME, ALIAS)
    assert (found.experiment, found.images) == ("second", described.ORIGIN.data_sha256)
    # The same bundle twice at once, and an older one that is better all the same.
    assert register(bundles["second"], "1") == "2"
    assert register(bundles["first"], "2") == "1"


def test_a_models_files_that_were_removed_are_sent_again_and_its_version_has_them(bundles):
    from mlflow import MlflowClient

    first = tracking.log_bundle(bundles["first"])
    assert register(bundles["first"], None) == "1"
    shutil.rmtree("mlruns")
    again = tracking.log_bundle(bundles["first"])
    assert (first.outcome, again) == ("added", first._replace(outcome="completed"))
    assert tracking.log_bundle(bundles["first"]).outcome == "unchanged"
    source = MlflowClient(tracking.uri()).get_model_version_download_uri(NAME, "1")
    assert {file.name for file in Path(url2pathname(source.removeprefix("file://"))).iterdir()} >= {
        "weights.safetensors"
    }


def test_an_alias_that_is_gone_meanwhile_is_said(bundles):
    with pytest.raises(InputError, match=r"version 3 lost the alias champion meanwhile; run"):
        register(bundles["first"], "3")


@pytest.mark.parametrize(
    ("alias", "why"),
    [
        ("my alias!", "letters, digits, - and _"),
        ("", "letters, digits"),
        ("v2", "keeps `latest`, and v with a number"),
        ("Latest", "keeps `latest`"),
    ],
)
def test_an_alias_that_mlflow_does_not_take_is_refused_before_anything_is_made(tmp_path, monkeypatch, alias, why):
    monkeypatch.setattr(models, "log_bundle", pytest.fail)
    for ask in (
        lambda: tracking.version_of(NAME, alias),
        lambda: tracking.register(tmp_path, name=NAME, alias=alias, expected=None),
    ):
        with pytest.raises(InputError, match=rf"^--alias .*{why}.*; name another$"):
            ask()


@pytest.mark.parametrize("alias", ["champion", "v2-best", "latest_one", "été"])
def test_other_aliases_are_taken(alias):
    registry.check_alias(alias)


@pytest.mark.filterwarnings("ignore")
def test_what_lies_in_a_bundles_folder_besides_is_not_logged_nor_is_its_place(clone):
    folder = bundle(clone / "clinic")
    (folder / "maps").mkdir()
    for name in ("maps/00001-smith.png", "IMG_1.jpg"):
        (folder / name).write_bytes(b"a photograph")
    saved = clone / "model"
    saving.save(saved, folder, described.REPEAT)
    files = [file.relative_to(saved).as_posix() for file in saved.rglob("*") if file.is_file()]
    assert sorted(file for file in files if not file.startswith(("code/", "input_example", "serving_"))) == [
        "MLmodel",
        *(f"artifacts/bundle/{name}" for name in ("README.md", "SHA256SUMS", "bundle.json", "weights.safetensors")),
        "conda.yaml",
        "python_env.yaml",
        "requirements.txt",
        "served.py",
    ]
    text = (saved / "MLmodel").read_text(encoding="utf-8")
    assert "uri: bundle\n" in text
    assert str(clone) not in text
    assert "clinic" not in text
    assert "tmp" not in text


def test_a_server_that_is_built_from_the_models_requirements_has_timm_where_its_backbone_is_from_there():
    of_timm = replace(described.REPEAT.network, backbone="timm/resnet10t")
    assert [name.partition("==")[0] for name in saving.needs(described.REPEAT)] == list(saving.NEEDS)
    assert saving.needs(replace(described.REPEAT, network=of_timm))[-1] == f"timm=={metadata.version('timm')}"
