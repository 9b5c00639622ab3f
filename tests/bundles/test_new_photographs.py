"""Bundles scored on labeled photographs: those that they were tested on, so that the scores are known."""

import json
import re
import shutil
from pathlib import Path

import pytest
from bundle_files import write
from click.testing import CliRunner
from PIL import Image

from pipeline.assembly import new_photographs
from pipeline.bundles import bundle
from pipeline.commands import orbweaver
from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.datasets.prepared.manifest import Assigned, read


def of_part(part: str, target: Path, count: int | None = None) -> Path:
    """A folder of the first repeat's images of a part, as a user would label them."""
    for one in [one for one in read(paths.split_file(1), Assigned) if one.part == part][:count]:
        file = target / one.label / Path(one.path).name
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(paths.IMAGES / one.path, file)
    return target


def run(*words: object) -> tuple[str, str]:
    done = CliRunner().invoke(orbweaver, ["score", *map(str, words)], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout, done.stderr


def test_the_scores_are_those_of_evaluate_and_a_test_image_is_new(bundled: Path, tmp_path: Path) -> None:
    folder = of_part("test", tmp_path / "new")
    (folder / next(folder.iterdir()).name / "bad.jpg").write_bytes(b"bad")
    printed, remarks = run(bundled, "--photographs", folder, "--json")
    [said] = json.loads(printed)["bundles"]
    tested = json.loads((paths.evaluation(1) / "scores.json").read_text(encoding="utf-8"))
    for name in ("accuracy", "macro_f1", "test_images", "confusion"):
        assert said[name] == tested[name]
    # What cannot be known is null there.
    known = {label: {name: value or 0 for name, value in row.items()} for label, row in said["classes"].items()}
    assert known == tested["classes"]
    assert said["interval"]["low"] <= said["accuracy"] <= said["interval"]["high"]
    assert said["not_new"] == []
    [(file, reason)] = said["unusable"].items()
    assert file.endswith("bad.jpg")
    assert remarks == f"score: {file}: {reason}\n"


def test_photographs_that_a_network_was_trained_on_are_named(bundled: Path, tmp_path: Path) -> None:
    folder = of_part("test", tmp_path / "mixed")
    of_part("train", folder, count=3)
    printed, remarks = run(bundled, "--photographs", folder, "--json")
    [said] = json.loads(printed)["bundles"]
    trained_on = {Path(one.path).name for one in read(paths.split_file(1), Assigned) if one.part == "train"}
    assert len(said["not_new"]) == 3
    assert {Path(file).name for file in said["not_new"]} <= trained_on
    assert f"score: {bundled}: 3 photographs not new to it, such as " in remarks


def test_bundles_are_compared_photograph_by_photograph(bundled: Path, tmp_path: Path) -> None:
    other, several = write(tmp_path / "other", repeat=2), write(tmp_path / "several", "ensemble")
    folder = of_part("test", tmp_path / "new")
    printed, remarks = run(bundled, other, several, "--photographs", folder)
    assert (
        f"score: {several}: averages several networks, and has nothing to tell its training photographs by\n" in remarks
    )
    assert printed.startswith("bundle ")
    assert f"\n{bundled} - {other} " in printed
    assert f"\nclass, by {several} " in printed
    compared = json.loads(run(bundled, other, several, "--photographs", folder, "--json")[0])
    one, two = (bundle["accuracy"] for bundle in compared["bundles"][:2])
    pair = compared["pairs"][0]
    assert pair["difference"] == pytest.approx(one - two)
    images = compared["bundles"][0]["test_images"]
    assert (pair["only_a_right"] - pair["only_b_right"]) / images == pytest.approx(one - two)
    assert len(compared["pairs"]) == 3
    assert pair["holm"] >= pair["p"]


def drawn(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 40)).save(file)


@pytest.mark.parametrize("table", ["", "file_name,group\nowl/1.png,nest\n"])
def test_classes_are_folders_and_groups_are_in_the_table(tmp_path: Path, table: str) -> None:
    for name in ("owl/1.png", "owl/2.png", "jay/1.png", ".DS_Store/x.png"):
        drawn(tmp_path / name)
    if table:
        (tmp_path / "metadata.csv").write_text(table, encoding="utf-8")
    found = [
        (one.file.relative_to(tmp_path).as_posix(), one.label, one.group)
        for one in new_photographs.labeled(tmp_path).photographs
    ]
    group = "nest" if table else ""
    assert found == [("jay/1.png", "jay", ""), ("owl/1.png", "owl", group), ("owl/2.png", "owl", "")]


