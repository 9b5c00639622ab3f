from collections import Counter

import pytest

from pipeline.core.errors import InputError
from pipeline.core.types import PerClass
from pipeline.datasets.prepared.manifest import Alike, Row
from pipeline.datasets.prepared.splits import split


def _row(path: str, *, image: str = "", part: str = "") -> Row:
    return Row(path, path.split("/")[0], part, 1, image or path, 1, 1, "RGB", "")


def _rows(**sizes: int) -> list[Row]:
    return sorted(_row(f"{label}/{number:04}") for label, size in sizes.items() for number in range(size))


def _split(rows, *, test=0.3, val=0.0, seed=0, repeat=1):
    return split(rows, test=test, val=val, seed=seed, repeat=repeat)


def _parts(assigned, label: str) -> Counter[str]:
    return Counter(entry.part for entry in assigned if entry.label == label)


def test_seven_to_three_of_250_is_175_to_75():
    assert _parts(_split(_rows(a=250, b=250)), "a") == {"train": 175, "test": 75}


@pytest.mark.parametrize(("size", "test"), [(2, 1), (3, 1), (4, 1), (5, 2), (10, 3), (15, 4), (25, 8), (100, 30)])
def test_each_class_gives_its_rounded_part_to_test(size, test):
    assert _parts(_split(_rows(a=size, b=7)), "a") == {"test": test, "train": size - test}


@pytest.mark.parametrize("size", range(2, 30))
@pytest.mark.parametrize("test", [0.01, 0.3, 0.5, 0.99])
@pytest.mark.parametrize("val", [0.0, 0.01, 0.3, 0.99])
def test_no_class_is_ever_without_training_or_test(size, test, val):
    counts = _parts(_split(_rows(a=size, b=2), test=test, val=val), "a")
    assert counts.total() == size
    assert counts["train"] >= 1
    assert counts["test"] >= 1
    assert (counts["val"] >= 1) == (val > 0 and size - counts["test"] > 1)


@pytest.mark.parametrize("seed", range(20))
def test_copies_stay_together_in_every_class_size(seed):
    copied = [_row(f"a/{number}", image=f"a{number % (2 + seed)}") for number in range(5 * seed + 4)]
    assigned = _split(copied + _rows(b=9), val=0.2, seed=seed)
    places: dict[str, set[str]] = {}
    for row, entry in zip(copied, assigned, strict=False):
        places.setdefault(row.sha256, set()).add(entry.part)
    assert all(len(parts) == 1 for parts in places.values())
    assert {"train", "test"} <= set(_parts(assigned, "a"))


def test_copies_in_two_classes_stay_together():
    rows = [_row(f"{label}/{number}", image=str(number)) for label in "ab" for number in range(6)]
    parts = {entry.path: entry.part for entry in _split(rows)}
    assert all(parts[f"a/{number}"] == parts[f"b/{number}"] for number in range(6))


def test_a_class_that_holds_only_another_classes_images_may_be_refused():
    rows = [_row("a/1", image="1"), _row("a/2", image="2"), _row("b/1", image="1"), _row("b/2", image="1")]
    with pytest.raises(InputError, match=r"^class 'b' has no image for the (train|test) part; it needs two different"):
        _split(rows)


def test_one_image_and_its_copy_cannot_be_divided():
    rows = [_row("a/1", image="x"), _row("a/2", image="x"), *_rows(b=4)]
    with pytest.raises(InputError, match=r"^class 'a' has no image for the test part; it needs two different images"):
        _split(rows)


def test_validation_is_carved_out_of_training_only():
    without, with_val = _split(_rows(a=100, b=50)), _split(_rows(a=100, b=50), val=0.2)
    assert [e.path for e in without if e.part == "test"] == [e.path for e in with_val if e.part == "test"]
    assert _parts(with_val, "a") == {"test": 30, "val": 14, "train": 56}


def test_the_rows_keep_their_order():
    rows = _rows(a=5, b=5)
    assert [(entry.path, entry.label) for entry in _split(rows)] == [(row.path, row.label) for row in rows]


def test_the_same_seed_and_repeat_divide_the_same():
    assert _split(_rows(a=40, b=40), val=0.1) == _split(_rows(a=40, b=40), val=0.1)


@pytest.mark.parametrize("other", [{"seed": 1}, {"repeat": 2}])
def test_another_seed_or_repeat_divides_otherwise(other):
    assert _split(_rows(a=40, b=40)) != _split(_rows(a=40, b=40), **other)


