"""The strategy `probe`: the logistic regression on the features of the pre-trained network, which stays as it is."""

import csv

import numpy as np
import pytest
import tiny
import torch

from pipeline.assembly import networks, trained
from pipeline.core import paths
from pipeline.core.recipe import Recipe
from pipeline.datasets.prepared.packed import Packed
from pipeline.stages import train
from pipeline.training import linear_probe


@pytest.mark.usefixtures("project")
def test_the_network_is_the_pre_trained_one_with_the_regression_for_its_head(monkeypatch: pytest.MonkeyPatch) -> None:
    solved = []
    fit = linear_probe.fit

    def kept(features: np.ndarray, labels: np.ndarray, groups: np.ndarray, **options: object) -> linear_probe.Probe:
        solved.append(fit(features, labels, groups, **options))
        return solved[-1]

    monkeypatch.setattr(linear_probe, "fit", kept)
    tiny.write_params(freeze="probe", augmentation="flip")
    train.main(["--repeat", "1"])
    recipe = Recipe.read()
    start = networks.initial(recipe, classes=len(Packed.open(paths.PACKED).classes), repeat=1).model.state_dict()
    end = trained.load(1).model.state_dict()
    [probe] = solved
    head = {name for name in start if not torch.equal(start[name], end[name])}
    assert len(head) == 2
    values = {end[name].numel(): end[name].flatten() for name in head}
    for expected in (probe.weight, probe.bias):
        assert torch.equal(values[expected.size], torch.from_numpy(expected).flatten().to(torch.float32))
    with (paths.training_metrics(1) / "history.csv").open(encoding="utf-8", newline="") as stream:
        [row] = csv.DictReader(stream)
    assert float(row["lr"]) == 0.0
