"""Bundles of the experiment where this process is."""

from pathlib import Path

from pipeline import tracking
from pipeline.assembly import bundling
from pipeline.bundles import contents
from pipeline.bundles.description import Kind
from pipeline.core import paths
from pipeline.datasets.prepared.packed import Packed


def write(folder: Path, kind: Kind = "repeat", repeat: int | None = None) -> Path:
    """Write a bundle of the project where this process is into a new folder."""
    results = tracking.read(tracking.Folder(Path()))
    folder.mkdir()
    bundling.write(
        folder,
        kind,
        contents.repeats(kind, repeat, [one.number for one in results.repeats]),
        results,
        Packed.open(paths.PACKED),
    )
    return folder
