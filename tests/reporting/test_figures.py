import io
import itertools
import re
import xml.etree.ElementTree as ElementTree
from functools import cache
from html import unescape

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional

from pipeline.core.records import Counted
from pipeline.evaluation.predictions import reliability
from pipeline.evaluation.uncertainty import abstention
from pipeline.reporting import figures
from pipeline.reporting.aggregate import ClassScore, spread
from pipeline.reporting.curves import Curve
from pipeline.reporting.examples import Example
from pipeline.reporting.figures import DARK, Shown, wide_names
from pipeline.reporting.figures import bars as bar_figures
from pipeline.reporting.figures import confusion as matrices
from pipeline.reporting.figures import curves as of_curves
from pipeline.reporting.figures.curves import accuracy_limits, begin_at_zero

NAMES = ["Trichonephila clavata", 'L\'épeire "d$iadème$"', "<script>", "蜘蛛 $x_1$"]


def curves(epochs):
    steps = list(range(1, epochs + 1))
    values = [1 / step for step in steps]
    each = dict(zip(steps, values, strict=True))
    curve = Curve(steps, [84 * step for step in steps], values, low=values, high=values, repeats={1: each, 2: each})
    return dict.fromkeys(("train_loss", "train_accuracy", "val_loss", "val_accuracy"), curve)


def matrix(count):
    return np.eye(count, dtype=np.int64) * 7 + np.eye(count, k=1, dtype=np.int64) * 3


def bars(names):
    return [
        ClassScore(name, spread([0.5, 0.7]), spread([0.6]), spread([n / 100]), n + 1) for n, name in enumerate(names)
    ]


def shown(name):
    image = np.full((3, 8, 8), 200, dtype=np.uint8)
    return Shown(Example(1, "a/1.png", name, "bee", 0.934), image)


STAGES = {"stem": Counted(trainable=0, frozen=9_500), "head": Counted(trainable=4_617, frozen=3)}
LIE = {"edges": [0.0, 1.0, 2.0], "start": [0.5, 0.5], "trained": [0.25, 0.75], "random": [1.0, 0.0]}
VALUES = {"start": "at the start", "trained": "after training", "random": "random"}
BINS = reliability(np.array([0.9, 0.95, 0.2]), np.array([True, False, True]))
CURVE = abstention.risk_coverage(np.array([0.9, 0.8, 0.7, 0.6, 0.5]), np.array([True, True, False, True, False]))
MAPS = np.arange(32, dtype=np.uint8).reshape(2, 4, 4)


def one_curve():
    return Curve([1, 2], [84, 168], [0.5, 0.25], low=[0.5, 0.25], high=[0.5, 0.25], repeats={1: {1: 0.5, 2: 0.25}})


DRAWN = {
    "loss": lambda **theme: figures.loss_curves(curves(5), **theme),
    "accuracy": lambda **theme: figures.accuracy_curves(curves(5), 0.75, **theme),
    "confusion": lambda **theme: figures.confusion_matrix(matrix(4), NAMES, **theme),
    "classes": lambda **theme: figures.class_bars(bars(NAMES), **theme),
    "reliability": lambda **theme: figures.reliability_diagram(BINS, **theme),
    "before and after": lambda **theme: figures.reliability_diagrams({"before": BINS, "after": BINS}, **theme),
    "risk-coverage": lambda **theme: figures.risk_coverage(CURVE, (0.5, 0.2), 0.4, **theme),
    "stages": lambda **theme: figures.stage_bars(STAGES, **theme),
    "values": lambda **theme: figures.value_distributions({"conv1.weight": LIE}, VALUES, **theme),
    "channels": lambda **theme: figures.channel_weights({"eca.channel": np.eye(3, 5, dtype=np.float32)}, **theme),
    "methods": lambda **theme: figures.methods(
        {"delta": curves(5)["train_loss"], "L2-SP": one_curve()}, "loss", **theme
    ),
    "features": lambda **theme: figures.feature_maps(shown("a").image, {"stem": MAPS}, {"stem": "4 × 4"}, **theme),
    "explained": lambda **theme: figures.explained([(shown("a"), {"Grad-CAM": shown("a").image})], **theme),
    "image_grid": lambda **theme: figures.image_grid([shown(name) for name in NAMES], **theme),
}


