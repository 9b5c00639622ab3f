"""Clones in which dvc has run once, which the first worker to ask makes for all; to be read or copied, not changed."""

from collections.abc import Callable
from pathlib import Path

import clones
import readme
from clones import Clone

# The fixture of conftest.py.
Shared = Callable[[str, Callable[[Path], None]], Path]


def real(shared: Shared) -> tuple[Clone, str]:
    """Return one in which README.md's first command has run with the project's own stages, and what it printed."""

    def make(folder: Path) -> None:
        (folder / "clone").mkdir()
        clone = clones.make_clone(folder / "clone", folder)
        (folder / "told.txt").write_text(clone.typed("make repro", readme.INSTALLED), encoding="utf-8")
        clone.commit()

    folder = shared("finished", make)
    return Clone(folder / "clone", folder), (folder / "told.txt").read_text(encoding="utf-8")


def stubbed(shared: Shared) -> Clone:
    """Return one in which `dvc repro` has run with stubs for stages."""

    def make(folder: Path) -> None:
        (folder / "clone").mkdir()
        clone = clones.make_stubbed(folder / "clone", folder)
        clone.run("dvc", "repro")
        clone.commit()

    folder = shared("stubbed", make)
    return Clone(folder / "clone", folder)


def bundled(shared: Shared) -> Clone:
    """Return one of the project's own stages in which a bundle has been made since."""

    def make(folder: Path) -> None:
        told = clones.copied(real(shared)[0], folder).typed("orbweaver bundle")
        assert told.splitlines()[-1].startswith("bundle: models/bundle: repeat 1; ")

    folder = shared("bundled", make)
    return Clone(folder / clones.COPY, folder)
