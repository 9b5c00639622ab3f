import re
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from unittest.mock import Mock

import pytest
import readme
from click.testing import CliRunner, Result

import pipeline
from pipeline import commands, config
from pipeline.commands import orbweaver
from pipeline.commands import study as study_command
from pipeline.core import provenance, seeding
from pipeline.core.errors import InputError
from pipeline.experiments import revisions
from pipeline.preview import overriding
from pipeline.running import cell_runs, cells, own_files, sharing
from pipeline.running.driving import Ended
from pipeline.running.executors import gpus, job_states
from pipeline.running.executors.contract import Executor, State
from pipeline.studies import definition, page
from pipeline.studies import results as studies_results

ROOT = Path(pipeline.__file__).parents[1]


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@cache
def planned(name: str) -> list[cells.Cell]:
    return cells.plan(definition.find(name))


def study(*words: str) -> Result:
    return CliRunner().invoke(orbweaver, ["study", *words])


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        ("grid: {freze: [1]}", (), "grid: unknown key 'freze'; did you mean 'freeze'?"),
        (
            "set: {defaults.train.lrr: 1}\ngrid: {freeze: [1]}",
            (),
            "set: unknown key 'defaults.train.lrr'; did you mean",
        ),
        ("cells: {a: {set: {xyz: 1}}}", (), "cells.a.set: unknown key 'xyz'; known here: recipe, data, "),
        (
            "set: {recipes.quick.data.on_leak: drop}\ncells: {a: }",
            (),
            "set: the recipe quick does not state data.on_leak; ",
        ),
        ("cells: {a: }", ("-S", "freze=1"), "cell 'a': -S freze=1: Could not override 'freze'; the keys are those of "),
    ],
)
def test_an_unknown_key_is_named_where_it_is_written(
    text: str, words: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"title: Mine\n{text}\n", encoding="utf-8")
    error = study("show", str(file), *words).exception
    assert isinstance(error, InputError)
    assert str(error).startswith(f"{file}: {message}")


