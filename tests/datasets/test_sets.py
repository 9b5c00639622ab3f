import dataclasses
import json
import os
import shutil
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import miniatures
import pytest
from PIL import Image
from serving import Answer, serving

from pipeline.core.errors import InputError
from pipeline.core.types import PerClass
from pipeline.datasets.collect import bringing, published, sets
from pipeline.datasets.collect.dataset import Request
from pipeline.datasets.collect.sources import lists, matlab
from pipeline.datasets.collect.sources.classes import ITALIAN
from pipeline.datasets.collect.sources.spiders import PRINTED
from pipeline.datasets.decoding import parallel
from pipeline.datasets.download import cache
from pipeline.datasets.download.download import Download
from pipeline.datasets.prepared.manifest import Assigned, Row
from pipeline.datasets.prepared.published_counts import comparison_lines
from pipeline.datasets.prepared.splits import split

NAMES = (
    "synthetic folder spiders cub200 dogs cars caltech256_30 caltech256_60 mit67 cifar10 cifar100 cifar100_few "
    "animals10 digits"
)
DOWNLOADED = [name for name, row in sets.SETS.items() if row.downloads and all(d.urls for d in row.downloads)]
BROUGHT = [name for name, row in sets.SETS.items() if row.downloads and name not in DOWNLOADED]
PUBLISHED = {name: row for name, row in sets.SETS.items() if row.is_published}
ROWS = dict(sets.SETS)


@pytest.fixture(scope="module")
def server():
    with serving() as state:
        yield state


@pytest.fixture
def mini(monkeypatch, tmp_path, server):
    """Publish a set's miniature in place of the set, put a copy of its files into `own`, and collect it."""
    monkeypatch.setattr(parallel, "cores", lambda: 1)
    target, cache, own = (tmp_path / name for name in ("collected/images", "cache", "own"))
    target.mkdir(parents=True)
    own.mkdir()

    def put(name: str, **changed: bytes) -> None:
        files = miniatures.FILES[name]() | changed
        for file, content in files.items():
            server.give(f"/{name}/{file}", content)
            (own / file).write_bytes(content)
        monkeypatch.setitem(sets.SETS, name, miniatures.published(ROWS[name], files, f"{server.url}/{name}"))
        if name.startswith("cifar"):
            reader, tables = miniatures.published_batches(files)
            for table, values in tables.items():
                monkeypatch.setattr(reader, table, values)

    def bring(name: str, own: Path | None = None):
        return bringing.bring(Request(name, target, place=own and str(own), cache=cache))

    return SimpleNamespace(put=put, bring=bring, target=target, cache=cache, own=own)


def test_the_table_has_every_set_of_the_papers_and_the_users_own():
    assert list(sets.SETS) == NAMES.split()


@pytest.mark.parametrize("row", PUBLISHED.values(), ids=PUBLISHED)
def test_every_row_says_where_the_set_is_from_on_what_terms_and_whose_it_is(row):
    assert all([row.title, row.home.startswith("http"), row.terms.endswith("."), row.citation, row.paper, row.counts])
    assert bool(row.obtaining) == (row.given_by == "folder" or any(not d.urls for d in row.downloads))


def test_no_two_downloads_have_the_same_name_in_the_cache():
    downloads = {download for row in sets.SETS.values() for download in row.downloads}
    assert len({download.name for download in downloads}) == len(downloads)


def test_an_unknown_set_is_reported_with_those_that_are_known():
    with pytest.raises(InputError, match=r"^data: 'cub' is not known; known: synthetic, folder, spiders, cub200, "):
        sets.known("cub")


@pytest.mark.parametrize("name", BROUGHT)
def test_a_set_that_no_address_has_says_where_to_get_what(name):
    row = sets.SETS[name]
    with pytest.raises(InputError) as error:
        bringing.check(name, None)
    assert all(text in str(error.value) for text in (row.title, row.home, row.downloads[0].name, "-S archive=/"))


def test_what_was_unpacked_is_removed(mini):
    mini.put("mit67")
    mini.bring("mit67")
    assert [path.name for path in mini.target.parent.iterdir()] == ["images"]


