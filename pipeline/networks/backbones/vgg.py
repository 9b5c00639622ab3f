"""VGG (Simonyan and Zisserman 2015): stem and blocks are its five groups of convolutions."""

from pipeline.core.vision import models
from pipeline.networks.backbones.structure import Backbone, Step, any_size, average_pool, features

VGG16 = Backbone(
    build=any_size(models.vgg16),
    imagenet=models.VGG16_Weights.IMAGENET1K_V1,
    steps=(
        *features(stem=range(5), block1=range(5, 10), block2=range(10, 17), block3=range(17, 24), block4=range(24, 31)),
        Step("avgpool", "pool", apply=average_pool),
        Step("classifier", "head"),
    ),
    classifier="classifier",
    hidden=("classifier.0.", "classifier.3."),
    hooked_layers=("features.7", "features.14", "features.21", "features.28"),
)
