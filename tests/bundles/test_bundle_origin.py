"""What a bundle says of where it comes from."""

import json
from pathlib import Path

import pytest

from pipeline import tracking
from pipeline.assembly import bundling
from pipeline.core import digests


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
        return bundling.origin(results.repeats[0].record, results, {})

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
