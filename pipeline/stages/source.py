"""Stage `source`: make the pre-trained weights a tracked file of known content and origin."""

import sys
from pathlib import Path

from pipeline.core import paths, seeding
from pipeline.core.errors import one_line_errors
from pipeline.core.files import write_json
from pipeline.core.recipe import Recipe
from pipeline.networks.backbones.table import backbone
from pipeline.pretrained import weights
from pipeline.training import checkpoints


def main(arguments: list[str]) -> None:
    """Get the weights that the recipe names, check that they fit its backbone, and store the trunk's.

    Args:
        arguments: `weights_file` of params.yaml.
    """
    (file,) = arguments
    recipe = Recipe.read()
    name = recipe.network.backbone
    # What is not known, or a device that is not here, is refused now, before a later stage has lost its outputs.
    backbone(name)
    seeding.choose_device(recipe.device)
    pretrained = weights.get(recipe, Path(file))
    with paths.written_whole(paths.SOURCE) as target:
        target.mkdir()
        record = {"origin": pretrained.origin, "backbone": name, "file_sha256": pretrained.file_sha256}
        if pretrained.values:
            stored = target / paths.SOURCE_WEIGHTS.name
            checkpoints.save(weights.fitting(pretrained, name), stored)
            record["sha256"] = checkpoints.sha256(stored)
        write_json(target / paths.SOURCE_RECORD.name, record)
    print(f"source: {pretrained.origin}")


if __name__ == "__main__":
    with one_line_errors("source"):
        main(sys.argv[1:])
