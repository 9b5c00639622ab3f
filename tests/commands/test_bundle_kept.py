"""A bundle that is in use stays where the next one is not made."""

import json
import os
import shlex
import shutil
import signal
import subprocess
from pathlib import Path
from unittest.mock import Mock

import pytest
from dvc.repo import Repo

from pipeline.commands import bundle
from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.recovery import earlier_bundle, mending

pytestmark = pytest.mark.slow
WRITE = f"mkdir -p {paths.BUNDLE} && echo 1 > {paths.BUNDLE}/weights"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project of DVC's with a bundle."""
    monkeypatch.chdir(tmp_path)
    # What looks for updates and sends reports goes on for seconds as a DVC at work.
    quiet = os.environ | {"CI": "true", "DVC_NO_ANALYTICS": "true"}
    subprocess.run(("dvc", "init", "--quiet", "--no-scm"), env=quiet, check=True)
    # As the project has it.
    config = "[core]\n    no_scm = true\n    analytics = false\n    check_update = false\n"
    Path(".dvc/config").write_text(config, encoding="utf-8")


def mended() -> list[str]:
    lines: list[str] = []
    mending.mend(Path.cwd(), lines.append)
    return lines


def test_what_is_there_comes_back_where_the_next_one_fails(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="was not made"):
        bundle.made(tmp_path, {"cmd": "false"})
    bundle.made(tmp_path, {"cmd": WRITE})
    definition = paths.BUNDLE_STAGE.read_bytes()
    with pytest.raises(InputError, match="was not made"):
        bundle.made(tmp_path, {"cmd": "false"})
    assert (paths.BUNDLE / "weights").read_text(encoding="utf-8") == "1\n"
    assert paths.BUNDLE_STAGE.read_bytes() == definition