def test_a_table_may_have_the_labels_and_of_parts_the_test_part_is_taken(tmp_path: Path) -> None:
    for name in ("1.png", "2.png", "3.png"):
        drawn(tmp_path / "flat" / name)
    table = "file_name,label,part\n1.png,owl,train\n2.png,owl,test\n"
    (tmp_path / "flat/metadata.csv").write_text(table, encoding="utf-8")
    (tmp_path / "flat/README.md").touch()
    photographs, left_out = new_photographs.labeled(tmp_path / "flat")
    assert [one.file.name for one in photographs] == ["2.png"]
    assert left_out == ["left out for want of a label or part in metadata.csv: 1, the first '3.png'"]
    for part in ("train", "test"):
        drawn(tmp_path / "parts" / part / "owl" / f"{part}.png")
    assert [one.file.name for one in new_photographs.labeled(tmp_path / "parts").photographs] == ["test.png"]


@pytest.mark.parametrize("table", ["file_name,label\n1.png,owl\n", "file_name,group\nother/owl/1.png,nest\n"])
def test_a_line_of_the_table_without_a_file_is_refused_as_in_training(tmp_path: Path, table: str) -> None:
    drawn(tmp_path / "owl/1.png")
    (tmp_path / "metadata.csv").write_text(table, encoding="utf-8")
    with pytest.raises(InputError, match=r"not among the photographs in .*; give paths relative to that folder, such "):
        new_photographs.labeled(tmp_path)


def test_what_a_table_of_parts_does_not_list_is_left_out_with_a_line(bundled: Path, tmp_path: Path) -> None:
    folder = of_part("test", tmp_path / "new")
    whole = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.*"))
    table = "".join(f"{name},test\n" for name in whole[1:])
    (folder / "metadata.csv").write_text(f"file_name,part\n{table}", encoding="utf-8")
    printed, remarks = run(bundled, "--photographs", folder, "--json")
    assert json.loads(printed)["bundles"][0]["test_images"] == len(whole) - 1
    line = f"score: left out for want of a label or part in metadata.csv: 1, the first {whole[0]!r}\n"
    assert remarks.startswith(line)


NFC, NFD = "B\u00e9b\u00e9", "Be\u0301be\u0301"


@pytest.mark.parametrize(
    ("label", "classes", "expected"),
    [(NFD, [NFC, "owl"], NFC), (NFC, [NFD, "owl"], NFD), (NFD, [NFC, NFD], NFD), (NFC, [NFC, NFD], NFC)],
)
def test_a_class_in_another_unicode_form_is_the_bundles_and_the_exact_spelling_comes_first(
    label: str, classes: list[str], expected: str
) -> None:
    [one] = new_photographs.spelled([new_photographs.Labeled(Path("1.png"), label, "")], classes, Path("new"))
    assert one.label == expected


def test_a_class_that_may_be_two_of_the_bundles_is_refused_with_what_tells_them_apart() -> None:
    mixed = new_photographs.Labeled(Path("1.png"), "B\u00e9be\u0301", "")
    line = (
        r"new: the class 'B\xe9be\u0301' may be each of the bundle's 'B\xe9b\xe9' and 'Be\u0301be\u0301'; rename it to "
        "one of them"
    )
    with pytest.raises(InputError, match=re.escape(line)):
        new_photographs.spelled([mixed], [NFC, NFD], Path("new"))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["here", "--photographs", "nowhere"], "nowhere: no such folder; give one with a folder for each class"),
        (["here", "--photographs", ".", "--device", "tpu"], "--device tpu: give auto, cpu, cuda, cuda:1 or mps"),
        (["here", "here", "--photographs", "."], "here here: one bundle is given twice; give each once"),
    ],
)
def test_what_cannot_be_scored_is_one_line(words: list[str], line: str) -> None:
    with pytest.raises(InputError, match=line):
        CliRunner().invoke(orbweaver, ["score", *words], catch_exceptions=False)


def test_a_class_that_the_network_does_not_know_and_a_folder_without_photographs_are_refused(
    bundled: Path, tmp_path: Path
) -> None:
    drawn(tmp_path / "owl/1.png")
    photographs = new_photographs.labeled(tmp_path).photographs
    with pytest.raises(InputError, match="the class 'owl' is none of the bundle's"):
        new_photographs.spelled(photographs, bundle.load(bundled, device="cpu").description.classes, tmp_path)
    (tmp_path / "empty/owl").mkdir(parents=True)
    with pytest.raises(InputError, match="no labeled photograph; put them into a folder for each class"):
        new_photographs.labeled(tmp_path / "empty")
    folder = of_part("test", tmp_path / "bad", count=1)
    [file] = [file for file in folder.rglob("*") if file.is_file()]
    file.write_bytes(b"")
    with pytest.raises(InputError, match="no photograph can be used, the first is "):
        run(bundled, "--photographs", folder)
