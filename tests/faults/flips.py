"""Single wrong bytes in any file that a stage leaves, and many writers on a fresh store of MLflow."""

import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import test_flipped_bytes as cases
import tiny
from clones import Clone

from pipeline import tracking
from pipeline.core.errors import InputError

WRITERS = 16


@contextmanager
def finished(folder: Path) -> Iterator[list[tuple[str, str]]]:
    """Run all stages in a tiny project, which is where this process then is.

    Yields:
        A file or folder and a stage that reads it, for every kind.
    """
    with pytest.MonkeyPatch.context() as patch:
        tiny.narrow(patch)
        tiny.draw_no_charts(patch)
        patch.setattr(tracking, "try_publish", lambda files, **_: None)
        tiny.enter(folder, patch)
        tiny.write_params()
        tiny.chain()
        yield [(name, stage) for name, stages in cases.READ.items() for stage in stages]


def flipped(kind: tuple[str, str], chance: random.Random) -> None:
    """Flip any bit of a file; the stage that opens it has to name the file, and to write nothing.

    Raises:
        AssertionError: saying what it did.
    """
    name, stage = kind
    file = Path(name)
    if file.is_dir():
        file = chance.choice(sorted(one for one in file.rglob("*") if one.is_file()))
    place, bit, keeps_time = chance.random(), 1 << chance.randrange(8), chance.random() < 0.5
    with tempfile.TemporaryDirectory() as folder:
        whole = shutil.copy2(file, folder)
        try:
            cases.flip(file, place, bit, keeps_time=keeps_time)
            before, said = cases.state(), "nothing"
            try:
                cases.READERS[stage]()
            except InputError as error:
                said = str(error)
            what = f"{file} by {stage}, bit {bit} at {place}: {said}"
            assert "damaged" in said, what
            assert file.name in said.partition(";")[0], what
            assert "\n" not in said, what
            assert cases.state() == before, what
        finally:
            shutil.copy2(whole, file)


def written_at_once(clone: Clone) -> None:
    """Have processes make a store of MLflow and log to it, all at once.

    Raises:
        AssertionError: where one did not, or its values are not there.
    """
    for place in clone.root.glob("mlflow.db*"):
        place.unlink()
    words = (
        "import sys\nfrom pipeline.tracking import store\nwith store.opened() as opened:\n"
        "    run = store.make_run(opened, {'orbweaver.key': sys.argv[1]}, started=1000)\n"
        "    store.log(opened, run, points=[store.Point('loss', 0.5, step, 1000) for step in range(5)])\n"
    )
    started = [
        clone.start(sys.executable, "-c", words, str(number), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        for number in range(WRITERS)
    ]
    done = [(process.communicate()[1], process.returncode) for process in started]
    failed = [said for said, code in done if code]
    assert not failed, f"{len(failed)} of {WRITERS}: {failed[0]}"
    with closing(sqlite3.connect(clone.root / "mlflow.db")) as database:
        (points,) = database.execute("SELECT count(*) FROM metrics").fetchone()
        (runs,) = database.execute("SELECT count(DISTINCT value) FROM tags WHERE key = 'orbweaver.key'").fetchone()
    assert (points, runs) == (5 * WRITERS, WRITERS)
