"""Train and eval transform of a recipe."""

from pipeline.core.recipe import Recipe
from pipeline.core.sections import Sizes
from pipeline.datasets.transforms.image_transform import ImageTransform, build_eval_transform, build_transform


def train_transform(recipe: Recipe) -> ImageTransform:
    """Build the train transform: random crop, augmentation, input size."""
    data = recipe.data
    return build_transform(
        image_size=data.image_size,
        crop_size=data.crop_size,
        crop_padding=data.crop_padding,
        input_size=data.input_size,
        augmentation=data.augmentation,
        options=recipe.options_of("augmentation"),
    )


def varies(recipe: Recipe) -> bool:
    """Return whether a training image differs from epoch to epoch: by its transform, or as it is mixed with others."""
    train = recipe.train
    return train_transform(recipe).random_parameters > 0 or train.mixup > 0 or train.cutmix > 0


def eval_transform(sizes: Sizes) -> ImageTransform:
    """Build the eval transform: center crop, input size."""
    return build_eval_transform(image_size=sizes.image, crop_size=sizes.crop, input_size=sizes.input)