def test_what_was_unpacked_is_removed_when_reading_fails(mini, monkeypatch):
    mini.put("mit67")
    monkeypatch.setitem(sets.SETS, "mit67", dataclasses.replace(sets.SETS["mit67"], classes=66))
    with pytest.raises(InputError, match=r"^mit67: 67 classes in place of 66; use the whole set as it is published$"):
        mini.bring("mit67")
    assert [path.name for path in mini.target.parent.iterdir()] == ["images"]


def test_a_second_time_nothing_is_downloaded(mini, server, tmp_path):
    mini.put("mit67")
    mini.bring("mit67")
    asked = len(server.asked)
    assert {download.name for download in sets.SETS["mit67"].downloads} < {file.name for file in mini.cache.iterdir()}
    bringing.bring(Request("mit67", _folder(tmp_path / "again/images"), cache=mini.cache))
    assert len(server.asked) == asked


def unchecked(monkeypatch):
    """Publish MIT Indoor 67's miniature without sizes and checksums, as its authors do."""
    row = sets.SETS["mit67"]
    downloads = tuple(Download(one.name, one.urls) for one in row.downloads)
    monkeypatch.setitem(sets.SETS, "mit67", dataclasses.replace(row, downloads=downloads))


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        (
            "indoorCVPR_09.tar",
            None,
            r"/cache/indoorCVPR_09\.tar: damaged or cut short \(.+\); nothing was kept; it was",
        ),
        ("indoorCVPR_09.tar", b"a page" * 99, r"tar: not a zip, tar or tar\.gz file; nothing was kept; it was"),
        ("TrainImages.txt", b"airport_ins", r"^mit67: .*; TrainImages\.txt: it was"),
        ("TrainImages.txt", b"airport_inside/1.jpg", r"^mit67: .*; TrainImages\.txt: it was"),
    ],
)
def test_a_wrong_file_in_the_cache_that_has_no_checksum_is_deleted_and_comes_again(
    mini, server, monkeypatch, name, wrong, message
):
    mini.put("mit67")
    unchecked(monkeypatch)
    whole = miniatures.FILES["mit67"]()[name]
    server.give(f"/mit67/{name}", Answer(wrong or whole[: len(whole) // 2], sized=False), whole)
    with pytest.raises(InputError, match=rf"{message} deleted from the cache, and the same command downloads it again"):
        mini.bring("mit67")
    assert not list(mini.cache.glob(f"{name}*"))
    assert Counter(row.part for row in mini.bring("mit67")[1]) == miniatures.EXPECTED["mit67"].own


def test_a_damaged_file_in_the_cache_that_has_a_checksum_is_compared_with_it_by_the_next_run(mini, server):
    mini.put("mit67")
    mini.bring("mit67")
    archive = mini.cache / "indoorCVPR_09.tar"
    status = archive.stat()
    archive.write_bytes(archive.read_bytes()[:-9000] + bytes(9000)[:-1] + b"1")
    os.utime(archive, ns=(status.st_atime_ns, status.st_mtime_ns))
    shutil.rmtree(mini.target)
    mini.target.mkdir()
    with pytest.raises(InputError, match=r"\.tar: .*the same command compares it with its checksum, and downloads"):
        mini.bring("mit67")
    assert Counter(row.part for row in mini.bring("mit67")[1]) == miniatures.EXPECTED["mit67"].own


def test_the_users_own_files_are_not_deleted_whatever_is_wrong_with_them(mini, monkeypatch):
    mini.put("mit67", **{"indoorCVPR_09.tar": b"a page" * 99})
    unchecked(monkeypatch)
    with pytest.raises(
        InputError, match=r"own/indoorCVPR_09\.tar: not a zip, .*; give the archive as it is published$"
    ):
        mini.bring("mit67", mini.own)
    assert (mini.own / "indoorCVPR_09.tar").exists()


def test_a_file_of_a_cache_that_can_only_be_read_is_the_users_to_delete(mini, monkeypatch):
    mini.put("mit67", **{"indoorCVPR_09.tar": b"a page" * 99})
    unchecked(monkeypatch)
    monkeypatch.setattr(cache, "forget", Mock(side_effect=PermissionError(13, "Permission denied")))
    with pytest.raises(InputError, match=r"kept; delete /.*/indoorCVPR_09\.tar \(Permission denied\), and the same"):
        mini.bring("mit67")


def _folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def test_both_caltech_sets_are_one_download():
    assert sets.SETS["caltech256_30"].downloads == sets.SETS["caltech256_60"].downloads


@pytest.mark.parametrize("name", ["dogs", "mit67"])
def test_the_users_own_copies_take_the_place_of_downloads(mini, server, name):
    mini.put(name)
    asked = len(server.asked)
    rows = mini.bring(name, mini.own)[1]
    assert (Counter(row.part for row in rows), len(server.asked)) == (miniatures.EXPECTED[name].own, asked)


def test_the_users_own_copy_of_the_only_file_may_have_another_name(mini):
    mini.put("animals10")
    (mini.own / "archive.zip").rename(mini.own / "animals")
    assert len(mini.bring("animals10", mini.own / "animals")[1]) == 145


def test_a_copy_that_is_not_the_published_file_is_refused(mini):
    mini.put("cub200")
    (mini.own / "CUB_200_2011.tgz").write_bytes(b"birds")
    with pytest.raises(InputError, match=r"^archive: '.*' is not CUB_200_2011.tgz as published: 5 bytes in place of"):
        mini.bring("cub200", mini.own / "CUB_200_2011.tgz")


def test_one_archive_may_hold_all_that_several_published_ones_do(mini, tmp_path):
    lists = miniatures.mit_lists([2] * 67, [1] * 67)
    names = [name for content in lists.values() for name in content.decode().splitlines()]
    images = {f"indoor/Images/{name}": miniatures.photograph(name) for name in names}
    (tmp_path / "all.zip").write_bytes(miniatures.zipped({f"indoor/{n}": c for n, c in lists.items()} | images))
    assert Counter(row.part for row in mini.bring("mit67", tmp_path / "all.zip")[1]) == {"train": 134, "test": 67}


def test_the_unpacked_folder_will_do(mini, tmp_path):
    for name in ITALIAN:
        folder = _folder(tmp_path / "unpacked/raw-img" / name)
        for number in range(2):
            (folder / f"{number}.jpeg").write_bytes(miniatures.photograph(f"{name}{number}"))
    rows = mini.bring("animals10", tmp_path / "unpacked")[1]
    assert (len(rows), {row.label for row in rows}) == (20, set(ITALIAN.values()))
    assert (tmp_path / "unpacked/raw-img/cane/0.jpeg").is_file()


def test_unpacked_images_may_lie_next_to_lists_that_never_were_packed(mini, tmp_path):
    lists = miniatures.mit_lists([2] * 67, [1] * 67)
    for name in [name for content in lists.values() for name in content.decode().splitlines()]:
        file = tmp_path / "unpacked/Images" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(miniatures.photograph(name))
    for name, content in lists.items():
        (tmp_path / "unpacked" / name).write_bytes(content)
    rows = mini.bring("mit67", tmp_path / "unpacked")[1]
    assert Counter(row.part for row in rows) == {"train": 134, "test": 67}


def test_a_folder_with_some_of_the_published_files_lacks_the_others(mini):
    mini.put("cars")
    (mini.own / "cars_test.tgz").unlink()
    with pytest.raises(InputError, match=r"^archive: '.*' has no cars_test.tgz; put all files of Stanford Cars there$"):
        mini.bring("cars", mini.own)


@pytest.mark.parametrize("folder", ["mit67", "unpacked"])
def test_of_a_folder_with_one_folder_per_set_its_own_is_read(mini, server, folder):
    """The lists of MIT are loose: a search below the whole folder could find those of another set."""
    mini.put("mit67")
    inside = _folder(mini.own / "sets" / "mit67")
    _folder(mini.own / "sets" / "cars")
    if folder == "mit67":
        for file in [path for path in mini.own.iterdir() if path.is_file()]:
            file.rename(inside / file.name)
    else:
        lists = miniatures.mit_lists([2] * 67, [1] * 67)
        for name in [name for content in lists.values() for name in content.decode().splitlines()]:
            file = inside / "Images" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(miniatures.photograph(name))
        for name, content in lists.items():
            (inside / name).write_bytes(content)
    asked = len(server.asked)
    rows = mini.bring("mit67", mini.own / "sets")[1]
    assert {row.part for row in rows} == {"train", "test"}
    assert len(server.asked) == asked


def test_sets_of_the_same_files_share_a_folder(tmp_path):
    own = _folder(tmp_path / "caltech256_30")
    assert published.copy_of("caltech256_60", tmp_path) == own
    assert published.copy_of("caltech256_30", tmp_path) == own


def test_a_set_that_is_not_among_those_of_a_folder_is_downloaded(mini, server, capsys):
    mini.put("mit67")
    for name in ("cars", "spiders", ".git"):
        _folder(mini.own.parent / "sets" / name)
    # Of no set.
    (mini.own.parent / "sets/README.txt").write_text("ours", encoding="utf-8")
    asked = len(server.asked)
    rows = mini.bring("mit67", mini.own.parent / "sets")[1]
    assert len(server.asked) > asked
    assert Counter(row.part for row in rows) == miniatures.EXPECTED["mit67"].own
    assert "/sets' has no folder mit67, so the set is downloaded\n" in capsys.readouterr().out


def test_one_that_cannot_be_downloaded_is_refused_with_the_folder_to_make(tmp_path):
    _folder(tmp_path / "cub200")
    with pytest.raises(InputError) as error:
        bringing.check("cars", str(tmp_path))
    line = str(error.value)
    assert line.startswith(
        f"archive: '{tmp_path}' has folders of other sets and none of Stanford Cars, which cannot be"
    )
    assert line.endswith(f"cars_test_annos_withlabels.mat or what is in them into the folder '{tmp_path / 'cars'}'")


@pytest.mark.parametrize("beside", ["lists/train_list.mat", "stanford_dogs_lists.tar", "lists.tar"])
def test_what_may_be_of_the_set_is_read_beside_folders_of_others(tmp_path, beside):
    _folder(tmp_path / "cub200")
    (tmp_path / beside).parent.mkdir(exist_ok=True)
    (tmp_path / beside).write_bytes(b"1")
    assert published.copy_of("dogs", tmp_path) == tmp_path


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("cub200", "images.txt is missing; use the whole set as it is published"),
        ("dogs", "the folder Images is missing; use the whole set as it is published"),
    ],
)
def test_a_complaint_about_the_users_copy_names_it(mini, tmp_path, name, complaint):
    own = _folder(tmp_path / "cars_train").parent
    with pytest.raises(InputError, match=f"^{name}: archive: '{own}': {complaint}$"):
        mini.bring(name, own)


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        ("sets/cub.tgz", r"^archive: 'sets/cub.tgz' is relative, which queued runs would not find; give an absolute"),
        ("/nowhere/cub.tgz", r"^archive: '/nowhere/cub.tgz' does not exist; give the file or folder with Caltech-UCSD"),
    ],
)
def test_a_place_of_no_use_is_reported_before_anything_runs(archive, message):
    with pytest.raises(InputError, match=message):
        bringing.check("cub200", archive)


