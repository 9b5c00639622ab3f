"""The sources of pre-trained weights, one row each; imports no torch. The stage `source` gets the weights."""

from pipeline.core.choices import Choice

WEIGHTS: dict[str, Choice] = {
    "bundled": Choice(
        title="bundled ImageNet weights",
        description="installed with this project, for efficientnet_lite0; needs no network",
    ),
    "imagenet": Choice(
        title="ImageNet's weights",
        description="torchvision's, kept in torch's own cache, the hash checked each time",
    ),
    "places365": Choice(
        title="Places365's weights",
        description="the Places365 authors', for some backbones; they publish no hash, so the file's own is recorded",
    ),
    "timm": Choice(
        title="timm's weights",
        description="for backbones timm/NAME, from the Hugging Face hub, kept in its own cache, the digest recorded",
    ),
    "file": Choice(
        title="weights from a file",
        description=".safetensors, or .pth read without running code, under the backbone's own names",
    ),
    "none": Choice(
        title="no pre-trained weights",
        description="random values",
    ),
}
# Those that were trained on ImageNet's images, which other sets may share.
OF_IMAGENET = ("bundled", "imagenet")
