"""Facts and findings about a data set before hours of training, with advice, from its tables alone."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from pipeline.datasets.collect import left_out, parts
from pipeline.datasets.collect.likely_groups import likely
from pipeline.datasets.prepared import groups
from pipeline.datasets.prepared.leaks import Choice, leaks
from pipeline.datasets.prepared.manifest import Pair, Rejected, Row
from pipeline.datasets.prepared.search import Search, words

# From this ratio of the largest to the smallest class, accuracy hardly depends on the small ones.
UNEVEN = 3.0
# A class of fewer images has at most three test images when 7:3 are divided.
FEW = 10

# What a validation folder is told by that is taken as the test part.
TESTED = "images taken as the test part"
# A part that the manifest gives; no image of it is opened here.
_TEST = "test"
_PLACES = ("across parts", "across classes", "within the test part", "within a class")
_TITLES = {"exact": "exact duplicates", "near": "near duplicates", groups.NAMED: "groups"}
_TWICE = "remove all but one: each counts by itself in the accuracy and makes its interval too narrow"
_LEAK_ADVICE: dict[Choice, str] = {
    "refuse": "{mend}, or leave them out of training: -S defaults.data.on_leak=drop (allow lets them be)",
    "drop": "nothing: they are left out of the earlier part",
    "allow": "know that the test part is easier for them, or leave them out of training: -S defaults.data.on_leak=drop",
}


class Finding(NamedTuple):
    """One finding.

    Attributes:
        what: a short title.
        files: the images concerned, each with a reason or the image that it duplicates.
        advice: action for the user.
        stops: whether it stops a run.
        files_in_all: how many files are concerned; None for as many as are listed.
    """

    what: str
    files: Sequence[str]
    advice: str
    stops: bool = False
    files_in_all: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, with the number of files."""
        values = self._asdict() | {"files": list(self.files)}
        return values | {"count": values.pop("files_in_all") or len(self.files)}


def examine(
    rows: Sequence[Row],
    rejected: Sequence[Rejected],
    pairs: Sequence[Pair],
    search: Search,
    *,
    image_size: int,
    on_leak: Choice,
    refuse_duplicates: bool = False,
    known_overlap: str = "",
    own: bool = False,
) -> dict[str, Any]:
    """Return facts and findings of a set as plain data.

    Args:
        rows: the accepted images.
        rejected: the files that cannot be used.
        pairs: the copies.
        search: what was compared to find them.
        image_size: side of the packed images, in pixels.
        on_leak: treatment of one image in two parts.
        refuse_duplicates: whether confirmed copies in two classes stop a run.
        known_overlap: images shared with the pre-training data; empty if none are known.
        own: whether the set is in the user's folder, where names may suggest groups.

    Returns:
        `images`; `classes`, `parts`, `modes` and `conversions` with their numbers of images; `imbalance`, the size of
        the largest class over that of the smallest; `sizes` in pixels, `smallest` and `largest` by area; `groups`, what
        metadata.csv names, "" for none; `copies`, what was looked for; `findings`.
    """
    classes = Counter(row.label for row in rows)
    findings = [
        *_unusable(rejected),
        *_tested(rows),
        *_repeated(rows, pairs, on_leak, refuse_duplicates),
        *_alike(pairs),
        *_likely_groups(rows if own else []),
        *_few(classes),
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
        ("photographs that cannot be used", damaged, "mend or remove them; the run goes on without them"),
        ("photographs beside the class folders", outside, "move each into its class's folder, or remove it"),
        ("photographs without a label or part in metadata.csv", unlisted, "add it there; the run goes on without them"),
        ("copies left out of an earlier part", dropped, "nothing: data.on_leak is drop"),
    ):
        if files:
            yield Finding(what, [f"{one.path}: {one.reason}" for one in files], advice)
    if others:
        advice = "nothing: they are passed over"
        yield Finding("files that are no photographs", [left_out.endings(others)], advice, files_in_all=len(others))


def _tested(rows: Sequence[Row]) -> Iterator[Finding]:
    """Yield a validation folder that is taken as the test part."""
    for name, images in parts.tested_rows(rows).items():
        advice = "nothing, if that is meant; else name the folders train, val and test"
        yield Finding(TESTED, [parts.remark(name)], advice, files_in_all=images)


