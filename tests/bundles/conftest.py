"""A finished experiment of two repeats with a narrow network, in this process, and bundles of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny
from bundle_files import write

from pipeline import tracking

# Two repeats of drawn spiders with validation images; batches that do not divide the test part.
CHANGES = {"data.split.val": 0.3, "train.batch_size": 5}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The root of the experiment, which is the place where this process is."""
    with pytest.MonkeyPatch.context() as patch:
        tiny.narrow(patch)
        tiny.draw_no_charts(patch)
        # Nothing is published: the stores of other tests are not looked at, and mlflow is not imported.
        patch.setattr(tracking, "try_publish", lambda files, **_: None)
        patch.setattr(tracking, "run_of", lambda key: "")
        root = tiny.enter(tmp_path_factory.mktemp("experiment"), patch)
        tiny.write_params(CHANGES, repeats=[1, 2])
        tiny.chain()
        yield root


@pytest.fixture(scope="module")
def bundled(project: Path) -> Path:
    """A bundle of the first repeat."""
    return write(project / "bundle")
