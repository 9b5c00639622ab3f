"""The user's changes that a killed `dvc exp run` left in git's stash, where DVC has run again since."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from scmrepo.git import Git

from pipeline.recovery import leftovers, mending

PARAMS = "freeze: auto\n\nlr: auto\n\nbatch_size: auto\n"
EDITED = f"# mine\n{PARAMS}"
OF_THE_SECOND_RUN = PARAMS.replace("freeze: auto", "freeze: 1")


def git(*words: str) -> str:
    return subprocess.run(("git", *words), check=True, capture_output=True, text=True).stdout.strip()


def write(name: str, text: str) -> None:
    Path(name).write_text(text, encoding="utf-8")


def read(name: str) -> str:
    return Path(name).read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clone as the second run leaves it: the first one's stash, HEAD off its branch, and another experiment."""
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet", "--initial-branch", "main")
    git("config", "user.name", "A")
    git("config", "user.email", "a@example.org")
    Path(".dvc/tmp").mkdir(parents=True)
    Path("data").mkdir()
    for name, text in (("params.yaml", PARAMS), ("code.py", "1\n"), ("gone.py", "1\n"), (".gitignore", "/.dvc/tmp\n")):
        write(name, text)
    write("data/recipe.yaml", "freeze: auto\n")
    git("add", "--all")
    git("commit", "--quiet", "--message", "state")
    write("params.yaml", EDITED)
    write("code.py", "2\n")
    write("new.py", "new\n")
    write("data/recipe.yaml", "freeze: 3b\n")
    Path("gone.py").unlink()
    git("add", "new.py")
    with Git(str(tmp_path)) as scm:
        scm.stash.push()
    git("checkout", "--quiet", "--detach", git("rev-parse", "HEAD"))
    write("params.yaml", OF_THE_SECOND_RUN)
    write("data/recipe.yaml", "freeze: 1\n")
    git("update-ref", "refs/exps/aa/bb/second-run", git("stash", "create"))


