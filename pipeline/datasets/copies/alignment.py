"""Whether two photographs are one: local features of one are aligned with those of the other, then the pixels compared.

SIFT keypoints (Lowe 2004, as square roots: Arandjelovic and Zisserman 2012) are matched, an affine map is fitted to
them by RANSAC, one image is warped onto the other, and the detail of both must correlate in most of what they share.
Two photographs of one animal from different moments have matches too, but their pixels do not agree.
"""

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float64]

# Longer side of the compared images, in pixels; a smaller image is enlarged at most twice.
SIDE = 256
_ENLARGED = 2
_KEYPOINTS, _CONTRAST = 300, 0.01
# A match is nearer than this part of the second nearest, which is looser than Lowe's 0.8: RANSAC follows.
_RATIO = 0.85
_REPROJECTION = 3.0
# Least and largest scale of a map, and of its two scales to each other: half of a side cropped, stretched by half.
_SCALES, _STRETCH = (0.3, 3.4), 1.6
# Least number of matches that fit one map, which three determine: to look at the pixels, and to call two images copies.
INLIERS, CONFIRMING = 6, 12
# Least part of the shared detail that agrees, of copies, and of images that are merely alike: different garments on one
# patterned carpet reach 0.62, two photographs of one skirt 0.79, two plain shirts 0.80 with 7 matches.
# `benchmarks/copies.py` measures what exceeds it, and docs/data.md has the result.
AGREEMENT, ALIKE = 0.8, 0.6
# Correlation from which the detail around a pixel agrees, in windows of a 1/8 of the side.
_SAME, _WINDOWS = 0.8, 8
_BLUR, _FLAT = 1.5, 9.0
# Least part of the image that both share, and number of pixels with detail there.
_SHARED, _DETAILED = 0.1, 50

_RADIUS = 4  # bins along each side of a descriptor; each holds 8 directions


class Marks(NamedTuple):
    """The pixels and keypoints of one image that are compared.

    Attributes:
        gray: the image (H, W), its longer side at most `SIDE`.
        points: places of the keypoints, x and y (K, 2).
        descriptors: their SIFT descriptors (K, 128).
    """

    gray: Bytes
    points: Floats
    descriptors: Bytes


class Evidence(NamedTuple):
    """How well one image lies on another.

    Attributes:
        inliers: number of matched keypoints that fit one map.
        agreement: part of the shared detail that correlates, 0 to 1.
        mirrored: whether one of the two was mirrored for it.
    """

    inliers: int = 0
    agreement: float = 0.0
    mirrored: bool = False

    @property
    def confirms(self) -> bool:
        """True where the two are copies of one photograph."""
        return self.inliers >= CONFIRMING and self.agreement >= AGREEMENT

    @property
    def suggests(self) -> bool:
        """True where the two may be, or share much, as a background."""
        return self.inliers >= INLIERS and self.agreement >= ALIKE


def marks(image: Image.Image) -> Marks:
    """Return gray pixels and keypoints of an image."""
    factor = min(SIDE / max(image.size), _ENLARGED)
    width, height = (max(round(side * factor), 1) for side in image.size)
    gray = np.asarray(image.convert("L").resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2))
    keypoints, descriptors = cv2.SIFT.create(_KEYPOINTS, contrastThreshold=_CONTRAST).detectAndCompute(gray, None)
    points = np.array([one.pt for one in keypoints], np.float32).reshape(-1, 2)
    return Marks(gray, points, np.zeros((0, 128), np.uint8) if descriptors is None else descriptors.astype(np.uint8))


def mirrored(one: Marks) -> Marks:
    """Return the marks of the mirrored image, without a second detection.

    A descriptor has 4 x 4 bins around its keypoint's direction with 8 directions each. Mirroring swaps the bins across
    that direction and turns the sense of the directions.
    """
    points = one.points.copy()
    points[:, 0] = one.gray.shape[1] - 1 - points[:, 0]
    bins = one.descriptors.reshape(-1, _RADIUS, _RADIUS, 8)[:, ::-1]
    turned = bins[..., [0, 7, 6, 5, 4, 3, 2, 1]].reshape(-1, 128)
    return Marks(np.ascontiguousarray(one.gray[:, ::-1]), points, turned)


