import copy

import written_results

from pipeline.core.records import MachineRecord
from pipeline.experiments import differences
from pipeline.tracking import RunOrigin

ORDER = ["validate", "collect", "train", "evaluate"]
STAGES = {
    "evaluate@1": {"outs": [{"path": "metrics/evaluate/1", "md5": "e1"}]},
    "train@1": {
        "deps": [
            {"path": "data/collected", "md5": "c.dir"},
            {"path": "pipeline/core/seeding.py", "md5": "s1"},
        ],
        "params": {"data/recipe.yaml": {"threads": "auto", "train": {"lr": 0.1}}},
        "outs": [{"path": "metrics/runtime/1.json", "md5": "r1"}, {"path": "models/trained/1", "md5": "t1"}],
    },
    "collect": {
        "deps": [{"path": "/photographs", "md5": "p1"}],
        "params": {"data/recipe.yaml": {"options.data": {"synthetic": {"seed": 0}}}},
        "outs": [{"path": "data/collected", "md5": "c.dir"}],
    },
    "validate": {"outs": [{"path": "data/recipe.yaml", "md5": "v"}]},
}
RECORD = written_results.record_of(1, written_results.settings_of("quick"), device="cpu", threads=2)
RUN = RunOrigin(
    repeats=[1],
    commit="c" * 40,
    changes="",
    stages=STAGES,
    records={1: RECORD},
    machines={1: MachineRecord(device_name="a CPU", threads=2, versions={"torch": "2.5.0"}, cpu_instructions="avx512")},
)


def another(outs=(), **changes):
    """The run again, with other hashes of these outputs."""
    stages = copy.deepcopy(STAGES)
    for entry in (out for one in stages.values() for out in one["outs"]):
        if entry["path"] in outs:
            entry["md5"] = "other"
    return RUN.model_copy(update={"stages": stages, **changes})


def causes(found):
    first = next(output for output in differences.outputs(RUN, found, ORDER) if not output.identical)
    return first.path, differences.causes(RUN, found, first)


def test_outputs_come_in_the_order_in_which_they_are_made_without_the_timings_and_the_settings():
    told = differences.outputs(RUN, another(outs=["metrics/runtime/1.json", "data/recipe.yaml"]), ORDER)
    assert [output.path for output in told] == ["data/collected", "models/trained/1", "metrics/evaluate/1"]
    assert all(output.identical for output in told)


def test_an_output_that_one_of_the_runs_lacks_is_not_identical():
    found = another()
    del found.stages["evaluate@1"]
    assert [output.identical for output in differences.outputs(RUN, found, ORDER)] == [True, True, False]
    assert not differences.outputs(found, RUN, ORDER)[-1].identical


def test_a_changed_seed_of_the_data_is_named():
    found = another(outs=["data/collected", "models/trained/1"])
    found.stages["collect"]["params"]["data/recipe.yaml"]["options.data"]["synthetic"]["seed"] = 7
    assert causes(found) == ("data/collected", ["parameter options.data.synthetic.seed 0 in the run, 7 here"])


def test_a_changed_seed_of_the_training_is_named():
    found = another(outs=["models/trained/1"], records={1: RECORD.model_copy(update={"seed": 2})})
    assert causes(found) == ("models/trained/1", ["seed 1 in the run, 2 here"])


def test_another_precision_that_held_is_named():
    found = another(outs=["models/trained/1"], records={1: RECORD.model_copy(update={"precision": "tf32"})})
    assert causes(found) == ("models/trained/1", ["precision fp32 in the run, tf32 here"])


def test_changed_code_is_named_and_open_threads_are_not():
    found = another(outs=["models/trained/1"])
    found.stages["train@1"]["deps"][1]["md5"] = "s2"
    found.stages["train@1"]["params"]["data/recipe.yaml"]["threads"] = 2
    assert causes(found)[1] == ["code of pipeline/core/seeding.py"]


def test_changed_photographs_are_named_and_the_same_ones_at_another_place_are_not():
    found = another(outs=["data/collected"])
    found.stages["collect"]["deps"] = [{"path": "/photographs", "md5": "p2"}]
    assert causes(found)[1] == ["content of /photographs"]
    found.stages["collect"]["deps"] = [{"path": "/elsewhere", "md5": "p1"}]
    assert "photographs" not in str(causes(found)[1])


def test_another_version_thread_or_device_is_named():
    machine = MachineRecord(device_name="a GPU", threads=4, versions={"torch": "2.6.0"}, cpu_instructions="avx2")
    found = another(outs=["models/trained/1"], machines={1: machine})
    assert causes(found)[1] == [
        "device_name a CPU in the run, a GPU here",
        "threads 2 in the run, 4 here",
        "versions.torch 2.5.0 in the run, 2.6.0 here",
        "cpu_instructions avx512 in the run, avx2 here",
    ]


def test_a_difference_that_nothing_recorded_explains_is_said_to_be_one():
    assert causes(another(outs=["models/trained/1"]))[1] == [
        "nothing that is recorded differs, so an operation that is not computed the same way each time"
    ]
