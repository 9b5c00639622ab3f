"""Where a result came from, and the commands that give it back."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC
from typing import Any

from pipeline.core import provenance, shell
from pipeline.core.cpu_instructions import PORTABLE
from pipeline.core.files import flat
from pipeline.core.overrides import override
from pipeline.core.recipe import TrainingSettings
from pipeline.core.sections import SOLVED
from pipeline.datasets.collect.sets import SETS
from pipeline.evaluation.compare.repeats import Repeat
from pipeline.reporting.aggregate import device
from pipeline.reporting.tables import Table

# The setting whose value is a word or a section.
WORD_OR_SECTION = "data.split.per_class"
# What follows from the backbone, and is no key of params.yaml.
FOLLOWING = ("data.mean", "data.std")


def settings(values: Mapping[str, Any]) -> Table:
    """Return nested settings, one dotted name a row; the parts of a list of sections by their number."""
    rows = [(leaf, _value(inner)) for name, value in flat(values) for leaf, inner in _leaves(name, value)]
    return Table(("setting", "value"), rows, numbers_from=2)


def _leaves(name: str, value: object) -> Iterator[tuple[str, object]]:
    sections = value if isinstance(value, list) and value and isinstance(value[0], Mapping) else None
    if sections is None:
        yield name, value
        return
    for number, section in enumerate(sections):
        yield from flat(section, f"{name}.{number}.")


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def runs(repeats: Sequence[Repeat]) -> Table:
    """Return what differs between repeats: key, seed, parts, device, time and commit of each."""
    header = ("repeat", "seed", "train / val / test", "device", "started (UTC)", "commit", "key")
    return Table(header, [_origin(one) for one in repeats], numbers_from=7)


def _origin(one: Repeat) -> tuple[str, ...]:
    parts = one.record.parts
    return (
        str(one.number),
        str(one.record.seed),
        f"{parts.train:,} / {parts.val:,} / {parts.test:,}",
        device(one),
        f"{one.runtime.started.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
        commit(one) or "none",
        one.record.key[:12],
    )


def commit(one: Repeat) -> str:
    """Return the commit that trained a repeat, twelve digits, with a plus where source files differed from it."""
    short = one.runtime.git_commit[:12]
    return f"{short}+" if short and changed_code([one]) else short


def changed_code(repeats: Sequence[Repeat]) -> str:
    """Return which source files differed from the recorded commit, in words; "" where none did.

    Settings are not among them: the command of `reproduce` has those, however they came into params.yaml.
    """
    if any(one.runtime.git_dirty and one.runtime.git_changes is None for one in repeats):
        return "files (which ones was too much to keep)"
    return distinct(file for one in repeats for file in provenance.changed_code(one.runtime.git_changes))


def hashes(repeats: Sequence[Repeat]) -> list[tuple[str, str]]:
    """Return what identifies data, weights, code and the packages."""
    record = repeats[0].record
    names = dict.fromkeys(name for one in repeats for name in one.runtime.versions)
    return [
        ("Data, SHA-256", repeats[0].runtime.data_sha256),
        ("Pre-trained weights", record.weights.origin),
        ("Pre-trained weights, license", record.weights.license or "not stated"),
        ("Pre-trained weights, SHA-256 of their file", record.weights.file_sha256 or "none"),
        ("Pre-trained weights, SHA-256 of the copy in models/source", record.weights.sha256 or "none"),
        ("Training code, SHA-256", distinct(one.record.code for one in repeats)),
        *((name, distinct(one.runtime.versions.get(name, "none") for one in repeats)) for name in names),
    ]


def distinct(values: Iterable[str]) -> str:
    """Return each value once, in their order."""
    return ", ".join(dict.fromkeys(values))


def reproduce(repeats: Sequence[Repeat], *, cite: str) -> list[str]:
    """Return the commands that give the result back, as far as the record says.

    They name what differs from the recipe's own values at the commit; where there is no commit, or it has no such
    recipe, every value.
    Places are the user's own and not in the record, so they are to be put in.

    Args:
        repeats: of the experiment; at least one.
        cite: the paper that its recipe is from.
    """
    newest = max(repeats, key=lambda one: one.runtime.started)
    trained_at = newest.runtime.git_commit
    recipe, name = newest.record.recipe, newest.record.recipe_name
    if trained_at and newest.runtime.naming.recipe_in_commit:
        values = {_key(key): value for key, value in newest.runtime.naming.changes.items()}
    else:
        # `++` sets what a recipe states and what it does not; nothing that differs for a data set is left to win.
        values = {f"++recipes.{name}.per_data": {}}
        values |= {f"++recipes.{name}.{key}": value for key, value in _stated(recipe)}
        # No result follows from it, and a new recipe has to state it.
        values[f"++recipes.{name}.cite"] = cite
    values |= {"repeats": [one.number for one in repeats], "threads": newest.record.threads}
    if newest.record.cpu_instructions == PORTABLE:
        values["cpu_instructions"] = PORTABLE
    if key := SETS[recipe.data.set].needed_place:
        values[key] = f"YOUR_{key.upper()}"
    if recipe.network.weights == "file":
        values["weights_file"] = "YOUR_FILE"
    words = [f"-S {shell.quote(override(key, value))}" for key, value in values.items()]
    checkout = [f"git checkout {trained_at}"] if trained_at else []
    return [*checkout, " \\\n  ".join([f"dvc exp run -S recipe={name}", *words])]


def _key(key: str) -> str:
    """Return a key as it is set: what a recipe does not state at the commit has to be added to it."""
    return f"++{key}" if key.startswith("recipes.") else key


def _stated(recipe: TrainingSettings) -> Iterator[tuple[str, Any]]:
    """Yield the values of a resolved recipe as a section of params.yaml states them."""
    values = recipe.model_dump(mode="json")
    phases = [
        phase.model_dump(include={"freeze", "amount", "lr"}) | ({"head": SOLVED} if phase.head == SOLVED else {})
        for phase in recipe.train.phases
    ]
    values["train"]["phases"] = phases if recipe.in_phases else []
    for key, value in flat(values):
        section, _, last = key.rpartition(".")
        if section == WORD_OR_SECTION:
            if last == "train":
                yield section, values["data"]["split"]["per_class"]
        elif key not in FOLLOWING:
            yield key, value
