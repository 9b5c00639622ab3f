"""What the page says of the maps that are laid over images."""

import numpy as np
import pytest
from test_facts import repeat

from pipeline.reporting import page
from pipeline.reporting.explained import Explanations

DESCRIBED = {"layers": {"last": "layer4.1", "finer": "layer3.1"}, "attention": "", "features": []}


def told(**arrays):
    """What the page says of these maps (n, h, w); where none are passed of a kind, they are a ramp each."""
    arrays = dict.fromkeys(("grad_cam", "layer_cam"), np.arange(18, dtype=np.uint8).reshape(2, 3, 3)) | arrays
    explanations = Explanations(1, values={}, described=DESCRIBED, arrays=arrays, images=[])
    return page._inside(repeat(1), explanations, [])["maps"]


@pytest.mark.parametrize("dark", [True, False])
def test_a_map_that_is_dark_everywhere_is_explained_where_there_is_one(dark):
    maps = np.ones((2, 3, 3), dtype=np.uint8)
    maps[1] *= not dark
    assert ("dark everywhere" in told(grad_cam=maps)) == dark


def test_how_many_places_the_maps_have_is_said():
    text = told(layer_cam=np.ones((2, 6, 5), dtype=np.uint8))
    assert "Grad-CAM behind layer4.1, the end of the last stage (3 × 3 places, enlarged to the image)" in text
    assert "LayerCAM behind layer3.1, the end of the stage before (6 × 5)." in text


@pytest.mark.parametrize(("correlation", "alike"), [(0.79, False), (0.82, True)])
def test_maps_that_hardly_differ_from_image_to_image_are_said_to_tell_little(correlation, alike):
    one, other = np.array([[1, -1, 1, -1], [1, 1, -1, -1]])
    mixed = correlation * one + (1 - correlation**2) ** 0.5 * other
    # One that has the same value in all places has no correlation with any other.
    maps = (100 + 50 * np.stack([one, mixed, 0 * one])).reshape(3, 2, 2).astype(np.uint8)
    text = told(grad_cam=maps, layer_cam=np.ones((3, 6, 6), dtype=np.uint8))
    assert ("nearly the same for all images shown" in text) == alike
    assert ("Grad-CAM 0.82" in text) == alike
    assert "LayerCAM 1" not in text
