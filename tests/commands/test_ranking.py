"""What an advice chooses before its trials: the image size, and then the backbones at that size."""

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import pytest
import tiny
from click.testing import CliRunner
from PIL import Image

from pipeline.advice import candidates
from pipeline.bank.bank import Result
from pipeline.commands import frozen_bank, orbweaver, pricing, ranking
from pipeline.commands.frozen_bank import Budget
from pipeline.commands.pricing import Price
from pipeline.config import Resolved
from pipeline.core.errors import InputError
from pipeline.preview import at_hand
from pipeline.preview.frozen_backbones import Asked
from pipeline.preview.overriding import read
from pipeline.running import trials

EFFICIENTNET, RESNET = "efficientnet_lite0", "resnet18"
# Of each size in all parts but one, so that 160 is close to 224 and 48 is not.
ACCURACY = {48: 0.60, 160: 0.80, 224: 0.81}


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny project with the recipe's own network."""
    tiny.enter(tmp_path / "project", monkeypatch)
    tiny.put(tiny.values())
    Path(".dvc").mkdir()
    Path(".dvc/config").write_text("[core]\n    no_scm = true\n", encoding="utf-8")


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, int]]:
    """The rankings that were asked for, (what, backbone, image size) each; nothing is computed."""
    seen: list[tuple[str, str, int]] = []

    def measure(what: str, listed: Mapping[str, tuple[Asked, Resolved]], budget: Budget) -> tuple[list[Result], float]:
        seen.extend((what, one.backbone, each.recipe.data.image_size) for one, each in listed.values())
        results = [] if budget.only_price else [result(one, each) for one, each in listed.values()]
        return results, 7.0 * len(listed)

    monkeypatch.setattr(frozen_bank, "measured", measure)
    return seen


def result(one: Asked, resolved: Resolved) -> Result:
    accuracy = ACCURACY[resolved.recipe.data.image_size]
    parts = [accuracy + (0.1 if place == int(100 * accuracy) % 10 else 0.0) for place in range(10)]
    probe = {"mean": accuracy + 0.01, "low": accuracy - 0.1, "high": accuracy + 0.1, "parts": parts}
    return Result(one.backbone, one.weights, 40, 8, 40, 20.0, 2.0, 1.0, found=False, probes={"logistic": probe})


def asked(names: str) -> dict[str, Asked]:
    return frozen_bank.asked(names, [])


def test_all_trials_get_the_size_that_is_taken_with_what_the_user_sets(measured: list[tuple[str, str, int]]) -> None:
    said: list[str] = []
    ranked = ranking.ranking({}, "224,48, 160", ["lr=0.001"], Budget(said.extend))
    assert measured == [("image sizes", EFFICIENTNET, side) for side in (48, 160, 224)]
    assert ranked.words == ["lr=0.001", "image_size=160"]
    assert said[-1].startswith("image size 160 is taken for all that follows")
    assert (ranked.seconds, ranked.next_step) == (9.0, "")
    listed = candidates.candidates(own=EFFICIENTNET)[:1]
    [cell] = trials.plan({one.name: one.settings for one in listed}, ranked.words)
    assert cell.resolved.recipe.data.image_size == 160


def test_the_first_backbone_chooses_the_size_and_the_backbones_are_ranked_at_it(
    measured: list[tuple[str, str, int]],
) -> None:
    ranked = ranking.ranking(asked(f"{RESNET},vgg16,{EFFICIENTNET}"), "48,160,224", [], Budget(lambda _: None))
    assert measured == [
        *(("image sizes", RESNET, side) for side in (48, 160, 224)),
        *(("frozen backbones", name, 160) for name in (RESNET, "vgg16", EFFICIENTNET)),
    ]
    assert [one.name for one in ranked.frozen] == [RESNET, "vgg16", EFFICIENTNET]
    # The first one's features at 160 are counted once.
    assert ranked.seconds == 5 * 3.0