def test_an_archive_that_is_of_no_use_to_the_digits_does_no_harm():
    bringing.check("digits", "/nowhere")


@pytest.mark.parametrize("name", [*DOWNLOADED, "digits"])
def test_what_a_program_can_bring_needs_no_archive(name):
    bringing.check(name, None)


def test_an_image_that_cannot_be_read_is_rejected_with_its_reason(mini):
    names = [name for content in miniatures.mit_lists([4] * 67, [1] * 67).values() for name in content.split(b"\n")]
    members = {f"Images/{name.decode()}": miniatures.photograph(name.decode()) for name in names}
    broken = members | {f"Images/{names[0].decode()}": b""}
    mini.put("mit67", **{"indoorCVPR_09.tar": miniatures.tarred(broken)})
    _, rows, rejected, _ = mini.bring("mit67")
    assert (len(rows), [tuple(entry) for entry in rejected]) == (334, [(names[0].decode(), "empty: 0 bytes")])


def test_pictures_of_an_array_are_its_pixels(mini):
    mini.put("cifar10")
    rows = mini.bring("cifar10")[1]
    row = next(row for row in rows if row.path == "test/frog/00006.png")
    assert (row.label, row.part, row.width, row.height, row.mode) == ("frog", "test", 32, 32, "RGB")
    with Image.open(mini.target / row.path) as image:
        pixels = miniatures.cifar_pixels(900, 10)[6].reshape(3, 32, 32).transpose(1, 2, 0)
        assert image.tobytes() == pixels.tobytes()