@cache
def drawn(name):
    return DRAWN[name]()


def texts(svg):
    root = ElementTree.fromstring(svg)
    return [unescape("".join(node.itertext())) for node in root.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("name", DRAWN)
def test_the_same_input_gives_the_same_bytes(name):
    assert drawn(name) == DRAWN[name]()


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_for_dark_screens_is_another(name):
    assert drawn(name) != DRAWN[name](theme=DARK)


def test_drawing_leaves_the_users_settings_alone():
    before = {name: mpl.rcParams[name] for name in ("svg.hashsalt", "text.parse_math", "font.size", "text.color")}
    DRAWN["confusion"]()
    assert {name: mpl.rcParams[name] for name in before} == before


def test_the_users_settings_do_not_reach_a_figure():
    plain = drawn("loss")
    with mpl.rc_context({"font.size": 20, "lines.linewidth": 7}):
        assert DRAWN["loss"]() == plain


@pytest.mark.parametrize("name", ["confusion", "classes"])
def test_class_names_are_written_literally(name):
    assert set(NAMES) <= set(texts(drawn(name)))


def test_axes_have_names_and_units():
    assert {"epoch", "loss (mean an image)", "training", "validation"} <= set(texts(drawn("loss")))
    assert {"epoch", "accuracy (%)", "test"} <= set(texts(drawn("accuracy")))


@pytest.mark.parametrize(
    "draw",
    [figures.loss_curves, lambda given, **more: figures.accuracy_curves(given, 0.75, **more)],
    ids=["loss", "accuracy"],
)
def test_each_further_part_of_the_training_has_a_line_and_its_name(draw):
    plain, marked = draw(curves(5)), draw(curves(5), starts={"phase 2": 3, "half 3: gca": 4})
    vertical = re.compile(rb'd="M ([\d.]+) [\d.]+ \nL \1 [\d.]+ \n" clip-path')
    assert len(vertical.findall(marked)) == len(vertical.findall(plain)) + 2
    assert set(texts(marked)) - set(texts(plain)) == {"phase 2", "half 3: gca"}


def percents(mean, low=None, high=None):
    """A curve over epochs of values in percent, its range the values themselves if none is given."""
    steps, columns = (
        list(range(1, len(mean) + 1)),
        [[one / 100 for one in column or mean] for column in (mean, low, high)],
    )
    return Curve(steps, steps, columns[0], low=columns[1], high=columns[2], repeats={1: {}, 2: {}})


@pytest.mark.parametrize(
    ("curves", "others", "expected"),
    [
        ([percents([84, 86]), percents([85, 88])], [], (83.8, 88.2)),
        ([percents([85, 87], [80, 86], [86, 90])], [], (79.5, 90.5)),
        ([percents([84, 88])], [0.92], (83.6, 92.4)),
        ([percents([84, 88])], [0.64], (62.8, 89.2)),
        ([percents([86.2, 86.3, 86.25])], [], (85.25, 87.25)),
        ([percents([100])], [1.0], (98, 100)),
        ([percents([0, 0])], [], (0, 2)),
        ([percents([50, 100])], [], (45, 100)),
        ([percents([0, 100])], [], (0, 100)),
    ],
)
def test_an_axis_of_accuracies_fits_values_and_ranges_and_is_two_points_or_wider(curves, others, expected):
    limits = accuracy_limits(curves, *others)
    assert [100 * limit for limit in limits] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("mean", "ticks"),
    [
        ([84, 88], ["84", "85", "86", "87", "88"]),
        ([86.2, 86.3], ["85.5", "86.0", "86.5", "87.0"]),
        ([99.9, 100], ["98.0", "98.5", "99.0", "99.5", "100.0"]),
        ([1, 100], ["0", "20", "40", "60", "80", "100"]),
    ],
)
def test_ticks_are_round_percents_that_no_accuracy_exceeds(mean, ticks):
    for drawn in (
        figures.methods({"l2": percents(mean)}, "accuracy"),
        figures.accuracy_curves({"train_loss": percents([500, 300]), "train_accuracy": percents(mean)}, mean[0] / 100),
    ):
        written = texts(drawn)
        # The ticks of the horizontal axis come first.
        assert [text for text in written[written.index("epoch") + 1 :] if text[0].isdigit()] == ticks


