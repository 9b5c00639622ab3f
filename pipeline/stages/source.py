"""Stage `source`: make the pre-trained weights a tracked file of known content and origin."""

from pathlib import Path

from pipeline.core import digests, paths, places
from pipeline.core.choices import NONE
from pipeline.core.errors import one_line_errors
from pipeline.core.recipe import Recipe
from pipeline.core.records import WeightsRecord
from pipeline.core.source_record import SourceRecord
from pipeline.pretrained import weights
from pipeline.training import checkpoints


def main() -> None:
    """Get the weights that the recipe names, check that they fit its backbone, and store the trunk's."""
    recipe = Recipe.read()
    name = recipe.network.backbone
    # Only where it is read: an edit of params.yaml for the next run does not matter otherwise.
    own = places.own("weights_file") if recipe.network.weights == "file" else paths.NO_WEIGHTS_FILE
    pretrained = weights.get(recipe, Path(own))
    with paths.written_whole(paths.SOURCE) as target:
        target.mkdir()
        sha256 = ""
        # By what was asked for: a file without values must not pass for no weights.
        if recipe.network.weights != NONE:
            stored = target / paths.SOURCE_WEIGHTS.name
            checkpoints.save(weights.fitting(pretrained, name), stored)
            sha256 = digests.sha256(stored)
        described = WeightsRecord(
            origin=pretrained.origin,
            license=pretrained.license,
            file_sha256=pretrained.file_sha256,
            sha256=sha256,
        )
        record = SourceRecord(backbone=name, weights=described)
        record.write(target / paths.SOURCE_RECORD.name)
        digests.seal(target)
    print(f"source: {pretrained.origin}")


if __name__ == "__main__":
    with one_line_errors("source"):
        main()