def test_seed_and_repeat_are_not_interchangeable():
    assert _split(_rows(a=40, b=40), seed=1, repeat=2) != _split(_rows(a=40, b=40), seed=2, repeat=1)


def test_a_class_is_divided_the_same_whatever_other_classes_there_are():
    alone = [e for e in _split(_rows(b=20, c=20)) if e.label == "b"]
    assert alone == [e for e in _split(_rows(a=7, b=20, c=9)) if e.label == "b"]


def test_classes_are_divided_independently():
    assigned = _split(_rows(a=40, b=40))
    drawn = {label: [e.path[2:] for e in assigned if e.label == label and e.part == "test"] for label in "ab"}
    assert drawn["a"] != drawn["b"]


def test_a_pinned_division_stays_as_it_is():
    test_paths = [entry.path for entry in _split(_rows(a=10, b=10)) if entry.part == "test"]
    assert test_paths == ["a/0002", "a/0007", "a/0009", "b/0001", "b/0005", "b/0006"]


def _given(*parts: str) -> list[Row]:
    return [_row(f"{label}/{part}{number}", part=part) for label in "ab" for part in parts for number in range(4)]


@pytest.mark.parametrize("parts", [("train", "test"), ("train", "val", "test")])
def test_own_parts_stay_in_every_repeat(parts):
    rows = _given(*parts)
    for repeat in range(3):
        assert [entry.part for entry in _split(rows, repeat=repeat)] == [row.part for row in rows]


def test_an_own_validation_part_is_not_added_to():
    rows = _given("train", "val", "test")
    assert [entry.part for entry in _split(rows, val=0.5)] == [row.part for row in rows]


def test_validation_is_carved_out_of_an_own_training_part():
    rows = _given("train", "test")
    counts = Counter((row.part, entry.part) for row, entry in zip(rows, _split(rows, val=0.5), strict=True))
    assert counts == {("train", "train"): 4, ("train", "val"): 4, ("test", "test"): 8}


def _counted(rows, *, train=3, test=2, count_val=0, **options):
    return split(
        rows,
        **{"test": 0.3, "val": 0.0, "seed": 0, "repeat": 1} | options,
        per_class=PerClass(train=train, test=test, val=count_val),
    )


def _paths(assigned, part: str) -> set[str]:
    return {entry.path for entry in assigned if entry.part == part}


def test_so_many_of_each_class_are_drawn_and_the_others_are_in_no_part():
    assigned = _counted(_rows(a=10, b=50), count_val=1)
    for label in "ab":
        assert _parts(assigned, label) == {"train": 3, "val": 1, "test": 2}


def test_a_class_may_be_used_up():
    assert _parts(_counted(_rows(a=5, b=9)), "a") == {"train": 3, "test": 2}


def test_what_is_drawn_keeps_the_rows_order():
    rows = _rows(a=10, b=10)
    drawn = [entry.path for entry in _counted(rows)]
    assert drawn == sorted(drawn)
    assert set(drawn) < {row.path for row in rows}


@pytest.mark.parametrize("count_val", [0, 1])
def test_fewer_training_images_are_among_more_and_the_other_parts_are_the_same(count_val):
    rows = _rows(a=20, b=30)
    few, many = (_counted(rows, train=train, count_val=count_val) for train in (3, 6))
    assert _paths(few, "train") < _paths(many, "train")
    assert (_paths(few, "test"), _paths(few, "val")) == (_paths(many, "test"), _paths(many, "val"))


@pytest.mark.parametrize("other", [{"seed": 1}, {"repeat": 2}])
def test_another_seed_or_repeat_draws_others(other):
    assert _paths(_counted(_rows(a=40, b=40)), "test") != _paths(_counted(_rows(a=40, b=40), **other), "test")


def test_a_pinned_draw_by_number_stays_as_it_is():
    assert sorted(_paths(_counted(_rows(a=10, b=10)), "test")) == ["a/0000", "a/0008", "b/0005", "b/0007"]


@pytest.mark.parametrize("seed", range(20))
def test_copies_are_drawn_or_left_together(seed):
    copied = [_row(f"a/{number:02}", image=f"a{number // 2 if number < 10 else number}") for number in range(20)]
    assigned = {entry.path: entry.part for entry in _counted(copied + _rows(b=9), seed=seed)}
    for number in range(0, 10, 2):
        assert assigned.get(f"a/{number:02}") == assigned.get(f"a/{number + 1:02}")
    assert Counter(part for path, part in assigned.items() if path[0] == "a") == {"train": 3, "test": 2}


