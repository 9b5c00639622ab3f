"""The copies in a set, searched once for the same images by whatever command or stage needs them first."""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.core import paths, provenance, result_cache
from pipeline.datasets.prepared import manifest
from pipeline.datasets.prepared.manifest import Pair, Row
from pipeline.datasets.prepared.search import Search


def find(rows: Sequence[Row], folder: Path) -> tuple[list[Pair], Search]:
    """Return the pairs of copies in a set, and what was compared, as `finding.find` does.

    Args:
        rows: the manifest.
        folder: the folder that its paths are relative to.
    """
    if not _can_keep():
        return _searched(rows, folder)
    name = result_cache.key(
        "copies",
        {
            "images": [[row.path, row.sha256] for row in rows],
            "versions": provenance.versions(),
            "code": provenance.code_hash(("copies",)),
        },
    )
    with result_cache.held(name) as place:
        if not result_cache.is_whole(place, paths.PAIRS.name, paths.SEARCH.name):
            pairs, search = _searched(rows, folder)
            # A full disk costs the time of another search.
            with suppress(OSError), result_cache.written(place) as target:
                manifest.write(target / paths.PAIRS.name, Pair, pairs)
                (target / paths.SEARCH.name).write_text(json.dumps(search._asdict()) + "\n", encoding="utf-8")
            return pairs, search
        searched = json.loads((place / paths.SEARCH.name).read_bytes())
        return manifest.read(place / paths.PAIRS.name, Pair), Search(**searched)


def _can_keep() -> bool:
    # A project of another user's is only looked at, and no other folder gets one of DVC's.
    return os.access(paths.root() / ".dvc", os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _searched(rows: Sequence[Row], folder: Path) -> tuple[list[Pair], Search]:
    # Here, since what was found before is read without torch.
    from pipeline.datasets.copies import finding
    from pipeline.pretrained import features

    return finding.find(rows, folder, features.bundled)
