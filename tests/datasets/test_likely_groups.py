import pytest

from pipeline.core.sections import Split
from pipeline.datasets.collect.health import examine
from pipeline.datasets.collect.likely_groups import likely
from pipeline.datasets.prepared.manifest import Row
from pipeline.datasets.prepared.search import Search

SPLIT = Split(test=0.3, val=0.0, seed=0, per_class="none")


def _rows(*paths: str, part: str = "", group: str = "") -> list[Row]:
    label = 1 if part else 0
    return [Row(path, path.split("/")[label], part, 1, path, 99, 99, "RGB", "", group) for path in paths]


def _named(*patterns: str) -> list[Row]:
    return _rows(
        *(f"{label}/{pattern.format(n)}.jpg" for label in ("jay", "owl") for pattern in patterns for n in "123")
    )


def test_folders_inside_class_folders_suggest_groups():
    rows = _rows("owl/nest 1/a.jpg", "owl/nest 1/b.jpg", "owl/nest 1/c.jpg", "jay/nest 2/a.jpg", "jay/nest 2/b.jpg")
    assert list(likely(rows).items()) == [
        ("owl/nest 1", ["owl/nest 1/a.jpg", "owl/nest 1/b.jpg", "owl/nest 1/c.jpg"]),
        ("jay/nest 2", ["jay/nest 2/a.jpg", "jay/nest 2/b.jpg"]),
    ]


def test_folders_of_parts_are_none():
    rows = _rows(*(f"train/{label}/{n}.jpg" for label in ("jay", "owl") for n in range(4)), part="train")
    assert not likely(rows)


@pytest.mark.parametrize(
    "pattern", ["specimen{{}}_{}", "P{{}}-b ({})", "2024050{{}}_11{}", "IMG_2024050{{}}_10150{}", "nest {{}}.{}"]
)
def test_a_beginning_with_a_number_before_a_counter_suggests_groups(pattern):
    suggested = likely(_named(*(pattern.format("{}").format(n, "{}") for n in "789")))
    assert len(suggested) == 6
    assert all(len(paths) == 3 for paths in suggested.values())


@pytest.mark.parametrize("pattern", ["IMG_000{}", "DSC0{}", "owl-{}", "{}", "a3f5c0{}"])
def test_a_counter_alone_suggests_none(pattern):
    assert not likely(_named(pattern))


def test_a_few_such_names_suggest_none():
    assert not likely([*_named("s7_{}"), *_named("a{}", "b{}", "c{}")])


def test_groups_that_the_user_named_need_no_suggestion():
    assert not likely(_rows("owl/nest 1/a.jpg", "owl/nest 1/b.jpg", group="nest"))


@pytest.mark.parametrize("own", [True, False])
def test_the_suggestion_is_a_finding_of_ones_own_set_that_stops_nothing(own):
    rows = _rows("owl/nest 1/a.jpg", "owl/nest 1/b.jpg", "jay/nest 2/a.jpg", "jay/nest 2/b.jpg")
    report = examine(rows, [], [], Search(4, 4, 4), image_size=96, on_leak="refuse", split=SPLIT, own=own)
    titles = {finding["what"]: finding for finding in report["findings"]}
    assert ("groups that names suggest" in titles) == own
    assert bool(report["suggested_groups"]) == own
    if own:
        assert titles["groups that names suggest"]["files"] == ["owl/nest 1: 2 images", "jay/nest 2: 2 images"]
        assert titles["groups that names suggest"]["advice"].endswith("a group is never both trained on and tested")
        assert not titles["groups that names suggest"]["stops"]


def test_a_group_across_parts_stops_a_run_and_says_what_to_do():
    rows = [*_rows("train/owl/1.jpg", part="train", group="nest"), *_rows("test/owl/2.jpg", part="test", group="nest")]
    report = examine(rows, [], [], Search(2, 2, 2), image_size=96, on_leak="refuse", split=SPLIT)
    [finding] = [one for one in report["findings"] if one["what"] == "groups across parts"]
    assert finding["files"] == ["train/owl/1.jpg = test/owl/2.jpg"]
    assert finding["advice"].startswith("put each group into one part, or leave them out of training")
    assert finding["stops"]
