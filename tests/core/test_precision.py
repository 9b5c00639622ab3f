from collections.abc import Callable

import pytest
import torch

from pipeline.core.precision import Precision, autocast, in_force, set_float32

GPU, CPU = torch.device("cuda"), torch.device("cpu")
EVERYWHERE = ("products", "convolutions", "recurrent")


@pytest.mark.parametrize(("precision", "float32_is"), [("fp32", "ieee"), ("tf32", "tf32"), ("bf16", "ieee")])
def test_a_precision_says_what_float32_is_on_cuda_and_leaves_the_cpu_alone(
    precision: Precision, float32_is: str, float32: Callable[[], dict[str, str]]
) -> None:
    set_float32("fp32" if float32_is == "tf32" else "tf32")
    cpu = torch.backends.mkldnn
    before = [cpu.matmul.fp32_precision, cpu.conv.fp32_precision]
    set_float32(precision)
    assert float32() == dict.fromkeys(EVERYWHERE, float32_is)
    assert [cpu.matmul.fp32_precision, cpu.conv.fp32_precision] == before
    # torch.export reads these, and torch refuses to tell them where both of its interfaces disagree.
    assert [torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32] == [float32_is == "tf32"] * 2


@pytest.mark.parametrize(
    ("capability", "held"), [((7, 5), "fp32"), ((8, 0), "tf32"), ((9, 0), "tf32"), ((12, 0), "tf32")]
)
def test_tf32_holds_on_a_gpu_that_has_it(
    capability: tuple[int, int], held: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert in_force("tf32", GPU) == held
    assert [in_force(asked, GPU) for asked in ("fp32", "bf16")] == ["fp32", "bf16"]


def test_tf32_is_fp32_on_a_gpu_of_another_maker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 4))
    monkeypatch.setattr(torch.version, "hip", "7.0")
    assert in_force("tf32", GPU) == "fp32"


@pytest.mark.parametrize("device", [CPU, torch.device("mps")])
def test_elsewhere_tf32_is_fp32(device: torch.device) -> None:
    assert [in_force(asked, device) for asked in ("fp32", "tf32", "bf16")] == ["fp32", "fp32", "bf16"]


def test_only_bf16_computes_in_another_type() -> None:
    types = []
    for precision in ("fp32", "tf32", "bf16"):
        with autocast(precision, "cpu"):
            types.append((torch.ones(2, 2) @ torch.ones(2, 2)).dtype)
    assert types == [torch.float32, torch.float32, torch.bfloat16]


def test_no_other_name_is_a_precision() -> None:
    with pytest.raises(KeyError):
        autocast("half", "cpu")
