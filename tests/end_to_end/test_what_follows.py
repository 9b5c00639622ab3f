"""What follows from a setting, and what does not: on the real dvc.yaml, in the workspace, `--temp` and the queue."""

import json
import re
import resource
from pathlib import Path
from typing import Any

import pytest
from clones import GENERATED, Clone, experiments, ran, sets, stages, work_off_the_queue
from ruamel.yaml import YAML

from pipeline import tracking
from pipeline.core.recipe import Recipe

TRAINED = ("train", "evaluate")
NOTHING = stages("validate")
AGAIN = stages("validate", *TRAINED, "report")
# Overrides, and the stages that run, all others being as they were.
FOLLOWS = {
    "freeze=3b": NOTHING,
    "options.regularizer.delta.alpha.default=0.2": NOTHING,
    "freeze=3c": AGAIN,
    "lr=1e-5": AGAIN,
    "repeats=[1,2]": stages("validate", "report") | stages("split", *TRAINED, repeats=[2]),
    # Neither copies nor parts follow from the network.
    "backbone=resnet18 weights=none freeze=scratch": AGAIN | stages("source"),
}
UNKNOWN = {"+frez=3c": "unknown key 'frez'", "+recipes.quick.train.lrr=1": "unknown key 'recipes.quick.train.lrr'"}
# A file of each room on which no result depends.
OF_NO_RESULT = (
    "pipeline/config/messages.py",
    "pipeline/reporting/page.py",
    "pipeline/tracking/content.py",
    "pipeline/studies/tables.py",
    "pipeline/commands/describe.py",
)


def recipe_at(clone: Clone, revision: str) -> Recipe:
    """The resolved recipe that a revision of git holds."""
    return Recipe.model_validate(YAML(typ="safe").load(clone.run("git", "show", f"{revision}:data/recipe.yaml")))


def go_back(clone: Clone) -> None:
    """Go back from `-S` to what is committed."""
    clone.typed("git restore params.yaml data/recipe.yaml dvc.lock metrics")


def edit(clone: Clone, file: str) -> None:
    """Append a comment to a source file."""
    assert (clone.root / file).is_file()
    with (clone.root / file).open("a", encoding="utf-8") as stream:
        stream.write("\n# A comment.\n")


def changed(clone: Clone) -> set[str]:
    """The stages that would not be up to date."""
    return set(json.loads(clone.run("dvc", "status", "--json")))


@pytest.mark.slow
def test_in_the_workspace_what_follows_from_a_word_runs_alone_and_the_way_back_leaves_nothing(stubbed: Clone) -> None:
    """What is spelt out and what is not chosen run `validate` alone, and leave the resolved recipe as it is."""
    before, content = stubbed.outputs(), stubbed.content()
    recipe = content[stubbed.root / "data/recipe.yaml"]
    for overrides, wanted in FOLLOWS.items():
        assert set(ran(stubbed.run("dvc", "exp", "run", *sets(overrides)))) == wanted, overrides
        resolved = (stubbed.root / "data/recipe.yaml").read_bytes()
        assert (resolved == recipe) == (wanted == NOTHING), overrides
        go_back(stubbed)
        assert stubbed.run("git", "status", "--short") == ""
        stubbed.typed("dvc checkout")
        assert (stubbed.outputs(), stubbed.content()) == (before, content)
    assert ran(stubbed.typed("dvc repro")) == []


@pytest.mark.slow
def test_in_the_queue_what_follows_from_a_word_runs_alone_and_the_workspace_stays(queueing: Clone) -> None:
    """Each experiment in a copy, as with `--temp`."""
    content = queueing.content()
    names = [f"e{number}" for number in range(len(FOLLOWS))]
    for name, overrides in zip(names, FOLLOWS, strict=True):
        queueing.run("dvc", "exp", "run", "--queue", "--name", name, *sets(overrides))
    queueing.run("dvc", "queue", "start")
    work_off_the_queue(queueing, len(FOLLOWS))
    told = {name: queueing.run("dvc", "queue", "logs", name) for name in names}
    assert [set(ran(one)) for one in told.values()] == list(FOLLOWS.values())
    revision = {ref.rpartition("/")[2]: ref for ref in experiments(queueing)}
    held = {name: recipe_at(queueing, revision[name]) for name in told}
    assert [recipe.network.freeze for recipe in held.values()] == ["3b", "3b", "3c", "3b", "3b", "2"]
    assert [recipe.train.lr for recipe in held.values()] == [1e-3, 1e-3, 1e-3, 1e-5, 1e-3, 1e-3]
    assert held["e4"].repeats == (1, 2)
    assert queueing.content() == content
    assert queueing.run("git", "status", "--short") == ""


