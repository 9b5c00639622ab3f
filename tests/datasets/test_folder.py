import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

import pipeline
from pipeline.core.errors import InputError
from pipeline.datasets.collect.folder import LeftOut, layout
from pipeline.datasets.collect.location import check_location

CLASSES = ("cat", "dog")
MORE = "; put photographs into that folder, or move it elsewhere"


def _touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def _classes(folder: Path, *classes: str, images: int = 2) -> Path:
    return _touch(folder, *(f"{name}/{number}.jpg" for name in classes for number in range(images)))


def _refused(folder: Path, message: str) -> None:
    with pytest.raises(InputError, match=rf"^{re.escape(str(folder))}: {message}$"):
        layout(folder)


def test_class_folders_are_classes(tmp_path):
    files, left_out, *_ = layout(_classes(tmp_path, *CLASSES))
    assert [(file.path, file.label, file.part) for file in files] == [
        ("cat/0.jpg", "cat", ""),
        ("cat/1.jpg", "cat", ""),
        ("dog/0.jpg", "dog", ""),
        ("dog/1.jpg", "dog", ""),
    ]
    assert files[0].file == tmp_path / "cat/0.jpg"
    assert left_out == []


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Validation", "VAL"])
def test_parts_are_known_by_any_of_their_names(tmp_path, val):
    for part in ("Train", val, "TEST"):
        _classes(tmp_path / part, *CLASSES, images=1)
    files = layout(tmp_path).files
    assert {(file.path, file.part) for file in files if file.label == "cat"} == {
        ("Train/cat/0.jpg", "train"),
        (f"{val}/cat/0.jpg", "val"),
        ("TEST/cat/0.jpg", "test"),
    }


def test_a_validation_part_may_lack_a_class(tmp_path):
    for part in ("train", "test"):
        _classes(tmp_path / part, *CLASSES)
    _classes(tmp_path / "val", "cat")
    assert {file.label for file in layout(tmp_path).files if file.part == "val"} == {"cat"}


def test_a_class_may_be_called_train(tmp_path):
    files = layout(_classes(tmp_path, "train", "tram")).files
    assert {(file.label, file.part) for file in files} == {("train", ""), ("tram", "")}


def test_images_in_deeper_folders_belong_to_the_class_above(tmp_path):
    _touch(_classes(tmp_path, *CLASSES), "cat/2019/may/5.jpg")
    assert "cat/2019/may/5.jpg" in {file.path for file in layout(tmp_path).files if file.label == "cat"}


@pytest.mark.parametrize(
    "name", ["with space", "Füße", "l'été", "-rf", "a,b", 'a"b', "日本", "🕷", "a\\b", "%s{}", "#x", "trailing "]
)
def test_names_are_kept_as_they_are(tmp_path, name):
    _classes(tmp_path, name, "dog")
    assert [file.path for file in layout(tmp_path).files if file.label == name] == [
        f"{name}/0.jpg",
        f"{name}/1.jpg",
    ]


def test_what_systems_and_we_put_there_is_passed_over(tmp_path):
    _touch(_classes(tmp_path, *CLASSES), "README.md", ".gitignore", ".DS_Store", "cat/Thumbs.db", "cat/._0.jpg")
    _touch(tmp_path, "cat/desktop.ini", ".git/config", "__MACOSX/cat/0.jpg")
    files, left_out, *_ = layout(tmp_path)
    assert (len(files), left_out) == (4, [])


def test_files_next_to_the_class_folders_are_left_out(tmp_path):
    _touch(_classes(tmp_path, *CLASSES), "stray.jpg", "labels.csv")
    reason = "lies beside the class folders"
    assert layout(tmp_path).left_out == [LeftOut("labels.csv", reason), LeftOut("stray.jpg", reason)]


def test_files_next_to_the_class_folders_of_a_part_are_left_out(tmp_path):
    for part in ("train", "test"):
        _classes(tmp_path / part, *CLASSES)
    _touch(tmp_path, "train/stray.jpg", "LICENSE")
    assert [out.path for out in layout(tmp_path).left_out] == ["LICENSE", "train/stray.jpg"]