def an_experiment(changes: str, after: int = 0) -> str:
    """Make DVC's own stash of an experiment of some changes with `-S freeze=2`, which is in no list."""
    git("read-tree", "--index-output=.git/made", changes)
    environment = os.environ | {"GIT_INDEX_FILE": ".git/made", "GIT_COMMITTER_DATE": f"{time.time() + after:.0f} +0000"}
    params = git("show", f"{changes}:params.yaml").replace("freeze: auto", "freeze: 2") + "\n"

    def made(*words: str, text: str = "") -> str:
        done = subprocess.run(("git", *words), env=environment, input=text, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    blob = made("hash-object", "-w", "--stdin", text=params)
    made("update-index", "--cacheinfo", f"100644,{blob},params.yaml")
    parents = ("-p", "main", "-p", git("rev-parse", "stash@{0}^2"))
    return made("commit-tree", made("write-tree"), *parents, "-m", "On (no branch): dvc-exp:a:b:c")


def put(experiment: str) -> None:
    """Put DVC's own stash into git's, as it is while DVC makes or applies it."""
    git("stash", "store", "--message", "On (no branch): dvc-exp:a:b:c", experiment)


# Names that git quotes where it lists them as lines, and one that it would read as a pattern.
ODD = ("föhn.py", 'a "quoted" name.py', "[ab]*.py")


def mended() -> str:
    lines: list[str] = []
    mending.mend(Path.cwd(), lines.append)
    (line,) = lines
    return line


def test_the_changes_are_told_before_the_next_command_and_left_where_they_are() -> None:
    lines: list[str] = []
    mending.prepare(Path.cwd(), lines.append)
    assert lines == [
        "stash@{0}: your changes of code.py, data/recipe.yaml, gone.py and 2 more, left by a `dvc exp run` that was "
        "killed before the last one; `orbweaver doctor --mend` goes back"
    ]
    assert read("params.yaml") == OF_THE_SECOND_RUN
    assert git("stash", "list")


def test_mending_gives_all_changes_back_and_keeps_what_was_there() -> None:
    line = mended()
    assert (read("params.yaml"), read("code.py"), read("new.py")) == (EDITED, "2\n", "new\n")
    assert read("data/recipe.yaml") == "freeze: 3b\n"
    assert not Path("gone.py").exists()
    assert "A  new.py" in git("status", "--short").splitlines()
    assert git("symbolic-ref", "HEAD") == "refs/heads/main"
    assert git("stash", "list") == ""
    kept = Path(line.rpartition(" is in ")[2])
    assert read(str(kept / "params.yaml")) == OF_THE_SECOND_RUN
    assert mending.look(Path.cwd()) == ([], [])


def test_newer_changes_at_other_lines_stay_beside_them() -> None:
    write("params.yaml", PARAMS.replace("batch_size: auto", "batch_size: 8"))
    mended()
    assert read("params.yaml") == EDITED.replace("batch_size: auto", "batch_size: 8")
    assert git("stash", "list") == ""


def test_newer_changes_at_the_same_lines_stop_it_and_nothing_is_changed() -> None:
    write("code.py", "3\n")
    line = mended()
    assert (
        "left as it is, as code.py changed since at the same lines: look at both with `git diff 'stash@{0}' -- " in line
    )
    assert (read("params.yaml"), read("code.py")) == (OF_THE_SECOND_RUN, "3\n")
    assert git("stash", "list")
    assert not Path("new.py").exists()


def test_a_commit_made_since_stays() -> None:
    write("params.yaml", PARAMS.replace("lr: auto", "lr: 0.1"))
    git("commit", "--quiet", "--message", "newer", "params.yaml")
    write("params.yaml", PARAMS.replace("lr: auto", "lr: 0.1"))
    mended()
    assert read("params.yaml") == EDITED.replace("lr: auto", "lr: 0.1")


@pytest.mark.parametrize("second", ["ran", "was refused"])
def test_a_branch_that_a_killed_run_left_is_gone_back_to(second: str) -> None:
    git("reset", "--quiet", "--hard")
    git("stash", "drop", "--quiet")
    assert mending.look(Path.cwd()) == ([], [])
    commit = git("rev-parse", "HEAD")
    if second == "ran":
        for to, why in (("refs/exps/aa/bb/second-run", "commit"), (commit, f"dvc: Restore HEAD to '{commit}'")):
            git("update-ref", "-m", why, "--no-deref", "HEAD", to)
    else:
        git("update-ref", "refs/exps/exec/EXEC_HEAD", commit)
        # It takes seconds to begin.
        os.utime(".git/refs/exps/exec", (time.time() + 5,) * 2)
    assert (
        mended() == "HEAD is detached from main, by a `dvc exp run` that was killed before the last one: back on main"
    )
    assert git("symbolic-ref", "HEAD") == "refs/heads/main"


def test_a_commit_that_the_user_checks_out_where_a_run_was_before_is_no_killed_runs() -> None:
    """Git notes it as DVC's own, and the run's reference stays."""
    git("reset", "--quiet", "--hard")
    git("stash", "drop", "--quiet")
    git("update-ref", "refs/exps/exec/EXEC_HEAD", git("rev-parse", "HEAD"))
    os.utime(".git/refs/exps/exec", (time.time() - 5,) * 2)
    assert mending.look(Path.cwd()) == ([], [])


def test_the_users_own_stash_is_none_of_dvcs() -> None:
    git("reset", "--quiet", "--hard")
    git("stash", "drop", "--quiet")
    write("code.py", "4\n")
    git("stash", "push", "--quiet")
    assert mending.look(Path.cwd()) == ([], [])


@pytest.mark.parametrize("is_listed", [True, False])
def test_changes_come_back_where_dvcs_own_stash_was_left_in_gits(is_listed: bool) -> None:
    """Killed while it makes the experiment, with the changes below it, and while it applies it, without."""
    experiment = an_experiment("stash@{0}")
    if not is_listed:
        git("stash", "drop", "--quiet")
    put(experiment)
    (found,) = mending.look(Path.cwd()).found
    assert found.what.startswith(f"stash@{{{int(is_listed)}}}: your changes of code.py, data/recipe.yaml, gone.py and")
    assert mended().startswith(found.what)
    assert (read("params.yaml"), read("code.py"), read("new.py")) == (EDITED, "2\n", "new\n")
    assert git("stash", "list") == ""
    assert mending.look(Path.cwd()) == ([], [])


def test_what_dvc_had_applied_of_the_killed_experiment_is_no_change_of_the_users() -> None:
    experiment = an_experiment("stash@{0}")
    git("stash", "drop", "--quiet")
    put(experiment)
    write("params.yaml", EDITED.replace("freeze: auto", "freeze: 2"))
    mended()
    assert read("params.yaml") == EDITED


def test_changes_that_clash_are_in_gits_stash_themselves_then() -> None:
    changes, experiment = git("rev-parse", "stash@{0}"), an_experiment("stash@{0}")
    git("stash", "drop", "--quiet")
    put(experiment)
    write("code.py", "3\n")
    assert "left as it is, as code.py changed since at the same lines: look at both with `git diff 'stash@" in mended()
    assert git("stash", "list", "--format=%H") == changes
    assert (read("params.yaml"), read("code.py")) == (OF_THE_SECOND_RUN, "3\n")


def test_an_experiment_in_dvcs_queue_stays_there() -> None:
    experiment = an_experiment("stash@{0}")
    git("update-ref", "--create-reflog", "refs/exps/celery/stash", experiment)
    put(experiment)
    assert mended().startswith("stash@{1}: your changes of ")
    assert read("params.yaml") == EDITED
    assert git("stash", "list") == ""
    assert git("reflog", "--format=%H", "refs/exps/celery/stash") == experiment


def test_an_experiment_in_dvcs_queue_that_was_made_without_changes_is_left_alone() -> None:
    experiment = an_experiment("main")
    git("update-ref", "--create-reflog", "refs/exps/celery/stash", experiment)
    git("stash", "drop", "--quiet")
    put(experiment)
    assert mending.look(Path.cwd()).found == []
    mending.mend(Path.cwd(), lambda line: None)
    assert git("stash", "list", "--format=%H") == experiment


def test_changes_of_an_earlier_run_are_none_of_an_experiment_without_changes() -> None:
    """They are in git's objects, the user has taken them back since, and ran again with `-S` alone."""
    an_experiment("stash@{0}")
    experiment = an_experiment("main", after=5)
    git("stash", "drop", "--quiet")
    git("reset", "--quiet", "--hard")
    put(experiment)
    line = mended()
    assert line.startswith(
        "stash@{0}: what a killed `dvc exp run` was to run, without changes of yours from before it: "
    )
    assert read("params.yaml") == PARAMS
    assert git("stash", "list") == ""
    kept = Path(line.rpartition(" is in ")[2])
    assert read(str(kept / "params.yaml")) == PARAMS.replace("freeze: auto", "freeze: 2")


def test_an_experiment_with_the_changes_outlives_the_mending_of_a_later_kill() -> None:
    experiment = an_experiment("stash@{0}")
    git("stash", "drop", "--quiet")
    put(experiment)
    place = leftovers.RWLOCKS[1]
    place.parent.mkdir()
    dead = {key: {"pid": 2**22 + 1, "cmd": "dvc"} for key in leftovers.SETS_UP}
    place.write_text(json.dumps({"read": {}, "write": dead}), encoding="utf-8")
    os.utime(place, (time.time() + 60, time.time() + 60))
    lines: list[str] = []
    mending.mend(Path.cwd(), lines.append)
    assert read("params.yaml") == EDITED
    assert git("stash", "list") == ""
    first, second = (Path(line.rpartition(" is in ")[2]) for line in lines)
    assert first != second


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("committed", [True, False])
def test_changes_of_files_with_odd_names_come_back_too(name: str, committed: bool, tmp_path: Path) -> None:
    git("checkout", "--quiet", "--force", "main")
    git("stash", "drop", "--quiet")
    if committed:
        write(name, "1\n")
        git("add", "--all")
        git("commit", "--quiet", "--message", "odd")
    write(name, "2\n")
    git("add", "--all")
    with Git(str(tmp_path)) as scm:
        scm.stash.push()
    assert "back in your files" in mended()
    assert read(name) == "2\n"
    assert git("stash", "list") == ""