def test_ctrl_c_ends_any_command_with_a_line_and_a_shells_own_status(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> list[str]:
        raise KeyboardInterrupt

    monkeypatch.setattr(definition, "names", interrupt)
    result = study("list")
    assert (result.exit_code, result.stderr) == (130, "study: interrupted\n")
    # Before the command's module is imported, click knows no name.
    monkeypatch.setattr(commands, "import_module", lambda _name: interrupt())
    result = study("list")
    assert (result.exit_code, result.stderr) == (130, "orbweaver: interrupted\n")


def test_all_studies_are_listed() -> None:
    listed = study("list").output
    assert all(name in listed for name in definition.names())


def test_a_study_says_which_cells_the_remotes_have(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "hierarchical-table1"
    first, second = planned(name)

    def there(remotes: object) -> dict[str, tuple[str, str]]:
        return {first.key: ("refs/exps/...", "a" * 40)}

    def refuse(remotes: object) -> dict[str, tuple[str, str]]:
        raise InputError("git's remote host:x: no answer")

    monkeypatch.setattr(study_command, "named_remotes", lambda _root: "some")
    monkeypatch.setattr(sharing, "there", there)
    shown = study("show", name).output
    assert re.search(rf"^  {first.name} +finished  {first.key}  .*\n +in the remotes; ", shown, re.MULTILINE)
    assert re.search(rf"^  {second.name} +to run    {second.key}  ", shown, re.MULTILINE)
    assert "to run: 1 cell, 3 trainings\n" in shown
    monkeypatch.setattr(sharing, "there", refuse)
    shown = study("show", name)
    assert "study: git's remote host:x: no answer\n" in shown.stderr
    assert "to run: 2 cells, 6 trainings\n" in shown.output


@pytest.mark.parametrize(
    ("name", "count", "trainings"),
    [("ecsm-table5", 6, 30), ("ecsm-table6", 7, 35), ("ecsm-table9", 6, 30), ("hierarchical-table1", 2, 6)],
)
def test_a_study_says_what_would_run(name: str, count: int, trainings: int) -> None:
    shown = study("show", name).output
    assert f"{count} cells, {trainings} trainings" in shown


def test_a_study_says_what_has_become_of_each_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "hierarchical-table1"
    first, second = planned(name)

    def of_study(_folder: Path, left: dict[str, str], _say: object, *, planned: set[str]) -> dict[str, State]:
        assert planned == {one.experiment(name) for one in (first, second)}
        return {next(iter(left)): State("waiting", "x y")}

    monkeypatch.setattr(job_states, "of_study", of_study)
    monkeypatch.setattr(cells, "finished", lambda _root: {second.key: "a" * 40})
    shown = study("show", name).output
    assert re.search(rf"^  {first.name} +waiting   {first.key}  .*\n +x y\n", shown, re.MULTILINE)
    assert re.search(rf"^  {second.name} +finished  {second.key}  ", shown, re.MULTILINE)
    assert "to run: 1 cell, 3 trainings; of these 1 waiting\n" in shown


def test_results_with_other_options_are_pointed_at(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "hierarchical-table1"
    first, second = planned(name)
    had = [(f"{name}-{first.name}-{'0' * 12}", "a" * 40), (f"other-{second.name}-{'0' * 12}", "b" * 40)]
    monkeypatch.setattr(revisions, "experiments", lambda _root: had)
    line = (
        "study: 1 cell to run has a result with other settings, code or images; give the same options as to `study run`"
    )
    assert line in study("show", name).stderr.splitlines()
    monkeypatch.setattr(cells, "finished", lambda _root: {first.key: "a" * 40})
    assert line not in study("show", name).stderr


@pytest.mark.parametrize("name", sorted(file.stem for file in (ROOT / "studies").glob("*.yaml")))
def test_every_cell_is_what_params_yaml_takes_and_no_two_are_the_same(name: str) -> None:
    assert [cell.name for cell in planned(name)] == list(definition.find(name).study.settings())


def test_the_readmes_own_study_parses_and_is_ten_lines(tmp_path: Path) -> None:
    (block,) = re.findall(r"^    title: .*\n(?:^    .*\n)+", readme.section("A study of your own"), re.MULTILINE)
    lines = [line.removeprefix("    ") for line in block.splitlines()]
    assert len(lines) <= 10
    file = tmp_path / "mine.yaml"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert len(cells.plan(definition.find(str(file)))) == 4


def test_the_readmes_small_budget_is_what_params_yaml_takes() -> None:
    (line,) = [
        line for line in readme.commands() if line.startswith("orbweaver study run ecsm-table5 -S recipe=quick ")
    ]
    small = cells.plan(definition.find("ecsm-table5"), sets=re.findall(r"-S (\S+)", line))
    assert {cell.resolved.recipe.data.set for cell in small} == {"synthetic"}
    trained = [(cell.resolved.recipe.network.freeze, cell.resolved.recipe.network.weights) for cell in small]
    assert trained == [*((freeze, "bundled") for freeze in ("1", "2", "3a", "3b", "3c")), ("2", "none")]
    assert cells.trainings(small) == 30


def test_the_users_values_win_and_change_the_key() -> None:
    plain = planned("ecsm-table5")
    data = cells.plan(definition.find("ecsm-table5"), data="synthetic", sets=["repeats=[1]"])
    assert {cell.resolved.recipe.repeats for cell in data} == {(1,)}
    assert {cell.resolved.recipe.data.set for cell in data} == {"synthetic"}
    assert not {cell.key for cell in plain} & {cell.key for cell in data}


@pytest.mark.parametrize("word", ["repeats=[1,2]", "threads=3", "device=cpu", "options.data.synthetic.seed=9"])
def test_what_a_cell_reads_beside_its_recipe_changes_its_key(word: str) -> None:
    named = definition.find("ecsm-table8")
    (before,), (after,) = (cells.plan(named, data="synthetic", sets=sets) for sets in ([], [word]))
    assert before.resolved.recipe.settings() == after.resolved.recipe.settings()
    assert before.key != after.key


DATA = ("dogs", "cub200", "caltech256_30", "caltech256_60", "mit67")
SHARED = [
    ["ecsm-table5 3b", "ecsm-table6 resnet50", "ecsm-table9 resnet50"],
    ["ecsm-table6 ecsm", "ecsm-table8 ecsm", "ecsm-table9 ecsm"],
    ["spa_gca-table5 caltech256_30-gca", "spa_gca-table6 r4"],
    *([f"spa_gca-table4 {data}-spa_gca", f"spa_gca-table7 {data}-spa_gca"] for data in DATA),
]


def test_what_two_tables_of_a_paper_have_in_common_is_one_experiment() -> None:
    """A cell is found by its key in whichever study it ran, so it is trained once."""
    by_key: dict[str, list[str]] = {}
    for name in definition.names():
        for cell in planned(name):
            by_key.setdefault(cell.key, []).append(f"{name} {cell.name}")
    assert sorted(cells for cells in by_key.values() if len(cells) > 1) == sorted(SHARED)


def test_tables_train_on_all_training_images_and_curves_by_epoch_have_a_study_of_their_own() -> None:
    with_validation = {
        name for name in definition.names() for cell in planned(name) if cell.resolved.recipe.data.split.val
    }
    # Of ours, `modern` stops early by one.
    assert with_validation == {"animals-figure3", "ecsm-convergence", "spa_gca-figure2", "modern"}
    for name in with_validation - {"modern"}:
        study = definition.find(name).study
        assert not study.printed
        assert any("a validation part cut from the training part" in slip for slip in study.slips)


def test_two_data_sets_for_all_cells_are_refused() -> None:
    with pytest.raises(InputError, match="--data folder and -S data=synthetic: both are the data set; give one"):
        cells.plan(definition.find("spa_gca-table7"), data="folder", sets=["data=synthetic"])


def test_cells_that_one_data_set_for_all_makes_the_same_are_run_once(tmp_path: Path) -> None:
    file, key = tmp_path / "mine.yaml", "options.data.synthetic.seed"
    file.write_text(f"title: t\ngrid: {{drawing: {{a: {{{key}: 1}}, b: {{{key}: 2}}}}}}\n", encoding="utf-8")
    shown = study("show", str(file), "--data", "digits").output
    assert "1 cell, 3 trainings" in shown
    assert "1 cell is the same experiment as one before it, and left out: b is a\n" in shown
    assert "2 cells, 6 trainings" in study("show", str(file), "--data", "synthetic").output


@pytest.mark.parametrize("words", [["--data", "cars"], ["-S", "data=cars"], ["-S", "data='cars'"]])
def test_a_data_set_selects_its_cells_where_they_differ_in_it(words: list[str]) -> None:
    """Under the names of other sets, their printed figures would stand beside results on this one."""
    lines = study("show", "csca-table1", *words).output.splitlines()
    names = [f"cars-{network}" for network in ("resnet50", "fcn", "ca", "sa", "csca")]
    every = {cell.name: cell.key for cell in planned("csca-table1")}
    for name in names:
        assert any(re.match(rf"  {name} +to run +{every[name]}  ", line) for line in lines)
    assert not [line for line in lines if "cub200" in line or "dogs" in line]
    assert "  5 cells, 15 trainings; to run: 5 cells, 15 trainings" in lines


def test_a_cell_without_a_set_of_its_own_has_its_recipes(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("title: t\ncells: {drawn: {}, real: {set: {data: digits}}}\n", encoding="utf-8")
    named = definition.find(str(file))
    assert [cell.name for cell in cells.plan(named, data="synthetic")] == ["drawn"]
    assert [cell.name for cell in cells.plan(named, data="digits")] == ["real"]


@pytest.mark.parametrize("words", [["--data", "mit67"], ["-S", "data=mit67"]])
def test_a_data_set_that_no_cell_has_is_refused_where_cells_differ_in_it(words: list[str]) -> None:
    for command in ("run", "show", "report"):
        caught = study(command, "csca-table1", *words).exception
        assert isinstance(caught, InputError)
        line = (
            "data: 'mit67' is of no cell of studies/csca-table1.yaml, whose cells have cub200, dogs, cars; name one, "
        )
        assert str(caught).startswith(line)


def test_the_report_of_selected_cells_is_of_these_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    contents = list[tuple[str, list[tuple[str, float]]]]()

    def content(_: str, study: definition.Study, results: list[studies_results.Result], **__: object) -> None:
        printed = [(one.cell, one.printed.accuracy) for one in results if one.printed and one.printed.accuracy]
        contents.append((study.first(), printed))
        raise InputError("no page is written")

    monkeypatch.setattr(page, "content", content)
    monkeypatch.setattr(cell_runs, "finished", lambda _: {})
    study("report", "csca-table1", "--data", "cars")
    # The baseline is the first cell of those that are there, as on any other images than the study's own.
    figures = [("resnet50", 87.6), ("fcn", 87.1), ("ca", 89.7), ("sa", 90.2), ("csca", 92.0)]
    assert contents == [("cub200-resnet50", [(f"cars-{name}", accuracy) for name, accuracy in figures])]


def test_a_baseline_that_is_the_same_experiment_as_one_before_stays_the_baseline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, compared = tmp_path / "mine.yaml", list[str]()
    cells_of = "{fast: {set: {freeze: 1}}, top: {set: {freeze: 3b}}, paper: {set: {freeze: 3b}}}"
    file.write_text(f"title: t\ncells: {cells_of}\nbaseline: paper\n", encoding="utf-8")

    def content(_: str, study: definition.Study, *__: object, **___: object) -> None:
        compared.append(study.first())
        raise InputError("no page is written")

    monkeypatch.setattr(page, "content", content)
    monkeypatch.setattr(cell_runs, "finished", lambda _: {})
    said = study("report", str(file)).output
    assert "note: 1 cell is the same experiment as one before it, and left out: paper is top\n" in said
    assert compared == ["top"]


def test_another_photograph_makes_another_experiment(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(b"1")
    sets = [f"folder={tmp_path}", "data=folder"]
    (before,) = cells.plan(definition.find("ecsm-table8"), sets=sets)
    (tmp_path / "a" / "2.png").write_bytes(b"2")
    (after,) = cells.plan(definition.find("ecsm-table8"), sets=sets)
    assert before.key != after.key


def test_a_photograph_in_a_sets_own_folder_of_the_archive_makes_another_experiment(tmp_path: Path) -> None:
    (tmp_path / "cub200").mkdir()
    named = definition.find("csca-table1")
    (tmp_path / "cub200" / "1.jpg").write_bytes(b"1")
    before = cells.plan(named, data="cub200", sets=[f"archive={tmp_path}"])
    (tmp_path / "cub200" / "1.jpg").write_bytes(b"2")
    after = cells.plan(named, data="cub200", sets=[f"archive={tmp_path}"])
    assert not {cell.key for cell in before} & {cell.key for cell in after}


def test_a_set_without_a_folder_in_an_archive_of_several_is_refused_before_any_cell_begins(tmp_path: Path) -> None:
    (tmp_path / "cub200").mkdir()
    planned = cells.plan(definition.find("csca-table1"), sets=[f"archive={tmp_path}"])
    line = f"cell 'cars-resnet50': archive: '{tmp_path}' has folders of other sets and none of Stanford Cars, which"
    with pytest.raises(InputError, match=re.escape(line)):
        cells.check_places(planned)


@pytest.mark.parametrize("folder", ["data/own", str(ROOT / "studies")])
def test_a_cell_says_what_its_photographs_hold_by_the_place_that_its_clone_reads(folder: str) -> None:
    (cell,) = cells.plan(definition.find("ecsm-table8"), sets=["data=folder", f"folder={folder}"])
    assert cell.task("mine").own == ((str(ROOT / folder), own_files.digest(ROOT, Path(folder))),)


def test_cells_that_divide_the_cores_are_found_again_by_the_words_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def run_missing(_: str, planned: Sequence[cells.Cell], start: object) -> list[Ended]:
        ran[:] = [cell.key for cell in planned]
        return []

    monkeypatch.setattr(gpus, "here", list)
    monkeypatch.setattr(seeding, "cores", lambda: 8)
    monkeypatch.setattr(cell_runs, "alone", lambda *_, **__: nullcontext())
    monkeypatch.setattr(cell_runs, "run_missing", run_missing)
    done = study("run", "ecsm-table8", "--data", "synthetic", "-j", "2")
    assert "study: 2 cells at a time on 8 cores: each has -S threads=4" in done.output
    assert "its page: orbweaver study report ecsm-table8 --data synthetic -S threads=4\n" in done.output
    named = definition.find("ecsm-table8")
    assert ran == [cell.key for cell in cells.plan(named, data="synthetic", sets=["threads=4"])]
    assert "threads" not in study("run", "ecsm-table8", "--data", "synthetic").output
    assert ran == [cell.key for cell in cells.plan(named, data="synthetic")]


def test_a_cells_code_is_what_git_tracks_as_its_copy_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def code_hash(stages: tuple[str, ...], *, tracked: bool = False) -> str:
        asked.append(tracked)
        return "code"

    monkeypatch.setattr(provenance, "code_hash", code_hash)
    assert cells.are_current(cells.plan(definition.find("hierarchical-table1")))
    assert all(asked)
    assert asked


def test_files_edited_while_another_study_is_waited_for_give_other_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    @contextmanager
    def alone(*_: object, **__: object) -> Iterator[None]:
        monkeypatch.setattr(provenance, "code_hash", lambda *_, **__: "edited")
        yield

    def run_missing(_: str, planned: Sequence[cells.Cell], start: object) -> list[Ended]:
        ran[:] = [cell.key for cell in planned]
        return []

    before = planned("hierarchical-table1")
    monkeypatch.setattr(cell_runs, "alone", alone)
    monkeypatch.setattr(cell_runs, "run_missing", run_missing)
    done = study("run", "hierarchical-table1")
    assert done.exit_code == 0
    assert "the code or your own files were edited after this command had read them; it runs them as" in done.stderr
    assert ran == [cell.key for cell in cells.plan(definition.find("hierarchical-table1"))]
    assert not {cell.key for cell in before}.intersection(ran)


@pytest.mark.parametrize(
    ("edit", "runs"), [("cells: {b: , c: {set: {freeze: 2}}}", ["b", "c"]), ("cells: {a: }\nbaseline: b", None)]
)
def test_a_study_that_is_edited_while_another_is_waited_for_is_read_again(
    edit: str, runs: list[str] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, ran = tmp_path / "mine.yaml", list[str]()

    @contextmanager
    def alone(*_: object, **__: object) -> Iterator[None]:
        file.write_text(f"title: Mine\n{edit}\n", encoding="utf-8")
        yield

    def run_missing(_: str, planned: Sequence[cells.Cell], start: object) -> list[Ended]:
        ran.extend(cell.name for cell in planned)
        return []

    monkeypatch.setattr(cell_runs, "alone", alone)
    monkeypatch.setattr(cell_runs, "run_missing", run_missing)
    file.write_text("title: Mine\ncells: {a: }\n", encoding="utf-8")
    done = study("run", str(file))
    if runs:
        assert ran == runs
        assert f"study: {file}, params.yaml, the code or" in done.stderr.replace("\n", " ")
    else:
        assert "baseline" in str(done.exception)
        assert not ran
    # Nothing is edited by this one's turn.
    ran.clear()
    if runs:
        assert "were edited" not in study("run", str(file)).stderr
        assert ran == runs


def test_cells_that_mlflow_does_not_have_are_counted_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a line in its log, which nobody reads of a study that went well."""
    both = [cell.task("mine") for cell in planned("hierarchical-table1")]

    def run(*_: object, **__: object) -> Generator[Ended]:
        yield from (Ended(task, "", cached=False, not_sent="http://host: no answer; so sync") for task in both)

    monkeypatch.setattr(cell_runs.driving, "run", run)
    monkeypatch.setattr(cell_runs, "finished", lambda _: {})
    monkeypatch.setattr(cell_runs, "_started", lambda *_: None)
    monkeypatch.setattr(cell_runs, "alone", lambda *_, **__: nullcontext())
    lines = study("run", "hierarchical-table1").stderr.splitlines()
    assert "mlflow: 2 cells not sent: http://host: no answer; so sync" in lines


@pytest.mark.parametrize("begin", [cell_runs.run_missing, cell_runs.submit_missing])
def test_files_edited_before_cells_begin_do_not_run_under_the_names_of_others(
    monkeypatch: pytest.MonkeyPatch, begin: Callable[..., object]
) -> None:
    executor = Mock(Executor)

    def start() -> Executor:
        monkeypatch.setattr(provenance, "code_hash", lambda *_, **__: "edited")
        return executor

    monkeypatch.setattr(cell_runs, "finished", lambda _: {})
    with pytest.raises(InputError, match=r"params\.yaml, the code or your own files were edited"):
        begin("hierarchical-table1", planned("hierarchical-table1"), start)
    executor.submit.assert_not_called()


def test_a_cell_that_is_refused_is_mended_in_the_studys_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("title: t\ngrid: {freeze: [1, lora]}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"cell 'lora': freeze: 'lora' is for .*; set freeze to 3b there \(or another"):
        cells.plan(definition.find(str(file)))
    file.write_text("title: t\ngrid: {weights: [places365]}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"cell 'places365': weights: there are no .*; set weights to bundled there"):
        cells.plan(definition.find(str(file)))
    file.write_text("title: t\ngrid: {lr: [1]}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"cell '1': params\.yaml: freeze: 'lora' .*; add -S freeze=3b"):
        cells.plan(definition.find(str(file)), sets=["freeze=lora", "lr=1e-3"])


def test_code_that_no_cell_has_is_named_before_they_begin(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cell_runs, "finished", lambda _: {})
    monkeypatch.setattr(provenance, "untracked", lambda _: [Path("pipeline/regularizers/direction.py")])
    cell_runs.submit_missing("hierarchical-table1", planned("hierarchical-table1"), lambda: Mock(Executor))
    line = "cells: pipeline/regularizers/direction.py: git does not track this, so no cell has it; `git add` what cells"
    assert line in capsys.readouterr().err


def test_cells_of_the_same_images_and_weights_are_one_group() -> None:
    tasks = {cell.name: cell.task("mine") for cell in planned("ecsm-table5")}
    by_weights = {cell.name: cell.resolved.recipe.network.weights for cell in planned("ecsm-table5")}
    assert len({task.group for task in tasks.values()}) == len(set(by_weights.values())) == 2
    assert len({tasks[name].group for name, weights in by_weights.items() if weights != "none"}) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ecsm-tabel5"], "did you mean 'ecsm-table5'?"),
        (["ecsm-table5", "-S", "frez=3"], "cell '1': -S recipe=ecsm"),
        (["ecsm-table5", "-S", "device=gpu"], "studies/ecsm-table5.yaml: cell '1': params.yaml: device: 'gpu'"),
        (["ecsm-table5", "--data", "cats"], "data: 'cats' is not one of"),
    ],
)
def test_what_cannot_run_is_refused_in_one_line_before_anything_runs(words: list[str], message: str) -> None:
    for command in ("run", "show", "report"):
        caught = study(command, *words).exception
        assert isinstance(caught, InputError)
        assert message in str(caught)


GRID = "title: t\ngrid: {freeze: [1, 3c], rate: {low: {lr: 0.01}, high: {lr: 0.1}}}\n"


@pytest.mark.parametrize(
    ("text", "word", "message"),
    [
        (GRID, "freeze=2", "freeze is an axis of"),
        (GRID, "lr=1", "lr is set by cell '3c-high' of"),
        (
            "title: t\ncells: {a: {set: {options.attention.se.reduction: 8}}, b: {}}\n",
            "options.attention.se={}",
            "by cell 'a'",
        ),
        (GRID, "threads=1", ""),
        ("title: t\ngrid: {threads: [1, 2]}\n", "threads=1", ""),
    ],
)
def test_what_cells_differ_in_is_not_set_for_all_of_them_under_their_old_names(
    text: str, word: str, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    if not message:
        assert study("show", str(file), "-S", word).exit_code == 0
        return
    for command in ("run", "show", "report"):
        caught = study(command, str(file), "-S", word).exception
        assert isinstance(caught, InputError)
        assert str(caught).startswith(f"-S {word}: ")
        assert message in str(caught)
        assert str(file) in str(caught)


@pytest.mark.parametrize(
    ("sets", "line"),
    [
        ([], ""),
        (["lr=0.01", "repeats=[1]", "defaults.train.mixup=0.2"], "repeats=[1] lr=0.01 defaults.train.mixup=0.2"),
        (["lr=0.002", "freeze=3b", "options.schedule.step.factor=0.3"], ""),
    ],
    ids=["as committed", "with an effect", "the recipe's own, set by a cell, of another choice"],
)
def test_what_params_yaml_sets_for_all_cells_is_said_and_what_has_no_effect_is_not(
    sets: list[str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("title: t\ngrid: {freeze: [1, 2]}\n", encoding="utf-8")
    edited = overriding.read(sets).settings.values
    monkeypatch.setattr(config, "read", lambda: edited)
    said = study("show", str(file)).output
    assert said.startswith("t\n\n" + (f"params.yaml sets for all cells: {line}\n\n" if line else "  1  to run "))
    words = [part for word in sets if not word.startswith("freeze") for part in ("-S", word)]
    again = study("show", str(file), *words)
    assert again.exit_code == 0
    assert "sets for all" not in again.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data=folder", "folder=/does/not/exist"], "folder: '/does/not/exist' does not exist; give the folder that"),
        (["data=folder", "folder=photographs"], "folder: 'photographs' is relative"),
        (["data=dogs", "archive=/does/not/exist"], "archive: '/does/not/exist' does not exist; give the file or"),
        (["data=dogs", "archive=sets"], "archive: 'sets' is relative, which queued runs would not find"),
        (["weights=file", "weights_file=/gone.pth"], "weights_file: '/gone.pth' is not a file; name the file of"),
        (["weights=file"], "weights_file: weights is 'file' but none is named; add -S weights_file=/path/to/it"),
    ],
)
def test_own_files_that_are_not_there_are_refused_before_any_cell_begins(
    words: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = Mock(Executor)
    monkeypatch.setattr(cell_runs, "finished", lambda _: {})
    planned = cells.plan(definition.find("quick-strategies"), sets=words)
    for begin in (cell_runs.run_missing, cell_runs.submit_missing):
        with pytest.raises(InputError, match=re.escape(f"cell '{planned[0].name}': {message}")):
            begin("quick-strategies", planned, lambda: executor)
    executor.submit.assert_not_called()
