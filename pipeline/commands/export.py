"""`orbweaver export`: a bundle as one file for other programs, preprocessing included, and proof that it agrees."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.commands.output_places import check_outside
from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.core.files import write_json
from pipeline.core.percents import percent
from pipeline.datasets.collect.listing import names

if TYPE_CHECKING:
    from pipeline.bundles.bundle import Bundle
    from pipeline.bundles.parity import Photograph

REPORT = "parity.json"
INT8 = "model-int8.onnx"
# All that an export may write.
WRITTEN = frozenset(("model.onnx", "model.pt2", INT8, REPORT))
# Training photographs that give the ranges of 8-bit numbers.
CALIBRATING = 200
# Exceptions that are printed; the report has all.
SHOWN = 5


@click.command(name="export")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--to", "kind", type=click.Choice(["onnx", "pt2"]), required=True, help="ONNX, or PyTorch's own format.")
@click.option("--int8", is_flag=True, help="Also write an 8-bit ONNX model, and report the accuracy it loses.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="The folder to write; by default BUNDLE-onnx or BUNDLE-pt2."
)
@click.option(
    "--photographs",
    type=click.Path(path_type=Path),
    help="Compare on the photographs in this folder instead of the bundle's test photographs.",
)
def command(bundle: Path, kind: str, int8: bool, out: Path | None, photographs: Path | None) -> None:
    """Export a bundle to one file for other programs, and check it.

    The file maps decoded photographs, (N, H, W, 3) uint8 of any size, to probabilities; it includes resizing, cropping
    and normalization. It is compared with the bundle on all test photographs. Exit status 1 means that too few of them
    get the same class; the files are kept.
    """
    if int8 and kind != "onnx":
        raise InputError(f"--int8: only applies to --to onnx, not to --to {kind}")
    if int8 and photographs is not None:
        raise InputError("--int8: needs the bundle's own training photographs; leave out --photographs")
    # "." and ".." are no names.
    named = bundle if bundle.name not in ("", "..") else bundle.resolve()
    target = out or named.with_name(f"{named.name}-{kind}")
    check_outside("--out", target, bundle)
    check_free(target)
    report = export(bundle, kind, target, int8=int8, folder=photographs)
    for line in as_lines(report):
        click.echo(f"export: {line}")
    click.echo(f"export: {target}: {', '.join(sorted(file.name for file in target.iterdir()))}")
    if not report["enough"]:
        raise InputError(
            f"{target}: kept, but fewer than {report['least_equal_percent']} % of photographs get the bundle's class; "
            f"{REPORT} lists the others"
        )


def check_free(target: Path) -> None:
    """Refuse a place that holds anything but an earlier export: all of it would be replaced.

    Raises:
        InputError: naming it.
    """
    inside = list(target.iterdir()) if target.is_dir() else []
    if (target.exists() and not target.is_dir()) or (inside and not (target / REPORT).is_file()):
        raise InputError(f"--out: {target}: exists, and is not an earlier export; name a new folder")
    if others := [entry.name for entry in inside if entry.name not in WRITTEN or entry.is_dir()]:
        raise InputError(
            f"--out: {target}: holds {names(others)} besides an earlier export, which is replaced as a whole; move "
            "that away, or name a new folder"
        )


def export(place: Path, kind: str, target: Path, *, int8: bool, folder: Path | None) -> dict[str, Any]:
    """Write the model and its parity report into a folder, and return the report.

    Args:
        place: the bundle.
        kind: `onnx` or `pt2`.
        target: the folder, replaced as a whole.
        int8: whether to write an 8-bit model too.
        folder: photographs to compare on; None for the bundle's test photographs.
    """
    from pipeline.bundles import bundle, exporting, originals, quantizing, running

    loaded = bundle.load(place, device="cpu")
    said = loaded.description
    # Before anything that takes long.
    photographs = _photographs(loaded, folder)
    module, metadata = exporting.module(loaded), exporting.metadata(said)
    with paths.written_whole(target) as partial:
        partial.mkdir()
        file = partial / f"model.{kind}"
        click.echo(f"export: writing {file.name} ...", err=True)
        if kind == "pt2":
            exporting.write_pt2(module, file, metadata)
            models = {file.name: running.pt2(file)}
        else:
            exporting.write_onnx(module, file, metadata)
            models = {file.name: running.onnx(file)}
        if int8:
            training = originals.spread(originals.of_part(said, "train"), CALIBRATING)
            quantized = partial / INT8
            quantizing.quantize(file, quantized, _decoded(loaded, training))
            models[quantized.name] = running.onnx(quantized)
        report = _report(loaded, models, photographs, calibrating=len(training) if int8 else 0)
        write_json(partial / REPORT, report)
    return report


def _photographs(loaded: "Bundle", folder: Path | None) -> "list[Photograph]":
    from pipeline.bundles import originals

    if folder is None:
        return originals.of_part(loaded.description, "test")
    photographs, refused = originals.of_folder(folder)
    for line in refused:
        click.echo(f"export: left out: {line}", err=True)
    return photographs


def _decoded(loaded: "Bundle", photographs: "Sequence[Photograph]") -> Iterator[Any]:
    from tqdm import tqdm

    from pipeline.bundles import parity

    for one in tqdm(photographs, "8-bit ranges", unit=" images", disable=None):
        yield parity.decoded(loaded, one.file)


def _report(
    loaded: "Bundle", models: dict[str, Any], photographs: "Sequence[Photograph]", *, calibrating: int
) -> dict[str, Any]:
    """Return the parity report: the model as the bundle decodes, at full size, in 8 bits, and speeds."""
    from pipeline.bundles import parity

    given = parity.run(loaded, models, photographs)
    # Of an ensemble, some network may have been trained on a test photograph of another.
    tested = photographs if loaded.description.scores else [one._replace(label=None) for one in photographs]
    classes = loaded.description.classes
    name, *others = models
    same = parity.agreement(given.bundle, given.models[name], photographs, classes)
    report: dict[str, Any] = {
        "model": name,
        "least_equal_percent": parity.LEAST_EQUAL,
        "enough": same["equal_percent"] >= parity.LEAST_EQUAL,
        "same_decoding": same,
        "decoded_at_full_size": {
            "of_another_size": int(given.reduced.sum()),
            **parity.agreement(given.bundle, given.whole, photographs, classes),
            "accuracy": parity.accuracy_changed(given.models[name], given.whole, tested),
        },
        "speed": parity.speeds(loaded, models, photographs),
    }
    for other in others:
        report["int8"] = {
            "model": other,
            "calibrated_with": calibrating,
            **parity.agreement(given.bundle, given.models[other], photographs, classes),
            "accuracy": parity.accuracy_changed(given.models[name], given.models[other], tested),
        }
    return report


def as_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the report in lines for a terminal."""
    from pipeline.reporting.tables import deviation, three_figures

    same, full, speed = report["same_decoding"], report["decoded_at_full_size"], report["speed"]
    yield f"{report['model']}: {_agreeing(same)}"
    for one in same["exceptions"][:SHOWN]:
        yield (
            f"  {one['photograph']}: {one['exported']} in place of {one['bundle']}, which has a margin of "
            f"{one['margin']:.2g}"
        )
    if full["of_another_size"]:
        yield (
            f"decoded at full size, as {full['of_another_size']} were not: {_agreeing(full)}; "
            "a JPEG that is decoded smaller first has slightly other pixels"
        )
        yield from _accuracy(full)
    if quantized := report.get("int8"):
        yield f"{quantized['model']}: {_agreeing(quantized)}"
        yield from _accuracy(quantized)
        if not quantized["accuracy"]:
            yield "  accuracy not compared: the bundle was tested on none of these photographs"
    rates = ", ".join(
        f"{name} {three_figures(one['images_per_second'])} ± {deviation(one['spread'])}"
        for name, one in speed.items()
        if isinstance(one, Mapping)
    )
    yield (
        f"images a second from decoded photographs, one at a time: {rates} "
        f"({speed['passes']} passes of {speed['photographs']}, {speed['threads']} threads)"
    )


