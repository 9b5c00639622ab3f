from pipeline.advice import prior
from pipeline.advice.candidates import MODERN, STRATEGIES


def test_the_mean_over_sources_weighs_each_source_once_however_many_cuts_it_has() -> None:
    cuts = [prior.Measured("a", str(cut), name, accuracy) for cut in range(9) for name, accuracy in _of(0.9, 0.5)]
    other = [prior.Measured("b", "0", name, accuracy) for name, accuracy in _of(0.3, 0.9)]
    means = prior.shortfalls(prior.by_source([*cuts, *other]).values())
    assert list(means) == ["1", "3b"]
    assert abs(means["3b"] - (0.0 + 0.6) / 2) < 1e-9
    assert abs(means["1"] - (0.4 + 0.0) / 2) < 1e-9


def _of(three_b: float, one: float) -> list[tuple[str, float]]:
    return [("3b", three_b), ("1", one)]


def test_the_table_of_the_project_has_only_candidates_that_there_are() -> None:
    sources = prior.known()
    assert len(sources) >= 3
    for shortfalls in sources.values():
        assert set(shortfalls) <= {*STRATEGIES, MODERN}
        assert min(shortfalls.values()) >= 0


def test_what_was_not_tried_elsewhere_comes_last_in_the_order_that_it_is_given_in() -> None:
    assert prior.ordered(["new", "a", "newer", "b"], {"b": 0.0, "a": 0.1}) == ["b", "a", "new", "newer"]


def test_the_sentence_names_all_sources_and_the_best_strategy_first() -> None:
    said = prior.sentence({"moths": {"3b": 0.0, "1": 0.022}, "bees": {"3b": 0.01, "1": 0.0}})
    assert (
        said
        == "On other images (moths, bees), strategies by their points below the best, on average: 3b (0.5), 1 (1.1)."
    )