def test_the_highest_loss_of_a_narrow_range_is_below_the_upper_end():
    """Five percent of the range of the values alone would cut its marker."""
    figure = plt.figure()
    axes = figure.add_subplot()
    axes.plot([1, 2], [2.2, 2.19])
    begin_at_zero(axes)
    assert axes.get_ylim() == pytest.approx((0, 2.2 * 1.05))
    plt.close(figure)


def test_losses_of_several_methods_begin_at_zero():
    assert "0.0" in texts(figures.methods({"l2": percents([320, 300])}, "loss", percent=False))


@pytest.mark.parametrize(
    "draw",
    [
        figures.loss_curves,
        lambda given, **more: figures.accuracy_curves(given, 0.75, **more),
        lambda given, **more: figures.methods(given, "accuracy", **more),
    ],
    ids=["loss", "accuracy", "methods"],
)
def test_curves_over_iterations_reach_as_far_as_these(draw):
    written = texts(draw(curves(5), unit="iteration"))
    assert {"iteration", "400"} <= set(written)
    assert "epoch" not in " ".join(written)


def test_a_single_epoch_is_drawn_as_a_point():
    point, line = (figures.loss_curves(curves(epochs)) for epochs in (1, 5))
    markers = re.compile(rb"<use [^>]*fill: " + figures.LIGHT.first.encode())
    in_axes_and_legend = 2
    assert len(markers.findall(point)) == len(markers.findall(line)) + in_axes_and_legend


def test_a_confusion_matrix_of_nine_classes_has_its_counts():
    written = texts(figures.confusion_matrix(matrix(9), [f"name {n}" for n in range(9)]))
    assert (written.count("7"), written.count("3")) == (9, 8)
    assert [f"name {n}" in written for n in range(9)] == [True] * 9


@pytest.mark.parametrize(
    ("classes", "name", "slants"),
    [
        (19, "owl {}", True),
        (19, "a species with a name of two lines {}", False),
        (9, "of two lines as well, but few {}", True),
    ],
)
def test_names_below_a_matrix_stand_upright_where_their_lines_would_meet(classes, name, slants):
    drawn = figures.confusion_matrix(matrix(classes), [name.format(n) for n in range(classes)])
    assert (b"rotate(-40" in drawn) == slants


LONG = "Zygiella of a species whose name takes all of its four lines, in the north {}"
NAMED = {
    "confusion": lambda names: figures.confusion_matrix(matrix(len(names)), names),
    "counts": lambda names: figures.count_bars(dict.fromkeys(names, 7)),
    "classes": lambda names: figures.class_bars(bars(names)),
}


def overlaps(figure):
    """Return how many names at an axis, or names and their axes, overlap: by more than a hundredth of an inch."""
    figure.draw_without_rendering()
    axes = figure.axes[0]
    beside, below = (
        [label.get_window_extent() for label in axis.get_ticklabels() if "Z" in label.get_text()]
        for axis in (axes.yaxis, axes.xaxis)
    )
    frame, least = axes.get_window_extent(), figure.dpi / 100
    return [
        *(one for one, other in itertools.permutations(beside, 2) if one.y0 < other.y0 < one.y1 - least),
        *(one for one, other in itertools.permutations(below, 2) if one.x0 < other.x0 < one.x1 - least),
        *(one for one in beside if one.x1 > frame.x0 + least),
        *(one for one in below if one.y1 > frame.y0 + least),
    ]


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("count", [1, 4, 9, 20, 40])
def test_long_names_neither_overlap_nor_reach_into_their_axes(name, count, monkeypatch):
    found = []
    for module in (bar_figures, matrices):
        monkeypatch.setattr(module, "save", lambda figure, *_: found.append(overlaps(figure)))
    NAMED[name]([LONG.format(n) if n % 3 else f"Zilla {n}" for n in range(1, count + 1)])
    assert found == [[]]


def test_where_there_is_no_room_for_its_lines_a_name_lacks_its_middle():
    written = texts(figures.confusion_matrix(matrix(20), [LONG.format(n) for n in range(20)]))
    assert "Zygiella of a species whose name takes all of" not in " ".join(written)
    assert sum("…" in text for text in written) == 40