def evidence(one: Marks, other: Marks) -> Evidence:
    """Return how well two images lie on each other, the second as it is or mirrored."""
    plain = _aligned(one, other)
    return plain if plain.confirms else max(plain, _aligned(one, mirrored(other))._replace(mirrored=True), key=_order)


def _order(found: Evidence) -> tuple[bool, float, int]:
    return found.confirms, found.agreement, found.inliers


def _aligned(one: Marks, other: Marks) -> Evidence:
    here, there = _matches(one, other)
    if len(here) < INLIERS:
        return Evidence()
    # OpenCV starts the same random numbers in every call.
    affine, inliers = cv2.estimateAffine2D(here, there, method=cv2.RANSAC, ransacReprojThreshold=_REPROJECTION)
    count = 0 if affine is None else int(inliers.sum())
    matrix = np.asarray(affine, np.float64)
    if count < INLIERS or not _is_plausible(matrix):
        return Evidence(count)
    return Evidence(count, _agreement(one.gray, other.gray, matrix))


def _matches(one: Marks, other: Marks) -> tuple[Floats, Floats]:
    """Return the places (M, 2) of keypoints in both images that are nearest to each other."""
    if min(len(one.points), len(other.points)) < INLIERS:
        return one.points[:0], other.points[:0]
    products = _roots(one.descriptors) @ _roots(other.descriptors).T  # (K, L), cosines
    first, second = products.topk(2, dim=1)[0].T
    nearest = products.argmax(dim=1)
    clear = (1 - first) < _RATIO**2 * (1 - second)
    mutual = products.argmax(dim=0)[nearest] == torch.arange(len(nearest))
    kept = (clear & mutual).numpy()
    return one.points[kept], other.points[nearest.numpy()[kept]]


def _roots(descriptors: Bytes) -> torch.Tensor:
    """Return the square roots of descriptors (K, 128), each of length 1."""
    values = torch.from_numpy(descriptors.astype(np.float32))
    return (values / values.sum(dim=1, keepdim=True).clamp(min=1)).sqrt()


def _is_plausible(affine: Matrix) -> bool:
    """Return whether a map (2, 3) neither mirrors nor distorts more than the copies that are looked for."""
    large, small = np.linalg.svd(affine[:, :2])[1]
    low, high = _SCALES
    return bool(np.linalg.det(affine[:, :2]) > 0 and small >= low and large <= high and large <= _STRETCH * small)


def _agreement(one: Bytes, other: Bytes, affine: Matrix) -> float:
    """Return the part of the detail that both images share and that correlates, in windows around each pixel."""
    height, width = other.shape
    size = (width, height)
    warped = cv2.warpAffine(one, affine, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    shared = cv2.warpAffine(np.ones_like(one), affine, size, flags=cv2.INTER_NEAREST)
    here, there = (cv2.GaussianBlur(image.astype(np.float32), (0, 0), _BLUR) for image in (warped, other))
    window = max(max(size) // _WINDOWS, 3) | 1
    weight = shared.astype(np.float32)
    count = np.maximum(_sums(weight, window), 1e-6)
    mean_here, mean_there, square_here, square_there, product = (
        _sums(values * weight, window) / count for values in (here, there, here * here, there * there, here * there)
    )
    variance_here, variance_there = square_here - mean_here**2, square_there - mean_there**2
    detailed = (shared > 0) & (np.maximum(variance_here, variance_there) > _FLAT)
    if shared.mean() < _SHARED or detailed.sum() < _DETAILED:
        return 0.0
    scale = np.sqrt(np.maximum(variance_here, 1) * np.maximum(variance_there, 1))
    correlation = (product - mean_here * mean_there) / scale
    return float((correlation[detailed] > _SAME).mean())


def _sums(values: Floats, window: int) -> Floats:
    """Return the mean of the window around each pixel."""
    sums = cv2.boxFilter(values, -1, (window, window), borderType=cv2.BORDER_REFLECT)
    return np.asarray(sums, np.float32)
