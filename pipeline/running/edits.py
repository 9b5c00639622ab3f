"""Settings of params.yaml that are not those of the commit, as words after -S."""

from collections.abc import Collection, Mapping

from pipeline.config import Resolved
from pipeline.config.changes import changes
from pipeline.core import paths, provenance
from pipeline.core.naming import AUTO
from pipeline.core.overrides import override
from pipeline.preview.overriding import places
from pipeline.studies.set_for_all import is_in

# What an experiment has in params.yaml beside its recipe's own values, and a cell follows from.
BESIDE_RECIPE = ("recipe", "repeats", "device", "threads", "cpu_instructions")


def words(resolved: Resolved, own: Collection[str], *, with_places: bool = False) -> list[str]:
    """Return what is not `auto` at the top of params.yaml or was edited since the commit, if it has an effect.

    Args:
        resolved: an experiment.
        own: keys that it sets itself, as after -S; these are left out.
        with_places: whether the places of the user's files are among them.
    """
    values, committed = resolved.settings.values, provenance.committed(paths.PARAMS)
    before = committed if isinstance(committed, Mapping) else {}
    beside = (*BESIDE_RECIPE, *(places(resolved) if with_places else ()))
    changed = {key: values[key] for key in beside if values[key] != before.get(key, values[key])}
    changed |= {key: value for key, value in changes(resolved, committed).items() if value != AUTO}
    return [override(key, value) for key, value in changed.items() if not any(is_in(key, one) for one in own)]
