"""What a record says of the device, and of the precision that held there."""

from collections.abc import Mapping
from typing import Any

import pytest
import tiny
import torch

from pipeline.assembly import channel_weights, networks
from pipeline.assembly.loss_terms import loss_terms
from pipeline.assembly.machine import Machine, machine
from pipeline.assembly.run_record import run_record
from pipeline.core import paths, seeding
from pipeline.core.precision import Precision
from pipeline.core.recipe import Recipe
from pipeline.core.records import Record, Runtime
from pipeline.datasets.prepared.packed import Packed
from pipeline.networks.network import Network
from pipeline.stages import train
from pipeline.training import checkpoints

pytestmark = pytest.mark.usefixtures("project")
GPU = torch.device("cuda")


def record() -> Record:
    file = paths.training_metrics(1) / "record.json"
    return Record.parse(file.read_bytes(), file)


def initial() -> Network:
    return networks.initial(Recipe.read(), classes=3, repeat=1)


def on_gpu(model: str, patch: pytest.MonkeyPatch, *, precision: Precision = "tf32") -> Record:
    """The record of a training on a GPU of this model, as far as it can be made without one."""
    patch.setattr(torch.cuda, "get_device_name", lambda device: model)
    data = Packed.open(paths.PACKED)
    on = Machine(GPU, 1, precision)
    return run_record(Recipe.read(), data, train.read_parts(data, repeat=1), initial(), on=on, repeat=1)


def test_on_the_cpu_tf32_trains_the_very_same_network_as_fp32_and_the_record_says_fp32() -> None:
    ends = []
    for asked in ("fp32", "tf32"):
        tiny.write_params({"train.precision": asked})
        train.main(["1"])
        assert (record().recipe.train.precision, record().precision) == (asked, "fp32")
        ends.append(checkpoints.read(paths.trained(1) / "weights.safetensors"))
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())


def test_on_the_cpu_bf16_trains_another_network_and_the_record_says_so() -> None:
    train.main(["1"])
    before = checkpoints.read(paths.trained(1) / "weights.safetensors")
    tiny.write_params({"train.precision": "bf16"})
    train.main(["1"])
    after = checkpoints.read(paths.trained(1) / "weights.safetensors")
    assert record().precision == "bf16"
    assert not all(torch.equal(value, after[name]) for name, value in before.items())


def test_the_name_of_a_cpu_is_in_the_run_time_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for name in ("A CPU, 2 cores", "Another CPU, 2 cores"):
        monkeypatch.setattr("pipeline.core.provenance.processor", lambda name=name: name)
        train.main(["1"])
        assert Runtime.parse(paths.runtime_file(1).read_bytes(), paths.runtime_file(1)).device_name == name
        found.append(record())
    assert found[0] == found[1]
    assert found[0].device_model == ""


def test_the_record_has_the_instructions_of_a_cpu_which_make_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    own = torch.backends.cpu.get_cpu_capability()
    keys = []
    for name in (own, "OTHER"):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda name=name: name)
        train.main(["1"])
        runtime = Runtime.parse(paths.runtime_file(1).read_bytes(), paths.runtime_file(1))
        assert runtime.cpu_instructions == record().cpu_instructions == name.lower()
        keys.append(record().key)
    assert keys[0] != keys[1]


def test_two_models_of_gpu_have_two_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = on_gpu("NVIDIA H100", monkeypatch), on_gpu("NVIDIA GeForce RTX 2080 Ti", monkeypatch)
    assert (one.device, one.device_model, one.cpu_instructions) == ("cuda", "NVIDIA H100", "")
    assert other.device_model == "NVIDIA GeForce RTX 2080 Ti"
    assert one.key != other.key
    assert on_gpu("NVIDIA H100", monkeypatch).key == one.key


@pytest.mark.parametrize(("capability", "held"), [((7, 5), "fp32"), ((8, 0), "tf32")])
def test_a_stage_sets_and_records_the_precision_that_its_gpu_has(
    capability: tuple[int, int], held: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(seeding, "choose_device", lambda name: "cuda")
    monkeypatch.setattr(seeding, "make_exact", lambda **given: asked.update(given) or 2)
    assert machine(Recipe.read()) == Machine(GPU, 2, held, "")
    assert asked["precision"] == held
    assert on_gpu("NVIDIA", monkeypatch, precision=held).precision == held


def test_channel_weights_of_another_gpu_or_precision_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.write_params(regularizer="delta")
    keys = []

    def channels(*given: Any, follows_from: Mapping[str, Any], **others: Any) -> dict[str, torch.Tensor]:
        keys.append(seeding.digest(follows_from))
        return {}

    monkeypatch.setattr(channel_weights, "channels", channels)
    for model, precision in (("one", "tf32"), ("other", "tf32"), ("one", "fp32"), ("one", "tf32")):
        found = on_gpu(model, monkeypatch, precision=precision)
        loss_terms(Recipe.read(), initial(), found, data_sha256="d" * 64, eval_examples=lambda: None)
    assert keys[0] == keys[3]
    assert len(set(keys)) == 3
