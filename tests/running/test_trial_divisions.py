"""The test part of an advice is one that no trial has seen, whatever params.yaml and the user's words say."""

import pytest
import tiny

from pipeline.advice import candidates
from pipeline.core.errors import InputError
from pipeline.running import trials

BOTH = {"test": candidates.outer(3), "inner": candidates.inner(3)}


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny.ROOT)


def test_inner_in_params_is_not_taken_by_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    # What a user may have in params.yaml, which comes before all that trials set.
    planned = trials.cells.plan
    monkeypatch.setattr(trials.cells, "plan", lambda named, sets: planned(_with(named, inner=True), sets=sets))
    test, inner = trials.plan(BOTH, [])
    assert (test.resolved.recipe.data.split.inner, inner.resolved.recipe.data.split.inner) == (False, True)
    assert test.key != inner.key


def _with(named: trials.Named, *, inner: bool) -> trials.Named:
    """Return a study all of whose cells have a value that is set before their own."""
    return named._replace(study=named.study.model_copy(update={"set": {f"{trials.SPLIT}.inner": inner}}))


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("+recipes.quick.data.split.division=each", "recipes.quick.data.split.division: each"),
        ("+recipes.quick.data.split.inner=true", "recipes.quick.data.split.inner: true"),
        ("+recipes.quick.data.split.train_fraction=0.5", "recipes.quick.data.split.train_fraction: 0.5"),
        ("defaults.data={split:{division:each}}", "defaults.data.split.division: each"),
    ],
)
def test_a_split_that_wins_over_that_of_the_trials_is_refused(word: str, key: str) -> None:
    with pytest.raises(InputError, match=rf"^{key}: an advice sets this itself, here to .*; take .* out of params"):
        trials.plan(BOTH, [word])


@pytest.mark.parametrize(
    "word",
    [
        "defaults.data.split={division:each}",
        "+defaults.data.split.inner=true",
        "++defaults.data.split.division=2",
        "~defaults.data.split.inner",
    ],
)
def test_a_split_among_the_words_is_refused(word: str) -> None:
    with pytest.raises(InputError, match="this is what advise tries or sets itself"):
        trials.check([word])