def test_links_are_followed_but_not_in_circles(tmp_path):
    _classes(tmp_path / "elsewhere", "cat")
    own = _classes(tmp_path / "own", "dog")
    (own / "cat").symlink_to(tmp_path / "elsewhere/cat")
    (own / "dog/again").symlink_to(own / "dog")
    files, _, notes, _ = layout(own)
    assert [file.path for file in files] == ["cat/0.jpg", "cat/1.jpg", "dog/0.jpg", "dog/1.jpg"]
    assert notes == (
        "cat is a link: DVC sees no change behind it, so copy what changes",
        "dog/again is a link to a folder that it is in: it is not followed; delete it",
    )


@pytest.mark.parametrize(("link", "target"), [("cat/up", ".."), ("cat/up", "../.."), ("every", "."), ("every", "..")])
def test_a_link_to_a_folder_around_it_brings_no_other_classs_files(tmp_path, link, target):
    _classes(tmp_path / "beside", "owl")
    own = _classes(tmp_path / "own", "cat", "dog")
    (own / link).symlink_to(target)
    files, _, notes, _ = layout(own)
    assert [file.path for file in files] == ["cat/0.jpg", "cat/1.jpg", "dog/0.jpg", "dog/1.jpg"]
    assert notes == (f"{link} is a link to a folder that it is in: it is not followed; delete it",)


def test_a_link_that_leads_around_the_folder_by_another_link_is_not_followed_there(tmp_path):
    _classes(tmp_path / "elsewhere", "more")
    own = _classes(tmp_path / "own", "cat", "dog")
    (own / "cat/more").symlink_to(tmp_path / "elsewhere/more")
    (tmp_path / "elsewhere/more/back").symlink_to(own)
    assert [file.path for file in layout(own).files if file.label == "cat"] == [
        *("cat/0.jpg", "cat/1.jpg"),
        *("cat/more/0.jpg", "cat/more/1.jpg"),
    ]


@pytest.mark.skipif(sys.platform == "darwin", reason="names on macOS are always UTF-8")
def test_a_file_name_that_is_not_utf8_is_left_out(tmp_path):
    _classes(tmp_path, *CLASSES)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/cat/caf\xe9.jpg")).touch()
    files, left_out, *_ = layout(tmp_path)
    assert len(files) == 4
    assert left_out == [LeftOut("cat/caf\\xe9.jpg", "its name is not UTF-8; rename it")]


@pytest.mark.skipif(sys.platform == "darwin", reason="names on macOS are always UTF-8")
def test_a_class_name_that_is_not_utf8_is_refused(tmp_path):
    _classes(tmp_path, "dog", os.fsdecode(b"caf\xe9"))
    _refused(tmp_path, r"the class name 'caf\\xe9' is not UTF-8; rename the class")


def test_a_class_name_of_two_lines_is_refused(tmp_path):
    _classes(tmp_path, "dog", "two\nlines")
    _refused(tmp_path, r"the class name 'two\\x0alines' has control characters; rename the class")


def test_no_class_folders_are_refused(tmp_path):
    _touch(tmp_path, "1.jpg", "2.jpg")
    _refused(tmp_path, "no class folders; put the images of each class into a folder of its own")


def test_one_class_is_refused(tmp_path):
    _refused(_classes(tmp_path, "cat"), "only one class, 'cat'; two are needed, one folder each")


def test_one_folder_too_high_is_reported(tmp_path):
    _classes(tmp_path / "photos", *CLASSES)
    below = re.escape(str(tmp_path / "photos"))
    _refused(tmp_path, f"only one class, 'photos'; .*; or give {below}, which holds 'cat', 'dog'")


def test_one_class_in_parts_is_refused(tmp_path):
    for part in ("train", "test"):
        _classes(tmp_path / part, "cat")
    _refused(tmp_path, "only one class, 'cat'; two are needed, one folder each")


def test_a_class_with_one_image_is_refused(tmp_path):
    _touch(_classes(tmp_path, *CLASSES), "owl/1.jpg")
    _refused(tmp_path, f"the class 'owl' has 1 image; 2 or more are needed{MORE}")


