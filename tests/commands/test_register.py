"""A bundle takes the place of another if `compare` finds its experiment better, and in one line not."""

import re
from dataclasses import replace
from pathlib import Path

import described
import pytest
from click.testing import CliRunner

from pipeline import tracking
from pipeline.commands import register
from pipeline.core import digests
from pipeline.core.errors import InputError
from pipeline.experiments import finding, reading
from pipeline.tracking import Version

OLD = Version(number="3", bundle="b" * 64, experiment="old", kind="repeat", scored=True)
SCORED_ENSEMBLE = replace(described.ENSEMBLE, scores=described.REPEAT.scores)
IMAGES = 40
# How many of the images each experiment tells right.
RIGHT = {"better": 40, "old": 20, "equal": 20, "slightly": 21, "worse": 4, "elsewhere": 40}


def write_answers(root, right, *, name="a", repeat=1):
    lines = [f"{name}/{n}.png,a,a,0.9,{int(n < right)}" for n in range(IMAGES)]
    file = root / f"metrics/evaluate/{repeat}/predictions.csv"
    file.write_text("\n".join(["path,actual,predicted,confidence,correct", *lines]) + "\n", encoding="utf-8")
    digests.seal(file.parent)
    manifest = root / "data/collected/manifest.csv"
    manifest.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"{name}/{n}.png,a,{n}" for n in range(IMAGES)]
    manifest.write_text("\n".join(["path,label,sha256", *rows]) + "\n", encoding="utf-8")
    digests.seal(manifest.parent)


@pytest.fixture
def experiments(clone, files, monkeypatch):
    """Experiments of one repeat, each in a folder in place of DVC's cache, found by a key that is their name."""
    for name, right in RIGHT.items():
        files.experiment(clone / name, repeats=(1,))
        write_answers(clone / name, right, name="b" if name == "elsewhere" else "a")
    monkeypatch.setattr(reading, "files_of", lambda name: tracking.Folder(Path(name)))
    monkeypatch.setattr(finding, "experiment", lambda root, key: key if key in RIGHT else None)


def judged(experiment, before=OLD, said=described.REPEAT):
    said = replace(said, origin=replace(said.origin, experiment=experiment))
    return register.judged(said, "spiders", "best", before, "--force registers it anyway")


def test_the_first_to_have_the_alias_is_compared_with_nothing():
    assert judged("better", None) == "the first to have it"


def test_a_better_one_is_taken(experiments):
    told = judged("better")
    assert told.startswith("the new one's network is better; other seeds are not tried (+50.0 points of accuracy")


@pytest.mark.parametrize(
    ("experiment", "verdict"),
    [
        ("worse", "version 3's network is better; other seeds are not tried (-40.0 points of accuracy in 1 repeat); "),
        ("equal", "no detectable difference (+0.0 points of accuracy in 1 repeat); "),
        (
            "slightly",
            "no detectable difference (+2.5 points of accuracy in 1 repeat); "
            "train both with more repeats, which detect smaller differences, or ",
        ),
    ],
)
def test_a_worse_one_and_an_equal_one_are_refused_in_one_line(experiments, experiment, verdict):
    with pytest.raises(InputError) as refused:
        judged(experiment)
    assert str(refused.value) == (
        f"not better than spiders version 3, which has the alias best: {verdict}--force registers it anyway"
    )


def test_a_difference_that_is_equal_in_every_repeat_is_refused_with_what_would_tell(experiments, clone, files):
    for name, right in (("better", IMAGES), ("old", 0)):
        files.experiment(clone / name, repeats=(1, 2))
        for repeat in (1, 2):
            write_answers(clone / name, right, repeat=repeat)
    with pytest.raises(InputError) as refused:
        judged("better")
    assert str(refused.value) == (
        "not better than spiders version 3, which has the alias best: the same difference in every repeat, so no "
        "spread to test with; add repeats (+100.0 points of accuracy in 2 repeats of the experiments, not of these two "
        "networks alone); --force registers it anyway"
    )


@pytest.mark.parametrize(
    ("experiment", "before", "said", "why"),
    [
        ("elsewhere", OLD, described.REPEAT, "only what is tested on the same images can be compared"),
        ("nowhere", OLD, described.REPEAT, "the files of experiment nowhere are neither here nor in"),
        ("old", OLD, described.REPEAT, "both are of one experiment"),
        ("better", OLD, described.FINAL, r"this bundle \(final\) has no test score of its own"),
        (
            "better",
            OLD._replace(kind="ensemble"),
            described.REPEAT,
            r"that bundle \(ensemble\) averages several networks",
        ),
        ("old", OLD, SCORED_ENSEMBLE, r"this bundle \(ensemble\) averages several networks, and `orbweaver compare`"),
        ("better", OLD._replace(scored=False, kind="ensemble"), described.REPEAT, r"that bundle \(ensemble\) has no"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_reason(experiments, experiment, before, said, why):
    with pytest.raises(InputError, match=f"^not compared with spiders version 3.*{why}.*--force") as refused:
        judged(experiment, before, said)
    assert "\n" not in str(refused.value)


def test_of_several_repeats_it_is_said_that_the_experiments_are_compared(experiments, monkeypatch):
    read = reading.read

    def twice(name):
        one = read(name)
        return one._replace(trials={1: one.trials[1], 2: one.trials[1]})

    monkeypatch.setattr(reading, "read", twice)
    alone = r"points of accuracy in 2 repeats of the experiments, not of these two networks alone\)"
    assert re.search(rf"\(\+50\.0 {alone}$", judged("better"))
    with pytest.raises(InputError, match=rf"\(-40\.0 {alone}; --force"):
        judged("worse")


def test_an_experiment_that_cannot_be_read_may_be_registered_by_force(experiments):
    Path("better/metrics/summary.json").unlink()
    with pytest.raises(
        InputError, match=r"^not compared with .*: better: .*summary\.json: No such file.*; --force reg"
    ):
        judged("better")


@pytest.mark.parametrize(("data", "name"), [("my spiders", "orbweaver-my spiders"), ("l'a:b/c", "orbweaver-l_a_b_c")])
def test_a_models_name_is_that_of_the_data_set_in_signs_that_mlflow_takes(data, name):
    assert register.default_name(described.of(data_set=data)) == name


@pytest.fixture
def registered(clone, monkeypatch):
    """Registers a bundle, which is another than the one in use, by these options; gives the last line."""
    monkeypatch.setattr(register.contents, "describe", lambda folder: described.of(data_set="own"))
    monkeypatch.setattr(tracking, "content_key", lambda folder: "a" * 64)
    monkeypatch.setattr(tracking, "register", lambda folder, **_: "4")

    def call(images, *options):
        monkeypatch.setattr(tracking, "version_of", lambda *_: OLD._replace(images=images))
        done = CliRunner().invoke(register.command, ["bundle", *options], catch_exceptions=False)
        return done.output

    return call


def test_force_does_not_replace_a_version_of_other_images_unless_the_model_is_named(registered):
    line = (
        "^orbweaver-own version 3, which has the alias champion, is of other images, or of these at another size; "
        "--name orbweaver-own --force replaces it all the same, and another --name keeps both$"
    )
    with pytest.raises(InputError, match=line):
        registered("other", "--force")
    with pytest.raises(InputError, match=r"; --name orbweaver-own --force registers it anyway$"):
        registered("other")
    assert "orbweaver-own version 4 has the alias" in registered("other", "--force", "--name", "orbweaver-own")
    assert "version 4 has the alias champion: by --force" in registered(described.ORIGIN.data_sha256, "--force")
    assert "version 4 has the alias champion: by --force" in registered("", "--force")
