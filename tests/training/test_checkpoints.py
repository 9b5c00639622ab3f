import contextlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pipeline.core.errors import InputError
from pipeline.training import checkpoints

VALUES = {"b.weight": torch.arange(6.0).view(2, 3), "a.count": torch.tensor(3)}


class RunsCode:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('code was run')",))


def test_what_is_saved_is_read_again_and_equal_values_give_equal_bytes(tmp_path: Path) -> None:
    for name, values in {"one": VALUES, "two": dict(reversed(VALUES.items()))}.items():
        checkpoints.save(values, tmp_path / f"{name}.safetensors")
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()
    read = checkpoints.read(tmp_path / "one.safetensors")
    assert {name: value.tolist() for name, value in read.items()} == {n: v.tolist() for n, v in VALUES.items()}


def test_others_may_read_what_is_saved_as_they_may_any_other_file(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    checkpoints.save(VALUES, tmp_path / "w.safetensors")
    assert (tmp_path / "w.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_half_precision_is_cast_and_whole_numbers_are_left(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"w{suffix}"
    half = {"b.weight": VALUES["b.weight"].half(), "a.count": VALUES["a.count"]}
    save_file(half, file) if suffix == ".safetensors" else torch.save(half, file)
    read = checkpoints.read(file)
    assert read["b.weight"].dtype == torch.float32
    assert read["a.count"].dtype == torch.int64


@pytest.mark.parametrize("wrapper", ["state_dict", "model"])
def test_wrapped_and_prefixed_weights_are_unwrapped(tmp_path: Path, wrapper: str) -> None:
    torch.save({"epoch": 3, wrapper: {f"module.{n}": v for n, v in VALUES.items()}}, tmp_path / "w.pth")
    assert checkpoints.read(tmp_path / "w.pth").keys() == VALUES.keys()


def test_a_pickle_that_would_run_code_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({"b.weight": RunsCode()}, tmp_path / "new.pth")
    (tmp_path / "old.pth").write_bytes(pickle.dumps({"b.weight": RunsCode()}))
    (tmp_path / "older.pth").write_bytes(pickle.dumps({"b.weight": RunsCode()}, protocol=2))
    for name in ("new.pth", "older.pth"):
        with pytest.raises(InputError, match=r"holds more than plain tensors, which could run code"):
            checkpoints.read(tmp_path / name)
    with pytest.raises(InputError, match=r"not a whole PyTorch file of plain tensors"):
        checkpoints.read(tmp_path / "old.pth")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.5, 0.98])
def test_a_file_that_was_cut_short_is_refused(tmp_path: Path, suffix: str, fraction: float) -> None:
    file = tmp_path / f"w{suffix}"
    values = {"w": torch.zeros(1000)}
    save_file(values, file) if suffix == ".safetensors" else torch.save(values, file)
    file.write_bytes(file.read_bytes()[: int(fraction * file.stat().st_size)])
    with pytest.raises(InputError, match=r"not a whole (safetensors|PyTorch) file"):
        checkpoints.read(file)


@pytest.mark.parametrize("fraction", [0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98])
def test_a_file_of_the_older_format_that_was_cut_short_is_refused(tmp_path: Path, fraction: float) -> None:
    file = tmp_path / "w.pth"
    torch.save({f"layer{n}.weight": torch.zeros(9) for n in range(40)}, file, _use_new_zipfile_serialization=False)
    file.write_bytes(file.read_bytes()[: int(fraction * file.stat().st_size)])
    with pytest.raises(InputError, match=r"w\.pth: not a whole PyTorch file"):
        checkpoints.read(file)


def test_flipped_bits_in_a_file_of_the_older_format_never_end_in_a_traceback(tmp_path: Path) -> None:
    file = tmp_path / "w.pth"
    torch.save({f"layer{n}.weight": torch.zeros(9) for n in range(10)}, file, _use_new_zipfile_serialization=False)
    whole, numbers = file.read_bytes(), np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[numbers.integers(0, len(whole))] ^= 1 << numbers.integers(0, 8)
        file.write_bytes(damaged)
        with contextlib.suppress(InputError):
            checkpoints.read(file)
            refused -= 1
        refused += 1
    assert refused > 30


def test_a_page_saved_as_weights_is_not_called_dangerous(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_text("<html>404</html>", encoding="utf-8")
    with pytest.raises(InputError, match=r"w\.pth: not a whole PyTorch file"):
        checkpoints.read(tmp_path / "w.pth")


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(InputError, match="a mapping of names to tensors is needed; save the network's state_dict"):
        checkpoints.read(tmp_path / "list.pth")
    (tmp_path / "text.safetensors").write_text("no weights at all, but text", encoding="utf-8")
    with pytest.raises(InputError, match="not a whole safetensors file"):
        checkpoints.read(tmp_path / "text.safetensors")


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    save_file({"w": torch.tensor([1.0, float("nan")])}, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="1 tensors hold values that are not finite, the first is w"):
        checkpoints.read(tmp_path / "w.safetensors")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"weights_file: '.*gone\.pth' is not a file"):
        checkpoints.read(tmp_path / "gone.pth")
