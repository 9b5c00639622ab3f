"""ViT (Dosovitskiy et al. 2021): one resolution throughout; three encoder layers form a block."""

import math
from typing import cast

import torch
from torch import Tensor, nn

from pipeline.core.vision import models
from pipeline.networks.backbones.structure import Backbone, Step, Values

# Side of a patch in pixels.
PATCH = 16


def _tokens(model: nn.Module, x: Tensor) -> Tensor:
    """Embed patches and positions, after a class token: (N, 3, S, S) -> (N, 1 + S²/256, 768)."""
    vit = cast(models.VisionTransformer, model)
    tokens = torch.cat([vit.class_token.expand(x.shape[0], -1, -1), vit._process_input(x)], dim=1)
    embedded: Tensor = vit.encoder.dropout(tokens + vit.encoder.pos_embedding)
    return embedded


def _first_token(_model: nn.Module, x: Tensor) -> Tensor:
    return x[:, 0]


def _steps() -> tuple[Step, ...]:
    layers = [Step(f"encoder.layers.encoder_layer_{number}", f"block{1 + number // 3}") for number in range(12)]
    # The class token and the position embeddings are parameters outside the modules that steps are named after.
    tokens = ("conv_proj", "class_token", "encoder.pos_embedding", "encoder.dropout")
    return (
        Step("conv_proj", "stem", owns=tokens, apply=_tokens),
        *layers,
        Step("encoder.ln", "block4"),
        Step("first_token", "pool", apply=_first_token),
        Step("heads", "head"),
    )


def _fit(values: Values, image_size: int) -> Values:
    """Interpolate position embeddings of another image size, bicubically; torchvision's function."""
    shape = values.get("encoder.pos_embedding", torch.empty(0)).shape
    # Anything but a square of patches after one class token stays, so that `check_backbone` reports its shape.
    if len(shape) != 3 or shape[0] != 1 or math.isqrt(shape[1] - 1) ** 2 != shape[1] - 1:
        return values
    return dict(models.vision_transformer.interpolate_embeddings(image_size, PATCH, {**values}))


VIT_B_16 = Backbone(
    build=lambda image_size: models.vit_b_16(weights=None, image_size=image_size),
    imagenet=models.ViT_B_16_Weights.IMAGENET1K_V1,
    steps=_steps(),
    classifier="heads",
    hooked_layers=tuple(f"encoder.layers.encoder_layer_{number}" for number in (2, 5, 8, 11)),
    fit=_fit,
)
