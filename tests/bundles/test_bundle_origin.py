"""What a bundle says of where it comes from."""

import json
from pathlib import Path

import pytest
from bundle_files import write

from pipeline import tracking
from pipeline.assembly import bundling
from pipeline.bundles import contents
from pipeline.core import digests, paths, provenance
from pipeline.stages import bundle as stage


@pytest.fixture
def origin_of(clone, files, monkeypatch):
    """Return the origin of a bundle of a run with this `naming`."""

    def origin(naming):
        monkeypatch.setattr(tracking, "run_of", lambda key: "")
        files.experiment(clone, repeats=(1,))
        runtime = Path("metrics/runtime/1.json")
        values = json.loads(runtime.read_text(encoding="utf-8"))
        runtime.write_text(json.dumps(values | {"naming": naming}), encoding="utf-8")
        digests.seal(runtime)
        results = tracking.read(tracking.Folder(Path()))
        [repeat] = results.repeats
        return bundling.origin(repeat.record, repeat.runtime, results, {})

    return origin


@pytest.mark.parametrize(("naming", "name"), [({"data": "my spiders"}, "my spiders"), ({}, "synthetic")])
def test_the_users_own_photographs_have_the_name_of_their_folder(origin_of, naming, name):
    assert origin_of(naming).data_set == name


@pytest.mark.parametrize(
    ("naming", "changes"),
    [
        ({}, {}),
        (
            {"data": "spiders", "changes": {"data": "folder", "lr": 1e-4, "freeze": "auto"}, "own": {"lr": 2e-3}},
            {"data": {"value": "spiders", "recipe": None}, "lr": {"value": 1e-4, "recipe": 2e-3}},
        ),
    ],
)
def test_what_was_changed_of_the_recipe_is_part_of_it(origin_of, naming, changes):
    assert origin_of(naming).changes == changes


@pytest.fixture
def of_two_commits(project, monkeypatch):
    """Have the second repeat trained at another commit than the first, with another torch."""
    read = tracking.read

    def trained_apart(files):
        results = read(files)
        repeats = [
            one._replace(
                runtime=one.runtime.model_copy(
                    update={
                        "git_commit": f"{one.number}" * 40,
                        "git_dirty": one.number == 2,
                        "versions": {"torch": f"9.{one.number}"},
                    }
                )
            )
            for one in results.repeats
        ]
        return results._replace(repeats=repeats)

    monkeypatch.setattr(tracking, "read", trained_apart)


@pytest.mark.parametrize(("kind", "repeat", "named"), [("repeat", 1, 1), ("repeat", 2, 2), ("ensemble", None, 1)])
def test_commit_and_versions_are_those_of_the_network_and_not_of_another_repeat(
    of_two_commits, tmp_path, kind, repeat, named
):
    origin = contents.describe(write(tmp_path / "bundle", kind, repeat)).origin
    assert (origin.commit, origin.changed) == (f"{named}" * 40, named == 2)
    assert origin.versions == {"torch": f"9.{named}"}


def test_a_network_that_was_trained_for_its_bundle_has_the_commit_and_versions_of_that_training(
    of_two_commits, monkeypatch
):
    monkeypatch.setattr(provenance, "commit", lambda: ("f" * 40, True))
    stage.main(["--final", "0.2"])
    origin = contents.describe(paths.BUNDLE).origin
    assert (origin.commit, origin.changed, origin.versions) == ("f" * 40, True, provenance.versions())
