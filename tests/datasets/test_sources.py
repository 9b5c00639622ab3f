import functools
import pickle
from collections.abc import Callable
from pathlib import Path

import miniatures
import numpy as np
import pytest

from pipeline.core.errors import InputError
from pipeline.datasets.collect import sets
from pipeline.datasets.collect.sources import arrays, classes, lists, matlab, places, spiders

WHOLE = "use the whole set as it is published"


def _write(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


@pytest.fixture
def cub(tmp_path):
    """Write CUB's lists with one training and one test image of five classes, and these images."""
    files = miniatures.cub_lists([1] * 5, [1] * 5)
    names = [line.split()[1] for line in files["images.txt"].decode().splitlines()]
    return _write(tmp_path, files | {f"images/{name}": b"" for name in names})


@pytest.fixture
def dogs(tmp_path):
    files = miniatures.dogs_lists([1] * 5, [1] * 5)
    names = [f"{label}/{label[:9]}_{part}0.jpg" for label in miniatures.DOGS_CLASSES[:5] for part in ("train", "test")]
    return _write(tmp_path, files | {f"Images/{name}": b"" for name in names})


@pytest.fixture
def mit(tmp_path):
    files = miniatures.mit_lists([1] * 5, [1] * 5)
    names = [name for content in files.values() for name in content.decode().splitlines()]
    return _write(tmp_path, files | {f"Images/{name}": b"" for name in names})


@pytest.fixture
def cars(tmp_path):
    """Write Stanford Cars in torchvision's layout, with one image of five classes in each part."""
    numbers = list(range(1, 6))
    files = {
        "devkit/cars_meta.mat": miniatures.cars_meta(),
        "devkit/cars_train_annos.mat": miniatures.cars_annotations(numbers),
        "cars_test_annos_withlabels.mat": miniatures.cars_annotations(numbers),
    }
    files |= {f"cars_{part}/{number:05}.jpg": b"" for part in ("train", "test") for number in numbers}
    return _write(tmp_path / "stanford_cars", files).parent


def _labels(layout) -> set[str]:
    return {file.label for file in layout.files}


def test_cubs_labels_have_no_numbers(cub):
    assert {"Black_footed_Albatross", "Warbler_d"} < _labels(lists.cub(cub))


def test_a_label_keeps_its_number_where_it_would_not_be_unique(cub):
    text = (cub / "classes.txt").read_text()
    (cub / "classes.txt").write_text(text.replace("003.Warbler_d", "003.warbler_C"))
    labels = _labels(lists.cub(cub))
    assert {"002.Warbler_c", "003.warbler_C", "Warbler_e"} < labels
    assert len(labels) == 5


def test_cubs_parts_are_those_of_the_list(cub):
    files = [file for file in lists.cub(cub).files if file.label == "Black_footed_Albatross"]
    assert [(file.path, file.part) for file in files] == [
        ("001.Black_footed_Albatross/Black_footed_Albatross_0000_1.jpg", "train"),
        ("001.Black_footed_Albatross/Black_footed_Albatross_0001_1.jpg", "test"),
    ]


def test_dogs_labels_have_no_numbers_and_keep_their_hyphens(dogs):
    assert {"Chihuahua", "black-and-tan_coonhound"} < _labels(matlab.dogs(dogs))


def test_a_car_is_read_with_its_readable_class_and_part(cars):
    files = [file for file in matlab.cars(cars).files if file.label == "Ram C/V Cargo Van Minivan 2012"]
    assert [(file.path, file.part) for file in files] == [
        ("cars_test/00002.jpg", "test"),
        ("cars_train/00002.jpg", "train"),
    ]


def test_folders_packed_into_folders_of_the_same_name_are_found(cars):
    root = cars / "stanford_cars"
    (root / "cars_train").rename(root / "inner")
    (root / "cars_train").mkdir()
    (root / "inner").rename(root / "cars_train/cars_train")
    assert len(matlab.cars(cars).files) == 10


def test_a_macs_shadows_of_files_are_passed_over(cub, tmp_path):
    inner = tmp_path / "inner/CUB_200_2011"
    for file in [*cub.rglob("*.txt"), *cub.rglob("*.jpg")]:
        _write(inner, {file.relative_to(cub).as_posix(): file.read_bytes()})
    for file in cub.glob("*.txt"):
        file.unlink()
        _write(cub / "__MACOSX", {file.name: b"\x00\x05\x16\x07"})
    assert len(lists.cub(cub).files) == 10


def test_mits_labels_are_its_folders(mit):
    assert "airport_inside" in _labels(lists.mit(mit))


def test_mits_images_outside_the_lists_are_left_out(mit):
    (mit / "Images/airport_inside/other.jpg").touch()
    assert len(lists.mit(mit).files) == 10


def test_caltechs_leftovers_are_neither_unpacked_nor_read(tmp_path):
    names = [f"256_ObjectCategories/{name}" for name in ("198.spider/198_0001.jpg", "056.dog/056_0001.jpg")]
    leftovers = ["198.spider/RENAME2", "056.dog/greg/vision309/056_0001.jpg", "056.dog/._056_0001.jpg"]
    leftovers = [f"256_ObjectCategories/{name}" for name in leftovers]
    _write(tmp_path, dict.fromkeys([*names, *leftovers], b""))
    assert [name for name in [*names, *leftovers] if classes.caltech_wanted(name)] == names
    assert [file.path for file in classes.caltech(tmp_path).files] == [
        "056.dog/056_0001.jpg",
        "198.spider/198_0001.jpg",
    ]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("CUB_200_2011/images/001.Albatross/1.jpg", True),
        ("./CUB_200_2011/images.txt", True),
        ("CUB_200_2011/parts/part_locs.txt", False),
        ("CUB_200_2011/attributes/image_attribute_labels.txt", False),
        ("CUB_200_2011/README", False),
    ],
)
def test_of_cubs_archive_only_images_and_lists_are_unpacked(name, wanted):
    assert sets.SETS["cub200"].wanted(name) is wanted


