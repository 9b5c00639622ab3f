"""Stage `copies`: find copies of one photograph among the collected images, whatever the experiment's settings."""

import json
from collections import Counter

from pipeline.core import digests, paths
from pipeline.core.errors import one_line_errors
from pipeline.datasets.prepared import groups, manifest, search
from pipeline.datasets.prepared.manifest import Alike, Pair, Row
from pipeline.pretrained import copies


def main() -> None:
    """Write the pairs of copies with their evidence, the groups that stay together, and what was compared."""
    digests.check(paths.MANIFEST)
    rows = manifest.read(paths.MANIFEST, Row)
    pairs, compared = copies.find(rows, paths.IMAGES)
    with paths.written_whole(paths.COPIES) as folder:
        folder.mkdir(parents=True)
        manifest.write(folder / paths.PAIRS.name, Pair, pairs)
        manifest.write(folder / paths.GROUPS.name, Alike, groups.grouped(pairs, rows))
        text = json.dumps(compared._asdict(), indent=2)
        (folder / paths.SEARCH.name).write_text(text + "\n", encoding="utf-8")
        digests.seal(folder)
    print(f"copies: {search.words(compared)}")
    kinds = Counter(groups.kind(pair) for pair in pairs)
    if pairs:
        found = ", ".join(f"{kinds[kind]:,} {name}" for kind, name in groups.NAMES.items() if kinds[kind])
        print(f"copies: pairs: {found} ({paths.PAIRS})")


if __name__ == "__main__":
    with one_line_errors("copies"):
        main()