def test_words_that_do_not_fill_their_lines_take_no_more_of_them():
    lines = figures.wrapped(" ".join(["pseudoangulatus"] * 6)).split("\n")
    assert (len(lines), "…" in "".join(lines)) == (4, True)


@pytest.mark.parametrize(
    ("written", "tick"),
    [
        (figures.count_bars({"a": 1, "b": 2}), "images"),
        (figures.count_bars({f"class {n}": 1 + n % 3 for n in range(60)}), "images"),
        (figures.reliability_diagram(reliability(np.array([0.9, 0.1]), np.array([True, True]))), "predictions"),
    ],
    ids=["counts", "of many classes", "reliability"],
)
def test_ticks_of_numbers_of_images_are_whole(written, tick):
    assert tick in texts(written)
    assert not [text for text in texts(written) if "." in text]


def test_ticks_of_numbers_of_images_are_round():
    """Of 70 images matplotlib's own are 0, 8, 16 and so on."""
    assert {"0", "10", "20", "70"} < set(texts(figures.count_bars({"a": 70, "b": 70})))


def test_of_many_classes_the_counts_are_one_shape():
    drawn = figures.count_bars({f"class {n}": n for n in range(1, 200)})
    assert drawn.count(f"fill: {figures.LIGHT.first}".encode()) == 1


@pytest.mark.parametrize(("count", "axes"), [(20, 1), (21, 2), (100, 2)])
def test_tall_bars_have_their_percents_above_too(count, axes):
    assert texts(figures.class_bars(bars([f"class {n}" for n in range(count)]))).count("100") == axes


def test_a_confusion_matrix_of_many_classes_has_few_names_and_no_counts():
    written = texts(figures.confusion_matrix(matrix(200), [f"name {n}" for n in range(200)]))
    assert "7" not in written
    assert 10 <= sum(text.startswith("name") for text in written) / 2 <= 30


def test_a_class_without_test_images_leaves_its_row_blank():
    counts = matrix(3)
    counts[1] = 0
    assert texts(figures.confusion_matrix(counts, ["a", "b", "c"])).count("7") == 2


def test_bars_come_with_the_support_and_the_best_class_first():
    written = texts(drawn("classes"))
    assert [text for text in written if text.startswith("n = ")] == ["n = 4", "n = 3", "n = 2", "n = 1"]


def test_a_class_without_a_test_image_has_no_bar():
    untested = ClassScore("untested", spread([0.0]), spread([0.0]), spread([0.0]), 0)
    written = texts(figures.class_bars([*bars(["a", "b"]), untested]))
    assert {"a", "b"} <= set(written)
    assert "untested" not in written


def test_of_very_many_classes_the_lowest_are_drawn():
    written = texts(figures.class_bars(bars([f"class {n}" for n in range(100)])))
    assert "class 0" in written
    assert "class 60" not in written


def test_the_image_grid_grows_by_a_row_after_six_images():
    sizes = []
    for count in (6, 7):
        with Image.open(io.BytesIO(figures.image_grid([shown("wasp")] * count))) as picture:
            sizes.append(picture.size)
    assert sizes[1][0] == pytest.approx(sizes[0][0], abs=4)
    assert sizes[1][1] > 1.8 * sizes[0][1]


def test_a_long_name_loses_its_middle():
    assert figures.shortened("Araneus diadematus var. alpina", 12) == "Araneu…lpina"


@pytest.mark.parametrize("name", ["Trichonephila clavata (female)", "Araneus-diadematus_var_alpina_of_the_north"])
def test_a_name_that_is_wrapped_is_whole(name):
    lines = figures.wrapped(name, 20).split("\n")
    assert max(map(len, lines)) <= 20
    assert "".join(lines).replace(" ", "") == name.replace(" ", "")


def test_a_name_of_more_than_four_lines_lacks_its_middle():
    lines = figures.wrapped("x" * 255, 20).split("\n")
    assert len(lines) <= 4
    assert "…" in "".join(lines)


def luminance(color: str) -> float:
    """By WCAG 2."""
    parts = (int(color[place : place + 2], 16) / 255 for place in (1, 3, 5))
    linear = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("theme", [figures.LIGHT, figures.DARK], ids=["light", "dark"])
