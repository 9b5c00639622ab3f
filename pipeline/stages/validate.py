"""Stage `validate`: refuse wrong parameters before any other stage has started or lost an output.

DVC deletes a stage's outputs before it runs the stage. This one reads the whole of params.yaml, so that also a key
that no stage tracks is seen, and writes a constant file, so that a good change re-runs nothing by itself.
"""

from pathlib import Path

from pipeline import params, paths
from pipeline.datasets import folder
from pipeline.errors import InputError, one_line_errors
from pipeline.params import Network, Params

WEIGHTS_SUFFIXES = (".safetensors", ".pth", ".pt", ".tar")


def main() -> None:
    """Check params.yaml and the places that it names; say what was given but is not used."""
    values = params.load(paths.PARAMS)
    chosen = values.experiment().settings
    if chosen.data.set == "folder":
        folder.layout(folder.check_location(values.folder))
    if chosen.network.weights == "file":
        check_weights_file(values.weights_file)
    if needs_building(chosen.network):
        check_network(values)
    for note in doubts(values):
        print(f"validate: note: {note}")
    with paths.written_whole(paths.VALIDATED) as target:
        target.write_text("params.yaml is valid\n", encoding="utf-8")


def needs_building(network: Network) -> bool:
    """Whether only building the network tells that its parts fit; the plainest choices always do."""
    return (
        network.attention != "none"
        or network.freeze == params.PHASES
        or network.weights == "places365"
        or network.backbone == "vit_b_16"
    )


def check_network(values: Params) -> None:
    """Refuse a network whose parts do not fit together, by building it without values.

    Raises:
        InputError: for an attention that the backbone cannot take or whose maps are too small, a reduction that leaves
            no channel, a phase whose layer is not there.
    """
    import torch

    from pipeline.networks.backbones import make, places365
    from pipeline.stages import assembly

    experiment = values.experiment()
    network = experiment.settings.network
    if network.weights == "places365":
        places365(network.backbone)
    if network.weights == "synthetic":
        with torch.device("meta"):
            make(network.backbone, values.synthetic_source.image_size, key="synthetic_source.image_size")
    assembly.phase_counts(experiment, assembly.structure(experiment, classes=2))


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
    if Path(values.folder) != paths.OWN_FOLDER and chosen.data.set != "folder":
        notes.append(f"folder is not read: data is {chosen.data.set!r}; add -S data=folder")
    if Path(values.weights_file) != paths.NO_WEIGHTS_FILE and chosen.network.weights != "file":
        notes.append(f"weights_file is not read: weights is {chosen.network.weights!r}; add -S weights=file")
    if chosen.data.set == "folder" and values.paper == "quick":
        size = chosen.data.image_size
        notes.append(f"paper 'quick' is for drawings: photographs become {size} x {size}; add -S paper=ecsm")
    if chosen.network.weights == "none" and chosen.network.freeze not in ("2", "scratch"):
        notes.append(f"freeze is {chosen.network.freeze!r} with weights 'none': layers stay frozen at random values")
    return notes


if __name__ == "__main__":
    with one_line_errors("validate"):
        main()
