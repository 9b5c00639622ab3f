"""How many copies of each kind the search finds, how many false pairs, and how long it takes.

    python benchmarks/copies.py --drawings 1200 --size 96 --out benchmarks/results
    REAL_DATA=/data/real python benchmarks/copies.py --out benchmarks/results

Photographs are those of `clothing10` in the folder that REAL_DATA names, or with --photographs of another folder; with
--drawings the synthetic spiders take their place. Each kind of copy is planted for its own originals, --each of them,
and the other images get none. A copy is found if it is in one group with its original. A pair of images of two
originals is false; the photographs may hold true copies, so such pairs are listed to be looked at. The result also has
how often alignment confirmed a pair, the largest agreement of a pair that it did not, and the seconds for all.
"""

import argparse
import io
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

# The repository's own package, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import report
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from pipeline.core import provenance
from pipeline.datasets.collect import collecting
from pipeline.datasets.collect.folder import ImageFile
from pipeline.datasets.copies import finding
from pipeline.datasets.decoding import images
from pipeline.datasets.prepared import groups
from pipeline.datasets.prepared.manifest import Pair
from pipeline.datasets.synthetic.synthetic import SPIDERS, spider_image
from pipeline.pretrained import features

Random = np.random.Generator
Change = Callable[[Image.Image, Random], Image.Image]


def encoded(image: Image.Image, rng: Random) -> Image.Image:
    """Encode as a JPEG of quality 40 to 80."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=int(rng.integers(40, 81)))
    return Image.open(stream).convert("RGB")


def cropped(part: float) -> Change:
    """Return a change that cuts a part off each side's length, at a random place."""

    def crop(image: Image.Image, rng: Random) -> Image.Image:
        width, height = (round(side * (1 - part)) for side in image.size)
        left, top = int(rng.integers(image.width - width + 1)), int(rng.integers(image.height - height + 1))
        return image.crop((left, top, left + width, top + height))

    return crop


def stretched(image: Image.Image, rng: Random) -> Image.Image:
    """Stretch one side by 20 %."""
    wide = bool(rng.integers(2))
    return image.resize((round(image.width * 1.2), image.height) if wide else (image.width, round(image.height * 1.2)))


def letterboxed(image: Image.Image, _rng: Random) -> Image.Image:
    """Put black bars at two sides: a square, or 4:3 where it is one."""
    side = max(image.size)
    size = (side, side) if min(image.size) < 0.9 * side else (round(image.width * 4 / 3), image.height)
    return ImageOps.pad(image, size, color="black")


def with_footer(image: Image.Image, rng: Random) -> Image.Image:
    """Append a bar of 6 to 12 % of the height with a line of text."""
    height = max(round(image.height * rng.uniform(0.06, 0.12)), 6)
    whole = Image.new("RGB", (image.width, image.height + height), tuple(int(c) for c in rng.integers(0, 256, 3)))
    whole.paste(image)
    text = f"photo {rng.integers(1_000_000)} (c) www.example.org"
    ImageDraw.Draw(whole).text((3, image.height), text, fill="white", font_size=max(0.7 * height, 5))
    return whole


def brightened(image: Image.Image, rng: Random) -> Image.Image:
    """Brighten by 40 % or darken by 35 %."""
    return ImageEnhance.Brightness(image).enhance(1.4 if rng.integers(2) else 0.65)


def rotated(image: Image.Image, rng: Random) -> Image.Image:
    """Rotate by 5 degrees to either side, with black corners."""
    return image.rotate(5 if rng.integers(2) else -5, resample=Image.Resampling.BICUBIC)