def test_an_empty_class_is_refused(tmp_path):
    (_classes(tmp_path, *CLASSES) / "owl").mkdir()
    _refused(tmp_path, f"the class 'owl' has no image; 2 or more are needed{MORE}")


def test_classes_with_too_few_images_are_named_and_very_many_counted(tmp_path):
    _touch(_classes(tmp_path, *CLASSES), "owl/1.jpg")
    (tmp_path / "mouse").mkdir()
    both = "the class 'mouse' has no image; 2 or more are needed; the class 'owl' has 1 image; 2 or more are needed"
    _refused(tmp_path, f"{both}{MORE}")
    for name in ("ant", "bee"):
        (tmp_path / name).mkdir()
    _refused(tmp_path, "the class 'ant' has .*; the class 'bee' has .*; the class 'mouse' has .* and 1 more such; .*")


def test_an_empty_class_in_a_part_is_refused(tmp_path):
    for part in ("train", "test"):
        _classes(tmp_path / part, *CLASSES)
    (tmp_path / "train/owl").mkdir()
    _touch(tmp_path, "test/owl/1.jpg")
    _refused(tmp_path, f"the class 'owl' has no image in train; 1 or more are needed{MORE}")


def test_class_folders_next_to_parts_are_refused(tmp_path):
    for part in ("train", "test"):
        _classes(tmp_path / part, *CLASSES)
    _classes(tmp_path, "owl")
    _refused(tmp_path, "'owl' beside 'test', 'train'; either class folders alone, or train and test with .*")


@pytest.mark.parametrize(("part", "missing"), [("train", "test"), ("test", "train"), ("val", "train")])
def test_a_part_without_its_counterpart_is_refused(tmp_path, part, missing):
    _classes(tmp_path / part, *CLASSES)
    place = re.escape(str(tmp_path / part))
    way_out = f"add it, or give {place}, whose class folders are divided here"
    _refused(tmp_path, f"'{part}' without a part named {missing}; {way_out}")


@pytest.mark.parametrize("train", ["train", "training", "Train", "training_set"])
@pytest.mark.parametrize("val", ["val", "valid", "validation", "VAL"])
def test_val_beside_train_is_the_test_part_where_there_is_no_other(tmp_path, train, val):
    for part in (train, val):
        _classes(tmp_path / part, *CLASSES, images=1)
    files, _, notes, tested = layout(tmp_path)
    assert {(file.path.split("/")[0], file.part) for file in files} == {(train, "train"), (val, "test")}
    assert notes == ()
    assert tested == f"'{val}' is taken as the test part, as no folder is named test; it is opened once, after training"


def test_val_beside_train_and_test_is_the_validation_part_without_a_word(tmp_path):
    for part in ("Training", "Validation", "TESTING"):
        _classes(tmp_path / part, *CLASSES, images=1)
    files, _, notes, tested = layout(tmp_path)
    assert ({file.part for file in files}, notes, tested) == ({"train", "val", "test"}, (), "")


def test_a_class_that_val_lacks_is_told_by_its_folders_name_where_it_is_the_test_part(tmp_path):
    _classes(tmp_path / "train", *CLASSES)
    _classes(tmp_path / "val", "cat")
    _refused(tmp_path, "the part val lacks the class 'dog'; every class needs images in train and in test")


def test_test_images_without_labels_are_refused_with_what_to_give_in_their_place(tmp_path):
    _touch(_classes(tmp_path / "train", *CLASSES).parent, "test/1.jpg", "test/2.jpg")
    place = re.escape(str(tmp_path / "train"))
    way_out = f"give it one a class, or give {place}, whose class folders are divided here"
    _refused(tmp_path, f"the part 'test' holds no class folders; its images have no labels: {way_out}")
    _classes(tmp_path / "valid", *CLASSES)
    _refused(tmp_path, "the part 'test' holds no class folders; .* or move it away, and 'valid' is tested")


