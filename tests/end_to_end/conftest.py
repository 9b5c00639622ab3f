"""Clones of the project in which dvc has run once: with its own stages, or with stubs."""

from collections.abc import Callable
from pathlib import Path

import clones
import pytest
import readme
from clones import Clone

Shared = Callable[[str, Callable[[Path], None]], Path]


@pytest.fixture(scope="session")
def finished(shared: Shared) -> tuple[Clone, str]:
    """A clone in which README.md's first command has run, and what it printed; to be read, not changed."""

    def make(folder: Path) -> None:
        (folder / "clone").mkdir()
        clone = clones.make_clone(folder / "clone", folder)
        (folder / "told.txt").write_text(clone.typed("make repro", readme.INSTALLED), encoding="utf-8")
        clone.commit()

    folder = shared("finished", make)
    return Clone(folder / "clone", folder), (folder / "told.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def finished_stubs(shared: Shared) -> Clone:
    """A clone in which `dvc repro` has run with stubs for stages; to be read, not changed."""

    def make(folder: Path) -> None:
        (folder / "clone").mkdir()
        clone = clones.make_stubbed(folder / "clone", folder)
        clone.run("dvc", "repro")
        clone.commit()

    folder = shared("stubbed", make)
    return Clone(folder / "clone", folder)


@pytest.fixture
def clone(finished: tuple[Clone, str], tmp_path: Path) -> Clone:
    """A finished clone of one's own."""
    return clones.copied(finished[0], tmp_path)


@pytest.fixture
def stubbed(finished_stubs: Clone, tmp_path: Path) -> Clone:
    """A finished clone of one's own, with stubs for stages."""
    return clones.copied(finished_stubs, tmp_path)