def test_animals_are_in_english_whether_their_folders_are_italian_or_english(tmp_path):
    names = [*list(classes.ITALIAN)[:5], *list(classes.ITALIAN.values())[5:]]
    _write(tmp_path, {f"raw-img/{name}/1.jpeg": b"" for name in names} | {"translate.py": b""})
    assert _labels(classes.animals(tmp_path)) == {
        *("dog", "horse", "elephant", "butterfly", "chicken", "cat", "cow", "sheep", "spider", "squirrel")
    }


def test_animals_are_read_from_their_folders_without_one_around_them(tmp_path):
    _write(tmp_path, {f"{name}/1.jpeg": b"" for name in classes.ITALIAN})
    assert len(classes.animals(tmp_path).files) == 10


def test_an_animal_of_another_name_is_refused(tmp_path):
    _write(tmp_path, {"cane/1.jpeg": b"", "lupo/1.jpeg": b""})
    with pytest.raises(InputError, match=r"^the folder 'lupo' is none of cane, cavallo, .*; use the whole set"):
        classes.animals(tmp_path)


def test_one_animal_in_two_languages_is_refused(tmp_path):
    _write(tmp_path, {"cane/1.jpeg": b"", "dog/1.jpeg": b""})
    with pytest.raises(InputError, match=r"^Italian and English folders of one animal among cane, dog; keep one$"):
        classes.animals(tmp_path)


READERS: dict[str, tuple[Callable, list[str]]] = {
    "cub": (lists.cub, ["images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt"]),
    "dogs": (matlab.dogs, ["train_list.mat", "test_list.mat"]),
    "mit": (lists.mit, ["TrainImages.txt", "TestImages.txt"]),
    "cars": (matlab.cars, ["cars_meta.mat", "cars_train_annos.mat", "cars_test_annos_withlabels.mat"]),
}


@pytest.mark.parametrize(("name", "file"), [(name, file) for name, (_, files) in READERS.items() for file in files])
def test_a_list_that_is_missing_is_named(request, name, file):
    root = request.getfixturevalue(name)
    next(root.rglob(file)).unlink()
    with pytest.raises(InputError, match=rf"^{file} is missing; {WHOLE}$"):
        READERS[name][0](root)


