import json
import re
from pathlib import Path

import pytest
import tiny
from click.testing import CliRunner, Result

import pipeline
from pipeline.commands import COMMANDS, orbweaver, outlook
from pipeline.core.errors import InputError
from pipeline.datasets.collect import sets
from pipeline.preview.at_hand import count_classes
from pipeline.preview.overriding import read

ROOT = Path(pipeline.__file__).parents[1]


def describe(*words: str) -> Result:
    return CliRunner().invoke(orbweaver, ["describe", *words])


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    # What is measured takes seconds; see test_outlook.py.
    monkeypatch.setattr(outlook, "measured", lambda *_: [])


@pytest.mark.parametrize("words", [["bank"], ["describe"], ["doctor"], ["advise"], ["study", "show"], ["study", "run"]])
def test_each_command_that_takes_settings_takes_them_by_the_same_words(words: list[str]) -> None:
    assert "-S, --set KEY=VALUE" in CliRunner().invoke(orbweaver, [*words, "--help"]).output


@pytest.mark.parametrize(
    ("strategy", "trainable", "frozen"),
    [
        ("1", 2_149_426, 23_561_152),
        ("2", 25_657_458, 53_120),
        ("3a", 25_432_114, 278_464),
        ("3b", 24_212_530, 1_498_048),
        ("3c", 17_114_162, 8_596_416),
    ],
)
def test_ecsm_table_5_is_counted_exactly(strategy: str, trainable: int, frozen: int) -> None:
    words = ["-S", "recipe=ecsm", "-S", "attention=none", "-S", f"freeze={strategy}", "--classes", "50", "--json"]
    found = json.loads(describe(*words).output)
    assert found["parameters"] == {"trainable": trainable, "frozen": frozen, "regularizer": 0}


@pytest.mark.parametrize(
    ("words", "classes", "trainable"),
    [
        (["backbone=resnet50", "attention=none"], 1000, 25_557_032),
        (["backbone=resnet50", "attention=se"], 1000, 26_253_352),
        (["backbone=resnet50", "attention=cbam"], 9, 28_557_929),
        (["backbone=resnet50", "attention=ca"], 9, 26_041_417),
        (["backbone=resnet50", "attention=sa"], 9, 23_528_041),
        (["backbone=resnet50", "attention=csca"], 9, 26_042_985),
        (["backbone=resnet50", "attention=self"], 9, 28_771_914),
        (["backbone=resnet50", "attention=ecsm"], 9, 28_772_019),
        (["backbone=resnet50", "attention=ecsm", "head=mlp1024"], 9, 30_860_979),
        *(
            ([f"backbone={name}", "attention=none", "head=torchvision"], 1000, total)
            for name, total in {
                "vgg16": 138_357_544,
                "googlenet": 6_624_904,
                "efficientnet_b0": 5_288_548,
                "efficientnet_lite0": 4_652_008,
                "vit_b_16": 86_567_656,
                "mobilenet_v2": 3_504_872,
                "resnet101": 44_549_160,
                "resnet18": 11_689_512,
            }.items()
        ),
    ],
    ids=lambda value: "-".join(word.rpartition("=")[2] for word in value) if isinstance(value, list) else str(value),
)
def test_totals_are_exact(words: list[str], classes: int, trainable: int) -> None:
    chosen = ["recipe=ecsm", "head=linear", "freeze=scratch", *words]
    options = [part for word in chosen for part in ("-S", word)]
    found = json.loads(describe(*options, "--classes", str(classes), "--json").output)
    assert found["parameters"]["trainable"] == trainable


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["backbone=vit_b_16", "attention=se"], "attention: 'se' needs feature maps, but this backbone returns tokens"),
        (["backbone=vgg16", "attention=cbam"], "this backbone has no residual blocks for 'cbam'"),
        (
            ["backbone=vgg16", "attention=ecsm", "image_size=48"],
            "attention: 'ecsm' weighs positions, and the map at features.30 is 1 x 1 for images of 48; it needs 2 x 2",
        ),
        (
            ["attention=se", "options.attention.se.reduction=512"],
            "attention 'se': reduction 512 leaves none of 256 channels",
        ),
    ],
)
def test_attention_that_a_network_cannot_take_is_told_in_one_line(words: list[str], message: str) -> None:
    options = [part for word in ["recipe=ecsm", *words] for part in ("-S", word)]
    caught = describe(*options, "--classes", "9").exception
    assert isinstance(caught, InputError)
    assert message in str(caught)
    assert "\n" not in str(caught)


def test_phases_are_described_one_by_one() -> None:
    found = json.loads(describe("-S", "recipe=animals", "--classes", "10", "--json").output)
    assert [(p["freeze"], p["amount"], p["lr"]) for p in found["phases"]] == [
        ("1", 10, 1e-3),
        ("features.12", 40, 1e-5),
    ]
    assert found["phases"][0]["trainable"] == 1280 * 10 + 10
    assert found["parameters"]["trainable"] == found["phases"][1]["trainable"] > 10**6
    told = describe("-S", "recipe=animals", "--classes", "10").output
    assert "phase 2: freeze features.12, amount 40, lr 1e-05, trainable" in told
    assert "block3     partly" in told


