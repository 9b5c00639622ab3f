"""Write a module as a file that other programs run: ONNX, or torch's own `.pt2`."""

import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from pipeline.bundles.bundle import Bundle
from pipeline.bundles.description import Description
from pipeline.bundles.graph import FromPhotographs
from pipeline.evaluation.uncertainty.judging import Calibration

if TYPE_CHECKING:
    import onnx_ir
    from torch.export import ExportedProgram

INPUT, OUTPUTS = "photographs", ("probabilities", "logits")
AXES = ("batch", "height", "width")
# No axis is 1 or equal to another, which torch.export could take for a rule.
EXAMPLE = (2, 5, 7, 3)


def exported(module: nn.Module) -> "ExportedProgram":
    """Return the module as torch's graph of operations, for any number of photographs of any size.

    Args:
        module: takes photographs (N, H, W, 3) uint8, and is in eval mode.
    """
    example = torch.zeros(EXAMPLE, dtype=torch.uint8)
    axes = dict.fromkeys(range(len(AXES)), torch.export.Dim.DYNAMIC)
    with torch.no_grad():
        program = torch.export.export(module, (example,), dynamic_shapes=(axes,))
    for graph in program.graph_module.modules():
        for node in graph.graph.nodes if isinstance(graph, torch.fx.GraphModule) else ():
            # The places of this program's files on this machine.
            node.meta.pop("stack_trace", None)
    # torch would store it as a pickle.
    program._example_inputs = None
    return program


def write_pt2(module: nn.Module, file: Path, metadata: Mapping[str, str]) -> None:
    """Write a module for `torch.export.load`, without a pickle; each of the metadata becomes an extra file."""
    program = exported(module)
    with warnings.catch_warnings():
        # Of weights in channels last, which are stored as they are.
        warnings.filterwarnings("ignore", "No complete tensor found in the group")
        torch.export.save(program, file, extra_files=dict(metadata))


def write_onnx(module: nn.Module, file: Path, metadata: Mapping[str, str]) -> None:
    """Write a module as one ONNX file, with the metadata as its `metadata_props`."""
    program = torch.onnx.export(
        exported(module),
        dynamo=True,
        input_names=[INPUT],
        output_names=list(OUTPUTS),
        dynamic_shapes=(dict(enumerate(AXES)),),
        verbose=False,
    )
    assert program is not None
    _remove_traces(program.model.graph)
    program.model.metadata_props.update(metadata)
    program.save(file, external_data=False)


def _remove_traces(graph: "onnx_ir.Graph") -> None:
    """Remove what the exporter notes of each operation, the places of this program's files on this machine among it."""
    for node in graph.all_nodes():
        node.metadata_props.clear()
    for value in (*graph.inputs, *graph.outputs):
        value.metadata_props.clear()


def module(bundle: Bundle) -> FromPhotographs:
    """Return a bundle's networks with all that comes before and after them."""
    prepared = bundle.description.preprocessing
    return FromPhotographs(
        bundle.networks,
        size=prepared.image_size,
        resize="crop" if prepared.resize == "crop" else "stretch",
        interpolation=prepared.interpolation,
        view=bundle.transform,
        mean=prepared.mean,
        std=prepared.std,
        temperature=temperature(bundle.description),
    )


def temperature(said: Description) -> float:
    """Return what class scores are divided by before softmax; 1 of a bundle that is not calibrated."""
    return Calibration.parse(said.calibration).temperature if said.calibration else 1.0


def metadata(said: Description) -> dict[str, str]:
    """Return what travels with the graph, as JSON: class names in the order of the scores, preprocessing, origin.

    `decode_at_least` is the side above which a JPEG may be decoded smaller, as training did.
    """
    prepared, origin = said.preprocessing, said.origin
    values = {
        "classes": said.classes,
        "preprocessing": asdict(prepared) | {"decode_at_least": prepared.draft * prepared.image_size},
        "made_from": {name: getattr(origin, name) for name in ("experiment", "commit", "weights_license")},
    }
    return {name: json.dumps(value, ensure_ascii=False) for name, value in values.items()}