def test_parts_one_folder_further_down_are_refused_with_their_place(tmp_path):
    for part in ("train", "val", "test"):
        _classes(tmp_path / "images" / part, *CLASSES)
    _touch(tmp_path, "annotations/1.xml", "annotations/2.xml")
    place = re.escape(str(tmp_path / "images"))
    _refused(tmp_path, f"the parts 'test', 'train', 'val' are in 'images'; give {place}")


def test_parts_in_every_class_are_refused(tmp_path):
    for label in CLASSES:
        _classes(tmp_path / label, "train", "test")
    _refused(tmp_path, "'cat', 'dog' hold the parts 'test', 'train'; put the parts on top and .*, such as train/owl")


def test_folders_in_each_other_as_an_archive_unpacks_to_are_reported(tmp_path):
    _classes(tmp_path / "archive/photos/all", *CLASSES)
    place = re.escape(str(tmp_path / "archive/photos/all"))
    _refused(tmp_path, f"only one class, 'archive'; .*; or give {place}, which holds 'cat', 'dog'")


def test_a_folder_that_leads_in_a_circle_is_one_class(tmp_path):
    (tmp_path / "own/cat").mkdir(parents=True)
    (tmp_path / "own/cat/again").symlink_to(tmp_path / "own/cat")
    _refused(tmp_path / "own", "only one class, 'cat'; two are needed, one folder each")


def test_a_part_with_its_own_name_in_it_is_refused_with_what_to_move(tmp_path):
    for part in ("train", "test"):
        _classes(tmp_path / part / part, *CLASSES)
    _refused(tmp_path, "the part 'test' holds 'test' alone; move the folders in 'test' up")


def test_two_validation_parts_are_refused(tmp_path):
    for part in ("train", "val", "valid", "test"):
        _classes(tmp_path / part, *CLASSES)
    _refused(tmp_path, "'val', 'valid' are the same part; keep one of them")


def test_parts_without_class_folders_are_refused(tmp_path):
    _touch(tmp_path, "train/1.jpg", "train/2.jpg", "test/3.jpg")
    _refused(tmp_path, "the part 'test' holds no class folders; give it one a class")


def test_parts_with_different_classes_are_refused(tmp_path):
    _classes(tmp_path / "train", "ant", "bee", "cow", "dog", "eel")
    _classes(tmp_path / "test", "dog")
    message = "the part test lacks the class 'ant', 'bee', 'cow' and 1 more; every class needs images in train and .*"
    _refused(tmp_path, message)


def test_a_class_that_only_test_has_is_refused(tmp_path):
    _classes(tmp_path / "train", *CLASSES)
    _classes(tmp_path / "test", *CLASSES, "owl")
    _refused(tmp_path, "the part train lacks the class 'owl'; every class needs images in train and in test")


def test_class_names_that_differ_in_unicode_form_are_refused(tmp_path):
    _classes(tmp_path, *(unicodedata.normalize(form, "café") for form in ("NFC", "NFD")))
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this file system takes both for one name: two forms of one are not tried")
    _refused(
        tmp_path,
        r"the class names 'cafe\\u0301' and 'caf\\xe9' differ only in case, Unicode form or what nobody sees; .*",
    )


def test_the_same_class_in_another_unicode_form_in_the_other_part_is_refused(tmp_path):
    for part, form in (("train", "NFC"), ("test", "NFD")):
        _classes(tmp_path / part, unicodedata.normalize(form, "café"), "dog")
    _refused(
        tmp_path,
        r"the class names .* differ only in case, Unicode form or what nobody sees; rename one or put their images .*",
    )


@pytest.mark.parametrize("other", ["owl ", " owl", "owl\u200b", "o\u00adwl"])
def test_class_names_that_look_the_same_are_refused(tmp_path, other):
    _classes(tmp_path, "owl", other)
    _refused(tmp_path, "the class names .* differ only in case, Unicode form or what nobody sees; rename one .*")