def test_the_digits_are_drawn_offline_with_all_their_classes(mini):
    title, rows, rejected, _ = mini.bring("digits")
    assert (title, len(rows), rejected) == ("scikit-learn's handwritten digits", sets.SETS["digits"].counts.images, [])
    assert {row.label for row in rows} == set("0123456789")
    assert {(row.width, row.height, row.mode, row.part) for row in rows} == {(8, 8, "L", "")}


def _own_spiders(root: Path, names=tuple(PRINTED), images: int = 2) -> Path:
    for name in names:
        for number in range(images):
            file = root / name / f"{number}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(miniatures.photograph(f"{name}{number}"))
    return root


def test_the_users_spiders_are_brought_with_the_papers_names(mini, tmp_path, capsys):
    own = _own_spiders(
        tmp_path / "own", ["trichonephila_clavata", "Hominidae", *list(PRINTED)[1:5], *list(PRINTED)[6:]]
    )
    (own / "notes.txt").write_text("ours")
    title, rows, rejected, _ = mini.bring("spiders", own)
    assert (title, {row.label for row in rows}) == ("SPIDER9-IMAGE", set(PRINTED))
    assert [tuple(entry) for entry in rejected] == [("notes.txt", "lies beside the class folders")]
    assert "collect: note: the folder 'Hominidae' is read as Thomisidae" in capsys.readouterr().out


