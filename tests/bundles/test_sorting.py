"""Images are copied by class: none is moved, none is lost, none replaces another."""

import pytest

from pipeline.bundles.sorting import LONGEST, Names, Sorted, cut, folder_names


def files(folder):
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def make(file, content):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def test_images_are_copied_and_stay_where_they_are(tmp_path):
    image = make(tmp_path / "in/1.jpg", b"one")
    assert Sorted(tmp_path / "out", ["cat", "dog"]).copy(image, "dog") == tmp_path / "out/dog/1.jpg"
    assert files(tmp_path) == {"in/1.jpg": b"one", "out/dog/1.jpg": b"one"}


def test_files_of_one_name_from_two_folders_get_names_of_their_own_by_their_order(tmp_path):
    images = [make(tmp_path / f"in/{place}/1.jpg", place.encode()) for place in "cab"]
    folders = Sorted(tmp_path / "out", ["cat"])
    for image in images:
        folders.copy(image, "cat")
    expected = {"cat/1.jpg": b"c", "cat/1-2.jpg": b"a", "cat/1-3.jpg": b"b"}
    assert files(tmp_path / "out") == expected
    again = Sorted(tmp_path / "out", ["cat"])
    for image in images:
        again.copy(image, "cat")
    assert files(tmp_path / "out") == expected


def test_thousands_of_files_of_one_name_are_each_tried_under_few_names(tmp_path):
    tried = []
    names = Names()
    for _ in range(3000):
        names.take("IMG_0001.JPG", is_free=lambda name: not tried.append(name))
    assert len(tried) == 3000
    # A copy of an earlier call is found again in whatever order files come now.
    again, there = Names(), {"1.jpg": b"a", "1-2.jpg": b"b"}
    for content, name in ((b"b", "1-2.jpg"), (b"a", "1.jpg"), (b"c", "1-3.jpg")):
        assert again.take("1.jpg", is_free=lambda name, own=content: there.get(name, own) == own) == name


def test_a_file_that_is_there_is_never_replaced(tmp_path):
    make(tmp_path / "out/cat/1.jpg", b"the user's own")
    (tmp_path / "out/cat/1-2.jpg").symlink_to("nowhere")
    Sorted(tmp_path / "out", ["cat"]).copy(make(tmp_path / "in/1.jpg", b"new"), "cat")
    assert files(tmp_path / "out") == {"cat/1.jpg": b"the user's own", "cat/1-3.jpg": b"new"}
    assert not (tmp_path / "out/nowhere").exists()


def test_names_that_differ_in_case_or_unicode_form_alone_are_one(tmp_path):
    names = Names()
    assert [names.take(name) for name in ("é.jpg", "e\u0301.jpg", "É.JPG")] == ["é.jpg", "e\u0301-2.jpg", "É-3.JPG"]


def test_a_long_name_is_cut_and_keeps_its_ending():
    names = Names()
    taken = [names.take("ä" * 125 + ".jpeg") for _ in range(2)]
    assert all(len(name.encode()) <= LONGEST and name.endswith(".jpeg") for name in taken)
    assert len(set(taken)) == 2
    assert cut("ää", 3) == "ä"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("../../etc", "_.._etc"),
        ("/root", "_root"),
        ("C:\\x", "C__x"),
        (".hidden", "hidden"),
        ("end. ", "end"),
        ("CON", "CON_"),
        ("com1.x", "com1.x_"),
        ("a\nb\0", "a_b_"),
        ("\udcff", "_"),
        ("Käfer 蜘蛛", "Käfer 蜘蛛"),
        ("x" * 300, "x" * LONGEST),
    ],
)
def test_a_class_is_a_folder_in_the_folder_whatever_it_is_called(tmp_path, given, name):
    assert folder_names([given]) == [name]
    image = make(tmp_path / "1.jpg", b"")
    place = Sorted(tmp_path / "out", [given]).copy(image, given)
    assert place.resolve().parent.parent == (tmp_path / "out").resolve()


def test_no_two_classes_share_a_folder():
    assert folder_names(["a/b", "a:b", "A_B"]) == ["a_b", "a_b-2", "A_B-3"]