def test_a_signal_while_another_experiments_is_recorded_waits_until_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in place was said to be the bundle of before, and models/dvc.lock had that one."""
    bundle.made(tmp_path, {"cmd": WRITE})
    (tmp_path / "there").mkdir()
    (tmp_path / "there/weights").write_text("2\n", encoding="utf-8")
    before, run = signal.getsignal(signal.SIGTERM), earlier_bundle.dvc

    def interrupted(root: Path, *words: str, otherwise: str) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.raise_signal(number)
        run(root, *words, otherwise=otherwise)

    monkeypatch.setattr(earlier_bundle, "dvc", interrupted)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            bundle.place(tmp_path, tmp_path / "there", {"cmd": "other", "frozen": True})
    finally:
        signal.signal(signal.SIGTERM, before)
    shutil.rmtree(paths.BUNDLE)
    subprocess.run(("dvc", "checkout", "--quiet", earlier_bundle.ADDRESS), check=True)
    assert (paths.BUNDLE / "weights").read_text(encoding="utf-8") == "2\n"


def test_what_is_there_comes_back_whenever_a_signal_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After DVC had recorded the next one, or once more while the earlier one is brought back."""
    bundle.made(tmp_path, {"cmd": WRITE})
    before = [(tmp_path / file).read_bytes() for file in (paths.BUNDLE_STAGE, earlier_bundle.LOCK)]
    run = earlier_bundle.dvc

    def interrupted(root: Path, *words: str, otherwise: str) -> None:
        if "repro" in words:
            run(root, *words, otherwise=otherwise)
            assert (paths.BUNDLE / "weights").read_text(encoding="utf-8") == "2\n"
        signal.raise_signal(signal.SIGINT)
        run(root, *words, otherwise=otherwise)

    monkeypatch.setattr(earlier_bundle, "dvc", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bundle.made(tmp_path, {"cmd": WRITE.replace("1", "2")})
    assert (paths.BUNDLE / "weights").read_text(encoding="utf-8") == "1\n"
    assert [(tmp_path / file).read_bytes() for file in (paths.BUNDLE_STAGE, earlier_bundle.LOCK)] == before
    assert not list((tmp_path / ".dvc/tmp").glob("earlier-bundle*"))


def test_beside_a_dvc_that_holds_the_lock_the_reason_is_said_and_what_is_there(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bundle.made(tmp_path, {"cmd": WRITE})
    definition = paths.BUNDLE_STAGE.read_bytes()
    (tmp_path / "there").mkdir()
    (tmp_path / "there/weights").write_text("2\n", encoding="utf-8")
    with Repo(str(tmp_path)) as repo, repo.lock:
        with pytest.raises(InputError, match="was not made, for the reason above; the same command tries again"):
            bundle.made(tmp_path, {"cmd": "other"})
        assert capfd.readouterr().err.startswith("ERROR: Unable to acquire lock.")
        assert (paths.BUNDLE / "weights").read_text(encoding="utf-8") == "1\n"
        assert paths.BUNDLE_STAGE.read_bytes() == definition
        assert not list((tmp_path / ".dvc/tmp").glob("earlier-bundle*"))
        with pytest.raises(InputError) as raised:
            bundle.place(tmp_path, tmp_path / "there", {"cmd": "other", "frozen": True})
        assert "ERROR: failed to commit models/dvc.yaml - Unable to acquire lock." in capfd.readouterr().err
    line = "models/bundle: is the new one, but not recorded, for the reason above; `COMMAND` records it"
    command = ("dvc", "commit", "--force", "models/dvc.yaml")
    assert str(raised.value) == line.replace("COMMAND", shlex.join(command))
    subprocess.run((*command, "--quiet"), check=True)
    shutil.rmtree(paths.BUNDLE)
    subprocess.run(("dvc", "checkout", "--quiet", earlier_bundle.ADDRESS), check=True)
    assert (paths.BUNDLE / "weights").read_text(encoding="utf-8") == "2\n"


def test_one_that_cannot_be_brought_back_is_said_with_the_command_that_does(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bundle.made(tmp_path, {"cmd": WRITE})
    earlier_bundle.remember(tmp_path)
    shutil.rmtree(paths.BUNDLE)
    with Repo(str(tmp_path)) as repo, repo.lock, pytest.raises(InputError) as raised:
        earlier_bundle.bring_back(tmp_path)
    command = f"dvc checkout --force {earlier_bundle.ADDRESS}"
    line = f"models/bundle: the one of before is not back, for the reason above; `{command}` puts it back"
    assert str(raised.value) == line
    assert capfd.readouterr().err.startswith("ERROR: Unable to acquire lock.")
    subprocess.run(shlex.split(f"{command} --quiet"), check=True)
    assert (paths.BUNDLE / "weights").read_text(encoding="utf-8") == "1\n"


def test_doctor_puts_back_what_a_killed_command_had_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle.made(tmp_path, {"cmd": WRITE})
    definition = paths.BUNDLE_STAGE.read_bytes()
    with monkeypatch.context() as patched:
        # Nothing that follows DVC is done where the command is killed with it.
        patched.setattr(earlier_bundle, "dvc", Mock(side_effect=SystemExit))
        for cmd in ("other", "another"):
            with pytest.raises(SystemExit):
                bundle.made(tmp_path, {"cmd": cmd})
            shutil.rmtree(paths.BUNDLE, ignore_errors=True)
    (found,) = mending.look(Path.cwd()).found
    assert found.what == (
        "models/bundle: deleted for the next one by an `orbweaver bundle` that was killed; DVC's cache has it"
    )
    assert found.way_back == "dvc checkout models/dvc.yaml:bundle"
    assert mended() == [f"{found.what}: put back"]
    assert (paths.BUNDLE / "weights").read_text(encoding="utf-8") == "1\n"
    assert paths.BUNDLE_STAGE.read_bytes() == definition
    shutil.rmtree(paths.BUNDLE)
    # One that the user has deleted is left to them.
    assert mended() == ["no kill has left anything"]


def test_what_a_kill_had_deleted_comes_back_where_the_next_one_fails_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle.made(tmp_path, {"cmd": WRITE})
    with monkeypatch.context() as patched:
        patched.setattr(earlier_bundle, "dvc", Mock(side_effect=SystemExit))
        with pytest.raises(SystemExit):
            bundle.made(tmp_path, {"cmd": "other"})
    shutil.rmtree(paths.BUNDLE)
    with pytest.raises(InputError, match="was not made"):
        bundle.made(tmp_path, {"cmd": "false"})
    assert (paths.BUNDLE / "weights").read_text(encoding="utf-8") == "1\n"


def test_a_bundle_that_dvcs_cache_lacks_is_not_promised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle.made(tmp_path, {"cmd": WRITE})
    monkeypatch.setattr(earlier_bundle, "dvc", Mock(side_effect=SystemExit))
    with pytest.raises(SystemExit):
        bundle.made(tmp_path, {"cmd": "other"})
    shutil.rmtree(paths.BUNDLE)
    (md5,) = {entry["md5"] for entry in json.loads(next(Path(".dvc/cache").rglob("*.dir")).read_bytes())}
    (Path(".dvc/cache/files/md5") / md5[:2] / md5[2:]).unlink()
    assert mended() == ["no kill has left anything"]