def test_spiders_are_checked_before_anything_runs(tmp_path):
    own = _own_spiders(tmp_path / "own", [*list(PRINTED)[:8], "Salticidae"])
    with pytest.raises(InputError, match=r"'Salticidae' unknown; no Cyrtophora; name the class folders so"):
        bringing.check("spiders", str(own))


def test_spiders_that_are_not_there_are_not_to_be_had(tmp_path, monkeypatch):
    (tmp_path / "data/own").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    message = r"^folder: data/own is empty, and SPIDER9-IMAGE is not public; ask its makers at Dali University for it, "
    with pytest.raises(InputError, match=message):
        bringing.check("spiders", None)


def test_spiders_without_a_folder_are_reported():
    with pytest.raises(InputError, match=r"^folder: '/nowhere' does not exist; give the folder"):
        bringing.check("spiders", "/nowhere")


def _rows(sizes: dict[str, int], part: str = "") -> list[Row]:
    names = [(label, f"{part}/{label}/{number:04}") for label, size in sizes.items() for number in range(size)]
    return [Row(path, label, part, 1, path, 1, 1, "RGB", "") for label, path in names]


def test_totals_are_compared_with_the_printed_ones():
    lines = published.totals("spiders", _rows({label: sum(printed) for label, printed in PRINTED.items()}))
    assert lines[0] == "SPIDER9-IMAGE: 2,304 images, 2,304 published"
    assert lines[8:] == ["Plator: 322 images, 322 printed", "Cyrtophora: 234 images, 234 printed"]


def _comparison(name: str, assigned) -> list[str]:
    described = published.described(name)
    return comparison_lines(assigned, counts=described["counts"], printed=described["printed"])


def test_our_parts_of_the_printed_totals_are_seven_to_three_and_compared_with_the_printed_ones():
    rows = _rows({label: sum(printed) for label, printed in PRINTED.items()})
    lines = _comparison("spiders", split(rows, test=0.3, val=0.0, seed=0, repeat=1))
    assert lines[0] == "1,613 train + 691 test, 1,618 train + 686 test published"
    assert lines[1] == "Thomisidae: 175 train + 75 test, 176 train + 74 test printed"
    assert lines[8] == "Plator: 225 train + 97 test, 226 train + 96 test printed"


