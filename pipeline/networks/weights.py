"""The sources of pre-trained weights, one row each; imports no torch. The stage `source` gets the weights."""

from pipeline.core.choices import Choice

WEIGHTS: dict[str, Choice] = {
    "bundled": Choice(
        title="bundled ImageNet weights",
        description="for efficientnet_lite0: installed with this project; no download",
    ),
    "imagenet": Choice(
        title="ImageNet's weights",
        description="downloaded by torchvision into torch's cache; the hash is checked at each use",
    ),
    "places365": Choice(
        title="Places365's weights",
        description="for some backbones, from Places365's authors, who publish no hash: the file's is recorded",
    ),
    "timm": Choice(
        title="timm's weights",
        description="for timm/NAME: downloaded from the Hugging Face hub into its cache; the digest is recorded",
    ),
    "file": Choice(
        title="weights from a file",
        description="your own .safetensors or .pth file, read without running code, with the backbone's own names",
    ),
    "none": Choice(
        title="no pre-trained weights",
        description="random values; nothing is pre-trained",
    ),
}
# Those that were trained on ImageNet's images, which other sets may share.
OF_IMAGENET = ("bundled", "imagenet")
