"""Machines that share no file system: cells go through a bare repository of git and a server of S3 on this machine."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import boto3
import clones
import pytest
import requests
from clones import Clone
from moto.server import ThreadedMotoServer
from test_jobs import SQUEUE

from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.running import sharing
from pipeline.running.remote_checkpoints import RemoteCheckpoints
from pipeline.running.remotes import named_remotes

pytestmark = pytest.mark.slow
# A node that sees no file of the clone: the script alone comes to it, and it works in another folder.
SBATCH = """#!/bin/bash
script="${@: -1}"
for word in "$@"; do case "$word" in --array=*) last="${word##*-}" ;; esac; done
node=$(mktemp -d); cp "$script" "$node/script"; cd "$node"; mv "$(dirname "$script")" "$node/hidden"
for number in $(seq 0 "$last"); do
  SLURM_ARRAY_TASK_ID=$number bash "$node/script" >> "$LOG" 2>&1
done
mv "$node/hidden" "$(dirname "$script")"
echo $$
"""
WHERE = """
slurm: {cpus: 1, scratch: $SCRATCH, device: cpu}
remotes: {git: origin, dvc: storage}
"""
STUDY = "title: Mine\nset: {repeats: [1]}\ncells:\n  head: {set: {freeze: 1}}\n  two: {set: {freeze: 2}}\n"
MORE = f"{STUDY}  some: {{set: {{freeze: 3b}}}}\n"
SECRETS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server of S3 with an empty bucket named `cells`."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        address = f"http://{host}:{port}"
        # All servers of a process have one memory.
        requests.post(f"{address}/moto-api/reset", timeout=10).raise_for_status()
        boto3.client("s3", endpoint_url=address).create_bucket(Bucket="cells")
        yield address
    finally:
        server.stop()


@pytest.fixture
def first(stubbed: Clone, bucket: str, tmp_path: Path) -> Clone:
    """A clone whose remotes are those servers, and stand-ins for SLURM's commands."""
    for name, text in (("sbatch", SBATCH), ("squeue", SQUEUE), ("scancel", SQUEUE), ("scontrol", SQUEUE)):
        (tmp_path / "bin" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(text, encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "scratch").mkdir()
    stubbed.environment |= SECRETS | {"SCRATCH": str(tmp_path / "scratch"), "LOG": str(tmp_path / "log.txt")}
    stubbed.environment["PATH"] = f"{tmp_path / 'bin'}{os.pathsep}{stubbed.environment['PATH']}"
    stubbed.params(threads=1, device="cpu")
    # As `dvc remote add` and `modify` leave it, each of which takes a second.
    with (stubbed.root / ".dvc/config").open("a", encoding="utf-8") as config:
        config.write(f"['remote \"storage\"']\n    url = s3://cells/dvc\n    endpointurl = {bucket}\n")
    (stubbed.root / "mine.yaml").write_text(STUDY, encoding="utf-8")
    stubbed.commit()
    stubbed.run("git", "init", "--quiet", "--bare", "--initial-branch", "main", str(tmp_path / "bare.git"))
    stubbed.run("git", "remote", "add", "origin", str(tmp_path / "bare.git"))
    stubbed.run("git", "push", "--quiet", "origin", "main")
    (stubbed.root / "where.yaml").write_text(WHERE, encoding="utf-8")
    return stubbed


def edited(clone: Clone) -> None:
    """Change a file and do not commit it."""
    train = clone.root / "pipeline/stages/train.py"
    train.write_text(train.read_text(encoding="utf-8").replace("import sys", "import sys\n\nprint('edited')"))


def second_of(first: Clone, place: Path) -> Clone:
    """A clone of the bare repository as on another machine, with an empty cache of DVC."""
    place.mkdir()
    first.run("git", "clone", "--quiet", str(first.root.parent / "bare.git"), str(place / "project"))
    shutil.copy2(first.root / "where.yaml", place / "project/where.yaml")
    second = Clone(place / "project", place)
    second.environment |= SECRETS
    return second


def shared(clone: Clone) -> str:
    """What git's remote has beside branches."""
    return clone.run("git", "ls-remote", "origin", "refs/exps/*", "refs/orbweaver/*")


def page(clone: Clone) -> dict[str, bytes]:
    """Every file of the study's page."""
    clone.run("orbweaver", "study", "report", "mine.yaml")
    folder = clone.root / "metrics/studies/mine"
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_study_run_by_nodes_that_see_no_file_of_the_clone_is_whole_in_a_second_clone(
    first: Clone, tmp_path: Path
) -> None:
    edited(first)
    # What a node has by itself, and no file for it may hold.
    for option, value in (("access_key_id", "sesame"), ("secret_access_key", "sesame")):
        first.run("dvc", "remote", "modify", "--local", "storage", option, value)
    told = first.run("orbweaver", "study", "run", "mine.yaml", "--on", "slurm")
    assert "2 ran, 0 failed" in told
    assert (tmp_path / "log.txt").read_text(encoding="utf-8").count("edited") >= 2
    assert not list((tmp_path / "scratch").iterdir())
    jobs = [file for file in (first.root / ".dvc/tmp/studies/mine/jobs").rglob("*") if file.suffix in (".json", ".sh")]
    assert len(jobs) == 4
    assert not [job for job in jobs if "sesame" in job.read_text(encoding="utf-8")]
    assert shared(first).count("refs/exps/") == 2
    assert "refs/orbweaver" not in shared(first)
    second = second_of(first, tmp_path / "other")
    edited(second)
    assert second.run("orbweaver", "study", "show", "mine.yaml").count("in the remotes; ") == 2
    assert "2 cells were there, 0 ran" in second.run("orbweaver", "study", "run", "mine.yaml")
    assert page(second) == page(first)
    names = clones.experiments(second)
    assert sorted(names) == sorted(clones.experiments(first))
    second.run("git", "stash")
    second.run("dvc", "exp", "apply", names[0])
    assert not clones.ran(second.run("dvc", "repro"))
    second.run("git", "reset", "--quiet", "--hard")
    second.run("git", "stash", "pop")
    # What is added on one machine is there on the other.
    for clone in (first, second):
        (clone.root / "mine.yaml").write_text(MORE, encoding="utf-8")
    assert "2 cells were there, 1 ran" in second.run("orbweaver", "study", "run", "mine.yaml")
    assert "3 cells were there, 0 ran" in first.run("orbweaver", "study", "run", "mine.yaml")


def test_no_reference_is_shared_whose_data_did_not_arrive(first: Clone) -> None:
    address = "http://127.0.0.1:9"
    first.run("dvc", "remote", "modify", "--local", "storage", "endpointurl", address)
    told = first.run("orbweaver", "study", "run", "mine.yaml")
    assert told.count("not shared yet: ") == 2
    assert f'Could not connect to the endpoint URL: "{address}' in told
    assert "refs/exps" not in shared(first)
    told = first.run("orbweaver", "study", "run", "mine.yaml", code=1)
    assert "error: DVC's remote 'storage', s3://cells/dvc: " in told
    first.run("dvc", "remote", "modify", "--local", "--unset", "storage", "endpointurl")
    assert "remotes: 0 cells came from there, 2 went there" in first.run("orbweaver", "study", "run", "mine.yaml")
    assert shared(first).count("refs/exps/") == 2


@pytest.mark.parametrize(
    ("remotes", "line"),
    [
        ("{git: away, dvc: storage}", "remotes.git: git has no remote 'away' here: git remote add away ADDRESS"),
        ("{git: origin, dvc: away}", "remotes.dvc: DVC has no remote 'away' here: dvc remote add away s3://BUCKET"),
    ],
)
def test_a_remote_that_is_not_here_is_named(first: Clone, remotes: str, line: str) -> None:
    (first.root / "where.yaml").write_text(f"remotes: {remotes}\n", encoding="utf-8")
    assert f"where.yaml: {line}" in first.run("orbweaver", "study", "run", "mine.yaml", code=1)


@pytest.mark.parametrize(
    ("url", "away", "reason"),
    [
        ("s3://cells/dvc", list(SECRETS), "Unable to locate credentials"),
        ("s3://nowhere/dvc", [], "The specified bucket does not exist"),
    ],
)
def test_a_node_without_access_says_so_before_it_trains(
    first: Clone, url: str, away: list[str], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first.run("dvc", "remote", "modify", "--local", "storage", "url", url)
    for name in away:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(first.root.parent))
    monkeypatch.chdir(first.root)
    remotes = named_remotes(first.root)
    assert remotes is not None
    with pytest.raises(InputError, match=f"^DVC's remote 'storage', {url}: .*{reason}"):
        sharing.check(first.root, remotes)


def test_checkpoints_go_through_s3(first: Clone, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(first.root)
    remotes = named_remotes(first.root)
    assert remotes is not None
    sharing.check(first.root, remotes)
    here, there = (RemoteCheckpoints(first.root / place, remotes, "mine-c0") for place in ("", "."))
    for number in (1, 2):
        folder = first.root / paths.CHECKPOINTS / "key"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / f"0000000{number}-hash.pt").write_text("state", encoding="utf-8")
        here.give()
    shutil.rmtree(folder)
    there.bring()
    assert [file.name for file in folder.iterdir()] == ["00000002-hash.pt"]
    there.drop()
    client = boto3.client("s3", endpoint_url=bucket)
    names = [one["Key"] for one in client.list_objects_v2(Bucket="cells").get("Contents", [])]
    assert names == ["dvc/orbweaver-check"]
