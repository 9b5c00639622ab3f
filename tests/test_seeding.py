import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pipeline import seeding
from pipeline.errors import InputError


def test_seeds_of_different_purposes_and_repeats_are_all_different() -> None:
    seeds = {seeding.derive(purpose, number) for purpose in ("order", "network") for number in range(100)}
    assert len(seeds) == 200
    assert all(0 <= seed < seeding.SEEDS for seed in seeds)


def test_parts_that_read_the_same_side_by_side_give_seeds_of_their_own() -> None:
    assert seeding.derive("augmentation", 1, 11) != seeding.derive("augmentation", 11, 1)


def test_making_exact_sets_determinism_and_threads_and_says_how_many() -> None:
    code = (
        "import torch; from pipeline import seeding; n = seeding.make_exact(threads=1, device='cpu');"
        "print(n, torch.get_num_threads(), torch.are_deterministic_algorithms_enabled());"
        "print(torch.backends.cudnn.benchmark)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1]
    )
    assert done.stdout.split() == ["1", "1", "True", "False"]


def test_a_device_that_is_not_here_is_refused_with_what_is() -> None:
    if torch.cuda.is_available():
        pytest.skip("a CUDA device is here, so its absence cannot be shown")
    with pytest.raises(InputError, match=r"device: 'cuda:1' is not on this machine; here: .*cpu"):
        seeding.choose_device("cuda:1")
    assert seeding.choose_device("auto") in ("cpu", "mps")
    assert seeding.choose_device("cpu") == "cpu"
