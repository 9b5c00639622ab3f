"""The user's changes that a killed `dvc exp run` left in git's stash, where DVC has run again since."""

import subprocess
from pathlib import Path

import pytest
from scmrepo.git import Git

from pipeline.commands import mending

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


def test_a_branch_that_a_killed_run_left_is_gone_back_to() -> None:
    git("reset", "--quiet", "--hard")
    git("stash", "drop", "--quiet")
    assert mending.look(Path.cwd()) == ([], [])
    commit = git("rev-parse", "HEAD")
    for to, why in (("refs/exps/aa/bb/second-run", "commit"), (commit, f"dvc: Restore HEAD to '{commit}'")):
        git("update-ref", "-m", why, "--no-deref", "HEAD", to)
    assert (
        mended() == "HEAD is detached from main, by a `dvc exp run` that was killed before the last one: back on main"
    )
    assert git("symbolic-ref", "HEAD") == "refs/heads/main"


def test_the_users_own_stash_is_none_of_dvcs() -> None:
    git("reset", "--quiet", "--hard")
    git("stash", "drop", "--quiet")
    write("code.py", "4\n")
    git("stash", "push", "--quiet")
    assert mending.look(Path.cwd()) == ([], [])
