import json
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny

from pipeline.core import digests, paths
from pipeline.core.errors import InputError
from pipeline.core.types import PerClass
from pipeline.datasets.collect.sets import SETS
from pipeline.datasets.prepared import manifest
from pipeline.datasets.prepared.groups import grouped
from pipeline.datasets.prepared.manifest import Alike, Assigned, Pair, Row
from pipeline.datasets.prepared.splits import split
from pipeline.stages.split import main

ROWS = [Row(f"{label}/{n:02}", label, "", 1, f"{label}{n}", 1, 1, "RGB", "") for label in "ab" for n in range(20)]


def _params(data: str = "synthetic", on_leak: str = "refuse", duplicates: str = "refuse", **changes: Any) -> None:
    split = {"test": 0.25, "val": 0.2, "seed": 5, "per_class": "auto"} | changes
    tiny.write_params({"data.split": split, "data.on_leak": on_leak, "data.duplicates": duplicates}, data=data)


def _described(*, published: bool = False, own: bool = False) -> None:
    """What `collect` says of a set: one of which nothing is published, or one with numbers of images."""
    told = {"counts": {"images": 0, "train": 0, "test": 0}, "printed": {}} if published else None
    paths.DATASET.write_text(json.dumps({"published": told, "own": own}), encoding="utf-8")
    digests.seal(paths.COLLECTED)


def _copies(*pairs: Pair) -> None:
    """What `copies` says of the set."""
    manifest.write(paths.PAIRS, Pair, pairs)
    manifest.write(paths.GROUPS, Alike, grouped(pairs))
    digests.seal(paths.COPIES)


def _pair(path: str, of: str, found: str = "features", confirmed: str = "yes") -> Pair:
    return Pair(path, of, found, confirmed, "no", 50, 97, 80)


@pytest.fixture
def drawn(monkeypatch):
    """The name of a set of which its paper draws 6 images a class for training, 4 for test and 3 for validation."""
    row = replace(SETS["digits"], per_class=PerClass(train=6, test=4, val=3))
    monkeypatch.setitem(SETS, "digits", row)
    return "digits"


def _parts() -> Counter[str]:
    return Counter(image.part for image in manifest.read(paths.split_file(1), Assigned))


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _params()
    paths.COLLECTED.mkdir(parents=True)
    manifest.write(paths.MANIFEST, Row, ROWS)
    _described()
    paths.COPIES.mkdir(parents=True)
    _copies()


def test_the_split_follows_the_parameters_and_the_repeat():
    main(["3"])
    assigned = manifest.read(Path("data/split/3.csv"), Assigned)
    assert assigned == split(ROWS, test=0.25, val=0.2, seed=5, repeat=3)
    assert Counter(entry.part for entry in assigned) == {"test": 10, "val": 6, "train": 24}


def test_each_repeat_has_its_own_file():
    main(["1"])
    main(["2"])
    assert paths.split_file(1).read_bytes() != paths.split_file(2).read_bytes()


@pytest.mark.parametrize("arguments", [[], ["one"], ["1", "2"], ["-1"], ["1.0"]])
def test_another_argument_than_a_repeat_is_refused(arguments):
    with pytest.raises(InputError, match=r"^repeats: '.*' is not the number of a repeat; give a whole number"):
        main(arguments)


def test_a_missing_manifest_names_what_makes_it():
    paths.MANIFEST.unlink()
    with pytest.raises(InputError, match=r"^data/collected/manifest.csv: no such file; `dvc repro` makes it$"):
        main(["1"])
    assert not Path("data/split").exists()


def test_auto_draws_of_each_class_what_the_sets_paper_does(drawn):
    _params(drawn)
    main(["1"])
    assert _parts() == {"train": 12, "test": 8, "val": 6}


def test_none_takes_all_images_also_of_a_set_of_which_a_paper_draws(drawn):
    _params(drawn, per_class="none")
    main(["1"])
    assert _parts() == {"test": 10, "val": 6, "train": 24}


def test_what_is_said_is_drawn_whatever_is_published(drawn):
    for data in (drawn, "synthetic"):
        _params(data, per_class={"train": 5, "test": 2, "val": 1})
        main(["1"])
        assert _parts() == {"train": 10, "test": 4, "val": 2}


def test_without_a_drawn_validation_part_it_is_carved_out_of_the_drawn_training_images():
    _params(per_class={"train": 10, "test": 5, "val": 0})
    main(["1"])
    assert _parts() == {"train": 16, "val": 4, "test": 10}


def test_what_is_drawn_varies_with_the_repeat():
    _params(per_class={"train": 5, "test": 2, "val": 0})
    main(["1"])
    main(["2"])
    assert paths.split_file(1).read_bytes() != paths.split_file(2).read_bytes()


def test_a_class_that_is_too_small_is_refused_in_one_line_and_nothing_is_written():
    _params(per_class={"train": 15, "test": 5, "val": 1})
    with pytest.raises(InputError) as caught:
        main(["1"])
    assert str(caught.value) == (
        "class 'a': 20 images (20 different) do not give 5 for test + 1 for val + 15 for train "
        "with copies kept together; lower split.per_class"
    )
    assert not Path("data/split").exists()


@pytest.mark.parametrize("part", ["train", "test"])
def test_nothing_for_training_or_test_is_refused_where_a_set_has_no_such_part(part):
    _params(per_class={"train": 5, "test": 5, "val": 0} | {part: 0})
    with pytest.raises(InputError, match=rf"^split.per_class.{part}: 0, and this set has no such part of its own; "):
        main(["1"])


def test_a_set_of_the_users_own_has_nothing_to_be_told_beside(capsys):
    main(["1"])
    assert capsys.readouterr().out == ""


def test_the_parts_of_a_published_set_are_told(drawn, capsys):
    _params(drawn)
    _described(published=True)
    main(["1"])
    assert capsys.readouterr().out == "split: 12 train + 6 val + 8 test\n"


def test_near_duplicates_stay_together_unless_they_are_let_be():
    together = {row.path for row in ROWS[:10]}
    _copies(*(_pair(row.path, ROWS[0].path) for row in ROWS[1:10]))
    held = {}
    for choice in ("refuse", "allow"):
        _params(on_leak=choice)
        main(["1"])
        held[choice] = len(
            {image.part for image in manifest.read(paths.split_file(1), Assigned) if image.path in together}
        )
    assert held == {"refuse": 1, "allow": 3}


def test_what_is_alike_but_not_confirmed_stays_together_and_stops_nothing():
    _described(own=True)
    _copies(_pair(ROWS[0].path, ROWS[20].path, confirmed="no"))
    parts = set()
    for repeat in range(8):
        main([str(repeat)])
        part = {image.path: image.part for image in manifest.read(paths.split_file(repeat), Assigned)}
        parts |= {(part[ROWS[0].path], part[ROWS[20].path])}
    assert all(one == other for one, other in parts)
    assert len(parts) > 1


@pytest.mark.parametrize(
    ("own", "choice", "refused"), [(True, "refuse", True), (True, "allow", False), (False, "refuse", False)]
)
def test_confirmed_copies_in_two_classes_of_ones_own_set_are_refused(own, choice, refused):
    _params(duplicates=choice)
    _described(own=own)
    _copies(_pair(ROWS[20].path, ROWS[0].path))
    with (
        pytest.raises(InputError, match=r"^'a/00' and 'b/00' are copies of one photograph")
        if refused
        else nullcontext()
    ):
        main(["1"])
    assert paths.split_file(1).exists() != refused
