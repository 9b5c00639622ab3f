from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean

import pytest

from pipeline.advice import halving
from pipeline.advice.halving import FINALISTS, Round, Tried


@pytest.mark.parametrize("candidates", range(1, 40))
def test_each_round_halves_the_candidates_and_doubles_their_repeats_until_the_finalists_are_left(
    candidates: int,
) -> None:
    plan = halving.rounds(candidates)
    assert plan[0] == Round(candidates, 1)
    assert plan[-1].candidates == min(candidates, FINALISTS)
    for before, after in pairwise(plan):
        assert after.candidates == max(FINALISTS, -(-before.candidates // 2))
        assert after.repeats == 2 * before.repeats


@pytest.mark.parametrize("candidates", [1, 2, 3, 7, 12])
def test_the_price_is_that_of_the_trainings_one_by_one(candidates: int) -> None:
    trained = set()
    plan = halving.rounds(candidates, scale=3)
    for one in plan:
        trained |= {(candidate, repeat) for candidate in range(one.candidates) for repeat in range(one.repeats)}
    assert halving.price([2.0] * candidates, plan) == 2.0 * len(trained)


@pytest.mark.parametrize("budget", [0.5, 1, 2, 5, 10, 29, 100, 1000])
def test_a_budget_is_never_exceeded_and_no_more_candidates_or_repeats_would_fit(budget: float) -> None:
    costs = [1.0, 1.0, 4.0, 1.0, 3.0, 1.0]
    plan = halving.affordable(costs, budget)
    number = plan[0].candidates if plan else 0
    assert sum(costs[:number]) <= budget
    if number < len(costs):
        assert sum(costs[: number + 1]) > budget
    if number > 1:
        assert halving.price(costs[:number], plan) <= budget
        whole = halving.rounds(number, scale=plan[0].repeats)
        assert plan == whole[: len(plan)]
        longer = whole[: len(plan) + 1] if len(plan) < len(whole) else halving.rounds(number, scale=plan[0].repeats + 1)
        assert halving.price(costs[:number], longer) > budget


@pytest.mark.parametrize("budget", [2, 600])
def test_a_single_candidate_is_tried_once_however_much_is_left(budget: float) -> None:
    assert halving.affordable([2.0], budget) == [Round(1, 1)]


def test_one_that_fails_goes_no_further_and_stops_no_other() -> None:
    asked = []

    def attempt(names: Sequence[str], repeats: int) -> dict[str, Tried]:
        asked.append((list(names), repeats))
        return {name: Tried(0.5, 1.0) for name in names if (name, repeats) not in {("a", 1), ("b", 2)}}

    assert halving.run("abcd", halving.rounds(4), attempt) == {"b": 1, "c": 2, "d": 1}
    assert asked == [(["a", "b", "c", "d"], 1), (["b", "c"], 2)]


def test_scores_that_differ_by_rounding_alone_are_equal() -> None:
    """Both are right on 31 of 63 images."""
    dear, cheap = (fmean(right / 21 for right in each) for each in ((8, 9, 14), (8, 8, 15)))
    assert dear != cheap
    for scores in ({"dear": dear, "cheap": cheap}, {"dear": cheap, "cheap": dear}):
        assert halving.better(scores, {"dear": 9.0, "cheap": 1.0}, 1) == ["cheap"]


def test_equal_scores_are_decided_by_cost() -> None:
    scores, costs = {"dear": 0.9, "cheap": 0.9, "worse": 0.8}, {"dear": 9.0, "cheap": 1.0, "worse": 0.1}
    assert halving.better(scores, costs, 1) == ["cheap"]
    assert halving.better(scores, costs, 2) == ["cheap", "dear"]
