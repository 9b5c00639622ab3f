"""ImageNet's normalization, by channel, of pixels in 0..1: that of the papers' networks, and of all but timm's."""

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