def _few(classes: Counter[str]) -> Iterator[Finding]:
    """Yield classes of so few images that their scores say little."""
    if few := sorted((images, label) for label, images in classes.items() if images < FEW):
        least = few[0][0]
        tested = max(1, round(0.3 * least))
        advice = (
            f"add images, or leave the class out: a 7:3 split of {least} images tests on about {tested}, so the "
            "scores of the class say little"
        )
        yield Finding(f"classes of fewer than {FEW} images", [f"{label}: {images}" for images, label in few], advice)


def _uneven(classes: Counter[str]) -> Iterator[Finding]:
    if classes and max(classes.values()) >= UNEVEN * min(classes.values()):
        (large, many), (small, few) = classes.most_common(1)[0], classes.most_common()[-1]
        extremes = [f"{large}: {many:,}", f"{small}: {few:,}"]
        advice = (
            "read macro-F1 beside accuracy; -S defaults.train.sampler=weighted shows each class as often as any other"
        )
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


def _repeated(
    rows: Sequence[Row], pairs: Sequence[Pair], on_leak: Choice, refuse_duplicates: bool
) -> Iterator[Finding]:
    """Yield exact and near duplicates by location; a pair across both parts and classes is listed under each."""
    files: dict[tuple[str, str], list[str]] = defaultdict(list)
    stopping = set()
    known = {row.path: row for row in rows}
    for pair in pairs:
        if not pair.is_copy or pair.path not in known or pair.of not in known:
            continue
        image, other = known[pair.path], known[pair.of]
        for where in _where(image, other):
            files[groups.kind(pair), where].append(f"{image.path} = {other.path}{_evidence(pair)}")
            if where == "across classes" and pair.confirmed == "yes" and refuse_duplicates:
                stopping.add((groups.kind(pair), where))
    # As stage `split` computes them: one leak per image, with its duplicate in the latest part.
    for leak in leaks(rows, pairs):
        files[leak.kind, "across parts"].append(f"{leak.path} = {leak.of}")
        if on_leak == "refuse":
            stopping.add((leak.kind, "across parts"))
    for where in _PLACES:
        for sure, title in _TITLES.items():
            if listed := files[sure, where]:
                stops = (sure, where) in stopping
                yield Finding(f"{title} {where}", listed, _advice(where, sure, on_leak, stops), stops)


def _where(image: Row, other: Row) -> Iterator[str]:
    """Yield where a pair does harm; leaks across parts are found by themselves."""
    if image.label != other.label:
        yield "across classes"
    if image.part == other.part == _TEST:
        yield "within the test part"
    elif image.part == other.part and image.label == other.label:
        yield "within a class"


def _evidence(pair: Pair) -> str:
    """Return how a pair was found out, where its bytes differ."""
    if pair.found == "bytes":
        return ""
    mirrored = "mirrored, " if pair.mirrored == "yes" else ""
    if pair.confirmed == "yes":
        return f" ({mirrored}{pair.agreement} % of the detail agrees)"
    return f" ({'hashes' if pair.found == 'hashes' else f'{pair.likeness} % alike'}, not confirmed)"


def _alike(pairs: Sequence[Pair]) -> Iterator[Finding]:
    if alike := [f"{pair.path} ~ {pair.of}{_evidence(pair)}" for pair in pairs if not pair.is_copy]:
        advice = "look at them; nothing confirms that they are copies. They stay together when the set is divided"
        yield Finding("alike, perhaps copies", alike, advice)


def _likely_groups(rows: Sequence[Row]) -> Iterator[Finding]:
    if suggested := likely(rows):
        advice = (
            "if each is one specimen, site or day, name it in metadata.csv: a group is never both trained on and tested"
        )
        yield Finding("groups that names suggest", suggested, advice)


def _advice(where: str, sure: str, on_leak: Choice, stops: bool) -> str:
    if where == "across parts":
        mend = "put each group into one part" if sure == groups.NAMED else "remove one of each"
        return _LEAK_ADVICE[on_leak].format(mend=mend)
    if where == "across classes":
        also = ", or allow such pairs: -S defaults.data.duplicates=allow" if stops else ""
        return f"look which class is right and remove the {'copy' if sure == 'exact' else 'other'}{also}"
    if where == "within the test part":
        return _TWICE
    return "nothing: they stay together when the set is divided" if on_leak != "allow" else "remove all but one"
