"""GoogLeNet (Szegedy et al. 2015): blocks are inception groups 3, 4a-4c, 4d-4e, 5, the stem all layers before."""

from typing import cast

from torch import Tensor, nn

from pipeline.core.vision import models
from pipeline.networks.backbones.structure import Backbone, Step, any_size, average_pool, steps


def _input(model: nn.Module, x: Tensor) -> Tensor:
    """Convert ImageNet's normalization to that of the published weights' training."""
    transformed: Tensor = cast(models.GoogLeNet, model)._transform_input(x)
    return transformed


GOOGLENET = Backbone(
    build=any_size(models.googlenet, aux_logits=False, transform_input=True, init_weights=True),
    imagenet=models.GoogLeNet_Weights.IMAGENET1K_V1,
    steps=(
        Step("transform_input", "stem", apply=_input),
        *steps(
            stem=["conv1", "maxpool1", "conv2", "conv3", "maxpool2"],
            block1=["inception3a", "inception3b", "maxpool3"],
            block2=["inception4a", "inception4b", "inception4c"],
            block3=["inception4d", "inception4e", "maxpool4"],
            block4=["inception5a", "inception5b"],
        ),
        Step("avgpool", "pool", apply=average_pool),
        *steps(head=["dropout", "fc"]),
    ),
    classifier="fc",
    hooked_layers=("inception3b", "inception4c", "inception4e", "inception5b"),
    classifier_only=("dropout",),
    unused=("aux1.", "aux2."),
)
