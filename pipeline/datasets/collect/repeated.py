"""Findings about photographs that a set has more than once, or that are of one group, by where they do harm."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from pipeline.datasets.collect.findings import Finding
from pipeline.datasets.collect.parts import TEST
from pipeline.datasets.prepared import groups
from pipeline.datasets.prepared.leaks import ON_LEAK, Choice, leaks
from pipeline.datasets.prepared.manifest import Pair, Row

_PLACES = ("across parts", "across classes", "within the test part", "within a class")
_TITLES = {"exact": "exact duplicates", "near": "near duplicates", groups.NAMED: "groups"}
_TWICE = "remove all but one: each counts by itself in the accuracy and makes its interval too narrow"
_AS_ONE = "nothing: metadata.csv names groups, and copies count together as one of them in intervals"
_LEAK_ADVICE: dict[Choice, str] = {
    "refuse": f"{{mend}}, or leave them out of training: -S {ON_LEAK}=drop (allow lets them be)",
    "drop": "nothing: they are left out of the earlier part",
    "allow": f"know that the test part is easier for them, or leave them out of training: -S {ON_LEAK}=drop",
}


def repeated(rows: Sequence[Row], pairs: Sequence[Pair], on_leak: Choice, refuse_duplicates: bool) -> Iterator[Finding]:
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
                advice = _advice(where, sure, on_leak, stops)
                if advice == _TWICE and groups.named(rows):
                    advice = _AS_ONE
                yield Finding(f"{title} {where}", listed, advice, stops)


def _where(image: Row, other: Row) -> Iterator[str]:
    """Yield where a pair does harm; leaks across parts are found by themselves."""
    if image.label != other.label:
        yield "across classes"
    if image.part == other.part == TEST:
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


def alike(pairs: Sequence[Pair]) -> Iterator[Finding]:
    """Yield pairs that nothing confirms as copies."""
    if files := [f"{pair.path} ~ {pair.of}{_evidence(pair)}" for pair in pairs if not pair.is_copy]:
        advice = "look at them; nothing confirms that they are copies. They stay together when the set is divided"
        yield Finding("alike, perhaps copies", files, advice)


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
