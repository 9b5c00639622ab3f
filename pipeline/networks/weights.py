"""Where pre-trained weights come from, one row each, without importing torch; the stage `source` gets them."""

from pipeline.core.choices import Choice

WEIGHTS: dict[str, Choice] = {
    "imagenet": Choice(
        title="ImageNet's weights",
        description="torchvision's, kept in torch's own cache, the hash checked each time",
    ),
    "places365": Choice(
        title="Places365's weights",
        description="the Places365 authors', for some backbones; they publish no hash, so the file's own is recorded",
    ),
    "file": Choice(
        title="weights from a file",
        description=".safetensors, or .pth read without running code, under torchvision's names",
    ),
    "synthetic": Choice(
        title="weights from drawn shapes",
        description="trained here on drawn shapes that are no spiders",
    ),
    "none": Choice(
        title="no pre-trained weights",
        description="random values",
    ),
}