@pytest.mark.parametrize(
    "pair", ["first second", "first paper", "second paper", "ink paper", "full paper", "muted paper"]
)
def test_the_colors_of_a_theme_are_told_apart_in_gray(theme, pair):
    dark, light = sorted(luminance(getattr(theme, name)) for name in pair.split())
    assert (light + 0.05) / (dark + 0.05) >= 3


def ratio(one, other):
    """By WCAG 2."""
    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [figures.LIGHT, figures.DARK], ids=["light", "dark"])
@pytest.mark.parametrize("color", of_curves.COLORS)
def test_the_colors_of_methods_stand_out_from_the_paper(theme, color):
    assert ratio(color, theme.paper) >= 3


def test_methods_of_the_same_line_differ_in_more_than_their_color_for_long():
    lines, colors = len(of_curves.LINES), len(of_curves.COLORS)
    assert len({(place % lines, place % colors) for place in range(lines * colors)}) == lines * colors == 42


@pytest.mark.parametrize("theme", [figures.LIGHT, figures.DARK], ids=["light", "dark"])
def test_what_is_filled_lightly_has_an_edge_that_stands_out(theme):
    assert f"stroke: {theme.first}" in DRAWN["reliability"](theme=theme).decode()
    assert f"stroke: {theme.first}" in DRAWN["values"](theme=theme).decode()
    points = re.findall(rf"fill: {theme.second}; stroke: ([^;\"]+)", DRAWN["reliability"](theme=theme).decode())
    assert set(points) == {theme.ink}


def test_what_is_frozen_is_hatched():
    assert "url(#h" in DRAWN["stages"]().decode()


def test_curves_of_several_methods_differ_in_gray_by_their_lines():
    of_methods = {f"method {n}": curve for n, curve in enumerate([curves(5)["train_accuracy"]] * 7)}
    dashes = re.findall(r"stroke-dasharray: ([\d., ]+)", figures.methods(of_methods, "accuracy").decode())
    assert len(set(dashes)) >= 3


def test_a_name_of_two_lines_is_put_on_one():
    assert figures.shortened("two\nlines") == "two lines"


def test_a_name_with_control_characters_makes_no_broken_svg():
    assert "a\N{REPLACEMENT CHARACTER}b" in texts(figures.confusion_matrix(matrix(2), ["a\x07b", "c"]))


def test_a_caption_has_actual_predicted_and_confidence():
    assert figures.caption(shown("wasp").example) == "wasp\n→ bee 0.93"


def test_a_reliability_diagram_has_the_count_of_every_bin_that_has_some():
    sure, right = np.array([0.99] * 1234 + [0.5] * 7), np.full(1241, True)
    written = texts(figures.reliability_diagram(reliability(sure, right)))
    assert {"1,234", "7", "confidence (%)", "right (%)", "predictions"} <= set(written)
    assert "right, at the mean confidence" in written


def test_diagrams_before_and_after_have_a_title_each_and_one_legend():
    written = texts(drawn("before and after"))
    assert [written.count(word) for word in ("before", "after", "as sure as right", "right (%)")] == [1, 1, 1, 1]


def test_a_risk_coverage_curve_says_who_asks():
    assert {"the least sure", "drawn at random", "as this network asks", "wrong among the others (%)"} <= set(
        texts(drawn("risk-coverage"))
    )


def test_bars_of_stages_have_each_stages_numbers():
    written = texts(figures.stage_bars(STAGES))
    assert {"stem", "head", "9,500", "4,620", "trains", "frozen"} <= set(written)
    assert "parameters and statistics of batch norms" in written
    assert {"solved", "frozen"} <= set(texts(figures.stage_bars(STAGES, trains="solved")))


def test_distributions_have_a_panel_a_tensor_and_one_legend():
    written = texts(figures.value_distributions({"conv1.weight": LIE, "bn1.weight": LIE}, VALUES))
    assert {"conv1.weight", "bn1.weight"} <= set(written)
    assert [written.count(label) for label in VALUES.values()] == [1, 1, 1]


def test_images_a_class_are_drawn_the_largest_first():
    drawn = figures.count_bars({"few": 12, "many": 1_234}).decode()
    assert drawn.index("many") < drawn.index("few")
    assert {"1,234", "12"} <= set(texts(drawn.encode()))


def test_of_many_classes_the_counts_stand_without_names():
    told = texts(figures.count_bars({f"class {n}": n for n in range(1, 201)}))
    assert "200 classes, the largest first" in told
    assert "class 7" not in told


