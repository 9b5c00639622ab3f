"""A cut of `make faults`, which kills and fills at many more moments."""

import random
import sys
from pathlib import Path

import clones
import finished_clones
import pytest
from finished_clones import Shared

sys.path.append(str(Path(__file__).parent))
import experiments
import flips
import full_disk
import killing

pytestmark = pytest.mark.slow


def test_a_training_that_is_killed_or_asked_to_stop_ends_as_an_undisturbed_one(shared: Shared, tmp_path: Path) -> None:
    clone = clones.copied(finished_clones.real(shared)[0], tmp_path)
    # It has all that a plain one has; `make faults` takes turns.
    killing.prepare(clone, "spa_gca")
    training = killing.undisturbed(clone)
    for seed, trial in enumerate(killing.TRIALS.values()):
        trial(clone, training, random.Random(seed))


def test_a_wrong_byte_anywhere_is_named(tmp_path: Path) -> None:
    chance = random.Random(0)
    with flips.finished(tmp_path) as cases:
        for kind in chance.sample(cases, 5):
            flips.flipped(kind, chance)


def test_edits_that_a_kill_and_another_run_left_in_gits_stash_come_back(tmp_path: Path) -> None:
    edited = experiments.prepare(tmp_path, timed=())
    experiments.run_cut_and_another_run(edited)
    experiments.run_killed_and_another_run(edited, random.Random(0))


def test_a_full_disk_is_told_in_a_line_and_costs_nothing(shared: Shared, tmp_path: Path) -> None:
    chance = random.Random(0)
    try:
        with full_disk.small_disk(tmp_path) as disk:
            prepared = full_disk.prepare(finished_clones.real(shared)[0], disk)
            told = [full_disk.filled(prepared, stage, chance) for stage in ("source", "train", "evaluate", "report")]
    except PermissionError as error:
        pytest.skip(f"a full disk is not tried: {error}")
    assert any("error:" in one for one in told)
