"""MobileNetV2 (Sandler et al. 2018): inverted residual blocks in a row."""

from pipeline.core.vision import models
from pipeline.networks.backbones.structure import Backbone, Step, any_size, features, global_average

MOBILENET_V2 = Backbone(
    build=any_size(models.mobilenet_v2),
    imagenet=models.MobileNet_V2_Weights.IMAGENET1K_V1,
    steps=(
        *features(stem=(0, 1), block1=(2, 3), block2=(4, 5, 6), block3=range(7, 14), block4=range(14, 19)),
        Step("average", "pool", apply=global_average),
        Step("classifier", "head"),
    ),
    classifier="classifier",
    hooked_layers=("features.5.conv.2", "features.9.conv.2", "features.13.conv.2", "features.17.conv.2"),
)
