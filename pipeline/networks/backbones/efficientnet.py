"""EfficientNet (Tan and Le 2019): inverted residual blocks in groups."""

from pipeline.core.vision import models
from pipeline.networks.backbones.structure import Backbone, Step, any_size, average_pool, features

EFFICIENTNET_B0 = Backbone(
    build=any_size(models.efficientnet_b0),
    imagenet=models.EfficientNet_B0_Weights.IMAGENET1K_V1,
    steps=(
        *features(stem=(0, 1), block1=(2,), block2=(3,), block3=(4, 5), block4=(6, 7, 8)),
        Step("avgpool", "pool", apply=average_pool),
        Step("classifier", "head"),
    ),
    classifier="classifier",
    hooked_layers=(
        "features.2.1.block.3.0",
        "features.3.1.block.3.0",
        "features.5.2.block.3.0",
        "features.7.0.block.3.0",
    ),
)
