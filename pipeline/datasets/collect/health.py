"""Facts and findings about a data set before hours of training, with advice, from its tables alone."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.core.counting import counted
from pipeline.core.sections import Split
from pipeline.datasets.collect import left_out, repeated
from pipeline.datasets.collect.findings import Finding
from pipeline.datasets.collect.likely_groups import likely
from pipeline.datasets.collect.listing import quoted
from pipeline.datasets.collect.parts import TEST
from pipeline.datasets.prepared import groups
from pipeline.datasets.prepared.leaks import Choice
from pipeline.datasets.prepared.manifest import Pair, Rejected, Row
from pipeline.datasets.prepared.search import Search, words

# From this ratio of the largest to the smallest class, accuracy hardly depends on the small ones.
UNEVEN = 3.0
# A class of fewer images has at most three test images where three in ten are tested.
FEW = 10

# What validation images are told by that are taken as the test part.
TESTED = "images taken as the test part"


def examine(
    rows: Sequence[Row],
    rejected: Sequence[Rejected],
    pairs: Sequence[Pair],
    search: Search,
    *,
    image_size: int,
    on_leak: Choice,
    split: Split,
    refuse_duplicates: bool = False,
    known_overlap: str = "",
    own: bool = False,
    tested: str = "",
) -> dict[str, Any]:
    """Return facts and findings of a set as plain data.

    Args:
        rows: the accepted images.
        rejected: the files that cannot be used.
        pairs: the copies.
        search: what was compared to find them.
        image_size: side of the packed images, in pixels.
        on_leak: treatment of one image in two parts.
        split: the settings of the division.
        refuse_duplicates: whether confirmed copies in two classes stop a run.
        known_overlap: images shared with the pre-training data; empty if none are known.
        own: whether the set is in the user's folder, where names may suggest groups.
        tested: what is said of validation images that are taken as the test part; "" where none are.

    Returns:
        `images`; `classes`, `parts`, `modes` and `conversions` with their numbers of images; `imbalance`, the size of
        the largest class over that of the smallest; `sizes` in pixels, `smallest` and `largest` by area; `groups`, what
        metadata.csv names, "" for none; `suggested_groups`, the paths of those that names suggest; `copies`, what was
        looked for; `findings`.
    """
    classes = Counter(row.label for row in rows)
    suggested = likely(rows) if own else {}
    findings = [
        *_unusable(rejected),
        *_tested(rows, tested),
        *repeated.repeated(rows, pairs, on_leak, refuse_duplicates),
        *repeated.alike(pairs),
        *_likely_groups(suggested),
        *_few(classes, rows, split),
        *_uneven(classes),
        *_small(rows, image_size),
        *_converted(rows),
    ]
    if known_overlap:
        findings.append(Finding("overlap with pre-training data", [known_overlap], "say so beside every result"))
    return {
        "images": len(rows),
        "classes": dict(sorted(classes.items())),
        "parts": dict(sorted(Counter(row.part for row in rows if row.part).items())),
        "imbalance": round(max(classes.values()) / min(classes.values()), 2) if classes else None,
        "sizes": _sizes(rows),
        "groups": groups.words(rows),
        "suggested_groups": suggested,
        "modes": dict(Counter(row.mode for row in rows).most_common()),
        "conversions": dict(Counter(row.note for row in rows if row.note).most_common()),
        "copies": words(search),
        "findings": [finding.as_dict() for finding in findings],
    }


def _sizes(rows: Sequence[Row]) -> dict[str, list[int]]:
    if not rows:
        return {}
    ordered = sorted(((row.width, row.height) for row in rows), key=lambda size: (size[0] * size[1], size))
    return {"smallest": list(ordered[0]), "largest": list(ordered[-1])}


def _unusable(rejected: Sequence[Rejected]) -> Iterator[Finding]:
    """Yield what is left out: damaged photographs by name and first, other files as one line."""
    damaged, outside, unlisted, dropped, others = left_out.divided(rejected)
    for what, files, advice in (
        ("photographs that cannot be used", damaged, "repair or delete them; they are excluded from the run"),
        ("photographs beside the class folders", outside, "move each into its class's folder, or remove it"),
        ("photographs without a label or part in metadata.csv", unlisted, "add it there; the run goes on without them"),
        ("copies left out of an earlier part", dropped, "nothing: data.on_leak is drop"),
    ):
        if files:
            yield Finding(what, [f"{one.path}: {one.reason}" for one in files], advice)
    if others:
        advice = "nothing: they are passed over"
        yield Finding("files that are no photographs", [left_out.endings(others)], advice, files_in_all=len(others))


def _tested(rows: Sequence[Row], remark: str) -> Iterator[Finding]:
    """Yield validation images that are taken as the test part."""
    if remark:
        advice = "nothing, if that is meant; else name the parts train, val and test"
        yield Finding(TESTED, [remark], advice, files_in_all=sum(row.part == TEST for row in rows))


def _few(classes: Counter[str], rows: Sequence[Row], split: Split) -> Iterator[Finding]:
    """Yield classes of so few images that their scores say little."""
    if few := sorted((images, label) for label, images in classes.items() if images < FEW):
        advice = (
            f"add images, or leave the class out: the test part has {_tested_of(few[0][1], rows, split)}, so the "
            "scores of the class say little"
        )
        yield Finding(f"classes of fewer than {FEW} images", [f"{label}: {images}" for images, label in few], advice)


def _tested_of(label: str, rows: Sequence[Row], split: Split) -> str:
    """Return how many images of a class are tested, in words, with the setting that it follows from."""
    parts = [row.part for row in rows if row.label == label]
    images, of = len(parts), f"of the {counted(len(parts), 'image')} of {quoted(label)}"
    drawn = 0 if split.per_class == "none" else split.per_class.test
    if any(row.part for row in rows):
        tested = parts.count(TEST)
        return f"{min(tested, drawn) if drawn else tested} {of}"
    if drawn:
        return f"{min(drawn, images)} {of} (data.split.per_class)"
    return f"about {max(1, min(round(split.test * images), images - 1))} {of} (data.split.test: {split.test:g})"


def _uneven(classes: Counter[str]) -> Iterator[Finding]:
    if classes and max(classes.values()) >= UNEVEN * min(classes.values()):
        (large, many), (small, few) = classes.most_common(1)[0], classes.most_common()[-1]
        extremes = [f"{large}: {many:,}", f"{small}: {few:,}"]
        advice = "also report macro-F1; -S defaults.train.sampler=weighted samples all classes equally often"
        yield Finding(f"uneven classes, {many / few:.1f} to 1", extremes, advice)


def _small(rows: Sequence[Row], image_size: int) -> Iterator[Finding]:
    small = [row for row in rows if min(row.width, row.height) < image_size]
    if small:
        files = [f"{row.path}: {row.width} x {row.height}" for row in small]
        advice = f"they are enlarged to {image_size}; where many are, choose a smaller side by -S image_size"
        yield Finding("images smaller than image_size", files, advice)


def _converted(rows: Sequence[Row]) -> Iterator[Finding]:
    if converted := [f"{row.path}: {row.note}" for row in rows if row.note]:
        advice = "nothing, unless a class differs from the others in it: the network would learn that"
        yield Finding("images that are converted", converted, advice)


def _likely_groups(suggested: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    if suggested:
        advice = (
            "if each is one specimen, site or day, name it in metadata.csv, which `orbweaver doctor --name-groups` "
            "writes: a group is never both trained on and tested"
        )
        lines = [f"{name}: {counted(len(paths), 'image')}" for name, paths in suggested.items()]
        yield Finding("groups that names suggest", lines, advice)
