"""Clones of the project in which dvc has run once: with its own stages, or with stubs."""

from pathlib import Path

import clones
import finished_clones
import pytest
from clones import Clone
from finished_clones import Shared


@pytest.fixture(scope="session")
def finished(shared: Shared) -> tuple[Clone, str]:
    """A clone in which README.md's first command has run, and what it printed; to be read, not changed."""
    return finished_clones.real(shared)


@pytest.fixture(scope="session")
def finished_stubs(shared: Shared) -> Clone:
    """A clone in which `dvc repro` has run with stubs for stages; to be read, not changed."""
    return finished_clones.stubbed(shared)


@pytest.fixture
def clone(finished: tuple[Clone, str], tmp_path: Path) -> Clone:
    """A finished clone of one's own."""
    return clones.copied(finished[0], tmp_path)


@pytest.fixture
def stubbed(finished_stubs: Clone, tmp_path: Path) -> Clone:
    """A finished clone of one's own, with stubs for stages."""
    return clones.copied(finished_stubs, tmp_path)


@pytest.fixture
def queueing(finished_stubs: Clone, tmp_path: Path) -> Clone:
    """The same in a folder of ASCII letters, without which DVC cannot set up the copies of `--queue` and `--temp`."""
    return clones.copied(finished_stubs, tmp_path, "my spiders")


@pytest.fixture
def bundled(shared: Shared, tmp_path: Path) -> Clone:
    """A finished clone of one's own in which a bundle has been made."""
    return clones.copied(finished_clones.bundled(shared), tmp_path)
