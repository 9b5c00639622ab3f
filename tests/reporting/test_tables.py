import pytest
import written_results

from pipeline.evaluation.compare.repeats import Repeat
from pipeline.evaluation.compare.statistics import interval
from pipeline.reporting import provenance, tables
from pipeline.reporting.aggregate import ClassScore, spread

RECIPE = written_results.settings_of("quick")


def result(number, accuracy, *, scores=(), runtime=(), **record):
    three = {"accuracy": accuracy, "macro_f1": 0.5, "balanced_accuracy": 0.25, "test_images": 1200}
    measured = {"train_seconds": 100.0 + number, "images_per_second": 31.27}
    return Repeat(
        number=number,
        record=written_results.record_of(number, RECIPE, **{"parts": {"train": 2800, "val": 0, "test": 1200}} | record),
        runtime=written_results.runtime_of(**measured | dict(runtime)),
        scores=written_results.scores_of(**three | dict(scores)),
        history=[],
        predictions=[{"path": f"{number}/{n}.png", "correct": str(int(n < 10 * accuracy))} for n in range(10)],
    )


def test_results_end_with_mean_and_deviation():
    rows = tables.results([result(1, 0.8), result(2, 0.9)]).rows
    assert rows[0] == ("1", "80.00", "50.00", "25.00", "1,200", "101", "31.3")
    assert rows[2] == ("mean", "85.00", "50.00", "25.00", "", "102", "31.3")
    assert rows[3] == ("sd", "7.07", "0.00", "0.00", "", "0.71", "0")


def test_results_have_the_interval_of_each_mean_where_the_repeats_differ():
    *_, first, last = tables.results([result(1, 0.7), result(2, 0.8), result(3, 0.8)]).rows
    low, high = interval([0.7, 0.8, 0.8], train=2800, test=10)
    assert first == ("95 % interval, from", f"{100 * low:.2f}", "none", "none", "", "", "")
    assert last == ("95 % interval, to", f"{100 * high:.2f}", "none", "none", "", "", "")


def test_results_have_a_column_for_every_score_there_is():
    more = {"top5_accuracy": 0.91, "nll": 0.345, "calibration_error": 0.0125}
    table = tables.results([result(1, 0.8, scores=more)])
    told = dict(zip(table.header, table.rows[0], strict=True))
    assert (told["top-5 accuracy (%)"], told["NLL"], told["calibration error (%)"]) == ("91.00", "0.345", "1.25")


def test_a_single_result_has_no_mean():
    assert len(tables.results([result(1, 0.8)]).rows) == 1


def test_a_class_has_its_deviation_and_its_images():
    found = ClassScore("Plator", spread([0.9, 0.92]), spread([0.5, 0.5]), spread([0.6, 0.6]), support=14)
    assert tables.classes([found], {"Plator": 322}).rows == [
        ("Plator", "91.0 ± 1.4", "50.0 ± 0.0", "60.0 ± 0.0", "14", "322")
    ]


def test_a_class_without_a_test_image_has_no_scores():
    untested = ClassScore("Plator", *[spread([0.0, 0.0])] * 3, support=0)
    assert tables.classes([untested], {"Plator": 322}).rows == [("Plator", "–", "–", "–", "0", "322")]


def test_settings_are_dotted_names_with_plain_values():
    recipe = {"train": {"at": [0.5, 0.75], "nesterov": False}, "method": "none"}
    assert provenance.settings(recipe).rows == [
        ("train.at", "0.5, 0.75"),
        ("train.nesterov", "false"),
        ("method", "none"),
    ]


def test_settings_name_the_parts_of_a_list_of_sections_as_dvc_does():
    recipe = {"train": {"phases": [{"freeze": "1", "amount": 10}, {"freeze": "layer4", "amount": 5}], "at": []}}
    assert provenance.settings(recipe).rows == [
        ("train.phases.0.freeze", "1"),
        ("train.phases.0.amount", "10"),
        ("train.phases.1.freeze", "layer4"),
        ("train.phases.1.amount", "5"),
        ("train.at", "none"),
    ]


def attending(number, network, without):
    runtime = {"device_name": "GPU", "inference_images_per_second": {"network": network, "without_attention": without}}
    flops = {"network": 3_650_000_000, "without_attention": 3_640_000_000}
    return result(number, 0.5, runtime=runtime, device="cuda", flops=flops)


def test_the_cost_of_attention_is_told_with_range_number_device_and_ratio():
    found = tables.cost([attending(1, 90.0, 100.0), attending(2, 110.0, 110.0)])
    assert found.header == ("forward pass", "this network", "without attention", "ratio")
    assert found.rows == [
        ("operations an image (billions)", "3.65", "3.64", "1.003"),
        ("images/s on GPU (cuda, float32), n = 2", "100 (90 to 110)", "105 (100 to 110)", "0.950 (0.900 to 1.000)"),
    ]


def test_the_cost_in_a_single_repeat_has_no_range():
    assert tables.cost([attending(1, 90.0, 100.0)]).rows[1] == (
        "images/s on GPU (cuda, float32), n = 1",
        "90",
        "100",
        "0.900",
    )


def test_without_attention_there_is_no_cost_to_tell():
    assert tables.cost([result(1, 0.5)]).rows == []


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a|b", r"a\|b"),
        ('L\'épeire "d$iadème$"', 'L\'épeire "d\\$iadème\\$"'),
        ("<script>", r"\<script\>"),
        ("two\nlines", "two lines"),
        ("a_b*c`d", r"a\_b\*c\`d"),
        ("`<i>`: `dvc repro a_b` of `--sizes 1`", r"\`\<i\>\`: `dvc repro a_b` of `--sizes 1`"),
    ],
)
def test_markdown_takes_names_literally(name, written):
    table = tables.Table(("name",), [(name,)], numbers_from=1)
    assert tables.markdown(table).splitlines()[2] == f"| {written} |"


@pytest.mark.parametrize(
    ("changed", "written"),
    [("", "0123456789ab"), ("params.yaml", "0123456789ab"), ("pipeline/core/paths.py", "0123456789ab+")],
)
def test_a_commit_is_short_and_marked_where_source_files_differed(changed, written):
    patch = f"diff --git a/{changed} b/{changed}\n" if changed else ""
    runtime = {"git_commit": "0123456789abcdef", "git_dirty": bool(changed), "git_changes": patch}
    assert provenance.commit(result(1, 0.5, runtime=runtime)) == written


def test_without_git_there_is_no_commit():
    assert provenance.commit(result(1, 0.5, runtime={"git_commit": ""})) == ""
