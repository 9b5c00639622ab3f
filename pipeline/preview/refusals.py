"""Settings that are refused before anything has run: places, this machine, and parts of a network that do not fit."""

from pathlib import Path

from pipeline.config import Resolved
from pipeline.core import cpu_instructions, paths, seeding
from pipeline.core.choices import NONE
from pipeline.core.errors import InputError
from pipeline.core.naming import AUTO
from pipeline.core.recipe import Recipe
from pipeline.core.sections import PHASES
from pipeline.datasets.collect import bringing, hashable, sets
from pipeline.networks.backbones.table import TIMM, known

WEIGHTS_SUFFIXES = (".safetensors", ".pth", ".pt", ".tar")


def check_places(resolved: Resolved) -> None:
    """Refuse places of the user's files that do not hold what they should, without reading them.

    Raises:
        InputError: naming the place and what it lacks.
    """
    settings, data = resolved.settings, resolved.recipe.data.set
    place = settings.place_of(sets.known(data).given_by)
    bringing.check(data, place, on_leak=resolved.recipe.data.on_leak)
    check_weights(resolved)
    for own in hashed_places(resolved):
        hashable.check(own)


def hashed_places(resolved: Resolved) -> list[Path]:
    """Return the places of the user's files, all of which DVC hashes, whichever of them the experiment reads."""
    axes = resolved.settings.axes
    return [Path(place) for place in (axes.folder, axes.archive, axes.weights_file)]


def check_weights(resolved: Resolved) -> None:
    """Refuse weights that are not where they should be, without reading them.

    Raises:
        InputError: naming the place and what it lacks.
    """
    if resolved.recipe.network.weights == "file":
        check_weights_file(resolved.settings.axes.weights_file)
    packaged = known(resolved.recipe.network.backbone).bundled
    if resolved.recipe.network.weights == "bundled" and packaged:
        packaged.place()


def check_machine(recipe: Recipe) -> None:
    """Refuse what this machine lacks, before downloads of minutes.

    Raises:
        InputError: for a device that is not here, more threads than cores, or CPU instructions that it does not have.
    """
    if recipe.device not in (AUTO, "cpu"):
        seeding.choose_device(recipe.device)
    seeding.check_threads(recipe.threads)
    cpu_instructions.check(recipe.cpu_instructions)


def needs_building(recipe: Recipe) -> bool:
    """Return whether only building the network tells that its parts fit; the plainest choices always do."""
    network = recipe.network
    return (
        recipe.regularizer.method not in (NONE, "l2", "l2_fe")
        or network.attention != NONE
        or network.freeze == PHASES
        or network.backbone == "vit_b_16"
        or network.backbone.startswith(TIMM)
    )


def check_network(recipe: Recipe) -> list[str]:
    """Refuse a network whose parts do not fit together, by building it without values, and return what to note of it.

    Raises:
        InputError: for an attention, a phase, a reduction or a regularizer that the backbone cannot take.
    """
    if not needs_building(recipe):
        return []
    from pipeline.assembly import networks, regularizers

    notes = []
    for phase in regularizers.phase_records(recipe, networks.structure(recipe, classes=2)):
        if phase.hooked_layers == ():
            idle = f"regularizer {phase.regularizer!r} has nothing to compare under freeze {phase.freeze!r}"
            notes.append(f"{idle}: every layer is frozen; only the head's decay is left of it")
    return notes


def check_weights_file(place: str) -> None:
    """Refuse a place that holds no weights, without reading them.

    Raises:
        InputError: for the placeholder, a relative path, a missing file, a suffix that is not read.
    """
    path = Path(place)
    if path == paths.NO_WEIGHTS_FILE:
        raise InputError("weights_file: weights is 'file' but none is named; add -S weights_file=/path/to/it")
    if not path.is_absolute():
        raise InputError(f"weights_file: {place!r} is relative; give the absolute path, {str(path.resolve())!r}")
    if not path.is_file():
        raise InputError(f"weights_file: {place!r} is not a file; name the file of the weights")
    if path.suffix not in WEIGHTS_SUFFIXES:
        raise InputError(f"weights_file: {place!r} does not end in {', '.join(WEIGHTS_SUFFIXES)}; convert it")
