import json
import re
import subprocess
from functools import partial
from pathlib import Path

import click.testing
import pytest

from pipeline import tracking
from pipeline.commands import compare
from pipeline.core import digests, paths
from pipeline.core.errors import InputError
from pipeline.evaluation.compare import comparison, pairs, statistics
from pipeline.evaluation.compare.experiments import Experiment, Trial
from pipeline.evaluation.compare.mcnemar import McNemar
from pipeline.experiments import cloning, finding, reading

# Which of ten images each experiment tells right, in each of its repeats.
RIGHT = {"one": ([1] * 9 + [0], [1] * 8 + [0] * 2), "other": ([1] * 5 + [0] * 5, [1] * 3 + [0] * 7)}


def write_answers(root, name, *, missing=""):
    """Predictions and the manifest, beside what the fixture `files` wrote."""
    for repeat, right in enumerate(RIGHT[name], start=1):
        lines = [f"{repeat}/{n}.png,a,a,0.9,{hit}" for n, hit in enumerate(right)]
        lines = [line for line in lines if not missing or not line.startswith(missing)]
        file = root / f"metrics/evaluate/{repeat}/predictions.csv"
        file.write_text("\n".join(["path,actual,predicted,confidence,correct", *lines]) + "\n", encoding="utf-8")
        digests.seal(file.parent)
    rows = [f"{repeat}/{n}.png,a,{repeat}{n}" for repeat in (1, 2) for n in range(10)]
    file = root / "data/collected/manifest.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(["path,label,sha256", *rows]) + "\n", encoding="utf-8")
    digests.seal(file.parent)


@pytest.fixture
def two(clone, files, monkeypatch):
    """Two experiments of two repeats, each in a folder, in place of DVC's cache."""
    for name, freeze in (("one", "3b"), ("other", "1")):
        files.experiment(clone / name, freeze=freeze)
        write_answers(clone / name, name)
    monkeypatch.setattr(reading, "files_of", lambda name: tracking.Folder(Path(name)))
    return clone


def said(*words):
    told = click.testing.CliRunner().invoke(compare.command, words, catch_exceptions=False)
    assert told.exit_code == 0, told.output
    return told.stdout


def words(text):
    return " ".join(text.split())


def test_the_experiments_the_pair_and_what_differs_are_told(two):
    told = words(said("one", "other"))
    assert "one 2 85.00 ± 7.07" in told
    assert "other 2 40.00 ± 14.14" in told
    assert "over splits and seeds" in told
    assert "no detectable difference" in told
    assert "network.freeze 3b 1" in told
    # Of differences, as those above.
    assert "pair over images alone (points) over repeats alone (points)" in told


def test_no_p_value_is_printed_as_0(two, monkeypatch):
    monkeypatch.setattr(pairs, "mcnemar", lambda a, b: McNemar(30, 0, 2e-9))
    printed = said("one", "other")
    assert "< 0.001" in printed
    assert "0.000" not in printed


def test_json_holds_the_numbers_of_the_comparison(two):
    told = json.loads(said("one", "other", "--json"))
    [pair] = told["pairs"]
    test = statistics.corrected_t([0.4, 0.5], train=14, test=10)
    assert pair["test"] == pytest.approx(test._asdict())
    assert pair["mcnemar"]["1"] == {"only_a": 4, "only_b": 0, "p": 0.125, "groups": 0}
    assert told["differing_settings"] == {"network.freeze": {"one": "3b", "other": "1"}}
    assert told["differing_machines"] == {}


def test_experiments_of_other_machines_or_versions_are_compared_with_a_line(two):
    file = Path("other/metrics/runtime/2.json")
    written = json.loads(file.read_text(encoding="utf-8"))
    written["device_name"] = "NVIDIA H200"
    written["versions"] |= {"torch": "2.16.0", "mlflow": "9.0.0"}
    file.write_text(json.dumps(written), encoding="utf-8")
    digests.seal(file)
    told = words(said("one", "other"))
    assert "Not all repeats were trained alike, which alone changes results: device " in told
    assert "NVIDIA H200 (1 experiment); torch 2.5.0 (2 experiments), 2.16.0 (1 experiment). differs in" in told
    found = json.loads(said("one", "other", "--json"))["differing_machines"]
    assert found["torch"] == {"2.5.0": ["one", "other"], "2.16.0": ["other"]}
    assert list(found) == ["device", "torch"]


def test_what_is_not_finite_is_null_in_json(two):
    def refuse(name):
        raise AssertionError(name)

    write_answers(two / "other", "one")
    [pair] = json.loads(said("one", "other", "--json"), parse_constant=refuse)["pairs"]
    assert (pair["test"]["statistic"], pair["p"], pair["verdict"]) == (None, None, pairs.NO_DIFFERENCE)
    assert (pair["test"]["p"], pair["holm"]) == (None, None)