def test_operations_are_counted() -> None:
    words = ["-S", "recipe=ecsm", "-S", "attention=none", "-S", "head=torchvision"]
    found = json.loads(describe(*words, "--classes", "1000", "--json").output)
    # ResNet-50 at 224 has 4.09 billion multiplications with an addition each.
    assert found["flops"] == pytest.approx(2 * 4.09e9, rel=0.001)


def test_every_value_is_shown_with_where_it_comes_from() -> None:
    found = json.loads(describe("-S", "freeze=1", "-S", "recipes.quick.train.lr=0.00001", "--json").output)
    shown = {name: (one["value"], one["from"]) for name, one in found["settings"].items()}
    assert shown["network.freeze"] == ("1", "freeze")
    assert shown["network.head"] == ("linear", "recipes.quick.network.head")
    assert shown["train.lr"] == (1e-5, "recipes.quick.train.lr")
    assert shown["train.weight_decay"] == (0.0, "defaults.train.weight_decay")
    assert shown["options.optimizer.adam.beta1"] == (0.9, "options.optimizer.adam.beta1")
    images = "options.data.synthetic.images_per_class"
    assert shown[images] == (70, images)
    assert shown["repeats"] == ([1, 2, 3], "repeats")
    assert found["classes"] == 9
    assert [row["stage"] for row in found["layers"] if row["trains"]] == ["head"]


def test_a_recipes_value_is_shown_with_its_place_in_the_paper() -> None:
    words = ["-S", "recipe=ecsm", "-S", "lr=1e-4", "--classes", "9"]
    settings = json.loads(describe(*words, "--json").output)["settings"]
    resize = {"value": "stretch", "from": "recipes.ecsm.data.resize", "note": "section 2.2: resized to 224 x 224"}
    assert settings["data.resize"] == resize
    lines = {line.split()[0]: " ".join(line.split()) for line in describe(*words).output.splitlines() if line}
    where = "recipes.ecsm.data.resize (section 2.2: resized to 224 x 224)"
    assert lines["data.resize"] == f"data.resize stretch {where}"
    assert lines["train.lr"] == "train.lr 0.0001 lr"
    assert lines["train.optimizer"] == "train.optimizer adam recipes.ecsm.train.optimizer (Table 4, section 3.3.4)"
    assert lines["train.weight_decay"] == "train.weight_decay 0.0 defaults.train.weight_decay"
    gate = "options.attention.ecsm.gate_init"
    assert lines[gate] == f"{gate} paper {gate}"


@pytest.mark.parametrize(
    ("words", "name", "note"),
    [
        (["recipe=ecsm"], "data.split.test", "section 2.1, Table 1: 7:3"),
        (["recipe=ecsm", "recipes.ecsm.data.split.test=0.1"], "data.split.test", ""),
        (["recipe=ecsm", "recipes.ecsm.data.split.val=0"], "data.split.val", "the paper has none"),
        # A number in the file, a name in the experiment.
        (["recipe=csca"], "network.freeze", "not said"),
        (["recipe=csca", "attention=none", "recipes.csca.network.freeze=1"], "network.freeze", ""),
        (
            ["recipe=spa_gca", "regularizer=l2_sp", "recipes.spa_gca.options.regularizer.l2_sp.covers=kernels"],
            "options.regularizer.l2_sp.covers",
            "",
        ),
        # `auto` in the file, and no number by class of this set.
        (["recipe=hierarchical", "data=cifar10"], "data.split.per_class", ""),
        # Of the network, whose place in the paper is not theirs.
        (["recipe=ecsm"], "data.mean", ""),
    ],
)
def test_a_place_in_the_paper_is_shown_for_the_papers_own_value_alone(words: list[str], name: str, note: str) -> None:
    options = [part for word in words for part in ("-S", word)]
    setting = json.loads(describe(*options, "--classes", "9", "--json").output)["settings"][name]
    assert setting["note"] == note
    line = next(line for line in describe(*options, "--classes", "9").output.splitlines() if f"  {name} " in line)
    assert line.endswith(f"  ({note})" if note else setting["from"])


def test_every_choice_is_listed_with_its_line_and_its_options() -> None:
    told = describe("--choices").output
    blocks = {block.splitlines()[0]: block.splitlines()[1:] for block in told.split("\n\n")}
    listed = json.loads(describe("--choices", "--json").output)
    assert blocks.keys() == listed.keys()
    assert {"data", "backbone", "freeze", "attention", "regularizer", "head", "augmentation"} <= blocks.keys()
    for key, lines in blocks.items():
        assert [line.split()[0] for line in lines] == [one["name"] for one in listed[key]]
        assert all(one["description"] in line for one, line in zip(listed[key], lines, strict=True))
    [se] = [line for line in blocks["attention"] if line.split()[0] == "se"]
    assert se.endswith("(position, gate_init, reduction)")