def test_methods_are_named_beside_their_curves():
    assert {"delta", "L2-SP", "loss (%)", "epoch"} <= set(texts(drawn("methods")))


def test_of_many_methods_no_two_curves_look_alike():
    drawn = figures.methods({f"method {n}": one_curve() for n in range(12)}, "loss").decode()
    lines = re.findall(r"style=\"fill: none;( stroke-dasharray: [^;]*;)?[^\"]* stroke: (#\w+)", drawn)
    colored = {line for line in lines if line[1] not in ("#1c2128", "#d5dae1")}
    assert len(colored) >= 12


def test_a_map_is_laid_over_the_image_bright_where_it_is_high():
    image = np.full((3, 8, 8), 128, dtype=np.uint8)
    laid = figures.overlay(image, np.array([[0, 255], [0, 255]], dtype=np.uint8)).astype(int)
    assert laid.shape == (3, 8, 8)
    assert (laid[:, :, 7].sum(axis=0) > laid[:, :, 0].sum(axis=0) + 100).all()


def test_the_middle_of_an_image_is_what_the_network_is_shown():
    image = np.arange(3 * 36, dtype=np.uint8).reshape(3, 6, 6)
    np.testing.assert_array_equal(figures.middle(image, 4), image[:, 1:5, 1:5])
    np.testing.assert_array_equal(figures.middle(image, 6), image)


@pytest.mark.parametrize("side", [63, 61, 60, 57, 33])
def test_the_middle_of_an_image_is_that_of_the_transform_of_testing(side):
    image = np.random.default_rng(0).integers(0, 256, (3, 64, 64), dtype=np.uint8)
    shown = functional.center_crop(torch.from_numpy(image), [side, side]).numpy()
    np.testing.assert_array_equal(figures.middle(image, side), shown)


@pytest.mark.parametrize("name", ["loss", "reliability", "stages", "values", "channels"])
def test_a_chart_is_written_as_png_where_it_is_asked_for(name):
    with Image.open(io.BytesIO(DRAWN[name](theme=figures.PNG))) as picture:
        assert picture.format == "PNG"
        assert round(picture.info["dpi"][0]) == 150


WIDE = "络新妇蜘蛛属雌性成体背面照片采集于二零二三年六月的云南省西双版纳热带植物园"


def test_letters_of_two_columns_fill_half_as_many_of_a_line():
    lines = figures.wrapped(WIDE, 20, lines=2).split("\n")
    assert max(map(len, lines)) == 10
    assert len(figures.wrapped(WIDE).split("\n")) == 3
    assert figures.shortened(WIDE, 12) == "络新妇…物园"


@pytest.mark.parametrize("name", NAMED)
def test_an_svg_has_room_for_wide_names_that_the_readers_font_writes(name):
    def left(names):
        """Return how many points there are left of the axis for its names."""
        upright = rb'text-anchor: end; [^>]* x="([\d.]+)"[^>]*rotate\(-0 [^>]*>(?:\xe8\x9c\x98|a<)'
        first, second = re.findall(upright, NAMED[name](names))
        assert first == second
        return float(first)

    six, twelve = left(["蜘" * 6, "a"]), left(["蜘" * 12, "a"])
    assert twelve - six >= 6 * 9 * 0.9
    assert figures.wrapped(WIDE).encode().split(b"\n")[0] in NAMED[name]([WIDE, "a"])


def test_a_png_sets_wide_names_in_a_font_that_has_them_and_others_as_ever(monkeypatch):
    monkeypatch.setattr(wide_names, "FALLBACKS", ("A font that nobody has", "DejaVu Serif"))
    wide_names._installed.cache_clear()
    figure = plt.figure()
    axes = figure.add_subplot()
    axes.set_yticks([0, 1], ["owl", "蜘蛛"])
    axes.set_title("蜘蛛")
    wide_names.prepare(figure, "png")
    owl, spider = axes.get_yticklabels()
    assert (owl.get_text(), owl.get_fontfamily()) == ("owl", ["sans-serif"])
    for text in (spider, axes.title):
        assert (text.get_text(), text.get_fontfamily()) == ("蜘蛛", ["sans-serif", "DejaVu Serif"])
    plt.close(figure)
    wide_names._installed.cache_clear()
