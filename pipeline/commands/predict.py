"""`orbweaver predict`: what a bundle says of images."""

import io
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from tqdm import tqdm

from pipeline.bundles import inputs, tables
from pipeline.bundles.predictions import Prediction
from pipeline.bundles.sorting import Sorted
from pipeline.commands import devices
from pipeline.commands.output_places import Outputs, check_maps, checked
from pipeline.core import closed_streams, paths, percents
from pipeline.core.counting import counted
from pipeline.core.errors import InputError
from pipeline.core.text_width import columns, padded
from pipeline.datasets.collect.listing import circle_notes, escaped

if TYPE_CHECKING:
    from pipeline.bundles.applying import Applied
    from pipeline.bundles.bundle import Bundle

PAGE = "index.html"
PAGE_ENDINGS = (".html", ".htm")
# All pages of the project have it in their head, which is shorter than this many bytes.
PAGE_MARK, PAGE_HEAD = b'<meta name="generator" content="orbweaver">', 1000
# The longest side of a picture on a page, in pixels.
PICTURE = 160
Use = Callable[[Sequence["Applied"]], object]


@click.command()
@click.argument("folder", metavar="BUNDLE", type=click.Path(path_type=Path))
@click.argument("given", metavar="PATH...", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), help="Write a table to this .csv, .json or .jsonl file.")
@click.option(
    "--top", type=click.IntRange(min=1), default=3, show_default=True, help="Maximum number of classes per image."
)
@click.option(
    "--page", type=click.Path(path_type=Path), help="Write an HTML page with the images: FILE.html or a folder."
)
@click.option("--cam", type=click.Path(path_type=Path), help="Write a Grad-CAM overlay of each image into this folder.")
@click.option(
    "--sort-into", type=click.Path(path_type=Path), help="Copy images into this folder, into one folder per class."
)
@devices.option
@click.option("--batch-size", type=click.IntRange(min=1), help="Batch size; by default that of `evaluate`.")
@click.option("--strict", is_flag=True, help="Exit with 1 if a file cannot be used.")
@click.pass_context
def command(
    context: click.Context,
    folder: Path,
    given: tuple[str, ...],
    out: Path | None,
    top: int,
    page: Path | None,
    cam: Path | None,
    sort_into: Path | None,
    device: str,
    batch_size: int | None,
    strict: bool,
) -> None:
    """Predict the class of images, with probability and uncertainty.

    PATH is an image, a folder (searched recursively), or `-` to read paths from standard input, one per line. Without
    --out, results are printed: as text on a terminal, otherwise as CSV. A file that cannot be used is reported on
    standard error, and the others are processed; exit status 1 means that there was no other.
    """
    outputs = checked(Outputs(out, _page_file(page), cam, sort_into), given, folder)
    if not outputs.places and closed_streams.output_is_closed():
        raise InputError("standard output is closed, and nothing else is to be written; give --out FILE")
    names = inputs.names(given, sys.stdin.buffer if inputs.LIST in given else (), outputs.places)
    if cam:
        check_maps(cam, names)
    for place in filter(Path.is_dir, map(Path, given)):
        for line in circle_notes(place):
            click.echo(f"{escaped(str(place))}: {line}", err=True)
    # Mistakes above are told before torch is imported.
    from pipeline.bundles import bundle

    loaded = bundle.load(folder, device=device)
    counts = run(loaded, names, outputs, top=min(top, len(loaded.description.classes)), batch_size=batch_size)
    click.echo(summary(counts, outputs), err=True)
    context.exit(int(not counts["images"] or (strict and counts["unusable"] > 0)))