@pytest.mark.parametrize("name", READERS)
def test_images_that_are_listed_and_not_there_are_reported(request, name):
    root = request.getfixturevalue(name)
    first, second, *_ = sorted(root.rglob("*.jpg"))
    first.unlink()
    second.unlink()
    with pytest.raises(
        InputError,
        match=rf"^'.*{first.name}' is in the list of the set, but not in its folder \(and 1 more\); {WHOLE}$",
    ):
        READERS[name][0](root)


@pytest.mark.parametrize(
    ("name", "folder"), [("dogs", "Images"), ("mit", "Images"), ("cars", "cars_train"), ("cars", "cars_test")]
)
def test_a_folder_that_is_missing_is_named(request, name, folder):
    root = request.getfixturevalue(name)
    place = next(root.rglob(folder))
    place.rename(place.with_name("elsewhere"))
    with pytest.raises(InputError, match=rf"^the folder {folder} is missing; {WHOLE}$"):
        READERS[name][0](root)


def test_caltech_without_its_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=rf"^the folder 256_ObjectCategories is missing; {WHOLE}$"):
        classes.caltech(tmp_path)


@pytest.mark.parametrize("file", READERS["cub"][1])
def test_a_list_of_cub_with_another_form_is_refused(cub, file):
    (cub / file).write_text("1 a\nand more\n2\n")
    with pytest.raises(InputError, match=rf"^{file}: line 3 is not a number and a value; {WHOLE}$"):
        lists.cub(cub)


@pytest.mark.parametrize("file", ["image_class_labels.txt", "train_test_split.txt", "classes.txt"])
def test_lists_of_cub_that_do_not_go_together_are_refused(cub, file):
    first, rest = (cub / file).read_text().split("\n", 1)
    assert first
    (cub / file).write_text(rest)
    with pytest.raises(
        InputError, match=rf"^the \.txt lists of CUB contradict each other: one of them lacks '1'; {WHOLE}$"
    ):
        lists.cub(cub)


def test_a_list_that_is_no_text_is_refused(mit):
    (mit / "TestImages.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=rf"^TestImages.txt is not UTF-8 text; {WHOLE}$"):
        lists.mit(mit)


def test_a_name_without_a_class_is_refused(mit):
    (mit / "TestImages.txt").write_text("airport.jpg\n")
    with pytest.raises(InputError, match=rf"^TestImages.txt: 'airport.jpg' is not CLASS/FILE; {WHOLE}$"):
        lists.mit(mit)


@pytest.mark.parametrize("name", ["a/../../own.jpg", "/etc/own.jpg", "..", "a\\own.jpg"])
def test_a_list_does_not_lead_out_of_its_folder(tmp_path, name):
    with pytest.raises(InputError, match=r"^'.*' is in the list of the set, but leads out of the set's folder; "):
        places.layout(tmp_path, [places.Named(name, "a", "train")])


def test_an_image_that_is_listed_twice_is_refused(mit):
    images = (mit / "TrainImages.txt").read_text()
    (mit / "TestImages.txt").write_text(images)
    with pytest.raises(InputError, match=rf"^'.*/.*' is in the list of the set twice; {WHOLE}$"):
        lists.mit(mit)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"not MATLAB",
        lambda content: content[: len(content) // 2],
        lambda content: b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(100),
        lambda content: miniatures.matlab(other=1),
        lambda content: bytes(128) + content[128:],
    ],
    ids=["empty", "text", "half", "version 7.3", "other variable", "no head"],
)
def test_a_matlab_file_that_cannot_be_read_is_named(dogs, damage):
    file = dogs / "test_list.mat"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(InputError, match=rf"^test_list.mat: not a MATLAB file with the variable .*; {WHOLE}$"):
        matlab.dogs(dogs)


def test_annotations_without_labels_are_refused(cars):
    unlabeled = miniatures.cars_annotations([1, 2, 3, 4, 5], labeled=False)
    (cars / "stanford_cars/cars_test_annos_withlabels.mat").write_bytes(unlabeled)
    with pytest.raises(
        InputError, match=r"^cars_test_annos_withlabels.mat: its `annotations` lack the fields fname and class; "
    ):
        matlab.cars(cars)


