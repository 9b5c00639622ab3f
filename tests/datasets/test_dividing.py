import pytest
import written_results

from pipeline.datasets.prepared import dividing
from pipeline.datasets.prepared.manifest import Row

# A set with parts of its own.
ROWS = [
    Row(f"{part}/{label}/{n}", label, part, 1, f"{part}{label}{n}", 1, 1, "RGB", "")
    for part, images in (("train", 20), ("test", 10))
    for label in "ab"
    for n in range(images)
]


@pytest.mark.parametrize(
    ("changes", "redraws"),
    [
        ({}, False),
        ({"val": 0.2}, False),
        ({"train_fraction": 0.5}, False),
        ({"val": 0.2, "division": 2}, False),
        ({"per_class": {"train": 5, "test": 0, "val": 0}}, True),
        ({"per_class": {"train": 0, "test": 0, "val": 5}}, True),
        ({"per_class": {"train": 0, "test": 0, "val": 0}}, False),
        ({"per_class": {"train": 0, "test": 0, "val": 0}, "val": 0.2}, True),
        ({"per_class": {"train": 0, "test": 0, "val": 0}, "train_fraction": 0.5}, True),
        ({"per_class": {"train": 5, "test": 0, "val": 0}, "division": 2}, False),
    ],
)
def test_repeats_of_one_test_part_have_other_training_images_where_that_is_said(changes, redraws):
    whole = {"test": 0.3, "val": 0.0, "seed": 0, "per_class": "none"}
    data = written_results.settings_of("quick", {"data.split": whole | changes}).data
    parts = []
    for repeat in (1, 2):
        assigned = dividing.divided(data, ROWS, [], own=True, repeat=repeat)
        parts.append({name: {one.path for one in assigned if one.part == name} for name in ("train", "test")})
    assert parts[0]["test"] == parts[1]["test"]
    assert (parts[0]["train"] != parts[1]["train"]) == dividing.redraws_training(data.split) == redraws
