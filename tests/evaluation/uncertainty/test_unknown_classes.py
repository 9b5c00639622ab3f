"""benchmarks/unknown_classes.py on images of three colors: each is left out of a network that is trained, then told."""

import numpy as np
import pytest
from benchmark import load
from PIL import Image

EACH = {"train": 24, "validation": 2, "test": 4}
CLASSES = {"blue": (40, 60, 200), "green": (40, 180, 60), "red": (200, 40, 60)}


@pytest.fixture
def drawn(tmp_path):
    """A folder of noise around each color, in three parts."""
    draw = np.random.default_rng(0)
    for part, count in EACH.items():
        for name, color in CLASSES.items():
            (tmp_path / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = np.clip(draw.normal(color, 30, (96, 96, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(tmp_path / part / name / f"{number}.png")
    return tmp_path


@pytest.mark.slow
def test_each_class_is_left_out_in_turn_and_told_from_the_others(drawn, monkeypatch):
    benchmark, learned = load("unknown_classes"), []
    fit = benchmark.loop.fit

    def noted(network, examples, *arguments, **options):
        learned.append(examples.labels[examples.train].tolist())
        return fit(network, examples, *arguments, **options)

    monkeypatch.setattr(benchmark.loop, "fit", noted)
    found = benchmark.measure(drawn, 1)
    # Two classes with their training images each, whose numbers have closed up.
    assert learned == [[0] * 24 + [1] * 24] * 3
    assert [one["class"] for one in found["classes"]] == list(CLASSES)
    assert (found["trained_on"], found["scored"]) == (48, 18)
    for one in found["classes"]:
        assert all(0 <= one[name] <= 1 for name in ("nearest", "energy", "largest probability"))
        # Another color is far from all that were trained on, unless its own images were among them.
        assert one["nearest"] > 0.9
    # Few steps do not learn much, and guesses would be right by half.
    assert found["mean"]["accuracy_of_others"] > 0.6
