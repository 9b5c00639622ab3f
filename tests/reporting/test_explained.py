"""What the page says of the maps that are laid over images."""

import numpy as np
import pytest
from test_facts import repeat

from pipeline.reporting import page
from pipeline.reporting.explained import Explanations

DESCRIBED = {"layers": {"last": "layer4.1", "finer": "layer3.1"}, "attention": "", "features": []}


@pytest.mark.parametrize("dark", [True, False])
def test_a_map_that_is_dark_everywhere_is_explained_where_there_is_one(dark):
    maps = np.ones((2, 3, 3), dtype=np.uint8)
    maps[1] *= not dark
    explanations = Explanations(1, values={}, described=DESCRIBED, arrays={"grad_cam": maps}, images=[])
    told = page._inside(repeat(1), explanations, [])["maps"]
    assert ("dark everywhere" in told) == dark
