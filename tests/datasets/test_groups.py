from collections import Counter, defaultdict

import numpy as np
import pytest

from pipeline.core import digests, paths
from pipeline.core.errors import InputError
from pipeline.core.types import PerClass
from pipeline.datasets.prepared import groups, manifest, splits
from pipeline.datasets.prepared.groups import grouped
from pipeline.datasets.prepared.leaks import Leak, check, leaks, note, rejections
from pipeline.datasets.prepared.manifest import Alike, Assigned, Pair, Rejected, Row


def _row(path: str, group: str = "", part: str = "") -> Row:
    return Row(path, path.split("/")[0], part, 1, path, 1, 1, "RGB", "", group)


def _sites(sites: int, *, seed: int = 0) -> list[Row]:
    """Return images of three classes, each of which is at all sites, in numbers that differ."""
    rng = np.random.default_rng(seed)
    return [
        _row(f"{label}/{site}-{number}", f"site {site}")
        for label in "abc"
        for site in range(sites)
        for number in range(rng.integers(1, 9))
    ]


def _split(rows: list[Row], **options) -> list[Assigned]:
    return splits.split(rows, **{"test": 0.3, "val": 0.0, "seed": 0, "repeat": 1, "alike": grouped([], rows)} | options)


def _sides(rows: list[Row], assigned: list[Assigned]) -> dict[str, set[str]]:
    part = {one.path: one.part for one in assigned}
    sides = defaultdict(set)
    for row in rows:
        if row.path in part:
            sides[row.group or row.path].add(part[row.path])
    return sides


def test_named_groups_join_copies_to_one_group():
    rows = [_row("a/1", "nest"), _row("a/2", "nest"), _row("a/3"), _row("a/4", "other"), _row("a/5")]
    copies = [Pair("a/3", "a/2", "features", "yes", "no", 50, 90, 90)]
    assert grouped(copies, rows) == [
        Alike("a/1", 1, "", ""),
        Alike("a/2", 1, "group", "a/1"),
        Alike("a/3", 1, "near", "a/2"),
    ]


def test_a_copy_in_a_named_group_is_called_a_copy():
    rows = [_row("a/1", "nest"), _row("a/2", "nest")]
    copies = [Pair("a/2", "a/1", "bytes", "yes", "no", 0, 100, 100)]
    assert grouped(copies, rows)[1] == Alike("a/2", 1, "exact", "a/1")


def _collected(rows: list[Row], pairs: list[Pair]) -> None:
    """Write the tables of collected images and of their groups, as the stages do."""
    for file, kind, lines in (
        (paths.MANIFEST, Row, rows),
        (paths.GROUPS, Alike, grouped(pairs, rows)),
    ):
        file.parent.mkdir(parents=True)
        manifest.write(file, kind, lines)
        digests.seal(file.parent)


