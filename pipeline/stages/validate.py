"""Stage `validate`: refuse wrong parameters before any other stage has started or lost an output.

DVC deletes a stage's outputs before it runs the stage. This one reads the whole of params.yaml, so that also a key
that no stage tracks is seen, and writes a constant file, so that a good change re-runs nothing by itself; only what a
recipe's `per_data` changes is in it.
"""

from pathlib import Path

from pipeline import params
from pipeline.core import paths
from pipeline.core.errors import InputError, one_line_errors
from pipeline.datasets.collect import bringing, sets
from pipeline.params import Paper, Params

WEIGHTS_SUFFIXES = (".safetensors", ".pth", ".pt", ".tar")


def main() -> None:
    """Check params.yaml and the places that it names; say what was given but is not used."""
    values = params.load(paths.PARAMS)
    chosen = values.experiment().settings
    bringing.check(chosen.data.set, values.place_of(sets.known(chosen.data.set).given_by))
    if chosen.network.weights == "file":
        check_weights_file(values.weights_file)
    if needs_building(chosen):
        check_network(values)
    for note in doubts(values):
        print(f"validate: note: {note}")
    with paths.written_whole(paths.VALIDATED) as target:
        target.write_text(verdict(values), encoding="utf-8")


def verdict(values: Params) -> str:
    """The same text for all that is valid, and what `per_data` changes for this data set, for stages that read it."""
    changes = values.papers[values.paper].differences(values.experiment().settings.data.set)
    return "params.yaml is valid\n" + "".join(f"{name}: {value}\n" for name, value in sorted(params.flat(changes)))


def needs_building(chosen: Paper) -> bool:
    """Whether only building the network tells that its parts fit; the plainest choices always do."""
    network = chosen.network
    return (
        chosen.regularizer.method not in ("none", "l2", "l2_fe")
        or network.attention != "none"
        or network.freeze == params.PHASES
        or network.weights == "places365"
        or network.backbone == "vit_b_16"
    )


def check_network(values: Params) -> None:
    """Refuse a network whose parts do not fit together, by building it without values.

    Raises:
        InputError: for an attention that the backbone cannot take or whose maps are too small, a reduction that leaves
            no channel, a phase whose layer is not there, a regularizer without feature maps to compare.
    """
    from pipeline.assembly import objects, regularizers
    from pipeline.core import compiler
    from pipeline.networks.backbones import make, places365

    experiment = values.experiment()
    network = experiment.settings.network
    if network.weights == "places365":
        places365(network.backbone)
    if network.weights == "synthetic":
        with compiler.meta_device():
            make(network.backbone, values.synthetic_source.image_size, key="synthetic_source.image_size")
    for part in regularizers.parts(experiment, objects.structure(experiment, classes=2)):
        if "taps" in part and not part["taps"]:
            print(
                f"validate: note: regularizer {part['regularizer']!r} has nothing to compare under freeze "
                f"{part['freeze']!r}: every tap is frozen; only the head's decay is left of it"
            )


def check_weights_file(given: str) -> None:
    """Refuse a place that holds no weights, without reading them.

    Raises:
        InputError: for the placeholder, a relative path, a missing file, a suffix that is not read.
    """
    path = Path(given)
    if path == paths.NO_WEIGHTS_FILE:
        raise InputError("weights_file: weights is 'file' but none is named; add -S weights_file=/path/to/it")
    if not path.is_absolute():
        raise InputError(f"weights_file: {given!r} is relative; give the absolute path, {str(path.resolve())!r}")
    if not path.is_file():
        raise InputError(f"weights_file: {given!r} is not a file")
    if path.suffix not in WEIGHTS_SUFFIXES:
        raise InputError(f"weights_file: {given!r} is none of {', '.join(WEIGHTS_SUFFIXES)}")


def doubts(values: Params) -> list[str]:
    """What the user may not have meant: places that are not read, settings that do not go together.

    A note, not an error: a sweep over `data` or `weights` keeps the options of the choices not taken.
    """
    chosen = values.experiment().settings
    notes = []
    reads = sets.known(chosen.data.set).given_by
    if Path(values.folder) != paths.OWN_FOLDER and reads != "folder":
        notes.append(f"folder is not read: data is {chosen.data.set!r}; add -S data=folder")
    if values.place_of("archive") and reads != "archive":
        notes.append(f"archive is not read: data is {chosen.data.set!r}, which needs none")
    if Path(values.weights_file) != paths.NO_WEIGHTS_FILE and chosen.network.weights != "file":
        notes.append(f"weights_file is not read: weights is {chosen.network.weights!r}; add -S weights=file")
    if chosen.data.set == "folder" and values.paper == "quick":
        size = chosen.data.image_size
        notes.append(f"paper 'quick' is for drawings: photographs become {size} x {size}; add -S paper=ecsm")
    if chosen.network.weights == "none" and chosen.network.freeze not in ("2", "scratch"):
        notes.append(f"freeze is {chosen.network.freeze!r} with weights 'none': layers stay frozen at random values")
    notes += replaced(values)
    if chosen.network.weights == "none" and chosen.regularizer.method not in params.WITHOUT_SOURCE:
        notes.append(f"regularizer is {chosen.regularizer.method!r} with weights 'none': it stays near random values")
    return notes


def replaced(values: Params) -> list[str]:
    """What of a recipe the data set's or the regularizer's own values take the place of."""
    experiment = values.experiment()
    data, method = experiment.settings.data.set, experiment.settings.regularizer.method
    recipe, key = values.papers[values.paper], f"papers.{values.paper}"
    differing = ", ".join(name for name, _ in params.flat(recipe.differences(data)))
    notes = [f"for data {data!r}, {key}.per_data.{data} decides {differing}"] if differing else []
    before, after = recipe.for_data(data).train, experiment.settings.train
    notes += [
        f"train.{name} is not read: {key}.regularizer.method_options.{method}.{name} is in its place"
        for name in params.TRAIN_OVERRIDES
        if getattr(before, name) != getattr(after, name)
    ]
    return notes


if __name__ == "__main__":
    with one_line_errors("validate"):
        main()
