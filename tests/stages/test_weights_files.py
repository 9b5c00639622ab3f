"""Files of weights that are none: each is refused in one line with the file, the tensor, what it is and the way out."""

import json
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from refusals import note
from safetensors.torch import save_file
from torch import Tensor, nn

from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.core.source_record import SourceRecord
from pipeline.stages import source
from pipeline.training import checkpoints

NAME = "layer1.0.conv1.weight"
WAY_OUT = "a network's state_dict of floating-point tensors is needed: save it again, or name another file"
BACKBONE = "name their own backbone or others"
Values = dict[str, Tensor]


class Own(Tensor):
    """A tensor of another class."""


@pytest.fixture(scope="module")
def whole() -> Values:
    torch.manual_seed(3)
    return dict(tiny.resnet().state_dict())


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, narrow: None) -> Path:
    return tiny.enter(tmp_path / "project", monkeypatch)


def put_header(file: Path, header: Mapping[str, Any], content: bytes = b"") -> None:
    """Write a safetensors file byte by byte, as no library writes it."""
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + content)


def with_one(change: Callable[[Tensor], Tensor]) -> Callable[[Values], Values]:
    """Return what changes one tensor of the whole."""
    return lambda whole: whole | {NAME: change(whole[NAME])}


def cast(dtype: torch.dtype) -> Callable[[Values], Values]:
    return with_one(lambda value: value.to(dtype))


def without_values(whole: Values) -> Values:
    return whole | {"layer1.0.bn1.weight": torch.zeros(0)}


def not_finite(value: float) -> Callable[[Values], Values]:
    return with_one(lambda tensor: torch.full_like(tensor, value))


def of_large_doubles(value: Tensor) -> Tensor:
    return torch.full(value.shape, 1e300, dtype=torch.float64)


