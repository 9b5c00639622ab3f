"""A flat folder with a table of labels and sites, through all stages: no site is on both sides of a division."""

import csv
from collections import defaultdict

import pytest
import tiny
from click.testing import CliRunner

from pipeline.commands import orbweaver
from pipeline.config import check, resolve
from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.core.records import Record
from pipeline.datasets.prepared import manifest
from pipeline.datasets.prepared.manifest import Alike, Row
from pipeline.datasets.synthetic.synthetic import spider_image
from pipeline.preview.training_part import training_part
from pipeline.stages import collect, copies, split, train, validate

SITES, KINDS, EACH = 6, 3, 3


@pytest.fixture
def sites(bare, tmp_path, monkeypatch):
    """Settings for photographs of three kinds at six sites, all in one folder."""
    # Its groups are named: a search for copies among the same images finds the same each time.
    tiny.search_once(monkeypatch)
    folder = tmp_path / "photographs"
    folder.mkdir()
    lines = ["file_name;label;group"]
    for number in range(SITES * KINDS * EACH):
        site, kind = divmod(number // EACH, KINDS)
        spider_image(kind, number, size=tiny.SIDE, seed=3).save(folder / f"{number:03}.png")
        lines.append(f"{number:03}.png;kind {kind};site {site}")
    (folder / "metadata.csv").write_text("\n".join(lines), encoding="utf-8")
    settings = tiny.narrow_values({"data.set": "folder"}, data="folder", folder=str(folder), repeats=[1, 2])
    tiny.write(settings)
    return settings


def _site(path):
    return int(path.removesuffix(".png")) // (KINDS * EACH)


def tracked_key():
    file = paths.training_metrics(1) / "record.json"
    return Record.parse(file.read_bytes(), file).key


@pytest.mark.usefixtures("uncharted")
def test_a_site_is_trained_on_or_tested_and_counts_once(sites):
    tiny.chain()
    for repeat in (1, 2):
        sides = defaultdict(set)
        for one in manifest.read(paths.split_file(repeat), manifest.Assigned):
            sides[_site(one.path)].add(one.part)
        assert all(len(parts) == 1 for parts in sides.values())
        assert sorted(part for [part] in sides.values()) == ["test"] * 2 + ["train"] * 4
        with (paths.evaluation(repeat) / "predictions.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert len({row["group"] for row in rows}) == len({_site(row["path"]) for row in rows}) == 2
        assert len(rows) == 2 * KINDS * EACH
    page = (paths.REPORT / "index.html").read_text(encoding="utf-8")
    assert "6 groups of 9 images, named in metadata.csv" in page
    assert "A group that metadata.csv names is on one side of a split, and counts as one in tests on" in page


def test_other_groups_or_parts_are_another_experiment(sites, tmp_path):
    table, keys = tmp_path / "photographs/metadata.csv", []
    grouped = table.read_text(encoding="utf-8")
    alone = [line.rpartition(";")[0] for line in grouped.splitlines()]
    halves = ["part", *("test" if number % 2 else "train" for number in range(len(alone) - 1))]
    others = [half if half != "test" or number % 4 else "train" for number, half in enumerate(halves)]
    parted = [
        "\n".join(f"{line};{part}" for line, part in zip(alone, parts, strict=True)) for parts in (halves, others)
    ]
    for text in ("\n".join(alone), grouped, grouped, grouped.replace("site 1", "site 2"), *parted):
        table.write_text(text, encoding="utf-8")
        tiny.chain(end="source")
        train.main(["1"])
        keys.append(tracked_key())
    assert keys[1] == keys[2]
    assert len(set(keys)) == 5


def test_the_doctor_and_the_stage_say_what_the_table_names(sites, capsys):
    said = CliRunner().invoke(orbweaver, ["doctor"]).stdout
    assert "  groups: 6 groups of 9 images, named in metadata.csv" in said
    assert "  note: the classes are those of the column label in metadata.csv, whatever folders are called" in said
    collect.main()
    assert "collect: 6 groups of 9 images, named in metadata.csv\n" in capsys.readouterr().out
    assert {row.group for row in manifest.read(paths.MANIFEST, Row)} == {f"site {n}" for n in range(SITES)}


def test_a_group_across_given_parts_is_refused_before_anything_is_read(sites, tmp_path):
    table = tmp_path / "photographs/metadata.csv"
    header, *lines = table.read_text(encoding="utf-8").splitlines()
    parted = [f"{line};{'test' if number % EACH == 0 else 'train'}" for number, line in enumerate(lines)]
    table.write_text("\n".join([f"{header};part", *parted]), encoding="utf-8")
    with pytest.raises(InputError) as refused:
        validate.check_and_write()
    assert str(refused.value) == (
        "metadata.csv: the group 'site 0' is in train and test (and 5 more groups); put it into one part, or leave its "
        "images out of the earlier, -S defaults.data.on_leak=drop, or let them be, -S defaults.data.on_leak=allow"
    )
    tiny.write(sites | {"defaults": sites["defaults"] | {"data": sites["defaults"]["data"] | {"on_leak": "allow"}}})
    validate.check_and_write()


def test_copies_may_be_let_be_and_named_groups_stay_together(sites):
    tiny.write(sites | {"defaults": sites["defaults"] | {"data": sites["defaults"]["data"] | {"on_leak": "allow"}}})
    collect.main()
    copies.main()
    split.main(["--repeat", "1"])
    sides = defaultdict(set)
    for one in manifest.read(paths.split_file(1), manifest.Assigned):
        sides[_site(one.path)].add(one.part)
    assert all(len(parts) == 1 for parts in sides.values())


def test_the_advice_divides_as_the_stages_do(sites, monkeypatch, tmp_path):
    collect.main()
    copies.main()
    split.main(["--repeat", "1"])
    trained = {one.path for one in manifest.read(paths.split_file(1), manifest.Assigned) if one.part == "train"}
    alike = {one.path: one.group for one in manifest.read(paths.GROUPS, Alike)}
    with training_part(resolve(check(sites))) as part:
        assert {row.path for row in part.rows} == trained
        together = {(alike[row.path], number) for row, number in zip(part.rows, part.groups.tolist(), strict=True)}
    assert len(together) == len({group for group, _ in together}) == 4
