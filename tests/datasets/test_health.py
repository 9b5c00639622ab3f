import re

import pytest

from pipeline.core.sections import Split
from pipeline.core.types import PerClass
from pipeline.datasets.collect.health import examine
from pipeline.datasets.prepared import leaks
from pipeline.datasets.prepared.leaks import Leak
from pipeline.datasets.prepared.manifest import Pair, Rejected, Row
from pipeline.datasets.prepared.search import Search

SPLIT = Split(test=0.3, val=0.0, seed=0, per_class="none")
FEW = "classes of fewer than 10 images"


def _row(path: str, *, image: str = "", part: str = "", side: int = 100, mode: str = "RGB", note: str = "") -> Row:
    return Row(path, path.split("/")[0], part, 1, image or path, side, side, mode, note)


def _pair(path: str, of: str, found: str = "features", confirmed: str = "yes") -> Pair:
    return Pair(path, of, found, confirmed, "yes", 50, 97, 80)


def _examined(rows, *, rejected=(), pairs=(), on_leak="refuse", **options):
    """Examine a few images; that they are few is a finding of its own, left out but in its test."""
    options = {"image_size": 64, "on_leak": on_leak, "split": SPLIT} | options
    report = examine(rows, rejected, pairs, Search(len(rows), 0, 0), **options)
    return report | {"findings": [one for one in report["findings"] if one["what"] != FEW]}


def _findings(rows, **options) -> dict[str, tuple[list[str], bool]]:
    return {one["what"]: (one["files"], one["stops"]) for one in _examined(rows, **options)["findings"]}


def test_images_are_counted_by_class_part_and_mode():
    facts = _examined([_row("a/1", part="train"), _row("a/2", part="test"), _row("b/1", part="test", mode="L")])
    assert (facts["images"], facts["classes"], facts["parts"]) == (3, {"a": 2, "b": 1}, {"test": 2, "train": 1})
    assert (facts["modes"], facts["imbalance"]) == ({"RGB": 2, "L": 1}, 2.0)


def test_the_smallest_and_the_largest_size_are_reported():
    assert _examined([_row("a/1", side=80), _row("a/2", side=90)])["sizes"] == {
        "smallest": [80, 80],
        "largest": [90, 90],
    }


def test_an_even_set_of_large_images_has_no_findings():
    assert _findings([_row("a/1"), _row("b/1")]) == {}


def test_no_image_at_all_is_reported_too():
    assert _examined([])["imbalance"] is None


def test_classes_of_very_different_size_are_found():
    assert _findings([*(_row(f"a/{n}") for n in range(6)), _row("b/1"), _row("b/2")]) == {
        "uneven classes, 3.0 to 1": (["a: 6", "b: 2"], False)
    }


def test_classes_of_few_images_are_named_once_with_their_numbers():
    sizes = {"a": 10, "b": 9, "c": 2}
    rows = [_row(f"{label}/{n}") for label, images in sizes.items() for n in range(images)]
    few = _few(rows)
    assert (few["files"], few["stops"]) == (["c: 2", "b: 9"], False)
    tested = "the test part has about 1 of the 2 images of 'c' (data.split.test: 0.3), so the scores of the class say"
    assert tested in few["advice"]


def _few(rows, split=SPLIT):
    report = examine(rows, [], [], Search(len(rows), 0, 0), image_size=64, on_leak="refuse", split=split)
    (few,) = [one for one in report["findings"] if one["what"] == FEW]
    return few


@pytest.mark.parametrize(
    ("parts", "changes", "tested"),
    [
        ([""] * 8, {"test": 0.5}, "about 4 of the 8 images of 'a' (data.split.test: 0.5)"),
        ([""], {}, "about 1 of the 1 image of 'a' (data.split.test: 0.3)"),
        (["train"] * 3 + ["test"] * 5, {}, "5 of the 8 images of 'a'"),
        (["train"] * 8, {}, "0 of the 8 images of 'a'"),
        ([""] * 8, {"per_class": PerClass(train=4, test=2, val=0)}, "2 of the 8 images of 'a' (data.split.per_class)"),
        (["train"] * 3 + ["test"] * 5, {"per_class": PerClass(train=3, test=2, val=0)}, "2 of the 8 images of 'a'"),
        (["train"] * 3 + ["test"] * 5, {"per_class": PerClass(train=3, test=0, val=0)}, "5 of the 8 images of 'a'"),
    ],
)
def test_the_test_images_of_a_small_class_are_those_of_the_settings_or_of_its_part(parts, changes, tested):
    rows = [_row(f"a/{n}", part=part) for n, part in enumerate(parts)]
    assert f": the test part has {tested}, so" in _few(rows, SPLIT.model_copy(update=changes))["advice"]


def test_images_smaller_than_they_are_packed_are_found():
    assert _findings([_row("a/1", side=63), _row("b/1", side=64)]) == {
        "images smaller than image_size": (["a/1: 63 x 63"], False)
    }


def test_what_is_rejected_and_what_is_converted_is_listed_with_its_reason():
    findings = _findings([_row("a/1", note="gray to RGB"), _row("b/1")], rejected=[Rejected("a/2", "empty: 0 bytes")])
    assert findings == {
        "photographs that cannot be used": (["a/2: empty: 0 bytes"], False),
        "images that are converted": (["a/1: gray to RGB"], False),
    }