# What is put into a file, and what is said of it. Both formats have these.
BOTH: dict[str, tuple[Callable[[Values], Values], str]] = {
    "no tensor": (lambda whole: {}, f"holds no tensor; {WAY_OUT}"),
    "only a classifier": (
        lambda whole: {name: whole[name] for name in ("fc.weight", "fc.bias")},
        rf"not the values of this backbone; \d+ missing: .*; {BACKBONE}",
    ),
    "other names": (
        lambda whole: {f"net.{name}": value for name, value in whole.items()},
        rf"not the values of this backbone; \d+ missing: .*; \d+ surplus: net\.bn1\.bias, .*; {BACKBONE}",
    ),
    "one name missing": (
        lambda whole: {name: value for name, value in whole.items() if name != NAME},
        rf"not the values of this backbone; 1 missing: {NAME}; {BACKBONE}",
    ),
    "one name more": (
        lambda whole: whole | {"layer9.weight": torch.ones(2)},
        rf"not the values of this backbone; 1 surplus: layer9\.weight; {BACKBONE}",
    ),
    "another shape": (
        with_one(lambda value: value[:, :3].contiguous()),
        rf"not the values of this backbone; 1 of another shape: {NAME} \(16, 3, 3, 3\) for \(16, 16, .*; {BACKBONE}",
    ),
    "no dimension": (
        with_one(lambda value: torch.tensor(1.0)),
        rf"not the values of this backbone; 1 of another shape: {NAME} \(\) for .*; {BACKBONE}",
    ),
    "complex": (cast(torch.complex64), rf"tensor {NAME} is complex \(complex64\); {WAY_OUT}"),
    "float8": (cast(torch.float8_e4m3fn), rf"tensor {NAME} is of float8_e4m3fn; {WAY_OUT}"),
    "another float8": (cast(torch.float8_e5m2), rf"tensor {NAME} is of float8_e5m2; {WAY_OUT}"),
    "a scale of float8": (cast(torch.float8_e8m0fnu), rf"tensor {NAME} is of float8_e8m0fnu; {WAY_OUT}"),
    "bool": (cast(torch.bool), rf"tensor {NAME} is of bool; {WAY_OUT}"),
    "uint16": (cast(torch.uint16), rf"tensor {NAME} is of uint16; {WAY_OUT}"),
    "int8": (cast(torch.int8), rf"not the values of this backbone; 1 of whole numbers: {NAME} int8; {BACKBONE}"),
    "int64": (cast(torch.int64), rf"not the values of this backbone; 1 of whole numbers: {NAME} int64; {BACKBONE}"),
    "empty": (without_values, rf"tensor layer1\.0\.bn1\.weight is empty, \(0,\); {WAY_OUT}"),
    "NaN": (not_finite(float("nan")), rf"1 tensors hold values that are not finite, the first is {NAME}; {WAY_OUT}"),
    "infinite": (not_finite(-float("inf")), rf"1 tensors hold values that are not finite, the first is {NAME};"),
    "too large": (with_one(of_large_doubles), rf"1 tensors hold values that are not finite, the first is {NAME};"),
    "twice": (
        lambda whole: whole | {f"module.{NAME}": whole[NAME].clone()},
        rf"holds {NAME} both with and without module\. in front; {WAY_OUT}",
    ),
}
NO_PLAIN = "holds more than plain tensors, which could run code; save its state_dict as .safetensors"
# What PyTorch's format has besides.
PYTORCH: dict[str, tuple[Callable[[Values], Any], str]] = {
    "sparse": (with_one(lambda value: value.to_sparse()), rf"tensor {NAME} is sparse \(sparse_coo\); {WAY_OUT}"),
    "sparse rows": (
        with_one(lambda value: value.flatten(1).to_sparse_csr()),
        rf"tensor {NAME} is sparse \(sparse_csr\); {WAY_OUT}",
    ),
    "meta": (
        with_one(lambda value: value.to("meta")),
        rf"tensor {NAME} is without values \(of the device meta\); {WAY_OUT}",
    ),
    "quantized": (
        with_one(lambda value: torch.quantize_per_tensor(value, 0.1, 0, torch.qint8)),
        rf"tensor {NAME} is quantized \(qint8\); {WAY_OUT}",
    ),
    "quantized by channel": (
        with_one(lambda value: torch.quantize_per_channel(value, torch.ones(16), torch.zeros(16), 0, torch.quint8)),
        rf"tensor {NAME} is quantized \(quint8\); {WAY_OUT}",
    ),
    "expanded": (
        with_one(lambda value: value[:1].expand(16, 16, 3, 3)),
        rf"tensor {NAME} is expanded: its 2,304 values \(16, 16, 3, 3\) are fewer, repeated; {WAY_OUT}",
    ),
    "shared": (
        lambda whole: whole | {"layer1.1.conv1.weight": whole[NAME]},
        rf"tensors {NAME} and layer1\.1\.conv1\.weight share memory; {WAY_OUT}",
    ),
    "overlapping": (
        lambda whole: whole | dict(zip((NAME, "layer1.1.conv1.weight"), overlapping(), strict=True)),
        rf"tensors {NAME} and layer1\.1\.conv1\.weight share memory; {WAY_OUT}",
    ),
    "float4": (
        with_one(lambda value: torch.empty(16, 16, 3, 3, dtype=torch.float4_e2m1fn_x2)),
        rf"tensor {NAME} is of float4_e2m1fn_x2; {WAY_OUT}",
    ),
    "nested": (with_one(lambda value: torch.nested.nested_tensor([value[0], value[1]])), NO_PLAIN),
    "of another class": (with_one(lambda value: value.as_subclass(Own)), NO_PLAIN),
    "a parameter to be": (lambda whole: whole | {NAME: nn.UninitializedParameter()}, NO_PLAIN),
    "a whole network": (lambda whole: nn.Linear(2, 2), NO_PLAIN),
    "a number": (lambda whole: whole | {NAME: 3.0}, "a mapping of names to tensors is needed"),
    "a list": (lambda whole: list(whole.values()), "a mapping of names to tensors is needed"),
    "an empty wrapper": (lambda whole: {"state_dict": {}}, f"holds no tensor; {WAY_OUT}"),
    "no mapping": (lambda whole: None, "a mapping of names to tensors is needed"),
}


