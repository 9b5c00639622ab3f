import pytest

from pipeline.core.errors import InputError
from pipeline.datasets.prepared.leaks import Leak, check, check_classes, leaks, rejections, resolved
from pipeline.datasets.prepared.manifest import Pair, Rejected, Row


def _row(path: str, *, image: str = "") -> Row:
    return Row(path, "a", path.split("/")[0], 1, image or path, 1, 1, "RGB", "")


def _pair(path: str, of: str, found: str = "features", confirmed: str = "yes") -> Pair:
    return Pair(path, of, found, confirmed, "no", 50, 97, 80)


def _alike(*paths: str) -> list[Pair]:
    """Return pairs of the first path with each other."""
    return [_pair(path, paths[0]) for path in paths[1:]]


def test_what_is_merely_alike_does_not_leak_but_what_the_hashes_find_does():
    rows = [_row("test/1"), _row("train/1")]
    assert leaks(rows, [_pair("train/1", "test/1", "features", "no")]) == []
    assert len(leaks(rows, [_pair("train/1", "test/1", "hashes", "no")])) == 1


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ("bytes", "the same image"),
        ("features", "copies of one photograph (one lies on the other, pixel by pixel)"),
        ("hashes", "copies of one photograph (one lies on the other, pixel by pixel)"),
    ],
)
def test_confirmed_copies_in_two_classes_are_refused_in_a_line_with_the_way_out(found, words):
    rows = [
        _row("cat/1")._replace(label="cat"),
        _row("dog/1")._replace(label="dog"),
        _row("dog/2")._replace(label="dog"),
    ]
    pairs = [_pair("dog/1", "cat/1", found), _pair("dog/2", "cat/1", found), _pair("dog/2", "dog/1", found)]
    with pytest.raises(InputError) as caught:
        check_classes(rows, pairs, key="data.duplicates")
    assert str(caught.value) == (
        f"'cat/1' and 'dog/1' are {words} in two classes (and 1 more in data/copies/pairs.csv); remove one, "
        "or allow such pairs: -S data.duplicates=allow"
    )
    check_classes(rows, [one._replace(found="features", confirmed="no") for one in pairs], key="data.duplicates")


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
        check(leaks([_row(path) for path in paths], _alike(*paths)))
    assert str(caught.value) == (
        "'train/1' in train is a near duplicate of 'test/1' in test (and 2 more in "
        "data/copies/pairs.csv); remove one, or leave "
        "such images out of train, -S defaults.data.on_leak=drop, or let them be, -S defaults.data.on_leak=allow"
    )


def test_no_leak_is_no_error():
    check([])


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