def test_the_price_is_that_of_the_largest_size_with_the_ranking(measured: list[tuple[str, str, int]]) -> None:
    said: list[str] = []
    ranked = ranking.ranking(asked(f"{RESNET},vgg16,{EFFICIENTNET}"), "48,160,224", [], Budget(said.extend, True))
    assert ranked.words == ["image_size=224"]
    assert ranked.seconds == 3 * 7 + 3 * 7
    assert "priced is image size 224, the dearest; which one is taken is chosen by the features at each" in said
    assert [side for what, _, side in measured if what == "frozen backbones"] == [224] * 3


def test_without_the_option_nothing_is_measured_and_the_words_stay(measured: list[tuple[str, str, int]]) -> None:
    ranked = ranking.ranking(asked(RESNET), "", ["lr=0.001"], Budget(lambda _: None))
    assert (measured, ranked.words, ranked.seconds, ranked.sizes) == ([], ["lr=0.001"], 0.0, ())


@pytest.mark.parametrize(
    ("sides", "words", "backbones", "line"),
    [
        ("96,abc", [], "", "--sizes: 'abc' is no whole number of pixels; give sizes like --sizes 96,160,224"),
        ("96,,160", [], "", "--sizes: '' is no whole number of pixels"),
        ("96,-160", [], "", "--sizes: '-160' is no whole number"),
        ("96,160,096", [], "", "--sizes: 96 is there twice; give each image size once"),
        ("96", [], "", "--sizes: 96 is one image size, and nothing to choose from; set it by -S image_size=96"),
        ("96,8", [], "", "--sizes: params.yaml: image_size: 8: should be greater than or equal to 16"),
        ("96,2000", [], "", "--sizes: params.yaml: image_size: 2000: should be less than or equal to 1024"),
        ("96,160", ["image_size=96"], "", "-S image_size=96: --sizes has image sizes to choose from; give either"),
        ("96,160", ["recipes.quick.data.image_size=96"], "", "-S recipes.quick.data.image_size=96: --sizes has"),
        ("96,150", [], f"{RESNET},vit_b_16", "--sizes: 150 is not a multiple of 16, as vit_b_16 needs; 144 is"),
        ("96,160", ["weights=none"], "", "weights: none: --sizes ranks by the features of pre-trained weights"),
    ],
)
def test_sizes_that_are_no_choice_are_refused_in_a_line(
    measured: list[tuple[str, str, int]], sides: str, words: list[str], backbones: str, line: str
) -> None:
    with pytest.raises(InputError) as refused:
        ranking.ranking(asked(backbones) if backbones else {}, sides, words, Budget(lambda _: None))
    assert str(refused.value).startswith(line)
    assert "\n" not in str(refused.value)
    assert measured == []


def photographs(folder: Path, *sizes: tuple[int, int]) -> list[str]:
    """Write images of these sizes in two classes, and return the words for them."""
    for number, size in enumerate(sizes):
        file = folder / "ab"[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size).save(file)
    return ["data=folder", f"folder='{folder}'"]


def test_large_photographs_have_a_next_step_and_small_ones_none(tmp_path: Path) -> None:
    large = photographs(tmp_path / "large", (300, 400), (500, 250), (224, 300), (20, 20))
    small = photographs(tmp_path / "small", *[(300, 223), (223, 300)] * 2)
    assert ranking.ranking({}, "", large, Budget(lambda _: None)).next_step.endswith("`--sizes 48,96,160,224`.")
    assert ranking.ranking({}, "", small, Budget(lambda _: None)).next_step == ""


def test_a_size_has_the_same_next_step_from_the_file_and_from_the_words(tmp_path: Path) -> None:
    """`--sizes` refuses a size among the words, so that the line names what to leave out."""
    large, end = photographs(tmp_path / "large", *[(300, 400)] * 4), "add `--sizes 64,96,160,224`"
    for key in ("image_size", "recipes.quick.data.image_size"):
        words = [*large, f"{key}=64"]
        line = ranking.ranking({}, "", words, Budget(lambda _: None)).next_step
        assert line.endswith(f"{end} and leave out -S {key}=64.")
    tiny.put(tiny.values() | {"image_size": 64})
    assert ranking.ranking({}, "", large, Budget(lambda _: None)).next_step.endswith(f"{end}.")


