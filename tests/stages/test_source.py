"""Pre-trained weights of a narrow network from a file and from an address: a server on this machine."""

import dataclasses
import functools
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny
import torch
import torchvision
from safetensors.torch import save_file
from serving import Answer, serving

from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.core.source_record import SourceRecord
from pipeline.datasets.download import fetching, transfer
from pipeline.networks.backbones.table import BACKBONES, backbone
from pipeline.networks.weights import WEIGHTS
from pipeline.pretrained import weights
from pipeline.stages import source
from pipeline.training import checkpoints


@pytest.fixture(scope="module")
def values() -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    return dict(tiny.resnet().state_dict())


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, narrow: None) -> Path:
    root = tiny.enter(tmp_path / "project", monkeypatch)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    return root


def described() -> dict[str, str]:
    """What is recorded of the weights, and of the file that they are from."""
    found = SourceRecord.parse(paths.SOURCE_RECORD.read_bytes(), paths.SOURCE_RECORD)
    return found.weights.model_dump()


def test_a_half_precision_file_is_cast_and_its_hash_and_origin_are_recorded(
    tmp_path: Path, values: dict[str, torch.Tensor]
) -> None:
    file = tmp_path / "mine.safetensors"
    save_file({name: v.half() if v.is_floating_point() else v for name, v in values.items()}, file)
    tiny.write_params(weights="file", weights_file=str(file))
    source.main()
    stored = checkpoints.read(paths.SOURCE_WEIGHTS)
    assert stored["conv1.weight"].dtype == torch.float32
    assert torch.equal(stored["conv1.weight"], values["conv1.weight"].half().float())
    assert described()["file_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert described()["sha256"] == hashlib.sha256(paths.SOURCE_WEIGHTS.read_bytes()).hexdigest()
    assert described()["origin"] == "file mine.safetensors"


def test_a_pth_file_is_read_without_running_code(tmp_path: Path, values: dict[str, torch.Tensor]) -> None:
    torch.save(values, tmp_path / "mine.pth")
    tiny.write_params(weights="file", weights_file=str(tmp_path / "mine.pth"))
    source.main()
    assert torch.equal(checkpoints.read(paths.SOURCE_WEIGHTS)["conv1.weight"], values["conv1.weight"])


def test_weights_of_another_architecture_are_refused_and_nothing_is_written(
    tmp_path: Path, values: dict[str, torch.Tensor]
) -> None:
    save_file(values, tmp_path / "eighteen.safetensors")
    tiny.write_params(weights="file", weights_file=str(tmp_path / "eighteen.safetensors"), backbone="resnet50")
    with pytest.raises(InputError, match=r"file eighteen\.safetensors: not the values of this backbone; \d+ missing: "):
        source.main()
    assert not list(Path.cwd().rglob("*source*"))


def test_no_weights_are_a_record_without_a_file() -> None:
    tiny.write_params(weights="none")
    source.main()
    assert described()["origin"] == "none"
    assert not paths.SOURCE_WEIGHTS.exists()


@pytest.fixture
def served(
    tmp_path: Path, values: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> Iterator[SimpleNamespace]:
    """A server with a published file, and the table's row pointing at it."""
    folder = tmp_path / "served"
    folder.mkdir()
    torch.save(values, folder / "new.pth")
    digest = hashlib.sha256((folder / "new.pth").read_bytes()).hexdigest()
    file = (folder / "new.pth").rename(folder / f"resnet18-{digest[:8]}.pth")
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            asked.append(self.path)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/{file.name}"
    weights = torchvision.models.ResNet18_Weights.IMAGENET1K_V1
    monkeypatch.setattr(backbone("resnet18").imagenet.value, "url", address, raising=True)
    yield SimpleNamespace(file=file, asked=asked, server=server, weights=weights)
    server.shutdown()
    server.server_close()


@pytest.fixture
def unfrozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torchvision's rows refuse to be changed; here one has to point at the server."""
    monkeypatch.setattr(torchvision.models._api.Weights, "__setattr__", object.__setattr__)
    monkeypatch.setattr(torchvision.models._api.Weights, "__delattr__", object.__delattr__)


@pytest.mark.usefixtures("unfrozen")
class TestDownload:
    def test_imagenet_weights_are_fetched_once_and_checked(
        self, served: SimpleNamespace, values: dict[str, torch.Tensor]
    ) -> None:
        tiny.write_params(weights="imagenet")
        source.main()
        source.main()
        assert len(served.asked) == 1
        assert torch.equal(checkpoints.read(paths.SOURCE_WEIGHTS)["conv1.weight"], values["conv1.weight"])
        assert described()["origin"].startswith("torchvision ResNet18_Weights.IMAGENET1K_V1 http://127.0.0.1")
        assert described()["file_sha256"] == hashlib.sha256(served.file.read_bytes()).hexdigest()
        assert described()["sha256"] not in ("", described()["file_sha256"])

    def test_a_file_that_is_not_what_was_published_is_refused_and_not_kept(
        self, served: SimpleNamespace, tmp_path: Path
    ) -> None:
        served.file.write_bytes(served.file.read_bytes()[:-1] + b"x")
        tiny.write_params(weights="imagenet")
        with pytest.raises(InputError, match=r"its sha256 is .* in place of .*; what came was deleted"):
            source.main()
        assert not list((tmp_path / "cache").rglob("*.pth"))
        assert not paths.SOURCE.exists()

    def test_a_cached_file_that_was_damaged_since_is_named(self, served: SimpleNamespace, tmp_path: Path) -> None:
        tiny.write_params(weights="imagenet")
        source.main()
        [cached] = (tmp_path / "cache").rglob("*.pth")
        content = bytearray(cached.read_bytes())
        content[len(content) // 2] ^= 1
        cached.write_bytes(content)
        with pytest.raises(InputError, match=r"delete it, and it is downloaded again"):
            source.main()
        assert len(served.asked) == 1

    def test_a_transfer_that_was_cut_goes_on_within_the_file(
        self, served: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, values: dict[str, torch.Tensor]
    ) -> None:
        content, cut = served.file.read_bytes(), 100_000
        monkeypatch.setattr(transfer, "sleep", lambda seconds: None)
        tiny.write_params(weights="imagenet")
        with serving() as server:
            answers = [Answer(content, cut=cut), *[Answer(status=503)] * fetching.ATTEMPTS, Answer(content)]
            monkeypatch.setattr(served.weights.value, "url", server.give(f"/{served.file.name}", *answers))
            with pytest.raises(InputError, match=r"503.*, 5 tries; go online once, or give a file of your own"):
                source.main()
            assert not list((tmp_path / "cache").rglob("*.pth"))
            source.main()
            assert server.ranges[0] == ""
            assert server.ranges[-1] == f"bytes={cut}-"
        assert torch.equal(checkpoints.read(paths.SOURCE_WEIGHTS)["conv1.weight"], values["conv1.weight"])

    def test_an_address_that_is_not_there_names_the_way_out(self, served: SimpleNamespace) -> None:
        served.file.unlink()
        tiny.write_params(weights="imagenet")
        with pytest.raises(InputError, match=r"127\.0\.0\.1.*404.*; go online once, or give a file"):
            source.main()

    def test_a_server_that_is_not_there_names_the_way_out(
        self, served: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        served.server.shutdown()
        served.server.server_close()
        monkeypatch.setattr(transfer, "sleep", lambda seconds: None)
        tiny.write_params(weights="imagenet")
        with pytest.raises(InputError, match=r"refused, 5 tries; .*-S weights=file -S weights_file=/path/to/it"):
            source.main()


class TestPlaces365:
    """The form of the official file: a checkpoint of data-parallel training, 365 classes, no hash in its name."""

    @pytest.fixture
    def official(self, tmp_path: Path, served: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
        torch.manual_seed(5)
        state = tiny.resnet(classes=365).state_dict()
        checkpoint = {
            "epoch": 90,
            "arch": "resnet18",
            "state_dict": {
                f"module.{name}": value for name, value in state.items() if not name.endswith("num_batches_tracked")
            },
            "best_prec1": torch.tensor(54.7),
        }
        file = served.file.parent / "resnet18_places365.pth.tar"
        torch.save(checkpoint, file, _use_new_zipfile_serialization=False)
        address = f"http://127.0.0.1:{served.server.server_port}/{file.name}"
        row = dataclasses.replace(BACKBONES["resnet18"], places365=address)
        monkeypatch.setitem(BACKBONES, "resnet18", row)
        return SimpleNamespace(file=file, state=state, asked=served.asked)

    @pytest.fixture(autouse=True)
    def _unfrozen(self, unfrozen: None) -> None:
        """The server's fixture changes torchvision's row."""

    def test_the_official_files_form_is_read_and_its_hash_recorded(self, official: SimpleNamespace) -> None:
        tiny.write_params(weights="places365")
        source.main()
        source.main()
        stored = checkpoints.read(paths.SOURCE_WEIGHTS)
        assert torch.equal(stored["conv1.weight"], official.state["conv1.weight"])
        assert not any(name.startswith(("module.", "fc.")) for name in stored)
        assert described()["origin"].startswith("Places365 http://127.0.0.1")
        assert described()["file_sha256"] == hashlib.sha256(official.file.read_bytes()).hexdigest()
        assert len(official.asked) == 1

    def test_a_file_that_is_not_there_names_the_way_out(self, official: SimpleNamespace, tmp_path: Path) -> None:
        official.file.unlink()
        tiny.write_params(weights="places365")
        with pytest.raises(InputError, match=r"127\.0\.0\.1.*404.*; go online once, or give a file"):
            source.main()
        assert not list((tmp_path / "cache").rglob("*.tar"))

    def test_a_cut_file_is_refused(self, official: SimpleNamespace) -> None:
        official.file.write_bytes(official.file.read_bytes()[:-1000])
        tiny.write_params(weights="places365")
        with pytest.raises(InputError, match=r"not a whole PyTorch file"):
            source.main()


def test_the_official_addresses_are_those_of_the_places_project() -> None:
    site = "http://places2.csail.mit.edu/models_places365"
    given = {name: row.places365 for name, row in BACKBONES.items() if row.places365}
    assert given == {name: f"{site}/{name}_places365.pth.tar" for name in ("resnet18", "resnet50")}


def test_every_choice_of_weights_is_made_in_one_way() -> None:
    assert set(weights.ORIGINS) == set(WEIGHTS)