def test_a_class_whose_names_cannot_be_used_is_not_lost(tmp_path):
    _classes(tmp_path, *CLASSES)
    _touch(tmp_path, "lost/a\x07.jpg", "lost/b\x07.jpg")
    _refused(
        tmp_path, "the class 'lost' has no image; 2 or more are needed; rename what is left out for its name, such .*"
    )


@pytest.mark.parametrize("part", ["val", "test"])
def test_parts_without_class_folders_or_a_training_part_are_refused(tmp_path, part):
    _touch(tmp_path, *(f"{name}/{number}.jpg" for name in ("valid", "test") for number in (1, 2)))
    (tmp_path / part).mkdir(exist_ok=True)
    _refused(tmp_path, ".*'test', 'val.* without a part named train; add it$|.* are the same part; keep one of them")


def test_class_names_that_differ_in_case_are_refused(tmp_path):
    _classes(tmp_path, "Cat", "cat")
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this file system takes both for one name: two forms of one are not tried")
    _refused(tmp_path, "the class names 'Cat' and 'cat' differ only in case, Unicode form or what nobody sees; .*")


def test_an_absolute_folder_is_taken(tmp_path):
    assert check_location(str(_classes(tmp_path, *CLASSES))) == tmp_path


@pytest.mark.parametrize("spelling", ["data/own", "./data/own", "data/own/"])
def test_the_default_folder_is_taken(tmp_path, monkeypatch, spelling):
    monkeypatch.chdir(tmp_path)
    _classes(tmp_path / "data/own", *CLASSES)
    assert check_location(spelling) == Path("data/own")


@pytest.mark.parametrize("spelling", ["photos", "../photos", "data/own/photos", "~/photos"])
def test_another_relative_folder_is_refused_with_its_absolute_path(tmp_path, monkeypatch, spelling):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    absolute = re.escape(str(tmp_path / Path(spelling).expanduser()))
    message = f"^folder: '{spelling}' is relative, which queued and --temp runs would not find; give .* {absolute}$"
    with pytest.raises(InputError, match=message):
        check_location(spelling)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"^folder: '.*/none' does not exist; give the folder that holds the class"):
        check_location(str(tmp_path / "none"))


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    _touch(tmp_path, "photos.zip")
    with pytest.raises(InputError, match=r"^folder: '.*/photos.zip' is not a folder; give the folder that holds"):
        check_location(str(tmp_path / "photos.zip"))


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"^folder: '.*' is empty; put one folder a class into it$"):
        check_location(str(tmp_path))


@pytest.mark.parametrize("place", [".", "clone"])
def test_a_folder_around_the_project_is_refused(tmp_path, monkeypatch, place):
    _classes(tmp_path, "cat", "clone")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "clone"))
    with pytest.raises(InputError, match=r"^folder: '.*' holds this project itself, .*; put the class folders into"):
        check_location(str(tmp_path / place))


def test_the_default_folder_as_it_comes_is_empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    _touch(tmp_path, "data/own/README.md", "data/own/.gitignore")
    message = "^data/own is empty; put one folder a class into it, or name another: -S data=folder -S folder=/path$"
    with pytest.raises(InputError, match=message):
        check_location("data/own")


def test_a_queued_run_without_the_photographs_says_how_to_bring_them(tmp_path, monkeypatch):
    _classes(tmp_path / "clone/data/own", *CLASSES)
    _touch(tmp_path / "copy", "data/own/README.md")
    monkeypatch.chdir(tmp_path / "copy")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "clone"))
    place = re.escape(str(tmp_path / "clone/data/own"))
    message = f"^data/own is empty in this copy .*; name them by their own place: -S \"folder='{place}'\"$"
    with pytest.raises(InputError, match=message):
        check_location("data/own")


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("datasets.collect.folder", {"numpy", "PIL", "pydantic"}),
        ("stages.collect", {"torch", "sklearn"}),
        ("stages.split", {"torch", "sklearn", "PIL"}),
        ("stages.preprocess", {"torch", "sklearn"}),
    ],
)
def test_what_must_start_fast_imports_nothing_heavy(module, absent):
    code = f"import sys, pipeline.{module}; print(*{absent!r} & set(sys.modules))"
    root = Path(pipeline.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