@pytest.mark.parametrize("confirmed", ["yes", "no"])
def test_groups_that_the_user_named_count_where_all_their_images_are_alike_too(confirmed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [_row(f"a/{n}", f"specimen {n // 3}") for n in range(6)]
    bursts = [(0, 1), (0, 2), (3, 4), (3, 5)]
    pairs = [Pair(f"a/{b}", f"a/{a}", "features", confirmed, "no", 50, 90, 95) for a, b in bursts]
    _collected(rows, pairs)
    assert groups.of_images([row.path for row in rows]) == {f"a/{n}": str(1 + n // 3) for n in range(6)}


def test_copies_are_no_groups_where_the_user_named_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [_row("a/1"), _row("a/2")]
    _collected(rows, [Pair("a/2", "a/1", "bytes", "yes", "no", 0, 100, 100)])
    assert groups.of_images(["a/1", "a/2"]) == {}


@pytest.mark.parametrize("repeat", range(1, 11))
@pytest.mark.parametrize("sites", [4, 10, 40])
def test_a_group_of_several_classes_is_in_one_part_and_each_class_in_both(sites, repeat):
    rows = _sites(sites)
    assigned = _split(rows, val=0.2, repeat=repeat)
    assert all(len(parts) == 1 for parts in _sides(rows, assigned).values())
    for label in "abc":
        assert {"train", "test"} <= {one.part for one in assigned if one.label == label}
    assert len(assigned) == len(rows)


@pytest.mark.parametrize("repeat", range(1, 6))
def test_each_class_comes_near_to_its_fraction(repeat):
    rows = _sites(40)
    tested = Counter(one.label for one in _split(rows, repeat=repeat) if one.part == "test")
    totals = Counter(row.label for row in rows)
    assert all(abs(tested[label] / totals[label] - 0.3) < 0.04 for label in "abc")


def test_repeats_draw_other_groups_and_the_same_repeat_draws_the_same():
    rows = _sites(20)
    first, second, again = (_split(rows, repeat=repeat) for repeat in (1, 2, 1))
    assert first == again
    assert first != second


def test_a_draw_does_not_depend_on_the_names_of_files():
    rows = _sites(12)
    renamed = [row._replace(path=f"{row.label}/{n}") for n, row in enumerate(rows)]
    assert [one.part for one in _split(rows)] == [one.part for one in _split(renamed)]


def test_without_named_groups_nothing_is_drawn_otherwise():
    rows = [row._replace(group="") for row in _sites(12)]
    one_of_two = [rows[0]._replace(group="x"), *rows[1:]]
    assert _split(rows) == splits.split(rows, test=0.3, val=0.0, seed=0, repeat=1)
    # A group alone changes the draw, which shows that the two are not the same one.
    assert _split(one_of_two) != _split(rows)


def test_a_large_group_is_tested_only_where_nothing_smaller_is_there():
    rows = [_row(f"a/{n:03}", "large" if n < 60 else f"small {n % 4}") for n in range(100)]
    rows += [_row(f"b/{n}") for n in range(10)]
    for repeat in range(1, 6):
        assert _sides(rows, _split(rows, repeat=repeat))["large"] == {"train"}


def test_groups_that_fit_are_tested_as_often_whatever_their_size():
    sizes = (3, 5, 7, 8, 11, 13, 20)
    rows = [_row(f"{label}/{size}-{n}", f"{label} {size}") for label in "ab" for size in sizes for n in range(size)]
    tested = Counter(
        group
        for repeat in range(1, 101)
        for group, parts in _sides(rows, _split(rows, repeat=repeat)).items()
        if parts == {"test"}
    )
    assert all(tested[f"{label} {size}"] > 10 for label in "ab" for size in sizes)


def test_a_set_that_few_orders_divide_is_divided():
    groups = {
        "0": {"c3": 15},
        "1": {"c2": 10},
        "2": {"c0": 7},
        "3": {"c3": 8, "c2": 6, "c0": 3},
        "4": {"c2": 17, "c1": 14, "c3": 3},
        "5": {"c0": 16, "c3": 4, "c1": 15},
    }
    rows = [
        _row(f"{label}/{group}-{n}", group)
        for group, counts in groups.items()
        for label, count in counts.items()
        for n in range(count)
    ]
    for repeat in range(1, 41):
        assert {one.label for one in _split(rows, repeat=repeat) if one.part == "test"} == {"c0", "c1", "c2", "c3"}


def test_a_fraction_of_the_training_images_is_near_to_it_in_whole_groups():
    rows = [_row(f"{label}/{g}-{n}", f"{label} {g}") for label in "ab" for g in range(30) for n in range(1 + g % 7)]
    whole = Counter(one.part for one in _split(rows))["train"]
    parts = {}
    for fraction in (0.25, 0.5, 0.75):
        parts[fraction] = {one.path for one in _split(rows, train_fraction=fraction) if one.part == "train"}
        assert abs(len(parts[fraction]) / whole - fraction) < 0.06
    assert parts[0.25] < parts[0.5] < parts[0.75]


@pytest.mark.parametrize("inner", [False, True])
def test_smaller_training_parts_and_inner_divisions_keep_groups_together(inner):
    rows = _sites(20)
    sides = _sides(rows, _split(rows, inner=inner, division=1, train_fraction=0.5))
    assert all(len(parts) == 1 for parts in sides.values())


def test_a_class_of_a_single_group_is_refused():
    rows = [*(_row(f"a/{n}", "nest") for n in range(9)), *(_row(f"b/{n}") for n in range(9))]
    with pytest.raises(InputError, match=r"^class 'a' has no image for the test part; .* and not of one group"):
        _split(rows)


def test_numbers_by_class_refuse_groups_of_two_classes():
    wanted = PerClass(train=2, test=2, val=0)
    with pytest.raises(InputError, match=r"the group 'site 0' is of 'a' and 'b'; divide by fractions, -S \S+=none$"):
        _split(_sites(9), per_class=wanted)
    rows = [_row(f"{label}/{n}", f"{label} {n // 2}") for label in "ab" for n in range(8)]
    assigned = _split(rows, per_class=wanted)
    assert Counter((one.label, one.part) for one in assigned) == {(c, p): 2 for c in "ab" for p in ("train", "test")}
    assert all(len(parts) == 1 for parts in _sides(rows, assigned).values())


def test_a_group_in_two_given_parts_leaks():
    rows = [
        _row("a/1", "nest", "train"),
        _row("a/2", "nest", "test"),
        _row("a/3", "", "train"),
        _row("a/4", "", "test"),
    ]
    copy = [Pair("a/3", "a/4", "features", "yes", "no", 50, 90, 90)]
    leaking = leaks(rows, copy)
    assert leaking == [Leak("a/1", "train", "a/2", "test", "group"), Leak("a/3", "train", "a/4", "test", "near")]
    message = (
        r"^'a/1' in train is of the same group as 'a/2' in test \(and 1 more in data/copies/groups\.csv\); "
        r"put the group into one part, or leave such images out of train, -S defaults\.data\.on_leak=drop, or let them "
        r"be, -S defaults\.data\.on_leak=allow$"
    )
    with pytest.raises(InputError, match=message):
        check(leaking)
    assert rejections(leaking)[0] == Rejected("a/1", "left out of train: of the same group as 'a/2' in test")
    assert "in a later one too, or have their group there, are let be, the first 'a/1', of the" in note(
        leaking, "allow"
    )


def test_a_copy_is_named_before_a_group():
    rows = [_row("a/1", "nest", "train"), _row("a/2", "nest", "test")]
    copy = [Pair("a/2", "a/1", "features", "yes", "no", 50, 90, 90)]
    assert [leak.kind for leak in leaks(rows, copy)] == ["near"]


def test_groups_of_one_size_are_said_in_few_words():
    assert (
        groups.words([_row(f"a/{n}", f"{n // 2}") for n in range(4)]) == "2 groups of 2 images, named in metadata.csv"
    )
    assert groups.words([_row("a/1")]) == ""