@pytest.mark.parametrize("overrides", UNKNOWN)
def test_an_unknown_key_is_refused_within_two_seconds(stubbed: Clone, overrides: str) -> None:
    stubbed.params(**with_key(stubbed.values(), overrides))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = stubbed.run("python", "-m", "pipeline.stages.validate", code=1)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert told.startswith(f"validate: error: params.yaml: {UNKNOWN[overrides]}")
    # Of a processor's time, which depends less on what else the machine does.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2


def with_key(values: dict[str, Any], override: str) -> dict[str, Any]:
    """Values with a key that is not yet there."""
    name, value = override.removeprefix("+").split("=")
    *above, last = name.split(".")
    place = values
    for key in above:
        place = place[key]
    assert last not in place
    place[last] = value
    return values


@pytest.mark.slow
@pytest.mark.parametrize("place", ["--temp", "--queue"])
def test_beside_the_workspace_an_unknown_key_is_refused_and_nothing_is_touched(queueing: Clone, place: str) -> None:
    content = queueing.content()
    # One in the queue, whose start takes seconds: it runs what --temp does.
    unknown = list(UNKNOWN.items())[: 1 if place == "--queue" else None]
    for number, (overrides, message) in enumerate(unknown):
        words = ["dvc", "exp", "run", place, "--name", f"e{number}", *sets(overrides)]
        told = queueing.run(*words, code=255 if place == "--temp" else 0)
        if place == "--queue":
            queueing.run("dvc", "queue", "start")
            work_off_the_queue(queueing, 0)
            assert re.search(rf"e{number} .*Failed", queueing.run("dvc", "queue", "status"))
            told = queueing.run("dvc", "queue", "logs", f"e{number}")
        assert f"validate: error: params.yaml: {message}" in told
        assert set(ran(told)) == NOTHING
    assert experiments(queueing) == []
    assert queueing.content() == content
    assert queueing.run("git", "status", "--short") == ""


@pytest.mark.slow
def test_the_way_back_before_anything_is_committed_trains_nothing(stubbed: Clone) -> None:
    # As after the first run in a fresh clone: git does not know what was written.
    stubbed.run("git", "reset", "--quiet", "HEAD~1")
    recipe, outputs = (stubbed.root / "data/recipe.yaml").read_bytes(), stubbed.outputs()
    assert "?? dvc.lock" in stubbed.run("git", "status", "--short")
    stubbed.run("dvc", "exp", "run", *sets("freeze=3c"))
    assert (stubbed.root / "data/recipe.yaml").read_bytes() != recipe
    assert ran(stubbed.typed("git restore params.yaml && dvc repro")) == ["validate", "report"]
    assert (stubbed.root / "data/recipe.yaml").read_bytes() == recipe
    assert stubbed.outputs() == outputs


@pytest.mark.slow
def test_after_a_merge_either_side_of_the_generated_files_will_do(stubbed: Clone) -> None:
    stubbed.run("git", "branch", "other")
    for branch, overrides in (("main", "budget=2"), ("other", "freeze=3c")):
        stubbed.run("git", "switch", "--quiet", branch)
        stubbed.run("dvc", "checkout")
        stubbed.run("dvc", "exp", "run", *sets(overrides))
        stubbed.commit()
    stubbed.run("git", "switch", "--quiet", "main")
    told = stubbed.run("git", "merge", "other", code=1)
    conflicts = set(re.findall(r"Merge conflict in (.*)", told))
    assert {"data/recipe.yaml", "dvc.lock", "metrics/summary.json"} <= conflicts <= set(GENERATED)
    stubbed.typed("git checkout --ours data/recipe.yaml dvc.lock metrics/summary.json metrics/curves.csv")
    assert set(ran(stubbed.run("dvc", "repro"))) == AGAIN
    made = stubbed.outputs()
    stubbed.run("git", "checkout", "--theirs", "--", *conflicts)
    assert "validate" in ran(stubbed.run("dvc", "repro"))
    assert stubbed.outputs() == made
    stubbed.commit()
    merged = recipe_at(stubbed, "HEAD")
    assert (merged.network.freeze, merged.train.budget.amount) == ("3c", 2)
    summary = json.loads(stubbed.run("git", "show", "HEAD:metrics/summary.json"))
    assert summary["accuracy"]["mean"] == 0.9
    assert "up to date" in stubbed.run("dvc", "repro")


