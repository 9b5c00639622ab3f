"""Whether the code and the settings are still those with which a stage began: DVC hashes them when it has ended."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.core import digests, paths, provenance
from pipeline.core.errors import InputError


def sources(stage: str) -> dict[Path, str]:
    """Return the SHA-256 of each source file of a stage, and of the resolved recipe, as they are now.

    Of the files that git tracks, as an editor that is only opened leaves some of its own beside them.
    """
    return {file: digests.sha256(file) for file in (*provenance.sources((stage,), tracked=True), paths.RECIPE)}


def check(stage: str, before: Mapping[Path, str], *, way_out: str) -> None:
    """Refuse a file that was edited while a stage ran.

    Args:
        stage: its name in dvc.yaml.
        before: what `sources` returned when it began.
        way_out: for the message.

    Raises:
        InputError: naming the first such file.
    """
    try:
        now = sources(stage)
    except FileNotFoundError as error:
        now = {file: digest for file, digest in before.items() if str(file) != error.filename}
    if edited := sorted(file for file in before.keys() | now.keys() if before.get(file) != now.get(file)):
        raise InputError(f"{edited[0]}: edited while `{stage}` ran; {way_out}")