def test_what_is_no_image_has_no_side_and_drawn_images_have_their_own(tmp_path: Path) -> None:
    words = photographs(tmp_path / "some", *[(300, 400), (320, 240)] * 2)
    (tmp_path / "some/a/damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert at_hand.shorter_side(read(words)) == 270
    assert at_hand.shorter_side(read([])) == tiny.SIDE
    assert at_hand.shorter_side(read(["data=folder", "folder=nowhere"])) is None


@pytest.mark.usefixtures("measured")
def test_a_size_that_enlarges_most_photographs_is_ranked_with_a_note(tmp_path: Path) -> None:
    said: list[str] = []
    ranking.ranking({}, "48,160", photographs(tmp_path / "some", *[(100, 150), (90, 100)] * 2), Budget(said.extend))
    assert said[0].startswith("half of the photographs have 95 pixels or fewer on their shorter side; image size 160")


@pytest.fixture
def priced(monkeypatch: pytest.MonkeyPatch) -> None:
    """One candidate, of which a training takes a minute."""
    monkeypatch.setattr(pricing, "price", lambda listed, words, **_: Price({listed[0].name: 60.0}, 0.1, 1))


@pytest.mark.usefixtures("measured", "priced")
@pytest.mark.parametrize(
    ("sides", "line"),
    [
        ([], "advise: Image sizes were not tried: this is for 48 pixels, and half of the photographs have 256 or more"),
        (["--sizes", "48,160,224"], "advise: priced is image size 224, the dearest; which one is taken"),
    ],
)
def test_the_price_has_a_line_on_image_sizes(sides: list[str], line: str) -> None:
    words = ["advise", "-S", "options.data.synthetic.size=256", "--hours", "1", "--price", *sides]
    done = CliRunner().invoke(orbweaver, words)
    assert done.exit_code == 0, (done.output, done.exception)
    assert line in done.stderr


@pytest.mark.usefixtures("measured", "priced")
def test_the_ranking_is_paid_from_the_hours() -> None:
    # One training in a cell of its own and the last comparison are 912 s of 914, and the ranking 21.
    words = ["advise", "--hours", "0.254", "--price"]
    assert CliRunner().invoke(orbweaver, words).exit_code == 0
    refused = CliRunner().invoke(orbweaver, [*words, "--sizes", "48,160,224"]).exception
    assert isinstance(refused, InputError)
    said = str(refused).replace("\N{NO-BREAK SPACE}", " ")
    assert said.startswith(
        "--hours: the ranking takes 21.0 s, and with it the last comparison and one training with start "
        "and evaluation take 15"
    )


def test_the_second_ranking_has_what_the_first_one_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each size and each backbone takes five seconds: three sizes 15 s, three backbones as many, of 25 s."""
    monkeypatch.setattr(frozen_bank, "training_part", lambda _: nullcontext())
    monkeypatch.setattr(frozen_bank.frozen_backbones, "check_usable", lambda *_: None)
    monkeypatch.setattr(frozen_bank.frozen_backbones, "seconds", lambda *_: 5.0)
    backbones, sides = asked(f"{RESNET},vgg16,{EFFICIENTNET}"), "48,160,224"
    enough = ranking.ranking(backbones, sides, [], Budget(lambda _: None, only_price=True, limit=30.0))
    assert enough.seconds == 30.0
    with pytest.raises(InputError) as refused:
        ranking.ranking(backbones, sides, [], Budget(lambda _: None, only_price=True, limit=25.0))
    assert (
        str(refused.value)
        .replace("\N{NO-BREAK SPACE}", " ")
        .startswith(
            "--hours: ranking frozen backbones takes about 15.0 s after 15.0 s for the ranking before, and all may take"
        )
    )
