"""An advice from its price to its page, with stages that train nothing."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from clones import Clone

from pipeline.advice import candidates
from pipeline.commands import advise
from pipeline.core.errors import InputError
from pipeline.evaluation.compare import repeats
from pipeline.experiments import revisions
from pipeline.running import opened

pytestmark = pytest.mark.slow


def test_an_advice_is_said_paid_shown_and_found_again(stubbed: Clone) -> None:
    before = (stubbed.root / "params.yaml").read_bytes()
    told = stubbed.run("orbweaver", "advise", "--trainings", "2", "--sizes", "32,48")
    assert "advise: On other images (" in told
    assert re.search(r"advise: image sizes first, about [\d.]+\ss: 32 [\d.]+\ss, 48 [\d.]+\ss", told)
    assert len(re.findall(r"advise: image size (?:32|48): [\d.]+ % ", told)) == 2
    taken = re.search(r"advise: image size (\d+) is taken for all that follows: it is the ", told)
    assert taken
    # The clone's budget is one epoch.
    assert (
        "left out: advice: cell 'spa_gca': params.yaml: recipes.quick.train.budget.amount: 1 cannot be halved" in told
    )
    assert re.search(
        r"advise: trials: (\d+) of 15 candidates, .*: [12] trainings with start and evaluation, about ", told
    )
    assert re.search(r"^Use (strategy )?\S+: expect [\d.]+ % of new images to be right", told, re.MULTILINE)
    folder = stubbed.root / "metrics/advice"
    # Only those that are tried were measured.
    tried = re.search(r"advise: trials: (\d+) of ", told)
    assert tried
    [measured] = json.loads((stubbed.root / ".dvc/tmp/advice/seconds.json").read_text(encoding="utf-8")).values()
    assert len(measured) == int(tried[1]) + 1
    answer = json.loads((folder / "advice.json").read_text(encoding="utf-8"))
    assert answer["recommended"] in answer["tied"]
    assert f" With {candidates.in_words(answer['recommended'])}, {answer['meaning']}.\n" in told
    assert answer["tied"][0] == answer["best"]
    means = {name: one["accuracy"] for name, one in answer["inner"].items()}
    assert means[answer["best"]] == max(means.values())
    assert [str(one["image_size"]) for one in answer["image_sizes"] if one["taken"]] == [taken[1]]
    assert f"-S image_size={taken[1]} " in answer["command"]
    assert f'"image_size": {taken[1]}' in stubbed.run("dvc", "exp", "show", "--json")
    # Inner divisions choose, and the test part is opened for the recommended one.
    assert answer["test"]["n"] == 3
    assert len(answer["learning_curve"]) == 3
    # The stub divides as it always does, so that there is one size and no curve.
    assert answer["gain"] is None
    page = (folder / "index.html").read_text(encoding="utf-8")
    for said in ("<h2>Image sizes</h2>", "What was tried", "The test part, opened once", "drawn spiders"):
        assert said in page
    assert answer["command"] in told
    assert (stubbed.root / "params.yaml").read_bytes() == before
    assert stubbed.run("git", "status", "--short") == ""

    experiments = stubbed.run("dvc", "exp", "list", "--name-only")
    again = stubbed.run("orbweaver", "advise", "--trainings", "2", "--sizes", "32,48", "--more", "500", "--json")
    assert "advise: image sizes first, about 0.0\N{NO-BREAK SPACE}s: 32 kept, 48 kept" in again
    # Two tried once, and of the recommended one the test and the curve.
    assert "advise: of these, 2 and 14 trainings are finished already\n" in again
    assert json.loads(again[again.index("{\n") :]) == answer
    # What is only said differently is part of the command that says it again.
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "orbweaver advise --trainings 2 --sizes 32,48 --more 500</code>" in page
    assert stubbed.run("dvc", "exp", "list", "--name-only") == experiments
    assert answer["other_tests"] == []
    # An advice that recommends other settings on these images finds the test of this one, and none of its trials.
    [name] = others(stubbed.root, answer["recommended"], lr=0.5)
    assert name.startswith(f"advice-{answer['recommended']}-")


def others(root: Path, recommended: str, *, lr: float) -> list[str]:
    """Return what is found of the recommendation's own test, as if it had had another learning rate."""
    for name, revision in revisions.experiments(root):
        one = repeats.read(revisions.Revision(root, revision), 1)
        recipe = one.record.recipe
        if re.fullmatch(rf"advice-{recommended}-[0-9a-f]{{12}}", name) and not recipe.data.split.inner:
            other = recipe.model_copy(update={"train": recipe.train.model_copy(update={"lr": lr})})
            return opened.others(root, one._replace(record=one.record.model_copy(update={"recipe": other})))
    raise AssertionError(f"{recommended} was not tested")


def test_an_edit_ends_it_when_the_trial_that_runs_has_ended_and_undone_it_goes_on(stubbed: Clone) -> None:
    params = stubbed.root / "params.yaml"
    before = params.read_text(encoding="utf-8")
    child = begun(stubbed, "2 of 2 cells to run, 2 trainings")
    stubbed.params(lr=0.5)
    told = child.communicate()[0]
    assert child.returncode == 1
    assert len(re.findall(r"^\[\d+/2\] finished: ", told, re.MULTILINE)) == 1
    way_out = "undo the edit and the same command goes on, or keep it and the same command begins anew"
    assert told.splitlines()[-1].endswith(way_out)
    params.write_text(f"# undone\n{before}", encoding="utf-8")
    child = begun(stubbed, "1 of 2 cells to run, 1 training;")
    os.kill(child.pid, signal.SIGINT)
    assert "the same command goes on" in child.communicate()[0]


def begun(stubbed: Clone, line: str) -> "subprocess.Popen[str]":
    """Start an advice, and return when it runs its trials."""
    child = stubbed.start("orbweaver", "advise", "--trainings", "2")
    assert child.stdout is not None
    assert line in next(said for said in child.stdout if " to run, " in said)
    return child


def test_what_cannot_be_advised_is_refused_in_a_line(stubbed: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    told = stubbed.run("orbweaver", "advise", "--hours", "0.0001", code=1)
    assert "--hours: the last comparison and one training with start and evaluation take" in told
    assert "Traceback" not in told
    # One process refuses the others, as each start takes seconds.
    stubbed.enter(monkeypatch)
    for words, line in {
        "-S freeze=1": "^-S freeze=1: this is what advise tries or sets itself",
        "--hours 1 --trainings 3": "^--hours and --trainings: use only one of them",
        "--backbones resnet19": "resnet19",
        "--sizes 48,many": "^--sizes: 'many' is no whole number of pixels",
    }.items():
        with pytest.raises(InputError, match=line):
            advise.command.main(words.split(), standalone_mode=False)
    assert not (stubbed.root / "metrics/advice").exists()
