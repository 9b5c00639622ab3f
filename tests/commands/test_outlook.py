"""What `orbweaver describe` measures: the time of a training, and what attention changes before it."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from click.testing import CliRunner

from pipeline.assembly import duration
from pipeline.assembly.duration import PartSizes
from pipeline.commands import orbweaver, outlook
from pipeline.core import paths
from pipeline.datasets.synthetic.synthetic import spider_image
from pipeline.evaluation.feature_change import feature_change
from pipeline.networks.backbones.structure import Step
from pipeline.networks.network import Network
from pipeline.preview import at_hand
from pipeline.preview.overriding import read
from pipeline.training import contract

GATE = "options.attention.ecsm.gate_init"


def photographs(folder: Path, *parts: str, each: int = 4) -> Path:
    for part in parts or ("",):
        for label in "abc":
            for number in range(each):
                file = folder / part / label / f"{number}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                spider_image(0, number, size=32, seed=0).save(file)
    return folder


@pytest.fixture
def at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny.ROOT)


@pytest.mark.usefixtures("at_root")
@pytest.mark.parametrize(
    ("words", "sizes"),
    [
        ([], PartSizes(441, 0)),
        (["defaults.data.split.val=0.2"], PartSizes(353, 88)),
        (["options.data.synthetic.images_per_class=10"], PartSizes(63, 0)),
        (["data=cub200"], PartSizes(5994, 0)),
        (["data=digits", "defaults.data.split.per_class={train:20,test:50,val:5}"], PartSizes(200, 50)),
        (["data=cifar100_few"], PartSizes(1000, 500)),
    ],
)
def test_the_images_to_train_on_are_counted_before_there_are_any(words: list[str], sizes: PartSizes) -> None:
    resolved = read(words)
    assert at_hand.part_sizes(resolved, at_hand.count_classes(resolved)) == sizes


@pytest.mark.usefixtures("at_root")
def test_photographs_are_counted_in_their_folder(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "plain")
    parts = photographs(tmp_path / "parts", "train", "val", "test", each=2)
    words = ["data=folder", f"folder={folder}"]
    assert at_hand.part_sizes(read(words), 3) == PartSizes(8, 0)
    for number in range(9):
        next(folder.iterdir()).joinpath(f"notes{number}.txt").write_text("no image", encoding="utf-8")
    assert at_hand.part_sizes(read(words), 3) == PartSizes(8, 0)
    assert at_hand.part_sizes(read(["data=folder", f"folder={parts}"]), 3) == PartSizes(6, 6)
    shutil.rmtree(parts)
    assert at_hand.part_sizes(read(["data=folder", f"folder={parts}"]), 3) is None


def told(*words: str) -> list[str]:
    done = CliRunner().invoke(orbweaver, ["describe", *words])
    assert done.exit_code == 0, done.exception
    return [line.strip() for line in done.output.splitlines()]


@pytest.mark.usefixtures("at_root")
def test_the_time_of_a_repeat_and_of_all_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[Any] = []

    def seconds(_recipe: Any, network: Network, sizes: PartSizes, **_: Any) -> float:
        asked.append((sizes, sum(p.numel() for p in network.parameters()) > 10**6))
        return 150.0

    monkeypatch.setattr(duration, "seconds_a_repeat", seconds)
    line = "training takes about 2.5 min a repeat, 7.5 min in all, with 441 images to train on, as measured on this cpu"
    assert line in told("-S", "device=cpu")
    assert any("2.5 min a repeat, with 70 images" in line for line in told("--images", "70", "-S", "repeats=[1]"))
    assert asked == [(PartSizes(441, 0), True), (PartSizes(70, 0), True)]
    # JSON is what follows from the settings: equal on every machine.
    told("--json")
    assert len(asked) == 2
    assert told("-S", "threads=1000")[-1].startswith("training time: not measured: threads: 1000: there are ")
    own = ["-S", "data=folder", "-S", f"folder={photographs(tmp_path)}"]
    assert any(", with up to 8 images to train on" in line for line in told(*own))
    missing = told("-S", "data=folder", "-S", "folder=/nowhere", "--classes", "9")
    assert missing[-1] == "training time: say how many images there are to train on, with --images"


@pytest.mark.usefixtures("at_root")
def test_a_device_that_is_not_here_is_told_in_place_of_a_time() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU: what is said where cuda is asked for and missing is not checked")
    line = outlook.training_time(read(["device=cuda"]), 9, 70)
    assert line == "training time: not measured: device: 'cuda' is not on this machine; give auto or one that is: cpu"


@pytest.mark.usefixtures("at_root")
def test_what_attention_changes_before_training_is_told_with_the_word_that_leaves_it_out() -> None:
    [line] = outlook.attention_at_start(read(["attention=ecsm"]), 9)
    assert line.startswith("attention changes what the head reads at step 0 by ")
    assert "; 4 drawn images, repeats 1, 2, 3)" in line or "; 4 collected images, repeats 1, 2, 3)" in line
    assert line.endswith(f"; with -S {GATE}=identity by 0%")
    change = int(line.partition(" by ")[2].partition("%")[0])
    # Two gates around one half, which differ with the random values of attention, leave less than half.
    assert 50 <= change <= 100
    [line] = outlook.attention_at_start(read(["attention=ecsm", f"{GATE}=identity", "repeats=[1]"]), 9)
    assert line.startswith("attention changes what the head reads at step 0 by 0% (0% to 0%; 4 ")
    assert "with -S" not in line


@pytest.mark.usefixtures("at_root")
@pytest.mark.parametrize("words", [["attention=none"], ["attention=ecsm", "freeze=scratch"]])
def test_without_attention_or_pre_trained_values_there_is_nothing_to_change(words: list[str]) -> None:
    assert outlook.attention_at_start(read(words), 9) == []


def test_weights_that_are_not_here_are_said_to_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.enter(tmp_path, monkeypatch)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    tiny.put(tiny.shipped())
    for words in (["backbone=resnet18", "weights=imagenet"], ["backbone=resnet18", "weights=file", "weights_file=/no"]):
        [line] = outlook.attention_at_start(read(["attention=se", *words]), 9)
        assert line == "what attention changes at step 0: the pre-trained weights are not on this machine yet"


@pytest.mark.slow
def test_collected_images_and_stored_weights_are_taken_where_they_are_of_this_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.narrow(monkeypatch)
    tiny.enter(tmp_path, monkeypatch)
    tiny.write_params(attention="se")
    tiny.chain(start="collect", end="source")
    _, kind = at_hand.some_images(read([]).recipe)
    assert kind == "collected images"
    assert at_hand.some_images(read(["data=digits"]).recipe)[1] == "drawn images"
    record = paths.SOURCE_RECORD.read_text(encoding="utf-8")
    imagenet = read(["weights=imagenet"])
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    # These are from a file, whatever network they are of.
    assert at_hand.pretrained(imagenet) is None
    monkeypatch.setattr(at_hand.digests, "read", lambda _: record.replace('"file ', '"torchvision ').encode())
    stored = at_hand.pretrained(imagenet)
    assert stored is not None
    assert stored.keys() >= {"conv1.weight", "layer4.1.bn2.bias"}
    assert at_hand.pretrained(read(["weights=imagenet", "backbone=resnet50"])) is None


class Doubled(torch.nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.head = torch.nn.Linear(12, 2)


def network(factor: float) -> Network:
    steps = [
        Step("body", "block4", apply=lambda model, x: model.factor * x),
        Step("head", "head", apply=lambda model, x: model.head(x.flatten(1))),
    ]
    return Network(Doubled(factor), steps)


def test_the_change_of_features_is_relative_and_of_what_the_head_reads() -> None:
    images = torch.rand(5, 3, 2, 2) + 0.1
    found = feature_change(network(0.25), network(1.0), images)
    assert found == pytest.approx((0.75, 0.75, 0.75, 5))
    assert feature_change(network(1.0), network(1.0), images) == (0.0, 0.0, 0.0, 5)


@pytest.mark.usefixtures("at_root")
def test_a_loss_that_is_not_finite_is_told_in_place_of_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise contract.NotFiniteError(1, 2, [])

    monkeypatch.setattr(duration, "seconds_a_repeat", broken)
    line = "training time: not measured: the loss is not finite in epoch 1, step 2"
    assert outlook.training_time(read([]), 9, 20) == line