@pytest.mark.parametrize("change", [{"seed": 1}, {"repeat": 2}])
def test_the_printed_totals_are_divided_anew_with_another_seed_and_in_another_repeat(change):
    rows = _rows({label: sum(printed) for label, printed in PRINTED.items()})
    first, other = (
        split(rows, **{"test": 0.3, "val": 0.0, "seed": 0, "repeat": 1} | changed) for changed in ({}, change)
    )
    assert first == split(rows, test=0.3, val=0.0, seed=0, repeat=1)
    assert [entry.part for entry in first] != [entry.part for entry in other]
    assert Counter((e.label, e.part) for e in first) == Counter((e.label, e.part) for e in other)


def test_a_set_without_printed_classes_has_one_line():
    assigned = [Assigned("a", "cat", "train"), Assigned("b", "cat", "val"), Assigned("c", "cat", "test")]
    assert _comparison("cifar10", assigned) == ["1 train + 1 val + 1 test, 50,000 train + 10,000 test published"]


def test_a_set_of_which_no_parts_are_published_has_its_own_alone():
    assert _comparison("digits", [Assigned("a", "1", "train"), Assigned("b", "1", "test")]) == ["1 train + 1 test"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_is_published_of_a_set_can_be_written_as_json(name):
    described = json.loads(json.dumps(published.described(name)))
    assert described == published.described(name)
    assert (described["per_class"] and PerClass(**described["per_class"])) == sets.SETS[name].per_class


SPA_GCA_TABLE_1 = {
    "dogs": (12000, 8580, 120),
    "caltech256_30": (7710, 5140, 257),
    "caltech256_60": (15420, 5140, 257),
    "cub200": (5994, 5794, 200),
    "mit67": (5360, 1340, 67),
}


@pytest.mark.parametrize("name", SPA_GCA_TABLE_1)
def test_the_rows_counts_are_those_of_spa_gca_table_1(name):
    row = sets.SETS[name]
    assert (row.counts.train, row.counts.test, row.classes) == SPA_GCA_TABLE_1[name]


def _spread(total: int, classes: int) -> list[int]:
    """Return a total divided over classes as evenly as possible."""
    return [total // classes + (place < total % classes) for place in range(classes)]


@pytest.fixture(scope="module")
def full_size():
    """Return rows for as many images as Caltech-256 has: 80 in its smallest class, 827 in its largest."""
    sizes = [80, 827, *_spread(30607 - 907, 255)]
    return _rows(dict(zip(miniatures.CALTECH_CLASSES, sizes, strict=True)))


@pytest.mark.parametrize("name", ["caltech256_30", "caltech256_60"])
def test_caltech_at_full_size_gives_spa_gca_table_1(full_size, name):
    assigned = split(full_size, test=0.3, val=0.0, seed=0, repeat=1, per_class=sets.SETS[name].per_class)
    train, test, classes = SPA_GCA_TABLE_1[name]
    assert Counter(entry.part for entry in assigned) == {"train": train, "test": test}
    assert len({entry.label for entry in assigned}) == classes


def test_the_thirty_are_among_the_sixty_and_the_tests_are_the_same(full_size):
    def drawn(name: str, part: str) -> set[str]:
        assigned = split(full_size, test=0.3, val=0.0, seed=3, repeat=2, per_class=sets.SETS[name].per_class)
        return {entry.path for entry in assigned if entry.part == part}

    assert drawn("caltech256_30", "train") < drawn("caltech256_60", "train")
    assert drawn("caltech256_30", "test") == drawn("caltech256_60", "test")


@pytest.mark.parametrize("name", ["dogs", "cub200", "mit67"])
def test_official_lists_at_full_size_give_spa_gca_table_1(tmp_path, name):
    train, test, classes = SPA_GCA_TABLE_1[name]
    write, read = {
        "dogs": (miniatures.dogs_lists, matlab.dogs_names),
        "cub200": (miniatures.cub_lists, lists.cub_names),
        "mit67": (miniatures.mit_lists, lists.mit_names),
    }[name]
    for file, content in write(_spread(train, classes), _spread(test, classes)).items():
        (tmp_path / file).write_bytes(content)
    images = read(tmp_path)
    rows = [Row(image.name, image.label, image.part, 1, image.name, 1, 1, "RGB", "") for image in images]
    assigned = split(rows, test=0.3, val=0.0, seed=0, repeat=1)
    assert Counter(entry.part for entry in assigned) == {"train": train, "test": test}
    assert len({entry.label for entry in assigned}) == classes