@pytest.mark.slow
def test_an_experiment_is_shared_with_a_clone_also_if_it_is_older_than_its_remote(
    stubbed: Clone, tmp_path: Path
) -> None:
    origin, place = tmp_path / "origin.git", {"s3://bucket/orbweaver": str(tmp_path / "store")}
    stubbed.run("git", "init", "--quiet", "--bare", str(origin))
    stubbed.run("git", "remote", "add", "origin", str(origin))
    stubbed.run("dvc", "exp", "run", "-n", "older", *sets("freeze=3b"))
    stubbed.run("git", "restore", ".")
    stubbed.typed("dvc remote add -d store s3://bucket/orbweaver", put=place)
    stubbed.typed('git commit -m "A remote for DVC" .dvc/config')
    stubbed.typed("dvc exp run -n last-block -S freeze=3c")
    stubbed.run("git", "push", "--quiet", "origin", "HEAD:main")
    stubbed.typed("dvc exp push origin last-block")
    stubbed.run("dvc", "remote", "add", "--local", "-d", "store", str(tmp_path / "store"))
    stubbed.run("dvc", "exp", "push", "origin", "older")
    stubbed.run("git", "clone", "--quiet", "--branch", "main", str(origin), str(tmp_path / "other"))
    other = Clone(tmp_path / "other", tmp_path)
    other.run("dvc", "exp", "pull", "origin", "last-block")
    other.run("dvc", "remote", "add", "--local", "-d", "store", str(tmp_path / "store"))
    other.run("dvc", "exp", "pull", "origin", "older")
    shared = other.run("orbweaver", "compare", "last-block", "older")
    assert shared == stubbed.run("orbweaver", "compare", "last-block", "older")


@pytest.mark.slow
def test_metrics_of_two_commits_are_compared_without_dvcs_cache(stubbed: Clone, tmp_path: Path) -> None:
    stubbed.run("dvc", "exp", "run", *sets("freeze=3c"))
    stubbed.commit()
    stubbed.run("git", "clone", "--quiet", str(stubbed.root), str(tmp_path / "bare"))
    bare = Clone(tmp_path / "bare", tmp_path)
    assert not list((bare.root / ".dvc").glob("cache"))
    assert "accuracy.mean" in bare.typed("dvc metrics diff HEAD~1")
    compared = json.loads(bare.run("dvc", "metrics", "diff", "HEAD~1", "HEAD", "--json"))
    accuracy = compared["metrics/summary.json"]["accuracy.mean"]
    assert (accuracy["old"], accuracy["new"]) == (0.6, 0.9)
    shown = json.loads(bare.run("dvc", "metrics", "show", "--json"))[""]["data"]["metrics/summary.json"]["data"]
    assert shown["accuracy"]["mean"] == 0.9
    assert (bare.root / "metrics/curves.csv").read_bytes() == (stubbed.root / "metrics/curves.csv").read_bytes()
    assert recipe_at(bare, "HEAD").network.freeze == "3c"


@pytest.mark.slow
def test_an_edit_of_messages_pages_tables_and_commands_trains_nothing_and_one_of_the_loop_does(stubbed: Clone) -> None:
    for file in OF_NO_RESULT:
        edit(stubbed, file)
    assert changed(stubbed) == stages("validate", "report")
    assert ran(stubbed.run("dvc", "repro")) == ["validate", "report"]
    edit(stubbed, "pipeline/training/loop.py")
    assert stages("train") <= changed(stubbed)
    assert stages(*TRAINED) <= set(ran(stubbed.run("dvc", "repro")))


@pytest.mark.slow
def test_places_with_signs_that_a_shell_would_read_reach_the_stages_and_no_shell(
    stubbed: Clone, tmp_path: Path
) -> None:
    folder = tmp_path / """mes photos d'été $(touch x) `touch x` "$HOME" \\ ; touch x"""
    for label in ("a", "b"):
        (folder / label).mkdir(parents=True)
        for number in range(2):
            (folder / label / f"{number} '.jpg").write_text(f"{label}{number}", encoding="utf-8")
    weights, archive = tmp_path / "l'été $(touch x) 1.pth", tmp_path / 'l"archive; touch x 1.tgz'
    for file in (weights, archive):
        file.write_text("content", encoding="utf-8")
    places = {"folder": folder, "weights_file": weights, "archive": archive}
    quoted = [f"{key}='{str(place).replace(chr(39), chr(92) + chr(39))}'" for key, place in places.items()]
    words = [word for one in ("data=folder", "weights=file", *quoted) for word in ("-S", one)]
    told = stubbed.run("dvc", "exp", "run", *words)
    assert {"collect", "source"} <= set(ran(told))
    # Both have read what is there: another content of it makes another output.
    (folder / "a/0 '.jpg").write_text("another", encoding="utf-8")
    assert "collect" in ran(stubbed.run("dvc", "repro"))
    weights.write_text("another", encoding="utf-8")
    assert "source" in ran(stubbed.run("dvc", "repro"))
    # Nor where `validate` has been passed over.
    stubbed.run("dvc", "repro", "--force", "--single-item", "collect", "source")
    assert not (stubbed.root / "x").exists()


