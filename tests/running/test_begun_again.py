"""A cell whose node is told to stop, and the node without its files that begins it again, with DVC itself."""

import threading
from pathlib import Path

import pytest
from two_remotes import KEYS, Machine

from pipeline.commands import worker
from pipeline.running.executors.jobs import Job
from pipeline.running.executors.processes import wait

pytestmark = pytest.mark.slow
STAGES = """\
stages:
  first: {cmd: date +%N > first, params: [a], outs: [first]}
  second: {cmd: bash second.sh, deps: [first, second.sh], outs: [second]}
"""
# A training that goes on where there is a checkpoint, and else ends only when it is told to.
SECOND = """\
place=.dvc/tmp/checkpoints/key
if [ -e $place/1-hash.pt ]; then cp $place/1-hash.pt second; exit; fi
mkdir -p $place
trap "echo state > $place/1-hash.pt; exit 75" INT TERM
touch "$TRAINING"
while :; do sleep 0.1; done
"""


def test_it_takes_over_finished_stages_and_the_checkpoint_and_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, training = Machine(tmp_path), tmp_path / "training"
    monkeypatch.setenv("TRAINING", str(training))
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    machine.run("dvc", "init", "--quiet")
    machine.run("dvc", "remote", "add", "--quiet", "storage", str(machine.data))
    for name, text in (("dvc.yaml", STAGES), ("second.sh", SECOND), ("params.yaml", "a: 1\n")):
        (machine.root / name).write_text(text, encoding="utf-8")
    machine.finish()
    machine.run("git", "push", "--quiet", "origin", "main")
    commit = machine.run("git", "rev-parse", "HEAD")
    place = {"root": machine.root, "cache": machine.root, "commit": commit, "changes": commit, "scratch": "/"}
    reference = {"experiment": f"mine-c0-{KEYS[0]}", "remotes": machine.remotes, "reference": "refs/heads/main"}
    job = Job(**place, **reference, overrides=("a=2",))
    monkeypatch.chdir(tmp_path)
    request = worker.StopRequest()

    def stop() -> None:
        wait(training.exists, 300)
        request.reason = "SIGUSR1"

    threading.Thread(target=stop, daemon=True).start()
    assert worker.run(job, tmp_path / "one", request) == worker.STOPPED
    assert machine.shared() == []
    made = (tmp_path / "one/clone/first").read_bytes()
    assert len(list(machine.data.rglob("1-hash.pt"))) == 1

    assert worker.run(job, tmp_path / "two", worker.StopRequest()) == 0
    clone = tmp_path / "two/clone"
    assert (clone / "first").read_bytes() == made
    assert (clone / "second").read_text(encoding="utf-8") == "state\n"
    assert [name.rpartition("/")[2] for name in machine.shared()] == [job.experiment]
    assert not list(machine.data.rglob("1-hash.pt"))
