"""Stage `preprocess`: decode and resize every collected image once, into one array for all repeats and strategies."""

from pipeline.core import digests, paths
from pipeline.core.errors import one_line_errors
from pipeline.core.recipe import Recipe
from pipeline.datasets.decoding.packing import pack
from pipeline.datasets.prepared import manifest
from pipeline.datasets.prepared.manifest import Row


def main() -> None:
    """Write the packed array, its index and its description."""
    data = Recipe.read().data
    digests.check(paths.MANIFEST)
    rows = manifest.read(paths.MANIFEST, Row)
    with paths.written_whole(paths.PACKED) as folder:
        pack(
            rows,
            paths.IMAGES,
            folder,
            size=data.image_size,
            resize=data.resize,
            interpolation=data.interpolation,
        )


if __name__ == "__main__":
    with one_line_errors("preprocess"):
        main()