def _accuracy(one: Mapping[str, Any]) -> Iterator[str]:
    from pipeline.evaluation.compare.mcnemar import p_name

    if not (changed := one["accuracy"]):
        return
    said = f"  accuracy {100 * changed['after']:.1f} % in place of {100 * changed['before']:.1f} %"
    if not changed["only_right_before"] + changed["only_right_after"]:
        yield f"{said}: none of {one['photographs']} answers became right or wrong, so there is no interval"
        return
    # Of a few photographs the t distribution goes beyond what accuracies can differ by.
    ends = [f"{100 * min(max(changed[end], -1), 1):+z.1f}" for end in ("low", "high") if changed[end] is not None]
    few = "there are two groups alone" if changed["groups"] == 2 else "all photographs changed alike"
    interval = f"95 % interval {' to '.join(ends)}" if ends else f"no interval, as {few}"
    yield (
        f"{said}: {100 * changed['difference']:+z.1f} points, {interval}, "
        f"{p_name(changed['groups'])} {changed['p']:.2g}"
    )


def _agreeing(one: Mapping[str, Any]) -> str:
    equal = percent(one["equal"] / one["photographs"], 2)
    return (
        f"{one['equal']} of {one['photographs']} photographs get the bundle's class ({equal}), "
        f"largest difference of a probability {one['largest_gap']:.2g}"
    )
