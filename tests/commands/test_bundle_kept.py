"""A bundle that is in use stays where the next one is not made."""

import subprocess
from pathlib import Path

import pytest

from pipeline.commands import bundle
from pipeline.core import paths
from pipeline.core.errors import InputError

pytestmark = pytest.mark.slow
WRITE = f"mkdir -p {paths.BUNDLE} && echo 1 > {paths.BUNDLE}/weights"


def test_what_is_there_comes_back_where_the_next_one_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    subprocess.run(("dvc", "init", "--quiet", "--no-scm"), check=True)
    with pytest.raises(InputError, match="was not made"):
        bundle.made(tmp_path, {"cmd": "false"})
    bundle.made(tmp_path, {"cmd": WRITE})
    definition = paths.BUNDLE_STAGE.read_bytes()
    with pytest.raises(InputError, match="was not made"):
        bundle.made(tmp_path, {"cmd": "false"})
    assert (paths.BUNDLE / "weights").read_text(encoding="utf-8") == "1\n"
    assert paths.BUNDLE_STAGE.read_bytes() == definition