def overlapping() -> tuple[Tensor, Tensor]:
    """Two of the shape of that tensor which have half of their values in common."""
    size = 16 * 16 * 9
    both = torch.randn(size + size // 2)
    return both[:size].view(16, 16, 3, 3), both[size // 2 :].view(16, 16, 3, 3)


# What no library writes: the header as text, and what follows it.
SAFETENSORS: dict[str, tuple[Callable[[Path], None], str]] = {
    "nothing": (lambda file: file.write_bytes(b""), "not a whole safetensors file"),
    "zeros": (lambda file: file.write_bytes(bytes(64)), "not a whole safetensors file"),
    "a page": (lambda file: file.write_text("<html>404</html>", encoding="utf-8"), "not a whole safetensors file"),
    "a large header": (lambda file: file.write_bytes(struct.pack("<Q", 2**62) + b"{}"), "not a whole safetensors file"),
    "text alone": (lambda file: put_header(file, {"__metadata__": {"format": "pt"}}), f"holds no tensor; {WAY_OUT}"),
    "an unknown type": (
        lambda file: put_header(file, {NAME: {"dtype": "F6_E2M3", "shape": [4], "data_offsets": [0, 3]}}, bytes(3)),
        "not a whole safetensors file",
    ),
    "a hole": (
        lambda file: put_header(file, {NAME: {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, bytes(8)),
        "not a whole safetensors file",
    ),
    "beyond the end": (
        lambda file: put_header(file, {NAME: {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}}, bytes(4)),
        "not a whole safetensors file",
    ),
    "half a float4": (
        lambda file: put_header(file, {NAME: {"dtype": "F4", "shape": [4, 2], "data_offsets": [0, 4]}}, bytes(4)),
        rf"tensor {NAME} is of float4_e2m1fn_x2; {WAY_OUT}",
    ),
}


def refused(file: Path, message: str) -> None:
    """The stage refuses the file in one line that begins with its name, and writes nothing."""
    tiny.write_params(weights="file", weights_file=str(file))
    with pytest.raises(InputError, match=rf"^(file )?\S*{file.name}: {message}") as caught:
        source.main()
    assert "\n" not in str(caught.value)
    note(str(caught.value))
    assert not list(Path.cwd().rglob("*source*"))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("name", BOTH)
def test_values_that_no_network_starts_from_are_refused(name: str, suffix: str, tmp_path: Path, whole: Values) -> None:
    make, message = BOTH[name]
    file = tmp_path / f"w{suffix}"
    save_file(make(whole), file) if suffix == ".safetensors" else torch.save(make(whole), file)
    refused(file, message)


@pytest.mark.parametrize("name", PYTORCH)
@pytest.mark.filterwarnings("ignore")
def test_what_pytorchs_format_has_besides_is_refused(name: str, tmp_path: Path, whole: Values) -> None:
    make, message = PYTORCH[name]
    torch.save(make(whole), tmp_path / "w.pth")
    refused(tmp_path / "w.pth", message)


@pytest.mark.parametrize("name", SAFETENSORS)
def test_a_safetensors_file_that_no_library_writes_is_refused(name: str, tmp_path: Path) -> None:
    make, message = SAFETENSORS[name]
    make(tmp_path / "w.safetensors")
    refused(tmp_path / "w.safetensors", message)


def test_a_pth_file_without_its_values_is_refused(tmp_path: Path, whole: Values) -> None:
    torch.save(whole, tmp_path / "whole.pth")
    with zipfile.ZipFile(tmp_path / "whole.pth") as old, zipfile.ZipFile(tmp_path / "w.pth", "w") as new:
        for entry in old.infolist():
            if "/data/" not in entry.filename:
                new.writestr(entry, old.read(entry))
    refused(tmp_path / "w.pth", "not a whole PyTorch file of plain tensors")


def test_what_is_unusual_and_means_the_same_is_taken(tmp_path: Path, whole: Values) -> None:
    """Parameters, doubles, columns first, slices of one memory, a sign that is only noted, and no counts of batches."""
    values = {name: value for name, value in whole.items() if not name.endswith("num_batches_tracked")}
    memory = torch.cat([values["bn1.weight"], values["bn1.bias"]])
    values |= {"bn1.weight": memory[:16], "bn1.bias": memory[16:]}
    values["conv1.weight"] = nn.Parameter(values["conv1.weight"].double())
    values[NAME] = values[NAME].to(memory_format=torch.channels_last)
    negative = torch.complex(torch.zeros(16), -values["layer1.0.bn1.weight"]).conj().imag
    assert negative.is_neg()
    torch.save({"state_dict": values | {"layer1.0.bn1.weight": negative}}, tmp_path / "w.pth")
    tiny.write_params(weights="file", weights_file=str(tmp_path / "w.pth"))
    source.main()
    stored = checkpoints.read(paths.SOURCE_WEIGHTS)
    assert all(torch.equal(stored[name], values[name].float()) for name in stored)
    assert {name for name in values if not name.startswith("fc.")} == stored.keys()


@pytest.mark.parametrize("kind", ["file", "none"])
def test_what_was_asked_for_decides_and_not_what_came(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that gives nothing where weights were asked for is refused; none are none."""
    from pipeline.pretrained import weights

    empty = weights.Pretrained({}, f"nothing for {kind}")
    monkeypatch.setitem(weights.ORIGINS, kind, lambda recipe, file: empty)
    tiny.write_params(weights=kind)
    if kind == "file":
        with pytest.raises(InputError, match=r"^nothing for file: not the values of this backbone; \d+ missing: "):
            source.main()
        assert not paths.SOURCE.exists()
    else:
        source.main()
        found = SourceRecord.parse(paths.SOURCE_RECORD.read_bytes(), paths.SOURCE_RECORD)
        assert found.weights.sha256 == ""