def test_equal_answers_have_no_interval_of_width_0(two):
    write_answers(two / "other", "one")
    told = words(said("one", "other"))
    assert "one - other no detectable difference 0.00 none – – – –" in told
    assert "0.00 to 0.00" not in told


def test_an_interval_over_repeats_of_width_0_is_none_and_ends_of_the_bootstrap_have_one_decimal():
    """Two methods whose repeats agree on 47 test images, but for rounding."""
    right = {"a": [1] * 44 + [0] * 3, "b": [1] * 42 + [0] * 5}
    several = [
        Experiment(name, {n: Trial({str(i): bool(v) for i, v in enumerate(row)}, train=90) for n in (1, 2, 3)})
        for name, row in right.items()
    ]
    result = comparison.compare(several)
    [pair] = result.pairs
    tight = pair._replace(test=pair.test._replace(over_repeats=1e-17))
    text = words(compare.as_text(result._replace(pairs=[tight])))
    assert re.search(r"over repeats alone \(points\) a - b (-?\d+\.\d to \d+\.\d) none", text)
    wide = tight._replace(test=pair.test._replace(low=-1.4, high=1.2))
    assert "-100.00 to 100.00" in compare.as_text(result._replace(pairs=[wide]))


def test_another_score_may_be_compared(two):
    assert "macro_f1 (%)" in said("one", "other", "--metric", "macro_f1")


def test_a_score_that_the_experiment_has_not_is_refused(two):
    with pytest.raises(InputError, match=r"^one: repeat 1 has no score 'nll'; it has accuracy"):
        said("one", "other", "--metric", "nll")


def test_other_test_images_are_refused_with_the_first(two):
    write_answers(two / "other", "other", missing="2/3.png")
    with pytest.raises(InputError, match=r"^repeat 2: '2/3\.png' is tested by one and not by other; "):
        said("one", "other")


def test_one_experiment_by_itself_has_no_table_of_differences(two):
    told = words(said("one"))
    assert "one 2 85.00 ± 7.07" in told
    assert "differs in" not in told


def test_an_experiment_twice_is_refused(two):
    with pytest.raises(InputError, match=r"^one one: one name is given twice"):
        said("one", "one")


def test_a_missing_file_is_named_with_its_experiment_and_the_way_out(two):
    Path("other/metrics/evaluate/2/predictions.csv").unlink()
    with pytest.raises(InputError, match=r"^other: .*2/predictions\.csv: No such file.*; `dvc repro` makes it"):
        said("one", "other")


def test_an_unknown_name_is_refused_with_those_there_are(clone):
    with pytest.raises(InputError, match=r"^nope: no experiment or revision of that name; experiments here: none; or"):
        reading.files_of("nope")


def test_experiments_of_one_name_are_told_apart_by_the_commit_they_were_made_from(clone):
    def git(*words):
        words = ("git", "-c", "user.name=a", "-c", "user.email=a@b", *words)
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "--quiet")
    made = {}
    for message in ("first", "second"):
        git("commit", "--quiet", "--allow-empty", "--message", message)
        head = git("rev-parse", "HEAD")
        made[head] = git("commit-tree", "-m", f"on {message}", "-p", head, f"{head}^{{tree}}")
        git("update-ref", f"refs/exps/{head[:2]}/{head[2:]}/mine", made[head])
    assert cloning.resolved(Path.cwd(), "mine") == made[head]
    assert {*finding.names(Path.cwd())} == {"workspace", *made.values()}
    git("commit", "--quiet", "--allow-empty", "--message", "third")
    for resolve in (reading.files_of, partial(cloning.resolved, Path.cwd())):
        with pytest.raises(
            InputError, match=f"mine: several experiments have this name: .*{made[head][:12]} made from"
        ):
            resolve("mine")
    # No name is a pattern of others.
    assert cloning.resolved(Path.cwd(), "min*") is None
    assert cloning.resolved(Path.cwd(), made[head]) == made[head]


def test_an_experiment_of_an_older_format_is_refused_by_its_name(two):
    file = Path("other/metrics/train/2/record.json")
    file.write_text(file.read_text(encoding="utf-8").replace('"format": 4', '"format": 0'), encoding="utf-8")
    paths.digests(file).unlink()
    place = r"metrics/train/2/record\.json"
    message = rf"^other: {place}: has format 0, but this version reads format 4; `dvc repro` makes it again$"
    with pytest.raises(InputError, match=message):
        said("one", "other")


def test_the_verdict_has_a_heading(two):
    assert re.search(r"^pair +verdict +difference \(points\)", said("one", "other"), re.MULTILINE)