@pytest.mark.parametrize("seed", range(20))
def test_an_image_in_two_classes_is_drawn_in_one_and_every_class_has_its_count(seed):
    rows = [*_rows(a=8, b=8), _row("a/x", image="x"), _row("b/x", image="x")]
    assigned = _counted(rows, train=5, test=3, seed=seed)
    assert _parts(assigned, "a") == _parts(assigned, "b") == {"train": 5, "test": 3}


@pytest.mark.parametrize("sizes", [(4, 12), (12, 4)])
@pytest.mark.parametrize("seed", range(20))
def test_an_image_in_two_classes_is_left_to_the_one_that_needs_it(sizes, seed):
    rows = [*_rows(a=sizes[0], b=sizes[1]), _row("a/x", image="x"), _row("b/x", image="x")]
    needy = "ab"[sizes.index(4)]
    assigned = _counted(rows, seed=seed)
    assert _parts(assigned, "a") == _parts(assigned, "b") == {"train": 3, "test": 2}
    assert [entry.label for entry in assigned if entry.path.endswith("x")] == [needy]


def test_too_few_images_for_the_numbers_are_reported():
    message = r"^class 'b': 4 images \(4 different\) do not give 2 for test \+ 3 for train with copies kept together; "
    with pytest.raises(InputError, match=message):
        _counted(_rows(a=5, b=4))


@pytest.mark.parametrize(("part", "numbers"), [("train", (0, 2)), ("test", (3, 0))])
def test_a_part_of_none_needs_one_of_the_sets_own(part, numbers):
    with pytest.raises(InputError, match=rf"^split.per_class.{part}: 0, and this set has no such part of its own; "):
        _counted(_rows(a=5, b=5), train=numbers[0], test=numbers[1])


def _drawn_from(rows, assigned) -> Counter[tuple[str, str]]:
    own = {row.path: row.part for row in rows}
    return Counter((own[entry.path], entry.part) for entry in assigned)


def test_training_and_validation_are_drawn_out_of_an_own_training_part_and_the_test_part_stays_whole():
    rows = _given("train", "test")
    drawn = _drawn_from(rows, _counted(rows, train=2, test=0, count_val=1))
    assert drawn == {("train", "train"): 4, ("train", "val"): 2, ("test", "test"): 8}


def test_so_many_are_drawn_out_of_each_own_part():
    rows = _given("train", "val", "test")
    drawn = _drawn_from(rows, _counted(rows, train=3, test=2, count_val=1))
    assert drawn == {("train", "train"): 6, ("val", "val"): 2, ("test", "test"): 4}


def test_an_own_training_part_may_stay_whole_but_for_validation():
    rows = _given("train", "test")
    drawn = _drawn_from(rows, _counted(rows, train=0, test=0, count_val=1))
    assert drawn == {("train", "train"): 6, ("train", "val"): 2, ("test", "test"): 8}


def test_a_part_of_the_drawn_training_images_may_be_for_validation():
    assigned = _counted(_rows(a=20, b=20), train=8, val=0.25)
    assert _parts(assigned, "a") == {"train": 6, "val": 2, "test": 2}


def _alike(*groups: tuple[str, ...]) -> list[Alike]:
    return [Alike(path, number, "", "") for number, group in enumerate(groups, start=1) for path in group]


@pytest.mark.parametrize("seed", range(10))
def test_a_group_of_near_duplicates_stays_together_as_copies_do(seed):
    rows = _rows(a=20, b=20)
    groups = _alike(("a/0000", "a/0007", "b/0003"), ("b/0010", "b/0011"))
    copied = {"a/0007": "a/0000", "b/0003": "a/0000", "b/0011": "b/0010"}
    same = [row._replace(sha256=copied.get(row.path, row.sha256)) for row in rows]
    for options in (
        {"test": 0.3, "val": 0.2},
        {"test": 0.3, "val": 0.0, "per_class": PerClass(train=4, test=4, val=2)},
    ):
        assert split(rows, seed=seed, repeat=1, alike=groups, **options) == split(same, seed=seed, repeat=1, **options)


def test_without_near_duplicates_nothing_is_divided_otherwise():
    rows = _rows(a=20, b=20)
    assert split(rows, test=0.3, val=0.2, seed=0, repeat=1, alike=[]) == _split(rows, val=0.2)
    alone = _alike(*((row.path,) for row in rows))
    assert split(rows, test=0.3, val=0.2, seed=0, repeat=1, alike=alone) == _split(rows, val=0.2)


