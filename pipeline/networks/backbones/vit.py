"""ViT (Dosovitskiy et al. 2021): one resolution throughout, so that three encoder layers count as a block."""

import math
from typing import cast

import torch
from torch import Tensor, nn

from pipeline.core.vision import models
from pipeline.networks.backbones.structure import Backbone, Step, Values

# The side of a patch.
PATCH = 16


def _tokens(model: nn.Module, x: Tensor) -> Tensor:
    """Embed patches as tokens behind the class token, with their places: (N, 3, S, S) -> (N, 1 + S²/256, 768)."""
    vit = cast(models.VisionTransformer, model)
    tokens = torch.cat([vit.class_token.expand(len(x), -1, -1), vit._process_input(x)], dim=1)
    embedded: Tensor = vit.encoder.dropout(tokens + vit.encoder.pos_embedding)
    return embedded


def _first_token(_model: nn.Module, x: Tensor) -> Tensor:
    return x[:, 0]


def _steps() -> tuple[Step, ...]:
    layers = [Step(f"encoder.layers.encoder_layer_{number}", f"block{1 + number // 3}") for number in range(12)]
    tokens = ("conv_proj", "class_token", "encoder.pos_embedding", "encoder.dropout")
    return (
        Step("conv_proj", "stem", owns=tokens, apply=_tokens),
        *layers,
        Step("encoder.ln", "block4"),
        Step("first_token", "pool", apply=_first_token),
        Step("heads", "head"),
    )


def _fit(values: Values, image_size: int) -> Values:
    """Interpolate place embeddings of another image size, bicubically, by torchvision; other shapes stay."""
    places = values.get("encoder.pos_embedding", torch.empty(0)).shape
    if len(places) != 3 or places[0] != 1 or math.isqrt(places[1] - 1) ** 2 != places[1] - 1:
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
