import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny
import written_results
from written_results import CLASSES, TESTED, write_all, write_evaluation, write_json, write_params, write_training

from pipeline import tracking
from pipeline.core import digests, paths
from pipeline.core.errors import InputError
from pipeline.datasets.collect.published import described
from pipeline.evaluation.scores import SCORES, Score
from pipeline.reporting import figures, markup, pictures
from pipeline.reporting import page as report_page
from pipeline.reporting.curves import Curve
from pipeline.stages import report

PHOTOGRAPHS = pictures.photographs


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """The files of three repeats, in a folder of their own, with nothing going to MLflow."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tracking, "try_publish", lambda files, **_: None)
    write_all()


@pytest.fixture
def photographed(drawn, uncharted, monkeypatch):
    """The same where photographs are drawn and charts are not."""
    monkeypatch.setattr(pictures, "photographs", PHOTOGRAPHS)


@pytest.fixture
def results(drawn, uncharted):
    """The same where nothing is drawn."""


@pytest.fixture(scope="module")
def reported(shared):
    """The folder of these three repeats, in which everything is drawn; to be read alone."""

    def make(folder):
        with pytest.MonkeyPatch.context() as patch:
            written_results.report_of(folder, patch)

    return shared("report", make)


@pytest.fixture(scope="module")
def page(reported):
    return Page((reported / "metrics/report/index.html").read_text(encoding="utf-8"))


class Page(HTMLParser):
    """What a test asks of a page."""

    def __init__(self, text):
        super().__init__()
        self.source = text
        self.tags = []
        self.words = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attributes for found, attributes in self.tags if found == tag]

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def made_page():
    report.main()
    return Page(Path("metrics/report/index.html").read_text(encoding="utf-8"))


def read_csv(file):
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_summary_holds_mean_deviation_and_each_repeat(results):
    report.main()
    told = json.loads(Path("metrics/summary.json").read_text(encoding="utf-8"))
    # Four images, three repeats: of both together nothing is known.
    assert told["accuracy"] == {"mean": 0.75, "sd": 0.25, "n": 3, "low": 0.0, "high": 1.0}
    assert told["train_seconds"] == {"mean": 20.0, "sd": 10.0, "n": 3}
    assert {number: one["accuracy"] for number, one in told["repeats"].items()} == {"1": 0.75, "2": 0.5, "3": 1.0}


def test_the_result_is_said_in_a_line(results, capsys):
    report.main()
    line = "report: test accuracy 75.0 % ± 25.0 (mean and sd, n = 3; 95 % interval 0.0 to 100.0 %); see metrics/"
    assert capsys.readouterr().out.startswith(line)


def test_a_single_repeat_is_said_to_have_no_spread(results, capsys):
    write_params([2])
    text = made_page().text
    assert capsys.readouterr().out.startswith(
        "report: test accuracy 50.0 % (one repeat, so no spread, n = 1; 95 % interval "
    )
    assert "A single repeat has no spread" in text
    assert "±" not in text
    assert "sd" not in json.loads(Path("metrics/summary.json").read_text(encoding="utf-8"))["accuracy"]


def test_a_new_score_is_on_the_page_in_its_table_and_in_the_summary(results, monkeypatch):
    row = Score(title="error rate", description="wrong ones", compute=lambda predictions: 0.0)
    monkeypatch.setitem(SCORES, "error_rate", row)
    for repeat in TESTED:
        file = Path(f"metrics/evaluate/{repeat}/scores.json")
        told = json.loads(file.read_text(encoding="utf-8"))
        write_json(file, told | {"error_rate": repeat / 10})
        digests.seal(file.parent)
    text = made_page().text
    assert "error rate 20.0 % ± 10.0" in text
    assert "error rate (%)" in text
    assert "error rate wrong ones" in text
    summary = json.loads(Path("metrics/summary.json").read_text(encoding="utf-8"))
    assert summary["error_rate"] == pytest.approx({"mean": 0.2, "sd": 0.1, "n": 3})


def test_repeats_left_from_before_are_ignored(results):
    write_params([1, 3])
    report.main()
    told = json.loads(Path("metrics/summary.json").read_text(encoding="utf-8"))
    assert list(told["repeats"]) == ["1", "3"]
    assert {row["repeat"] for row in read_csv(paths.REPORT / "predictions.csv")} == {"1", "3"}


def test_predictions_have_the_repeat_first(results):
    report.main()
    rows = read_csv(paths.REPORT / "predictions.csv")
    assert list(rows[0]) == ["repeat", "path", "actual", "predicted", "confidence", "correct"]
    assert len(rows) == 12


def test_curves_hold_means_and_ranges(results):
    report.main()
    first = read_csv(paths.CURVES)[0]
    assert (first["epoch"], first["train_loss"], first["train_loss_min"], first["train_loss_max"]) == (
        "1",
        "2",
        "1",
        "3",
    )
    assert first["train_accuracy"] == "0.5"


def test_every_figure_is_a_file(reported):
    found = {path.name for path in (reported / "metrics/report/figures").iterdir()}
    charts = {"accuracy", "channels", "classes", "confusion", "counts", "loss", "reliability", "stages", "values"}
    photographs = {"explained", "features_right", "right", "wrong"}
    assert found == {f"{name}.svg" for name in charts} | {f"{name}.png" for name in charts | photographs}


@pytest.mark.slow
def test_the_same_files_give_the_same_report(drawn, reported):
    report.main()
    first, again = contents(reported / "metrics"), contents(Path("metrics"))
    assert again == first
    assert Path("report/index.html") in first


def test_every_photograph_has_its_files_name_and_the_wrong_ones_are_a_table_too(reported, page):
    tested = {row["path"] for row in read_csv(reported / "metrics/report/predictions.csv")}
    named = [word.strip() for word in page.words if word.strip() in tested]
    galleries = [image for image in page.all("img") if "actual class" in image["alt"]]
    explained = [image for image in page.all("img") if image["alt"].endswith("as the network is shown it")]
    assert len(named) >= len(galleries) + len(explained) > 0
    wrong = read_csv(reported / "metrics/report/look_first.csv")
    assert wrong
    assert {row["path"] for row in wrong} <= tested
    assert f"has all {len(wrong)} images" in page.text


def test_each_example_says_which_repeat_it_is_of_where_there_are_several(page, results):
    assert "wrong in 1 of 2" not in page.text
    assert page.text.count("repeat 2, wrong in 1 of 3") == 1
    assert "in how many of the repeats that test the image it is wrong" in page.text
    write_params([1])
    alone = made_page().text
    assert "wrong in" not in alone
    assert "in how many of the repeats" not in alone


def test_the_page_names_the_classes_that_no_right_prediction_is_shown_of(results):
    write_params([1])
    text = made_page().text
    assert "Without one right prediction: 1 of 4 classes, Trichonephila clavata (n = 1)" in text
    assert "3 of 4 classes: the others have no right prediction." in text


@pytest.mark.parametrize(
    ("most", "caption"),
    [
        (20, "Counts summed over 3 repeats; the color is"),
        (3, "The color is the part of the row, of counts summed over 3"),
    ],
)
def test_the_matrix_is_said_to_have_counts_where_it_has(most, caption, results, monkeypatch):
    monkeypatch.setattr(figures, "NUMBERED_CLASSES", most)
    assert caption in made_page().text


def test_where_nothing_trains_the_report_speaks_of_no_training(results):
    tiny.write(tiny.recipe("quick", None, repeats=[1, 2, 3], freeze="probe", augmentation="flip"))
    for repeat in TESTED:
        write_training(repeat)
        Path(f"metrics/train/{repeat}/augmented.png").write_bytes(b"sheet")
        digests.seal(Path(f"metrics/train/{repeat}"))
    page = made_page()
    text, _ = page.text.split("values of the recipe that count", 1)
    assert (
        "Training none: the head is a logistic regression on the features of the frozen backbone, its penalty" in text
    )
    assert "The frozen backbone with its solved head is what is tested, once; no test image had a part in" in text
    assert "How much of each stage is solved" in text
    for word in ("Budget", "Optimizer", "last epoch", "images/s", "Loss by", "Accuracy by", "five draws", "flip"):
        assert word not in text, word
    alts = " ".join(image["alt"] for image in page.all("img"))
    assert "How many numbers of each stage are solved" in alts
    assert not [word for word in ("over the epochs", "train:") if word in alts]
    assert not {"loss.svg", "accuracy.svg", "augmented.png"} & {one.name for one in paths.REPORT.rglob("*")}
    summary = Path("metrics/report/summary.md").read_text(encoding="utf-8")
    assert "images/s" not in summary
    assert "| mean | 75.00 | 100.00 | 50.00 | 75.00 |" in summary


def test_confusions_beyond_the_table_are_counted(results, monkeypatch):
    assert "more pair" not in made_page().text
    monkeypatch.setattr(report_page, "CONFUSIONS_SHOWN", 1)
    more = "and 1 more pair of classes"
    assert more in made_page().text
    assert f"\n\n{more}" in Path("metrics/report/summary.md").read_text(encoding="utf-8")


def test_without_a_wrong_prediction_the_table_of_them_has_its_header_alone(results):
    write_params([3])
    report.main()
    text = Path("metrics/report/look_first.csv").read_text(encoding="utf-8")
    assert text == "path,actual,predicted,confidence,repeat,wrong_in,tested_in\n"


def test_the_page_says_what_each_score_is_and_which_end_of_it_is_better(page):
    scores = page.text[page.text.index("What each score is") : page.text.index("Data health")]
    assert "macro-F1 mean F1 of the classes, each counting the same balanced accuracy" in scores
    assert "NLL mean negative log-likelihood of the actual class (lower is better)" in scores
    assert "F1 of a class: the harmonic mean of its precision" in scores


@pytest.mark.parametrize(("confidence", "sure"), [(0.43, False), (0.93, True)])
def test_a_doubt_of_labels_is_said_where_the_network_is_sure_and_one_wrong_image_is_one(confidence, sure):
    material = SimpleNamespace(wrong=[SimpleNamespace(example=SimpleNamespace(confidence=confidence))])
    template = (markup.TEMPLATES / "page.html").read_text(encoding="utf-8")
    (legend,) = re.findall(r'<p class="legend">.*look_first.csv.*', template)
    for count, words in ((1, "has the one image that was taken"), (2_000, "has all 2,000 images that were taken")):
        text = markup.environment().from_string(legend).render(material=material, wrong=count)
        assert ("it may be the label" in text, words in text) == (sure, True)


@pytest.mark.parametrize("validated", [True, False])
def test_the_words_for_curves_have_validation_where_it_is_drawn(validated):
    curve = Curve([1, 2], [9, 18], [0.75, 0.5], low=[0.75, 0.5], high=[0.75, 0.5], repeats={})
    parts = ("train", "val") if validated else ("train",)
    series = {f"{part}_{quantity}": curve for part in parts for quantity in ("loss", "accuracy")}
    loss, accuracy = pictures._loss_alt(series, "epoch"), pictures._accuracy_alt(series, 0.9, "epoch")
    ends = ": 0.75 after epoch 1, 0.5 after 2."
    assert loss == f"Loss over the epochs. Training{ends}" + f" Validation{ends}" * validated
    last = ": 50.0 % after the last epoch; "
    expected = f"Accuracy over the epochs. Training{last}" + f"validation{last}" * validated + "test part: 90.0 %."
    assert accuracy.replace("\N{NO-BREAK SPACE}", " ") == expected


def test_each_chart_has_its_numbers_beside_it_in_a_table(page):
    captions = " ".join(page.words)
    for name in ("counts", "loss", "accuracy", "stages"):
        assert f"The numbers of the chart above: {name}" in captions
    assert "The same in numbers" in captions


def test_without_a_wrong_prediction_there_is_no_such_grid(photographed):
    write_params([3])
    assert "None: every test image was classified correctly." in made_page().text
    assert not Path("metrics/report/figures/wrong.png").exists()


def test_without_a_right_prediction_there_is_no_such_grid(photographed):
    write_params([1])
    write_evaluation(1, [1, 2, 3, 0])
    assert "None: no test image was classified correctly." in made_page().text
    assert not Path("metrics/report/figures/right.png").exists()


def test_training_images_are_shown_as_the_first_repeat_varied_them(results):
    write_params([1, 2, 3], {"data.augmentation": "csca"})
    for repeat in TESTED:
        write_training(repeat)
        Path(f"metrics/train/{repeat}/augmented.png").write_bytes(b"sheet %d" % repeat)
        digests.seal(Path(f"metrics/train/{repeat}"))
    page = made_page()
    (sheet,) = (image for image in page.all("img") if image["src"] == "data:image/png;base64,c2hlZXQgMQ==")
    strengths = tiny.shipped()["options"]["augmentation"]["csca"]
    told = f"csca: color jitter, flip and rotation (brightness {strengths['brightness']:g}"
    assert told in sheet["alt"]
    assert f"Training images of repeat 1, a row each: as packed, then five draws of {told}" in page.text
    assert Path("metrics/report/figures/augmented.png").read_bytes() == b"sheet 1"


def test_where_training_varies_nothing_no_such_sheet_is_shown(page):
    assert "five draws" not in page.source


def test_the_page_loads_nothing_from_elsewhere(page):
    loaded = [
        value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "srcset", "href")
    ]
    assert loaded
    assert all(value.startswith(("data:", "#")) for value in loaded)
    assert not page.all("script")
    assert "url(" not in page.source


def test_every_image_of_the_page_is_described(page):
    images = page.all("img")
    assert len(images) > 4
    assert all(len(image["alt"]) > 20 for image in images)


def test_the_page_has_a_language_and_one_title(page):
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1


def test_every_link_of_the_page_leads_to_a_section(page):
    assert {link["href"][1:] for link in page.all("a")} <= {one.get("id") for one in page.all("section")}


@pytest.mark.parametrize("name", [*CLASSES, "truncated <JPEG>", "A <CPU>", "Spiders & co"])
def test_names_read_as_they_are_in_the_page(page, name):
    assert name in page.text


@pytest.mark.parametrize(
    "told",
    [
        "75.0 % ± 25.0",
        "test accuracy: mean ± standard deviation over 3 repeats",
        "95 % interval 0.0 to 100.0 %",
        "95 % interval of the mean",
        "is over such repeats and other test images at once",
        "repeat 2: 50.0 %",
        "3b: blocks 3 and 4 and the head train",
        "bundled (package weights 1.0)",
        "and 5 more, in data/collected/rejected.csv",
        "epochs, batches of 32",
        "1,234",
        "0.297 billion floating-point operations in the forward pass",
        "5,678",
        "cd" * 32,
        "ef" * 32,
        "2.15.0",
        "bars, with a point at their mean confidence. A bin of few predictions is mostly chance.",
        "options.head.linear.dropout",
        "git checkout 0123456789abcdef dvc exp run -S recipe=quick",
    ],
)
def test_the_page_tells_what_was_done(page, told):
    assert told in page.text


@pytest.fixture(scope="module")
def attending_page(tmp_path_factory):
    """The page of a training with attention, in two phases of an epoch."""
    phases = [{"freeze": "1", "amount": 1, "lr": 0.001}, {"freeze": "layer4", "amount": 1, "lr": 0.0001}]
    train = {"train.phases": phases, "train.budget": {"unit": "epochs", "amount": 2}, "train.lr": 0.001}
    counts = [{"trainable": 12_810, "frozen": 9}, {"trainable": 98_765, "frozen": 9}]
    with pytest.MonkeyPatch.context() as patch:
        tiny.draw_no_charts(patch)
        patch.chdir(tmp_path_factory.mktemp("attending"))
        patch.setattr(tracking, "try_publish", lambda files, **_: None)
        write_all()
        write_params([1, 2, 3], {"network.attention": "cbam", "network.freeze": "phases"} | train)
        for repeat in TESTED:
            speeds = {"network": 90.0 + repeat, "without_attention": 100.0}
            told = [phase | {"regularizer": "none"} | count for phase, count in zip(phases, counts, strict=True)]
            write_training(repeat, phases=told, speeds=speeds)
        return made_page()


@pytest.mark.parametrize(
    "told",
    [
        "efficientnet_lite0 with cbam attention, in phases",
        "cbam in every residual block, r 8",
        "1 epoch: strategy 1 and the attention at 0.001 (12,810 numbers train)",
        "1 epoch: from layer4 on and the attention at 0.0001 (98,765 numbers train)",
        "What attention costs in the forward pass alone",
        "images/s on A <CPU> (cpu, float32), n = 3 92 (91 to 93) 100 (100 to 100) 0.920 (0.910 to 0.930)",
        "train.phases.1.freeze layer4",
    ],
)
def test_the_page_tells_attention_with_its_cost_and_phases(attending_page, told):
    assert told in attending_page.text


def test_both_curves_say_where_a_phase_begins(attending_page):
    told = [image["alt"] for image in attending_page.all("img") if "over the epochs" in image["alt"]]
    assert [alt.endswith("Phase 2 begins with epoch 2.") for alt in told] == [True, True]


def test_where_the_budget_is_in_iterations_both_curves_are_over_these(results):
    write_params([1], {"train.budget": {"unit": "iterations", "amount": 2}})
    write_training(1)
    page = made_page()
    told = [image["alt"] for image in page.all("img") if "over the iterations" in image["alt"]]
    assert [alt.split(".")[0] for alt in told] == ["Loss over the iterations", "Accuracy over the iterations"]
    assert "Loss by iteration." in page.text
    assert "Accuracy by iteration." in page.text


def test_without_attention_and_phases_the_page_speaks_of_neither(page):
    assert "phase" not in page.text.lower().replace("train.phases", "")
    assert "What attention costs" not in page.text
    assert not [image for image in page.all("img") if "Phase" in image["alt"]]


def test_the_markdown_summary_has_the_phases_and_the_cost_of_attention(results):
    phases = [{"freeze": "1", "amount": 1, "lr": 0.001}, {"freeze": "2", "amount": 1, "lr": 0.001}]
    train = {"train.phases": phases, "train.budget": {"unit": "epochs", "amount": 2}, "train.lr": 0.001}
    write_params([1], {"network.attention": "cbam", "network.freeze": "phases"} | train)
    counted = [phase | {"regularizer": "none", "trainable": 7, "frozen": 9} for phase in phases]
    write_training(1, phases=counted, speeds={"network": 90.0, "without_attention": 100.0})
    report.main()
    text = Path("metrics/report/summary.md").read_text(encoding="utf-8")
    assert "| Phase 2 | 1 epoch: strategy 2 at 0.001 (7 numbers train) |" in text
    assert "| images/s on A \\<CPU\\> (cpu, float32), n = 1 | 90 | 100 | 0.900 |" in text


@pytest.mark.parametrize(("changed", "told"), [("params.yaml", False), ("pipeline/training/loop.py", True)])
def test_changed_code_is_told_and_changed_settings_are_not_since_the_command_has_them(results, changed, told):
    write_training(3, changed=changed)
    text = made_page().text
    assert ("Source files differed from the recorded commit when this was trained: pipeline/" in text) == told
    assert "dvc exp run -S recipe=quick" in text
    assert "-S 'repeats=[1,2,3]'" in text


def test_the_markdown_summary_has_result_and_classes(results):
    report.main()
    text = Path("metrics/report/summary.md").read_text(encoding="utf-8")
    assert "Test accuracy **75.0\u00a0% ± 25.0** (n = 3, 95 % interval 0.0 to 100.0\u00a0%)." in text
    assert "| \\<script\\> | 50.0 ± 0.0 | 100.0 ± 0.0 |" in text
    assert "| mean | 75.00 | 100.00 | 50.00 | 75.00 |" in text


def test_the_markdown_summary_says_how_to_get_the_result_again(results):
    report.main()
    text = Path("metrics/report/summary.md").read_text(encoding="utf-8")
    command = "dvc exp run -S recipe=quick \\\n  -S 'repeats=[1,2,3]' \\\n  -S threads=2"
    assert f"```sh\ngit checkout 0123456789abcdef\n{command}" in text
    assert f"| Data, SHA-256 | {'cd' * 32} |" in text


def test_the_page_shows_what_each_explained_image_has(page):
    shown = [image["alt"] for image in page.all("img")]
    assert sum(alt.startswith("Grad-CAM, predicted class, over") for alt in shown) == 4
    assert sum(alt.startswith("Grad-CAM, actual class, over") for alt in shown) == 1
    assert sum(alt.startswith("attention, spatial.position, over") for alt in shown) == 4
    assert (
        "Grad-CAM behind attention.block4, the end of the last stage (2 × 2 places, enlarged to the image)" in page.text
    )
    assert "layer3.1, the end of the stage before (2 × 2), and the map that the head averages" in page.text
    assert "Strategy 3b freezes them, so that after training they are as at the start." in page.text


def test_actual_and_predicted_class_stand_in_their_order_whatever_way_their_script_runs(reported):
    text = (reported / "metrics/report/index.html").read_text(encoding="utf-8")
    isolated = re.findall(r"<bdi>[^<]*</bdi>(?:</b>)? (?:<span class=\"predicted\">)?→&nbsp;<bdi>[^<]*</bdi>", text)
    assert len(isolated) == text.count("→&nbsp;") > 4


@pytest.fixture
def dogs(results):
    """The same results, as of Stanford Dogs from weights of ImageNet."""
    file = Path("data/collected/dataset.json")
    own = json.loads(file.read_text(encoding="utf-8"))
    write_json(file, own | {"set": "dogs", "title": "Stanford Dogs", "published": described("dogs")})
    digests.seal(file.parent)
    write_params([1, 2, 3], {"network.weights": "imagenet"})
    for repeat in TESTED:
        write_training(repeat)


PUBLISHED = [
    "Images of ImageNet, whose terms hold: non-commercial research and education.",
    "Khosla, Jayadevaprakash, Yao, Fei-Fei 2011, CVPR workshop on fine-grained visual categorization",
    "The set and the pre-training data overlap: It is a part of ImageNet, labels included: networks",
]


@pytest.mark.parametrize("told", PUBLISHED, ids=["terms", "citation", "overlap"])
def test_the_page_tells_what_is_published_of_a_set(dogs, told):
    assert told in made_page().text


@pytest.mark.parametrize("told", PUBLISHED, ids=["terms", "citation", "overlap"])
def test_the_markdown_summary_tells_what_is_published_of_a_set(dogs, told):
    report.main()
    assert told in Path("metrics/report/summary.md").read_text(encoding="utf-8").replace("\\", "")


def test_without_pre_training_there_is_no_word_of_an_overlap(dogs):
    write_params([1, 2, 3], {"network.weights": "none"})
    for repeat in TESTED:
        write_training(repeat)
    assert "overlap" not in made_page().text
    assert "overlap" not in Path("metrics/report/summary.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "lost",
    [
        "metrics/train/2/history.csv",
        "metrics/train/2/record.json",
        "metrics/runtime/2.json",
        "metrics/train/1/values.json",
        "metrics/evaluate/2/scores.json",
        "metrics/evaluate/1/pictures.json",
        "metrics/evaluate/1/pictures.npz",
        "metrics/evaluate/2/predictions.csv",
        "data/collected/dataset.json",
        "data/packed/images.npy",
    ],
)
def test_a_missing_file_is_named_with_the_way_out(results, lost):
    Path(lost).unlink()
    with pytest.raises(InputError, match=rf"^{lost}: no such file; `dvc repro` makes it"):
        report.main()
    assert not Path("metrics/report").exists()


def test_a_cut_json_is_named(results):
    Path("metrics/evaluate/1/scores.json").write_text("{", encoding="utf-8")
    digests.seal(Path("metrics/evaluate/1"))
    with pytest.raises(InputError, match=r"^metrics/evaluate/1/scores\.json: not JSON: .*; `dvc repro` makes it again"):
        report.main()


def test_a_table_without_rows_is_named(results):
    Path("metrics/train/1/history.csv").write_text("epoch,train_loss\n", encoding="utf-8")
    digests.seal(Path("metrics/train/1"))
    with pytest.raises(InputError, match=r"^metrics/train/1/history\.csv: has no row; `dvc repro` makes it again"):
        report.main()


def test_a_tested_image_that_was_not_packed_is_named(results):
    index = Path("data/packed/index.csv")
    index.write_text(index.read_text(encoding="utf-8").replace("2/0.png", "2/9.png"), encoding="utf-8")
    digests.seal(index.parent)
    with pytest.raises(InputError, match=r"^data/packed/index\.csv: lacks '2/0\.png', which was tested"):
        report.main()


def test_what_is_shown_in_mlflow_are_the_files_here(results, monkeypatch):
    seen = []
    monkeypatch.setattr(
        tracking, "try_publish", lambda files, **_: seen.append(files.read(Path("metrics/summary.json")))
    )
    report.main()
    assert json.loads(seen[0])["accuracy"]["n"] == 3
