"""What a training of low-rank updates leaves: a network as any other, with what was trained inside."""

import pytest
import tiny
import torch

from pipeline.assembly import networks, trained
from pipeline.core import paths
from pipeline.core.recipe import Recipe
from pipeline.core.records import Record
from pipeline.stages import train


@pytest.mark.usefixtures("project")
def test_a_training_leaves_the_merged_network_and_counts_what_was_added() -> None:
    tiny.write_params(freeze="lora", backbone="vit_b_16", weights="none")
    train.main(["1"])
    recipe = Recipe.read()
    network = trained.load(1)
    start = networks.initial(recipe, classes=len(trained.record(1).classes), repeat=1)
    before = {
        name.replace("parametrizations.in_proj_weight.original", "in_proj_weight"): value
        for name, value in start.model.state_dict().items()
    }
    after = network.model.state_dict()
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    matrices = {name for name in after if name.endswith("in_proj_weight")}
    assert moved == matrices | {name for name in after if name.startswith("heads.")}
    # The rank of each difference is that of its update.
    rank = recipe.options_of("freeze", "lora")["rank"]
    for name in matrices:
        values = torch.linalg.svdvals((after[name] - before[name]).double())
        assert values[rank] < 1e-5 * values[0]
    file = paths.training_metrics(1) / "record.json"
    record = Record.parse(file.read_bytes(), file)
    assert record.parameters.trainable == 12 * rank * (3 + 1) * 16 + 16 * len(record.data.classes) + len(
        record.data.classes
    )