KINDS: dict[str, Change] = {
    "exact": lambda image, _rng: image,
    "encoded anew": encoded,
    "resized by half": lambda image, _rng: image.resize((image.width // 2, image.height // 2)),
    "cropped by 5 %": cropped(0.05),
    "cropped by 20 %": cropped(0.2),
    "cropped by 40 %": cropped(0.4),
    "mirrored": lambda image, _rng: ImageOps.mirror(image),
    "mirrored and cropped by 10 %": lambda image, rng: cropped(0.1)(ImageOps.mirror(image), rng),
    "stretched by 20 %": stretched,
    "letterboxed": letterboxed,
    "another footer": with_footer,
    "brightened or darkened": brightened,
    "rotated by 5 degrees": rotated,
}


def plant(originals: Sequence[Image.Image], folder: Path, *, each: int, suffix: str, seed: int = 0) -> dict[str, str]:
    """Write the originals and copies of some.

    Returns:
        The kind of each copy by its path, which is its original's with `-copy` added.
    """
    rng = np.random.default_rng(seed)
    kinds = [kind for kind in KINDS for _ in range(each)]
    kind_of = dict(zip(rng.permutation(len(originals)).tolist(), kinds, strict=False))
    planted = {}
    for number, image in enumerate(originals):
        kind = kind_of.get(number)
        # A footer of its own, so that the copy has another.
        own = with_footer(image, rng) if kind == "another footer" else image
        own.save(folder / f"{number:05}{suffix}", quality=90)
        if kind is not None:
            name = f"{number:05}-copy{suffix}"
            KINDS[kind](image, rng).save(folder / name, quality=90)
            planted[name] = kind
    return planted


def measured(folder: Path, planted: Mapping[str, str]) -> dict[str, Any]:
    """Search a folder, and count what is found of each kind and what is false."""
    files = [ImageFile(file, file.name, "", "") for file in sorted(folder.iterdir())]
    rows, _ = collecting.inspect(files)
    start = time.monotonic()
    pairs, _ = finding.find(rows, folder, features.bundled)
    seconds = time.monotonic() - start
    group = {one.path: one.group for one in groups.grouped(pairs)}
    hits = {name: name in group and group[name] == group.get(_original(name)) for name in planted}
    own = {
        pair.path if "-copy" in pair.path else pair.of for pair in pairs if _is_own(pair) and pair.confirmed == "yes"
    }
    false = [pair for pair in pairs if not _is_own(pair)]
    kinds = {}
    for kind in KINDS:
        names = [name for name in planted if planted[name] == kind]
        kinds[kind] = {
            "n": len(names),
            "found": sum(hits[name] for name in names),
            "confirmed": sum(name in own for name in names),
        }
    return {
        "images": len(rows),
        "seconds": round(seconds, 1),
        "kinds": kinds,
        "false_images": len({name for pair in false for name in (pair.path, pair.of)}),
        "false_confirmed": sum(pair.confirmed == "yes" for pair in false),
        "false_pairs": [pair._asdict() for pair in false],
    }


def _original(name: str) -> str:
    return name.replace("-copy", "")


def _is_own(pair: Pair) -> bool:
    return _original(pair.path) == _original(pair.of)


def originals(args: argparse.Namespace) -> list[Image.Image]:
    """Return the photographs or drawings of the command line."""
    if args.drawings:
        kinds = len(SPIDERS)
        return [spider_image(n % kinds, n // kinds, size=args.size, seed=args.seed) for n in range(args.drawings)]
    files = sorted(file for file in args.photographs.rglob("*") if file.suffix.lower() in (".jpg", ".jpeg", ".png"))
    return [images.load(file).image for file in files[: args.most]]


def arguments() -> argparse.Namespace:
    """Return the command line's arguments."""
    real = Path(os.environ.get("REAL_DATA", "")) / "clothing10"
    parser = argparse.ArgumentParser(description="How many planted copies are found, by kind.")
    parser.add_argument("--photographs", type=Path, default=real)
    parser.add_argument("--most", type=int, help="at most so many photographs")
    parser.add_argument("--drawings", type=int, default=0, help="so many drawn spiders in place of photographs")
    parser.add_argument("--size", type=int, default=96, help="side of a drawing")
    parser.add_argument("--each", type=int, default=100, help="copies of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    return parser.parse_args()


def main() -> None:
    """Plant, search, print a table, and write it with machine and versions."""
    args = arguments()
    with tempfile.TemporaryDirectory() as scratch:
        suffix = ".png" if args.drawings else ".jpg"
        planted = plant(originals(args), Path(scratch), each=args.each, suffix=suffix, seed=args.seed)
        result = measured(Path(scratch), planted)
    for kind, counts in result["kinds"].items():
        print(f"{kind:<30} {counts['found']:>4} of {counts['n']}, {counts['confirmed']} confirmed")
    print(f"{result['images']} images in {result['seconds']} s; in false pairs: {result['false_images']}")
    machine = {"device": provenance.processor(), "load": os.getloadavg()[1], "versions": provenance.versions()}
    name = f"copies-{'drawings' if args.drawings else 'photographs'}.json"
    settings = {key: str(value) for key, value in vars(args).items() if key not in ("out", "photographs")}
    report.write(args.out / name, machine=machine, settings=settings, results=result)


if __name__ == "__main__":
    main()
