"""Each published set's miniature through the stages, and what they say of it."""

import contextlib
import io
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import miniatures
import pytest
import readme
import tiny
from serving import Server, serving

from pipeline.config import choices
from pipeline.core import digests, paths
from pipeline.core.errors import InputError
from pipeline.core.types import PerClass
from pipeline.datasets.collect import sets
from pipeline.datasets.collect.published import described
from pipeline.datasets.decoding import parallel
from pipeline.datasets.download.cache import CACHE_VARIABLE
from pipeline.datasets.prepared import manifest
from pipeline.datasets.prepared.manifest import Alike, Assigned, Pair, Row
from pipeline.datasets.prepared.packed import Packed
from pipeline.preview import overriding
from pipeline.stages import collect, preprocess, split, validate

# A tenth of the images of each class that ECSM Table 1 prints.
SPIDERS = {label: sum(printed) // 10 for label, printed in sets.SETS["spiders"].printed.items()}
# Caltech's 30 and 20, and 60 and 20, of a miniature's five a class; CIFAR-100's 10 and 5 of its four.
PER_CLASS = {
    "caltech256_30": PerClass(train=3, test=2, val=0),
    "caltech256_60": PerClass(train=4, test=1, val=0),
    "cifar100_few": PerClass(train=2, test=0, val=1),
}


def _write_params(changes: Mapping[str, Any] | None = None, **axes: Any) -> None:
    """The quick recipe for smaller images yet."""
    tiny.write_params({"data.image_size": 32} | dict(changes or {}), **axes)


def _put(patch: pytest.MonkeyPatch, name: str, server: Server, own: Path) -> None:
    """Publish the miniature in place of the set, and put a copy of its files into the folder `own`."""
    files = miniatures.FILES[name]()
    for file, content in files.items():
        server.give(f"/{name}/{file}", content)
        (own / file).write_bytes(content)
    row = miniatures.published(sets.SETS[name], files, f"{server.url}/{name}")
    patch.setitem(sets.SETS, name, replace(row, per_class=PER_CLASS.get(name)))
    if name.startswith("cifar"):
        reader, tables = miniatures.published_batches(files)
        for table, values in tables.items():
            patch.setattr(reader, table, values)


def _put_spiders(own: Path) -> None:
    for label, count in SPIDERS.items():
        (own / label).mkdir()
        for number in range(count):
            (own / label / f"{number}.jpg").write_bytes(miniatures.photograph(f"{label} {number}"))


def _place(name: str, own: Path) -> dict[str, str]:
    """The user's own files in params.yaml, where a set has to be given them."""
    key = sets.SETS[name].needed_place
    return {key: str(own)} if key else {}


def _collect() -> None:
    collect.main()


def _through(name: str, own: Path) -> tuple[str, str]:
    """Run the stages up to the packed images; gives what `collect` and `split` print."""
    _write_params(data=name, **_place(name, own))
    validate.main()
    told = []
    for stage in (_collect, lambda: split.main(["1"])):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            stage()
        told.append(printed.getvalue())
        # The miniatures are drawn alike: a search would find copies in each, and takes its time.
        _no_copies()
    preprocess.main()
    return told[0], told[1]


@pytest.fixture(scope="module")
def server():
    with serving() as state:
        yield state


@pytest.fixture
def patch(monkeypatch, tmp_path):
    """An empty project, where this process is, with a cache of its own; nothing runs beside it."""
    (tmp_path / "project").mkdir()
    (tmp_path / "own").mkdir()
    _enter(monkeypatch, tmp_path)
    return monkeypatch


def _enter(patch: pytest.MonkeyPatch, root: Path) -> None:
    patch.chdir(root / "project")
    patch.delenv("DVC_ROOT", raising=False)
    patch.setenv(CACHE_VARIABLE, str(root / "cache"))
    patch.setattr(parallel, "cores", lambda: 1)


@pytest.fixture(scope="module", params=list(miniatures.EXPECTED))
def ran(request, server, tmp_path_factory):
    """What one set's miniature has become, brought in, divided and packed once for all tests."""
    name, root = request.param, tmp_path_factory.mktemp("set")
    (root / "project").mkdir()
    (root / "own").mkdir()
    asked = len(server.asked)
    with pytest.MonkeyPatch.context() as patch:
        _enter(patch, root)
        _put_spiders(root / "own") if name == "spiders" else None
        if name in miniatures.FILES:
            _put(patch, name, server, root / "own")
        collected, divided = _through(name, root / "own")
        return SimpleNamespace(
            name=name,
            row=sets.SETS[name],
            expected=miniatures.EXPECTED[name],
            rows=manifest.read(paths.MANIFEST, Row),
            sizes={row.path: (paths.IMAGES / row.path).stat().st_size for row in manifest.read(paths.MANIFEST, Row)},
            dataset=json.loads(paths.DATASET.read_text(encoding="utf-8")),
            assigned=manifest.read(paths.split_file(1), Assigned),
            packed=Packed.open(paths.PACKED).images.shape,
            collected=collected.splitlines(),
            divided=divided.splitlines(),
            asked=[asked.path for asked in server.asked[asked:]],
        )


def test_every_published_set_is_tried():
    assert list(miniatures.EXPECTED) == [name for name, row in sets.SETS.items() if row.is_published]


def test_every_set_is_collected_with_its_title_its_classes_and_its_own_parts(ran):
    assert ran.dataset["title"] == ran.row.title
    assert len({row.label for row in ran.rows}) == len(ran.dataset["classes"]) == ran.expected.classes
    assert Counter(row.part for row in ran.rows) == ran.expected.own
    assert ran.dataset["has_parts"] == ("" not in ran.expected.own)


def test_every_set_is_divided_as_its_paper_does(ran):
    assert Counter(image.part for image in ran.assigned) == ran.expected.split
    for part in ran.expected.split:
        assert len({image.label for image in ran.assigned if image.part == part}) == ran.expected.classes


def test_every_image_of_a_set_is_packed(ran):
    assert ran.packed == (sum(ran.expected.own.values()), 3, 32, 32)


def test_no_image_of_a_miniature_is_rejected_and_each_is_there(ran):
    assert ran.dataset["rejected"] == 0
    assert ran.sizes == {row.path: row.bytes for row in ran.rows}
    assert ran.collected[-1] == f"collect: {len(ran.rows):,} images in {ran.expected.classes} classes"


def test_every_file_that_has_an_address_is_downloaded_once_and_no_other(ran):
    urls = [url for download in ran.row.downloads for url in download.urls]
    assert sorted(ran.asked) == sorted(f"/{url.split('/', 3)[3]}" for url in urls)


def test_the_terms_are_told_before_anything_else(ran):
    assert ran.collected[0] == f"collect: {ran.row.title}, {ran.row.home}: {ran.row.terms}"


def test_what_came_is_told_beside_what_is_published(ran):
    assert (
        ran.collected[1] == f"collect: {ran.row.title}: {len(ran.rows):,} images, {ran.row.counts.images:,} published"
    )


def test_dataset_json_says_what_is_published_of_the_set(ran):
    told = ran.dataset["published"]
    for key in ("home", "terms", "citation", "official", "paper", "known_overlap"):
        assert told[key] == getattr(ran.row, key)
    assert told["counts"] == {"images": ran.row.counts[0], "train": ran.row.counts[1], "test": ran.row.counts[2]}
    drawn = PER_CLASS.get(ran.name)
    assert told["per_class"] == (drawn and {"train": drawn.train, "test": drawn.test, "val": drawn.val})
    assert {label: tuple(counts) for label, counts in told["printed"].items()} == dict(ran.row.printed)


def test_the_parts_are_told_beside_the_published_ones(ran):
    counts, parts = ran.row.counts, ran.expected.split
    ours = " + ".join(f"{parts[part]:,} {part}" for part in ("train", "val", "test") if part in parts)
    published = f", {counts.train:,} train + {counts.test:,} test published" if counts.train else ""
    assert ran.divided[0] == f"split: {ours}{published}"


def test_a_second_clone_downloads_nothing_again(patch, server, tmp_path):
    _put(patch, "mit67", server, tmp_path / "own")
    _through("mit67", tmp_path / "own")
    asked = len(server.asked)
    (tmp_path / "second").mkdir()
    patch.chdir(tmp_path / "second")
    _through("mit67", tmp_path / "own")
    assert (len(server.asked), paths.DATASET.is_file()) == (asked, True)


def test_an_archive_is_read_in_place_of_the_download(patch, server, tmp_path):
    _put(patch, "cub200", server, tmp_path / "own")
    asked = len(server.asked)
    _write_params(data="cub200", archive=str(tmp_path / "own/CUB_200_2011.tgz"))
    validate.main()
    _collect()
    assert len(server.asked) == asked
    assert len(manifest.read(paths.MANIFEST, Row)) == 400


def test_an_archive_that_is_not_the_published_one_stops_the_run_and_leaves_nothing(patch, server, tmp_path):
    _put(patch, "cub200", server, tmp_path / "own")
    (tmp_path / "own/CUB_200_2011.tgz").write_bytes(b"birds")
    _write_params(data="cub200", archive=str(tmp_path / "own/CUB_200_2011.tgz"))
    with pytest.raises(InputError, match=r"^archive: '.*' is not CUB_200_2011.tgz as published: 5 bytes in place of"):
        _collect()
    assert list(Path("data").glob("*")) == [paths.RECIPE]


@pytest.mark.parametrize("data", ["digits", "spiders"])
def test_a_sweep_over_sets_keeps_the_archive_that_some_of_them_read(patch, server, tmp_path, data, capsys):
    _put(patch, "cub200", server, tmp_path / "own")
    (tmp_path / "spiders").mkdir()
    _put_spiders(tmp_path / "spiders")
    given = {"archive": str(tmp_path / "own/CUB_200_2011.tgz"), "folder": str(tmp_path / "spiders")}
    for name in ("cub200", data):
        _write_params(data=name, **given)
        validate.main()
        _collect()
        assert json.loads(paths.DATASET.read_text(encoding="utf-8"))["set"] == name
    assert f"validate: note: archive is not read: data is {data!r}" in capsys.readouterr().out


def test_spiders_may_lie_where_the_users_photographs_do_by_default(patch):
    paths.OWN_FOLDER.mkdir(parents=True)
    _put_spiders(paths.OWN_FOLDER)
    _write_params(data="spiders")
    validate.main()
    _collect()
    assert len(manifest.read(paths.MANIFEST, Row)) == sum(SPIDERS.values())


def test_collect_tells_each_spiders_images_beside_ecsm_table_1(patch, tmp_path):
    _put_spiders(tmp_path / "own")
    collected, _ = _through("spiders", tmp_path / "own")
    assert collected.splitlines()[1:-1] == [
        "collect: SPIDER9-IMAGE: 228 images, 2,304 published",
        "collect: Thomisidae: 25 images, 250 printed",
        "collect: Theraphosidae: 24 images, 248 printed",
        "collect: Lycosa: 24 images, 244 printed",
        "collect: Missulena: 25 images, 250 printed",
        "collect: Araneidae: 25 images, 250 printed",
        "collect: Trichonephila clavata: 25 images, 250 printed",
        "collect: Philodromidae: 25 images, 256 printed",
        "collect: Plator: 32 images, 322 printed",
        "collect: Cyrtophora: 23 images, 234 printed",
    ]


def _collected(rows: list[Row], name: str | None) -> None:
    """What `collect` leaves of these images, without the images."""
    paths.COLLECTED.mkdir(parents=True)
    manifest.write(paths.MANIFEST, Row, rows)
    published = {"published": name and described(name), "own": name == "spiders"}
    paths.DATASET.write_text(json.dumps(published), encoding="utf-8")
    digests.seal(paths.COLLECTED)
    _no_copies()


def _no_copies() -> None:
    """What `copies` leaves where it finds none."""
    paths.COPIES.mkdir(parents=True, exist_ok=True)
    manifest.write(paths.PAIRS, Pair, [])
    manifest.write(paths.GROUPS, Alike, [])
    digests.seal(paths.COPIES)


def _rows(counts: dict[str, int]) -> list[Row]:
    return [
        Row(f"{label}/{number}", label, "", 1, f"{label}{number}", 1, 1, "RGB", "")
        for label, count in sorted(counts.items())
        for number in range(count)
    ]


def test_split_tells_each_spiders_parts_beside_ecsm_table_1(patch, capsys):
    _collected(_rows({label: sum(printed) for label, printed in sets.SETS["spiders"].printed.items()}), "spiders")
    _write_params(data="spiders")
    split.main(["1"])
    assert capsys.readouterr().out.splitlines() == [
        "split: 1,613 train + 691 test, 1,618 train + 686 test published",
        "split: Thomisidae: 175 train + 75 test, 176 train + 74 test printed",
        "split: Theraphosidae: 174 train + 74 test, 174 train + 74 test printed",
        "split: Lycosa: 171 train + 73 test, 170 train + 74 test printed",
        "split: Missulena: 175 train + 75 test, 176 train + 74 test printed",
        "split: Araneidae: 175 train + 75 test, 176 train + 74 test printed",
        "split: Trichonephila clavata: 175 train + 75 test, 176 train + 74 test printed",
        "split: Philodromidae: 179 train + 77 test, 180 train + 76 test printed",
        "split: Plator: 225 train + 97 test, 226 train + 96 test printed",
        "split: Cyrtophora: 164 train + 70 test, 164 train + 70 test printed",
    ]


@pytest.mark.parametrize(("name", "train"), [("caltech256_30", 30), ("caltech256_60", 60)])
def test_caltech_at_full_size_has_the_parts_of_spa_gca_table_1(patch, name, train, capsys):
    _collected(_rows(dict.fromkeys(miniatures.CALTECH_CLASSES, 119)), name)
    _write_params(data=name)
    split.main(["1"])
    assigned = manifest.read(paths.split_file(1), Assigned)
    assert Counter(image.part for image in assigned) == {"train": 257 * train, "test": 257 * 20}
    numbers = f"{257 * train:,} train + 5,140 test"
    assert capsys.readouterr().out == f"split: {numbers}, {numbers} published\n"


def test_digits_may_be_drawn_by_the_class_as_the_readme_has_it(patch, tmp_path):
    _collected(_rows({str(digit): 174 for digit in range(10)}), "digits")
    _write_params({"data.split.per_class": {"train": 20, "test": 50, "val": 0}}, data="digits")
    split.main(["1"])
    assigned = manifest.read(paths.split_file(1), Assigned)
    assert Counter(image.part for image in assigned) == {"train": 200, "test": 500}


def test_the_command_that_params_yaml_names_lists_every_set():
    text = tiny.FILE.read_text(encoding="utf-8")
    assert "The choices of each: orbweaver describe --choices" in text.partition("\ndata: auto\n")[0]
    assert [line.name for line in choices.listed()["data"]] == list(sets.SETS)


def test_the_pages_say_which_sets_the_user_has_to_bring():
    given = {name for name, cells in readme.table("data").items() if "your own copy" in cells["what it is"]}
    assert given == {name for name, row in sets.SETS.items() if row.obtaining}


def test_the_readmes_commands_of_data_sets_are_of_known_keys_and_values(patch):
    patch.chdir(tiny.ROOT)
    lines = [readme.overrides(command) for command in readme.commands(readme.section("Data sets"))]
    assert len(lines) > 3
    for values in overriding.read_each(lines):
        assert values.recipe.data.set in sets.SETS
