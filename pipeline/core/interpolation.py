"""How photographs are resized; imports nothing."""

from typing import Literal

Interpolation = Literal["bilinear", "bicubic"]
# What holds where nothing names one: all but timm's networks, and what earlier versions wrote.
BILINEAR: Interpolation = "bilinear"
BICUBIC: Interpolation = "bicubic"
INTERPOLATIONS = (BILINEAR, BICUBIC)