def test_annotations_are_one_line_by_kind_and_stand_behind_a_damaged_photograph():
    annotations = [Rejected(f"a/{n}.xml", "not an image") for n in range(753)]
    report = _examined([_row("a/1"), _row("b/1")], rejected=[*annotations, Rejected("b/9.jpg", "its end is missing")])
    damaged, others = report["findings"]
    assert (damaged["what"], damaged["count"]) == ("photographs that cannot be used", 1)
    assert damaged["advice"] == "repair or delete them; they are excluded from the run"
    assert damaged["files"] == ["b/9.jpg: its end is missing"]
    assert (others["what"], others["count"], others["files"]) == ("files that are no photographs", 753, [".xml 753"])
    assert others["advice"].startswith("nothing")


def test_what_was_dropped_is_not_to_be_mended():
    leak = Leak("a/2", "train", "a/1", "test", "near")
    (finding,) = _examined([_row("a/1"), _row("b/1")], rejected=leaks.rejections([leak]))["findings"]
    assert (finding["what"], finding["advice"]) == (
        "copies left out of an earlier part",
        "nothing: data.on_leak is drop",
    )
    assert finding["files"] == ["a/2: left out of train: a near duplicate of 'a/1' in test"]


def test_a_validation_folder_that_is_taken_as_the_test_part_is_a_finding_that_stops_nothing():
    rows = [*(_row(f"train/{n}", part="train") for n in range(3)), *(_row(f"val/{n}", part="test") for n in range(4))]
    (finding,) = _examined(rows, tested="'val' is taken as the test part")["findings"]
    assert (finding["what"], finding["count"], finding["stops"]) == ("images taken as the test part", 4, False)
    assert finding["files"] == ["'val' is taken as the test part"]
    assert finding["advice"] == "nothing, if that is meant; else name the parts train, val and test"
    assert not _examined(rows)["findings"]


def test_duplicates_are_reported_by_kind_and_by_where_they_are():
    rows = [_row("a/1", image="x"), _row("a/2", image="x"), _row("a/3"), _row("b/1", image="x"), _row("b/2")]
    pairs = [_pair("a/2", "a/1", "bytes"), _pair("b/1", "a/1", "bytes"), _pair("b/2", "a/3", "hashes", "no")]
    assert _findings(rows, pairs=pairs, refuse_duplicates=True) == {
        "exact duplicates across classes": (["b/1 = a/1"], True),
        "near duplicates across classes": (["b/2 = a/3 (hashes, not confirmed)"], False),
        "exact duplicates within a class": (["a/2 = a/1"], False),
    }


@pytest.mark.parametrize("refused", [True, False])
def test_confirmed_copies_in_two_classes_stop_a_run_where_they_are_refused(refused):
    found = _findings([_row("a/1"), _row("b/1")], pairs=[_pair("b/1", "a/1")], refuse_duplicates=refused)
    assert found == {"near duplicates across classes": (["b/1 = a/1 (mirrored, 97 % of the detail agrees)"], refused)}


def test_what_is_merely_alike_is_listed_and_stops_nothing():
    rows = [_row("a/1", part="train"), _row("b/1", part="test")]
    found = _findings(rows, pairs=[_pair("b/1", "a/1", confirmed="no")], refuse_duplicates=True)
    assert found == {"alike, perhaps copies": (["b/1 ~ a/1 (80 % alike, not confirmed)"], False)}


def test_copies_within_a_given_test_part_are_told():
    rows = [_row("a/1", part="test"), _row("a/2", part="test"), _row("a/3", part="train"), _row("a/4", part="train")]
    pairs = [_pair("a/2", "a/1", "bytes"), _pair("a/4", "a/3", "bytes")]
    report = _examined(rows, pairs=pairs)
    found = {one["what"]: one for one in report["findings"]}
    assert found["exact duplicates within the test part"]["files"] == ["a/2 = a/1"]
    assert "its interval too narrow" in found["exact duplicates within the test part"]["advice"]
    assert found["exact duplicates within a class"]["files"] == ["a/4 = a/3"]
    assert report["copies"].startswith("looked for byte-equal copies alone")


def test_copies_within_a_given_test_part_count_as_one_where_groups_are_named():
    rows = [_row(f"a/{n}", part="test")._replace(group="nest") for n in range(2)]
    [found] = _examined(rows, pairs=[_pair("a/1", "a/0")])["findings"][:1]
    assert (found["what"], found["advice"]) == (
        "near duplicates within the test part",
        "nothing: metadata.csv names groups, and copies count together as one of them in intervals",
    )


@pytest.mark.parametrize(("on_leak", "stops"), [("refuse", True), ("drop", False), ("allow", False)])
def test_near_duplicates_across_parts_stop_a_run_where_they_are_refused(on_leak, stops):
    rows = [_row("a/1", part="test"), _row("a/2", part="train")]
    found = _findings(rows, pairs=[_pair("a/2", "a/1")], on_leak=on_leak)
    assert found == {"near duplicates across parts": (["a/2 = a/1"], stops)}


@pytest.mark.parametrize("on_leak", ["refuse", "allow"])
def test_advice_names_settings_in_words_that_can_be_typed(on_leak):
    cats = [_row(f"a/{n}", part="train") for n in range(6)]
    rows = [*cats, _row("b/1", part="train"), _row("b/2", part="test")]
    pairs = [_pair("b/1", "a/1"), _pair("b/2", "b/1")]
    report = _examined(rows, pairs=pairs, on_leak=on_leak, refuse_duplicates=True)
    advice = " ".join(one["advice"] for one in report["findings"])
    words = re.findall(r"-S ([\w.]+)=(\w+)", advice)
    assert words == [
        ("defaults.data.on_leak", "drop"),
        ("defaults.data.duplicates", "allow"),
        ("defaults.train.sampler", "weighted"),
    ]


def test_the_known_overlap_with_pre_training_data_is_a_finding():
    assert _findings([_row("a/1"), _row("b/1")], known_overlap="22 images.") == {
        "overlap with pre-training data": (["22 images."], False)
    }
