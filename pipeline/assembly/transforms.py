"""From a recipe to the transforms of training and test images."""

from pipeline.core.recipe import Recipe, Sizes
from pipeline.datasets.transforms.image_transform import ImageTransform, build_transform


def train_transform(recipe: Recipe) -> ImageTransform:
    """Return the transform of training images."""
    data = recipe.data
    return build_transform(
        image_size=data.image_size,
        crop_size=data.crop_size,
        crop_padding=data.crop_padding,
        input_size=data.input_size,
        augmentation=data.augmentation,
        options=recipe.options_of("augmentation"),
    )


def eval_transform(sizes: Sizes) -> ImageTransform:
    """Return the transform of test images: the center of each, not varied."""
    return build_transform(
        image_size=max(sizes.image, sizes.crop),
        crop_size=sizes.crop,
        crop_padding=0,
        input_size=sizes.input,
        augmentation="none",
        options={},
    )
