import numpy as np
import pytest
import simulated

from pipeline.advice.recommendation import image_gains, recommend
from pipeline.evaluation.compare.experiments import Experiment, Trial


def candidate(name: str, accuracy: float, *, repeats: int = 4, images: int = 100, seed: int = 0) -> Experiment:
    """A candidate that is right on each image by a coin of its own, on other test images in each repeat."""
    coins = np.random.default_rng([seed, *name.encode()])
    trials = {
        repeat: Trial(
            right={f"{repeat}/{n}": bool(right) for n, right in enumerate(coins.random(images) < accuracy)},
            train=200,
            scores={},
            seconds=1.0,
        )
        for repeat in range(1, repeats + 1)
    }
    return Experiment(name, trials)


def test_the_cheapest_within_one_standard_error_of_the_best_is_recommended() -> None:
    candidates = [candidate("dear", 0.85), candidate("cheap", 0.86), candidate("cheapest but bad", 0.3)]
    advice = recommend(candidates, {"dear": 100.0, "cheap": 5.0, "cheapest but bad": 1.0})
    assert advice.name == "cheap"
    assert set(advice.tied) == {"dear", "cheap"}
    assert advice.tied[0] == advice.best


def test_the_best_is_recommended_where_all_others_are_worse() -> None:
    advice = recommend([candidate("good", 0.95), candidate("bad", 0.4)], {"good": 100.0, "bad": 1.0})
    assert (advice.name, advice.best, advice.tied) == ("good", "good", ["good"])


def test_where_there_is_no_signal_all_are_tied() -> None:
    """In one of twenty such families a pair is told apart by chance: this is a count of 10."""
    ties = 0
    for seed in range(10):
        names = {"a": 3.0, "b": 1.0, "c": 2.0}
        advice = recommend([candidate(name, 0.5, seed=seed) for name in names], names)
        ties += len(advice.tied) == 3
        assert advice.name == min(advice.close, key=names.__getitem__)
    assert ties >= 8


def test_a_cheaper_one_that_is_almost_two_standard_errors_below_is_tied_and_not_recommended() -> None:
    """Of 100 images one is right on 90, the other on 11 fewer and 4 more: 7 points, an error of 3.8, and p = 0.12."""
    best, cheap = [n < 90 for n in range(100)], [11 <= n < 94 for n in range(100)]
    both = [
        Experiment(name, {1: Trial({str(n): right for n, right in enumerate(answers)}, 100)})
        for name, answers in (("best", best), ("cheap", cheap))
    ]
    advice = recommend(both, {"best": 9.0, "cheap": 1.0})
    assert advice.tied == ["best", "cheap"]
    assert advice.close == ["best"]
    assert advice.name == "best"


@pytest.mark.parametrize("repeats", [1, 4])
def test_one_that_was_dropped_is_not_tied_where_its_repeats_tell(repeats: int) -> None:
    best, dropped = candidate("best", 0.95, images=30), candidate("dropped", 0.4, images=30, repeats=repeats)
    assert recommend([best, dropped], {"best": 9.0, "dropped": 1.0}).tied == ["best"]


def equals(seed: int, *, images: int = 360, repeats: int = 4) -> list[Experiment]:
    """Two equally good methods on inner divisions of the same images, whose networks differ by their seeds."""
    seeds = simulated.VARIATIONS["seeds"]
    [[right]] = simulated.answers(seeds, repeats=repeats, images=images, draws=1, seed=seed)
    divisions = [np.random.default_rng([seed, repeat]).permutation(images)[: images // 3] for repeat in range(repeats)]
    return [
        Experiment(
            name,
            {
                repeat: Trial({str(image): bool(answers[repeat - 1, image]) for image in tested}, images - len(tested))
                for repeat, tested in enumerate(divisions, start=1)
            },
        )
        for name, answers in zip("ab", right, strict=True)
    ]


def test_of_equal_methods_whose_seeds_differ_one_is_worse_in_five_of_a_hundred_at_most() -> None:
    """A sign test over the images, which knows of no seeds, rejects in 19 of a hundred here."""
    rejected = sum(len(recommend(equals(seed), {"a": 1.0, "b": 2.0}).tied) < 2 for seed in range(200))
    assert rejected <= 0.05 * 200


@pytest.mark.parametrize("cheaper", ["finalist", "dropped"])
def test_easy_first_divisions_make_no_dropped_candidate_the_best(cheaper: str) -> None:
    """On the one division of both the finalist has 90 of 100 and the dropped one 80; on its second it has 60."""
    first = [{str(n): n < right for n in range(100)} for right in (90, 80)]
    second = {f"b{n}": n < 60 for n in range(100)}
    both = [
        Experiment("finalist", {1: Trial(first[0], 100), 2: Trial(second, 100)}),
        Experiment("dropped", {1: Trial(first[1], 100)}),
    ]
    advice = recommend(both, {"finalist": 2.0, "dropped": 2.0} | {cheaper: 1.0})
    assert (advice.name, advice.best, advice.tied) == ("finalist", "finalist", ["finalist"])


def test_one_that_is_detectably_worse_is_not_recommended_for_being_near_on_average() -> None:
    """In each of eight repeats one is right on one or two images more: it has 20 alone, the other 19 or 18."""
    both = []
    for name in ("best", "cheap"):
        trials = {}
        for repeat in range(1, 9):
            better, worse = 20, 19 - repeat % 2
            right = {f"{repeat} {n}": (n < better) == (name == "best") for n in range(better + worse)}
            trials[repeat] = Trial(right, 1000)
        both.append(Experiment(name, trials))
    advice = recommend(both, {"best": 9.0, "cheap": 1.0})
    gains = image_gains(*both)
    assert gains.mean() < gains.std(ddof=1) / len(gains) ** 0.5
    assert (advice.best, advice.name, advice.close, advice.tied) == ("best", "best", ["best"], ["best"])


def test_an_image_of_several_repeats_counts_once() -> None:
    """Ten images, on which one is better in each of ten repeats, are ten gains and not a hundred."""
    right = [{str(n): n < 7 for n in range(10)}, {str(n): False for n in range(10)}]
    both = [
        Experiment(name, {repeat: Trial(answers, 100) for repeat in range(1, 11)})
        for name, answers in zip("ab", right, strict=True)
    ]
    assert image_gains(*both).tolist() == [1.0] * 7 + [0.0] * 3


def test_a_single_repeat_is_judged_by_mcnemars_test() -> None:
    advice = recommend(
        [candidate("good", 0.95, repeats=1), candidate("bad", 0.5, repeats=1)], {"good": 2.0, "bad": 1.0}
    )
    assert advice.name == "good"


@pytest.mark.parametrize("other", ["dear", "cheap"])
def test_of_equal_means_the_cheaper_is_the_best_however_they_are_rounded(other: str) -> None:
    counts = {"dear": (8, 9, 14), "cheap": (8, 9, 14)} | {other: (8, 8, 15)}
    both = [
        Experiment(
            name,
            {n: Trial({f"{n} {image}": image < each for image in range(21)}, 50) for n, each in enumerate(right, 1)},
        )
        for name, right in counts.items()
    ]
    advice = recommend(both, {"dear": 9.0, "cheap": 1.0})
    assert (advice.name, advice.best) == ("cheap", "cheap")


def test_one_candidate_is_recommended() -> None:
    assert recommend([candidate("only", 0.7)], {"only": 1.0}).tied == ["only"]