def test_all_classes_that_cannot_be_divided_are_named_at_once():
    rows = _rows(a=3, b=4, c=2, d=5)
    alike = _alike(("a/0000", "a/0001", "a/0002"), ("c/0000", "c/0001"), ("d/0000", "d/0001"))
    with pytest.raises(InputError, match=r"^class 'a' has no image .* leave the class out; the same of 'c'$"):
        split(rows, test=0.3, val=0.0, seed=0, repeat=1, alike=alike)


def test_a_class_of_near_duplicates_alone_cannot_be_divided():
    rows = _rows(a=3, b=4)
    with pytest.raises(
        InputError, match=r"^class 'a' has no image for the .* no near duplicates of each other.*; bring more"
    ):
        split(rows, test=0.3, val=0.0, seed=0, repeat=1, alike=_alike(("a/0000", "a/0001", "a/0002")))


def _of_part(assigned, part: str) -> set[str]:
    return {entry.path for entry in assigned if entry.part == part}


def test_a_division_can_be_that_of_another_repeat():
    rows = _rows(a=40, b=20)
    whole = {"test": 0.3, "val": 0.2, "seed": 0}
    assert split(rows, **whole, repeat=5, division=2) == split(rows, **whole, repeat=2)
    assert split(rows, **whole, repeat=5) != split(rows, **whole, repeat=2)


@pytest.mark.parametrize("per_class", [None, PerClass(train=20, test=5, val=0)])
def test_inner_divisions_vary_by_repeat_and_have_no_image_of_the_outer_test_part(per_class):
    rows = _rows(a=100, b=50)
    whole = {"test": 0.3, "val": 0.2, "seed": 0, "per_class": per_class}
    outer = split(rows, **whole | {"val": 0.0}, repeat=1)
    seen = []
    for repeat in (1, 2, 3):
        inner = split(rows, **whole, repeat=repeat, division=1, inner=True)
        assert {entry.path for entry in inner} == _of_part(outer, "train")
        seen.append(_of_part(inner, "test"))
    assert seen[0] != seen[1] != seen[2]
    if per_class is None:
        assert _parts(inner, "a") == {"test": 21, "val": 10, "train": 39}


def test_an_inner_division_of_a_set_with_parts_of_its_own_keeps_its_validation_part():
    parts = {"train": 20, "val": 5, "test": 5}
    rows = [_row(f"a/{part}{n}", part=part) for part, count in parts.items() for n in range(count)]
    inner = [split(rows, test=0.3, val=0.2, seed=0, repeat=repeat, inner=True) for repeat in (1, 2)]
    assert _parts(inner[0], "a") == {"train": 14, "test": 6, "val": 5}
    assert _of_part(inner[0], "val") == _of_part(inner[1], "val") == {f"a/val{n}" for n in range(5)}
    assert _of_part(inner[0], "test") != _of_part(inner[1], "test")


def test_a_class_with_one_training_image_has_no_inner_division():
    with pytest.raises(InputError, match=r"^class 'a' has no image for the test part; it needs three different images"):
        split(_rows(a=2, b=9), test=0.3, val=0.0, seed=0, repeat=1, inner=True)


def test_smaller_training_parts_are_subsets_of_larger_ones_and_the_other_parts_stay():
    rows = [*_rows(a=100, b=10, c=2), *(_row(f"d/{n}", image=f"d{n // 3}") for n in range(30))]
    whole = split(rows, test=0.3, val=0.1, seed=0, repeat=1)
    larger = _of_part(whole, "train")
    for fraction in (0.75, 0.5, 0.25, 0.01):
        fewer = split(rows, test=0.3, val=0.1, seed=0, repeat=1, train_fraction=fraction)
        smaller = _of_part(fewer, "train")
        assert smaller < larger
        assert {entry for entry in fewer if entry.part != "train"} == {
            entry for entry in whole if entry.part != "train"
        }
        assert _parts(fewer, "a")["train"] == max(1, round(63 * fraction))
        assert _parts(fewer, "c")["train"] == 1
        # Three copies of each image come together.
        assert _parts(fewer, "d")["train"] % 3 == 0
        larger = smaller


def test_the_labels_of_a_sets_own_test_images_change_no_inner_division():
    rows = [_row(f"{label}/{n}", part="train" if n < 20 else "test") for label in "abc" for n in range(30)]
    permuted = [
        row._replace(label={"a": "b", "b": "c", "c": "a"}[row.label]) if row.part == "test" else row for row in rows
    ]
    for repeat in (1, 2):
        division = {"test": 0.3, "val": 0.1, "seed": 0, "repeat": repeat, "inner": True, "train_fraction": 0.5}
        assert split(rows, **division) == split(permuted, **division)
