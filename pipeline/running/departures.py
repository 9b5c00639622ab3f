"""What the cells of a study have that its file does not say."""

from collections.abc import Sequence

from pipeline.core import paths
from pipeline.core.overrides import overridden_key
from pipeline.running import edits
from pipeline.running.cells import Cell


def set_for_all(planned: Sequence[Cell]) -> str:
    """Return in a sentence what params.yaml sets that no cell sets itself; empty where it sets nothing.

    That is what is not `auto` at its top or was edited since the commit, as far as it has an effect on the first cell.
    """
    own = {overridden_key(word) for cell in planned for word in cell.overrides}
    words = edits.words(planned[0].resolved, own)
    return f"{paths.PARAMS} sets for all cells: {' '.join(words)}" if words else ""