@pytest.mark.slow
@pytest.mark.parametrize("repeat", ["$(touch x)", "'; touch x; '", "1\ntouch x\n", True])
def test_a_repeat_is_a_whole_number_or_none_also_where_validate_was_passed_over(repeat: Any, stubbed: Clone) -> None:
    before = stubbed.content()
    stubbed.params(repeats=[repeat])
    told = stubbed.run("dvc", "repro", "--single-item", "split", code=255)
    assert "split: error: repeats: " in told or "\n" in str(repeat)
    assert not (stubbed.root / "x").exists()
    assert stubbed.content() == before


@pytest.mark.slow
def test_repeats_of_two_codes_are_trained_alike_by_the_command_that_is_named(
    stubbed: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As an edit of what only `evaluate` and records depend on.
    file = stubbed.root / "pipeline/stages/stubs.py"
    file.write_text(file.read_text(encoding="utf-8").replace('"c" * 64', '"d" * 64'), encoding="utf-8")
    stubbed.params(repeats=[1, 2])
    assert "train@1" not in ran(stubbed.run("dvc", "repro"))
    stubbed.enter(monkeypatch)
    with pytest.raises(tracking.IncompleteError, match="repeats 1 and 2 differ in code") as apart:
        tracking.read(tracking.Folder(Path()))
    for command in re.findall("`(.*?)`", str(apart.value)):
        stubbed.run(*command.split())
    assert len(tracking.read(tracking.Folder(Path())).repeats) == 2


# What DVC itself cannot read, and our line for it.
UNREADABLE = {
    "x:\n\ty: 1\n": "begins with a tab; YAML takes blanks alone",
    "<<<<<<< HEAD\nx: 1\n=======\nx: 2\n>>>>>>> other\n": "is a mark of a conflict in a merge; choose one side",
    "x: 2020-01-01\n": "unknown key 'x'",
    f"x: {'[' * 2000}{']' * 2000}\n": "more than 20 nested sections or lists",
    f"x: {'9' * 5000}\n": "a key or value of 5,000 characters; at most 4,096 are read",
}


@pytest.mark.slow
def test_where_dvc_cannot_read_params_yaml_nothing_is_lost_and_our_commands_say_why(stubbed: Clone) -> None:
    before, file = stubbed.content(), stubbed.root / "params.yaml"
    text = file.read_text(encoding="utf-8")
    for more, line in UNREADABLE.items():
        file.write_text(text + more, encoding="utf-8")
        assert ran(stubbed.run("dvc", "repro", code=255)) == []
        assert line in stubbed.run("orbweaver", "doctor", code=1)
        assert file.read_text(encoding="utf-8") == text + more
    assert stubbed.content() == before


@pytest.mark.slow
def test_one_word_for_the_rate_goes_through_dvc_for_a_recipe_of_phases(stubbed: Clone) -> None:
    stubbed.recipes("quick", "animals")
    stubbed.run("dvc", "exp", "run", *sets("recipe=animals data=synthetic weights=none lr=1e-4"))
    record = json.loads((stubbed.root / "metrics/train/1/record.json").read_text(encoding="utf-8"))
    assert [phase["lr"] for phase in record["phases"]] == pytest.approx([1e-4, 1e-6])
    assert stubbed.values()["lr"] == 1e-4


def test_a_rate_that_dvc_writes_without_a_point_is_a_number(stubbed: Clone) -> None:
    stubbed.run("dvc", "exp", "run", *sets("lr=1e-5"), "validate")
    assert "\nlr: 1e-05\n" in (stubbed.root / "params.yaml").read_text(encoding="utf-8")
    assert "\n  lr: 1e-05\n" in (stubbed.root / "data/recipe.yaml").read_text(encoding="utf-8")
    assert Recipe.read(stubbed.root / "data/recipe.yaml").train.lr == 1e-5


def test_what_is_generated_is_not_ignored_by_git_and_the_recipe_is_in_it_from_the_start(stubbed: Clone) -> None:
    stubbed.run("git", "check-ignore", "--no-index", *GENERATED, code=1)
    assert set(GENERATED) <= set(stubbed.run("git", "ls-files").split())
    assert "data/recipe.yaml" in stubbed.run("git", "ls-tree", "-r", "--name-only", "HEAD~1").split()


def test_a_plan_is_printed_without_running_anything(stubbed: Clone) -> None:
    stubbed.params(freeze="3c")
    before = stubbed.content()
    assert ran(stubbed.run("dvc", "repro", "--dry")) == ["validate"]
    assert stubbed.content() == before