@pytest.mark.parametrize("number", [0, 197])
def test_a_car_of_an_unknown_class_is_refused(cars, number):
    annotations = miniatures.cars_annotations([1, 2, 3, 4, number])
    (cars / "stanford_cars/devkit/cars_train_annos.mat").write_bytes(annotations)
    with pytest.raises(
        InputError, match=r"^cars_train_annos.mat: has a class number that cars_meta.mat does not name; "
    ):
        matlab.cars(cars)


class _Trap:
    """An object that creates a file when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self):
        return Path.touch, (self.place,)


@pytest.mark.parametrize("content", ["missing", "is not the published file"])
def test_a_cifar_batch_that_is_not_the_published_one_is_never_opened(tmp_path, monkeypatch, content):
    reader, tables = miniatures.published_batches(miniatures.cifar10())
    for table, values in tables.items():
        monkeypatch.setattr(reader, table, values)
    folder = _write(tmp_path, miniatures.untarred(miniatures.cifar10()["cifar-10-python.tar.gz"]))
    trace, batch = tmp_path / "trace", folder / "cifar-10-batches-py/data_batch_3"
    batch.unlink() if content == "missing" else batch.write_bytes(pickle.dumps(_Trap(trace)))
    with pytest.raises(InputError, match=rf"^cifar-10-batches-py/data_batch_3 .*{content}; {WHOLE}$"):
        arrays.cifar10(folder)
    assert not trace.exists()


def test_digits_are_spread_over_all_eight_bits():
    pictures = arrays.digits(Path())
    pixels = np.stack([picture.pixels for picture in pictures])
    assert (pixels.shape, pixels.dtype, pixels.min(), pixels.max()) == ((1797, 8, 8), np.uint8, 0, 255)
    assert len({picture.path for picture in pictures}) == 1797


def _spiders(root: Path, names: list[str]) -> Path:
    return _write(root, {f"{name}/{number}.jpg": b"" for name in names for number in range(2)})


NINE = list(spiders.PRINTED)


@pytest.mark.parametrize(
    ("printed", "spelled"),
    [
        ("Trichonephila clavata", "Trichonephila_clavata"),
        ("Trichonephila clavata", "trichonephila-clavata"),
        ("Trichonephila clavata", "TrichonephilaClavata"),
        ("Lycosa", "LYCOSA"),
        ("Thomisidae", "Hominidae"),
        ("Thomisidae", "hominidae"),
        ("Missulena", "Miussulena"),
    ],
)
def test_a_spiders_name_may_be_spelled_otherwise(tmp_path, printed, spelled):
    root = _spiders(tmp_path, [spelled if name == printed else name for name in NINE])
    layout = spiders.read(root)
    assert _labels(layout) == set(NINE)
    assert {file.path.split("/")[0] for file in layout.files if file.label == printed} == {spelled}


def test_a_misprint_of_the_paper_is_noted_and_another_spelling_is_not(tmp_path):
    root = _spiders(tmp_path, ["Miussulena" if name == "Missulena" else name.lower() for name in NINE])
    assert spiders.read(root).notes == (
        "the folder 'Miussulena' is read as Missulena, which ECSM's Table 8 misprints so",
    )


def test_eight_spiders_are_refused_with_the_one_that_is_missing(tmp_path):
    with pytest.raises(InputError, match=r"^.*: not the nine classes of SPIDER9-IMAGE: no Plator; name the class"):
        spiders.read(_spiders(tmp_path, [name for name in NINE if name != "Plator"]))


def test_another_spider_is_refused_by_name(tmp_path):
    with pytest.raises(InputError, match=r"SPIDER9-IMAGE: 'Salticidae' unknown; name the class folders so, or bring"):
        spiders.read(_spiders(tmp_path, [*NINE, "Salticidae"]))


def test_two_spellings_of_one_spider_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"^.*: 'Hominidae', 'Thomisidae' are one class; put their images together$"):
        spiders.read(_spiders(tmp_path, [*NINE, "Hominidae"]))


def test_the_printed_spiders_are_those_of_ecsm_table_1():
    totals = [sum(printed) for printed in spiders.PRINTED.values()]
    assert totals == [250, 248, 244, 250, 250, 250, 256, 322, 234]
    parts = functools.reduce(lambda a, b: (a[0] + b[0], a[1] + b[1]), spiders.PRINTED.values())
    assert parts == (1618, 686)