def test_the_choices_of_one_axis_are_listed_alone() -> None:
    names = [one["name"] for one in json.loads(describe("--choices", "freeze", "--json").output)["freeze"]]
    lines = describe("--choices", "freeze").output.splitlines()
    assert lines[0] == "freeze"
    strategies = ["1", "2", "3a", "3b", "3c", "lora", "bitfit", "scratch", "lp_ft", "probe", "phases"]
    assert [line.split()[0] for line in lines[1:]] == names == strategies


def test_an_axis_without_choices_is_refused_with_those_that_have_some() -> None:
    caught = describe("--choices", "lr").exception
    assert isinstance(caught, InputError)
    assert str(caught).startswith("--choices: 'lr' has no choices; keys with choices: data, ")


def test_low_rank_updates_are_counted_and_their_options_shown() -> None:
    words = ["-S", "backbone=vit_b_16", "-S", "weights=none", "-S", "freeze=lora"]
    told = describe(*words, "-S", "options.freeze.lora.rank=4").output
    # Of 12 layers, one matrix (3 x 768, 768) each.
    assert f"low-rank updates of attention: {12 * 4 * (3 + 1) * 768:,} added parameters, merged at the end" in told
    assert "options.freeze.lora.rank" in told
    assert "stem       frozen" in told
    assert "block1     partly" in told
    assert "low-rank" not in describe("-S", "freeze=3b").output


def test_the_text_says_what_is_frozen_and_counts() -> None:
    told = describe("-S", "freeze=3b").output
    assert "block2     frozen" in told
    assert "block3     yes" in told
    assert "trainable 3,327,033, frozen 97,520" in told


def test_the_file_itself_is_left_as_it_is() -> None:
    before = Path("params.yaml").read_bytes()
    describe("-S", "freeze=1")
    assert Path("params.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("frez=1", "-S frez=1: Could not override 'frez'; the keys are those of params.yaml"),
        ("+frez=1", "params.yaml: unknown key 'frez'; did you mean 'freeze'?"),
        (
            "freeze=4",
            "params.yaml: freeze: 4 is not one of auto, 1, 2, 3a, 3b, 3c, lora, bitfit, scratch, lp_ft, probe, phases",
        ),
    ],
)
def test_a_wrong_override_is_told_in_one_line(override: str, message: str) -> None:
    caught = describe("-S", override).exception
    assert isinstance(caught, InputError)
    assert str(caught) == message


@pytest.mark.parametrize("name", [name for name, row in sets.SETS.items() if row.classes])
def test_the_classes_of_a_published_set_are_known_without_its_images(name: str) -> None:
    assert count_classes(read([f"data={name}"])) == sets.SETS[name].classes


def test_a_published_set_is_described_without_its_images() -> None:
    found = json.loads(describe("-S", "data=cars", "--json").output)
    assert found["classes"] == 196
    assert found["layers"][-1]["parameters"] == 1280 * 196 + 196


def test_numbers_by_class_are_shown_with_where_they_come_from() -> None:
    key = "defaults.data.split.per_class"
    given = f"{key}={{train:20,test:50,val:0}}"
    settings = json.loads(describe("-S", "data=digits", "-S", given, "--json").output)["settings"]
    wanted = {"train": 20, "test": 50, "val": 0}
    shown = {name: settings[f"data.split.per_class.{name}"] for name in wanted}
    assert shown == {name: {"value": number, "from": f"{key}.{name}", "note": ""} for name, number in wanted.items()}


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ("folder", {"folder"}),
        ("spiders", {"folder"}),
        ("cub200", {"archive"}),
        ("animals10", {"archive"}),
        ("digits", set()),
        ("synthetic", set()),
    ],
)
def test_the_places_that_a_set_reads_are_shown_and_no_others(data: str, shown: set[str]) -> None:
    words = ["-S", f"data={data}", "-S", "folder=/photos", "-S", "archive=/sets", "--classes", "9", "--json"]
    done = describe(*words)
    assert json.loads(done.stdout)["settings"].keys() & {"folder", "archive"} == shown
    # Beside what is read by a program.
    assert ("settings: note: folder is not read: data is " in done.stderr) == ("folder" not in shown)


def test_data_that_is_not_there_asks_for_the_number_of_classes() -> None:
    caught = describe("-S", "data=folder", "-S", "folder=/nowhere").exception
    assert isinstance(caught, InputError)
    assert str(caught).endswith("or say how many classes with --classes")


def test_every_command_is_listed_and_has_help() -> None:
    listed = CliRunner().invoke(orbweaver, ["--help"]).output
    for name, first_sentence in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(first_sentence)}$", listed, re.MULTILINE)
        done = CliRunner().invoke(orbweaver, [name, "--help"])
        assert done.exit_code == 0
        assert f"\n\n  {first_sentence}\n" in done.output


def test_an_override_puts_right_what_the_file_alone_is_refused_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny.write(tiny.recipe("quick", threads=0))
    assert read(["threads=1"]).recipe.threads == 1
    with pytest.raises(InputError, match=r"^params\.yaml: threads: 0: "):
        read([])
