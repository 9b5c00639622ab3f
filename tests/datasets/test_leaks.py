import pytest

from pipeline.core.errors import InputError
from pipeline.datasets.collect.leaks import Leak, check, leaks, rejections, resolved
from pipeline.datasets.prepared.manifest import Alike, Rejected, Row


def _row(path: str, *, image: str = "") -> Row:
    return Row(path, "a", path.split("/")[0], 1, image or path, 1, 1, "RGB", "")


def _alike(*paths: str) -> list[Alike]:
    return [Alike(path, 1, "near" if place else "", "") for place, path in enumerate(paths)]


@pytest.mark.parametrize(("early", "late"), [("train", "test"), ("train", "val"), ("val", "test")])
def test_an_image_leaks_into_the_later_part(early, late):
    paths = [f"{late}/1", f"{early}/1"]
    leaking = leaks([_row(path) for path in paths], _alike(*paths))
    assert leaking == [Leak(f"{early}/1", early, f"{late}/1", late, "near")]


def test_copies_within_a_part_do_not_leak():
    assert leaks([_row("train/1"), _row("train/2")], _alike("train/1", "train/2")) == []


def test_images_without_parts_do_not_leak():
    rows = [_row(path)._replace(part="") for path in ("a/1", "a/2")]
    assert leaks(rows, _alike("a/1", "a/2")) == []


def test_a_byte_equal_image_is_named_before_a_near_one():
    rows = [_row("test/1"), _row("test/2", image="x"), _row("train/1", image="x")]
    assert leaks(rows, _alike("test/1", "test/2", "train/1"))[0] == Leak("train/1", "train", "test/2", "test", "exact")


def test_the_first_is_named_and_the_others_are_counted():
    paths = ("test/1", "train/1", "train/2", "val/1")
    with pytest.raises(InputError) as caught:
        check(leaks([_row(path) for path in paths], _alike(*paths)), key="data.on_leak")
    assert str(caught.value) == (
        "'train/1' in train is a near duplicate of 'test/1' in test (and 2 more such images); remove one, or leave "
        "such images out of train, -S data.on_leak=drop, or let them be, -S data.on_leak=allow"
    )


def test_no_leak_is_no_error():
    check([], key="data.on_leak")


def test_what_is_dropped_is_reported_with_its_reason():
    assert rejections([Leak("train/1", "train", "test/2", "test", "exact")]) == [
        Rejected("train/1", "left out of train: byte-equal to 'test/2' in test")
    ]


@pytest.mark.parametrize("as_published", [False, True])
def test_the_draw_does_not_change(as_published):
    for choice in ("refuse", "drop", "allow"):
        assert resolved(choice, as_published=as_published) == choice


def test_auto_refuses_but_where_a_papers_division_would_change():
    assert resolved("auto", as_published=False) == "refuse"
    assert resolved("auto", as_published=True) == "allow"