def run(
    loaded: "Bundle", names: Sequence[str], outputs: Outputs, *, top: int, batch_size: int | None
) -> "Counter[str]":
    """Predict and write all results; return how many images there were and how many files could not be used."""
    from pipeline.bundles.applying import apply

    counts = Counter[str](images=0, unusable=0)
    with ExitStack() as stack:
        uses = [stack.enter_context(_results(outputs.table, loaded, top)), *_uses(loaded, outputs)]
        if outputs.page:
            uses.append(stack.enter_context(_on_page(loaded, outputs.page)))
        thumbnail = PICTURE if outputs.page else 0
        batches = stack.enter_context(apply(loaded, names, top=top, batch_size=batch_size, thumbnail=thumbnail))
        progress = stack.enter_context(tqdm(total=len(names), unit=" images", desc="predict", disable=None))
        for batch in batches:
            for one in batch:
                counts["unusable" if one.prediction.error else "images"] += 1
                if one.prediction.error:
                    tqdm.write(f"{escaped(one.prediction.path)}: {one.prediction.error}", file=sys.stderr)
            for use in uses:
                use(batch)
            progress.update(len(batch))
    return counts


def summary(counts: "Counter[str]", outputs: Outputs) -> str:
    """Return the last line."""
    images, unusable = counts["images"], counts["unusable"]
    parts = [counted(images, "image")]
    parts += [f"{counted(unusable, 'file')} cannot be used"] if unusable else []
    places = f"; written: {', '.join(map(str, outputs.places))}" if outputs.places else ""
    return f"predict: {', '.join(parts)}{places}"


@contextmanager
def _results(target: Path | None, loaded: "Bundle", top: int) -> Iterator[Use]:
    """Yield what writes or prints the predictions."""
    if target:
        with tables.written(target, top) as write:
            yield lambda batch: _each(write, batch)
    elif sys.stdout.isatty():
        width = max(columns(escaped(one)) for one in loaded.description.classes)
        yield lambda batch: _each(lambda one: _print(one, width), batch)
    else:
        stream = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", errors="backslashreplace", newline="")
        try:
            with tables.csv_to(stream, top) as write:
                yield lambda batch: _each(write, batch)
        finally:
            # Standard output stays open.
            stream.detach()


def _each(write: tables.Write, batch: Sequence["Applied"]) -> None:
    for one in batch:
        write(one.prediction)


def _print(one: Prediction, width: int) -> None:
    # What cannot be used has a line already.
    if not one.error:
        mark = ("  (strange)" if one.doubt.strange else "  (look)") if one.doubt and one.doubt.ask else ""
        sure, label = f"{percents.number(one.probability)}%", padded(escaped(one.label), width)
        line = f"{sure:>7}  {label}  {escaped(one.path)}{mark}"
        tqdm.write(line, file=sys.stdout)


def _uses(loaded: "Bundle", outputs: Outputs) -> Iterator[Use]:
    """Yield what is done with images besides."""
    if outputs.maps:
        # Importing it imports the drawing library.
        from pipeline.reporting.heatmaps import Heatmaps

        yield Heatmaps(loaded, outputs.maps).write
    if outputs.classes:
        yield _copying(Sorted(outputs.classes, loaded.description.classes))


def _copying(folders: Sorted) -> Use:
    def copy(batch: Sequence["Applied"]) -> None:
        for one in batch:
            if not one.prediction.error:
                folders.copy(Path(one.prediction.path), one.prediction.label)

    return copy


@contextmanager
def _on_page(loaded: "Bundle", target: Path) -> Iterator[Use]:
    """Yield what adds images to a page, which is written where the block ends without an error."""
    from pipeline.reporting.predicted import Page

    page = Page(loaded.description)

    def add(batch: Sequence["Applied"]) -> None:
        for one in batch:
            page.add(one.prediction, one.thumbnail)

    with paths.written_whole(target) as partial:
        # A place that cannot be written to is told before the work.
        partial.touch()
        yield add
        page.write(partial)


def _page_file(page: Path | None) -> Path | None:
    """Return the file of --page, which is not another page where a folder is named."""
    if page is None or page.suffix.lower() in PAGE_ENDINGS:
        return page
    file = page / PAGE
    if file.is_file() and PAGE_MARK not in file.read_bytes()[:PAGE_HEAD]:
        raise InputError(f"--page {page}: its {PAGE} is not a page of orbweaver; name another folder, or FILE.html")
    return file
