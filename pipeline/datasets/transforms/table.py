"""The table of augmentations of training images; it imports no torch.

With the augmentation `none`, the random crop alone varies training images, if there is one.
"""

from dataclasses import dataclass

from pipeline.core.choices import Choice

NO_AUGMENTATION = "none"


@dataclass(frozen=True, kw_only=True)
class AugmentationChoice(Choice):
    """One augmentation.

    Attributes:
        make: "module:function", which takes the options by keyword and returns the operations in order.
    """

    make: str


AUGMENTATIONS: dict[str, AugmentationChoice] = {
    "flip": AugmentationChoice(
        title="a horizontal flip",
        description="mirrors each image with a probability of 50 %",
        make="pipeline.datasets.transforms.image_transform:flip",
    ),
    "csca": AugmentationChoice(
        title="color jitter, flip and rotation",
        description="the CSCA paper's: color jitter, flip and rotation, in the paper's order",
        options="pipeline.datasets.transforms.options:CscaAugmentation",
        make="pipeline.datasets.transforms.image_transform:csca",
    ),
    "hierarchical": AugmentationChoice(
        title="flip, rotation, scaling and color jitter",
        description="the hierarchical paper's: flip, rotation, scaling, color jitter; crop_padding sets its crop",
        options="pipeline.datasets.transforms.options:HierarchicalAugmentation",
        make="pipeline.datasets.transforms.image_transform:hierarchical",
    ),
    "animals": AugmentationChoice(
        title="flip, translation, rotation, scaling and a crop of varying proportions",
        description="the animals paper's: flip, translation, rotation, scaling, a crop of random size and aspect ratio",
        options="pipeline.datasets.transforms.options:AnimalsAugmentation",
        make="pipeline.datasets.transforms.image_transform:animals",
    ),
    "trivial_augment": AugmentationChoice(
        title="a flip and one random operation",
        description="a flip, then one operation of random strength (TrivialAugment, by torchvision)",
        make="pipeline.datasets.transforms.policies:trivial_augment",
    ),
    "rand_augment": AugmentationChoice(
        title="a flip and random operations",
        description="a flip, then several random operations of the same strength (RandAugment, by torchvision)",
        options="pipeline.datasets.transforms.options:RandAugment",
        make="pipeline.datasets.transforms.policies:rand_augment",
    ),
}
