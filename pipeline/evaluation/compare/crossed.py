"""Intervals and tests over repeats and test images at once, where all repeats have the same test images.

The prediction of image i in repeat r is one cell of a table with two crossed random factors. A mean over the table
varies with both: other seeds train other networks, and other images are easier or harder. An interval over the repeats
alone holds for these very images, one over the images alone for these very networks. Taking the wider of the two is not
enough: where both factors matter, it errs in up to 11 % of comparisons without a difference, in place of 5 %
(`tests/evaluation/compare/test_crossed.py`). Here the half-widths of both are added as squares, as Banerjee (1960,
Approximate confidence interval for linear functions of means of k populations when the population variances are not
equal, Sankhya 22, 357-358) proved to cover at least as often as it says for independent normal means of unknown
variances.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.evaluation.compare.statistics import ALPHA, Interval, critical_t, interval, wilson

FloatArray = npt.NDArray[np.floating[Any]]

# The smallest p that is looked for.
LEAST_P = 1e-15


class Crossed(NamedTuple):
    """A mean over a table (n, m) of n repeats and m images, and the variances that its factors give it.

    Each attribute is one number, or an array where the tables were an array.

    Attributes:
        mean: over the table.
        of_repeats: variance of the mean by the repeats, sd^2 / n of their means; holds the residual's.
        of_images: variance of the mean by the images, sd^2 / m of their means; holds the residual's.
        residual: variance of the mean by what is neither the repeats' nor the images' own.
        n: number of repeats.
        m: number of images, or of groups of images.
        effective: m for images; for groups the number of groups of one size by which the variance would be known as
            well, see `units.effective_groups`.
    """

    mean: Any
    of_repeats: Any
    of_images: Any
    residual: Any
    n: int
    m: int
    effective: float

    @property
    def of_images_alone(self) -> Any:
        """The images' variance without the residual, which the repeats' holds already; 0 where it would be less."""
        return np.maximum(self.of_images - self.residual, 0)

    def half_width(self, alpha: float | FloatArray = ALPHA) -> Any:
        """Return the half-width of the interval of the mean whose error is at most `alpha`.

        With t of n - 1 and of `effective` - 1 degrees of freedom it is sqrt(t_n^2 V_repeats + t_m^2 (V_images -
        V_residual)), and never less than the images' own t_m sqrt(V_images).

        Source:
            Banerjee 1960; the floor is a departure, which only widens.
        """
        over_repeats = critical_t(self.n - 1, alpha) ** 2 * self.of_repeats
        over_images = critical_t(self.effective - 1, alpha) ** 2
        both = over_repeats + over_images * self.of_images_alone
        return np.sqrt(np.maximum(both, over_images * self.of_images))


class CrossedTest(NamedTuple):
    """A test of a mean difference over n repeats and m images.

    Attributes:
        p: two-sided.
        mean: of the differences.
        low: lower end of the 95 % interval of the mean.
        high: upper end.
        over_repeats: half-width of the 95 % interval for these very images.
        over_images: half-width of the 95 % interval for these very networks.
        n: number of repeats.
        images: m.
    """

    p: float
    mean: float
    low: float
    high: float
    over_repeats: float
    over_images: float
    n: int
    images: int


def crossed(table: FloatArray, *, effective: float | None = None) -> Crossed:
    """Return the mean and its variances.

    Args:
        table: (..., n, m) values of n >= 2 repeats and m >= 2 images, each image in every repeat.
        effective: as `Crossed` has it, 2 at least; m by default.

    Raises:
        ValueError: for fewer repeats or images.
    """
    n, m = table.shape[-2:]
    if n < 2 or m < 2:
        raise ValueError(f"{n} x {m}: a spread over repeats and images needs two of each")
    repeats, images = table.mean(-1, dtype=np.float64), table.mean(-2, dtype=np.float64)
    mean = repeats.mean(-1)
    residuals = table - repeats[..., :, None] - images[..., None, :] + mean[..., None, None]
    return Crossed(
        mean=mean,
        of_repeats=repeats.var(-1, ddof=1) / n,
        of_images=images.var(-1, ddof=1) / m,
        residual=(residuals**2).sum((-2, -1)) / ((n - 1) * (m - 1) * n * m),
        n=n,
        m=m,
        effective=m if effective is None else max(effective, 2.0),
    )


def crossed_test(gains: FloatArray, *, effective: float | None = None) -> CrossedTest:
    """Test whether the mean of paired differences is 0, over other repeats and other images.

    Without any spread there is no evidence: p is 1 and the interval NaN.

    Args:
        gains: (n, m) for each repeat and image the one's score minus the other's; n, m >= 2.
        effective: as for `crossed`.

    Raises:
        ValueError: for fewer repeats or images.

    >>> right, wrong = np.ones((3, 60)), np.ones((3, 60))
    >>> wrong[:, :3] = 0  # three of 60 images, the same ones in each repeat
    >>> result = crossed_test(right - wrong)
    >>> round(result.mean, 3), round(result.p, 2)
    (0.05, 0.08)
    """
    parts = crossed(gains, effective=effective)
    mean, half = float(parts.mean), float(parts.half_width())
    ends = (mean - half, mean + half) if half > 0 else (np.nan, np.nan)
    repeats = critical_t(parts.n - 1) * np.sqrt(parts.of_repeats)
    images = critical_t(parts.effective - 1) * np.sqrt(parts.of_images)
    return CrossedTest(float(p_values(parts)), mean, *ends, float(repeats), float(images), parts.n, parts.m)


def p_values(parts: Crossed) -> FloatArray:
    """Return for each mean the error at which its interval would just reach 0, from `LEAST_P` to 1.

    Args:
        parts: of one table or many; without any spread it is 1.
    """
    from scipy.optimize import elementwise

    mean, repeats, images, residual = map(np.asarray, parts[:4])
    distance = np.abs(mean)

    def beyond(log_p: Any, distance: Any, repeats: Any, images: Any, residual: Any) -> Any:
        of_one = Crossed(distance, repeats, images, residual, parts.n, parts.m, parts.effective)
        return of_one.half_width(np.exp(log_p)) - distance

    least = float(np.log(LEAST_P))
    spread = (parts.half_width() > 0) & (distance > 0)
    far = spread & (beyond(least, distance, repeats, images, residual) < 0)
    p = np.where(far, LEAST_P, 1.0)
    near = spread & ~far
    sought = tuple(each[near] for each in (distance, repeats, images, residual))
    p[near] = np.exp(elementwise.find_root(beyond, (least, 0.0), args=sought).x)
    return p


def crossed_interval(right: FloatArray, *, worth: float | None = None) -> Interval:
    """Return the 95 % interval of an accuracy, over other repeats and other images.

    On each side the half-widths of the t interval over the repeats and of Wilson's interval over the images are added
    as squares. Wilson's takes each image as right or wrong in all repeats alike, which is the widest that it can be.

    Args:
        right: (n, m) whether each repeat gets each image right, n >= 2.
        worth: how many independent images the m columns are worth; m by default.

    >>> right = np.ones((3, 60))
    >>> [round(end, 3) for end in crossed_interval(right)]
    [0.94, 1.0]
    """
    m = right.shape[1]
    values = right.mean(1)
    mean = float(values.mean())
    over_repeats = mean - interval(values.tolist(), train=1, test=0).low
    over_images = wilson(mean * m, m, worth=worth)
    low, high = (float(np.hypot(over_repeats, mean - end)) for end in over_images)
    return Interval(max(mean - low, 0.0), min(mean + high, 1.0))
