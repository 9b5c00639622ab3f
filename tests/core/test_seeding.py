import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch

from pipeline.core import seeding
from pipeline.core.errors import InputError


def test_seeds_of_different_purposes_and_repeats_are_all_different() -> None:
    seeds = {seeding.derive(purpose, number) for purpose in ("order", "network") for number in range(100)}
    assert len(seeds) == 200
    assert all(0 <= seed < seeding.SEEDS for seed in seeds)


def test_parts_that_read_the_same_side_by_side_give_seeds_of_their_own() -> None:
    assert seeding.derive("augmentation", 1, 11) != seeding.derive("augmentation", 11, 1)


@pytest.fixture
def inexact(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Torch as it would not do, and as it was in the end."""
    threads, exact = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    torch.use_deterministic_algorithms(False)
    yield
    torch.use_deterministic_algorithms(exact)
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("inexact")
def test_making_exact_sets_determinism_and_threads_and_says_how_many() -> None:
    for threads in (2, 1):
        assert seeding.make_exact(threads=threads, device="cpu", precision="fp32") == threads == torch.get_num_threads()
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.benchmark
    assert not torch.utils.deterministic.fill_uninitialized_memory
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


@pytest.mark.usefixtures("inexact")
def test_auto_keeps_torchs_own_number_of_threads() -> None:
    torch.set_num_threads(2)
    assert seeding.make_exact(threads="auto", device="cpu", precision="fp32") == 2


def test_a_device_that_is_not_here_is_refused_with_what_is() -> None:
    if torch.cuda.is_available():
        pytest.skip("a CUDA device is here, so its absence cannot be shown")
    with pytest.raises(InputError, match=r"device: 'cuda:1' is not on this machine; give auto or one that is: .*cpu"):
        seeding.choose_device("cuda:1")
    assert seeding.choose_device("auto") in ("cpu", "mps")
    assert seeding.choose_device("cpu") == "cpu"


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cuda:-1", "cpu:0", "", "CPU"])
def test_what_is_no_device_is_refused_with_those_that_there_are(name: str) -> None:
    with pytest.raises(InputError, match=f"^device: '{name}': give auto, cpu, cuda, cuda:1 or mps$"):
        seeding.choose_device(name)


@pytest.mark.parametrize(("given", "count"), [({}, "1000"), ({"OMP_WAIT_POLICY": "active"}, None)])
def test_threads_spin_a_little_while_they_wait_unless_the_user_says_otherwise(
    given: dict[str, str], count: str | None
) -> None:
    others = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    found = "import os, pipeline; print(os.environ['OMP_WAIT_POLICY'], os.environ.get('GOMP_SPINCOUNT'))"
    done = subprocess.run([sys.executable, "-c", found], env=others | given, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [given.get("OMP_WAIT_POLICY", "passive"), str(count)]
