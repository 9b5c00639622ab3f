import json
import os
import shutil
from pathlib import Path

import pytest
import tiny
import torch
import yaml
from click.testing import CliRunner
from PIL import Image

import pipeline
from pipeline.commands import doctor
from pipeline.config.choices import TABLES
from pipeline.core import seeding
from pipeline.core.errors import InputError
from pipeline.datasets.synthetic.synthetic import spider_image
from pipeline.preview.overriding import read_images

ROOT = Path(pipeline.__file__).parents[1]


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    shutil.copyfile(ROOT / "params.yaml", "params.yaml")
    tiny.search_once(monkeypatch)


@pytest.fixture
def own(tmp_path):
    """Twelve cats and four dogs, one of them a palette, and a file that is no image."""
    for number in range(16):
        file = tmp_path / f"own/{'cat' if number < 12 else 'dog'}/{number:02}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        image = spider_image(number % 9, number, size=104, seed=1)
        (image.convert("P") if number == 15 else image).save(file)
    (tmp_path / "own/cat/notes.txt").write_text("no image", encoding="utf-8")
    return tmp_path / "own"


def _run(folder, *words):
    return CliRunner().invoke(doctor.command, ["-S", "data=folder", "-S", f"folder='{folder}'", *words])


def _found(folder):
    return json.loads(_run(folder, "--json").stdout)


def test_the_set_is_told_with_a_bar_for_each_class_and_what_to_do(own):
    done = _run(own)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "own: 16 images in 2 classes"
    assert f"  cat      12  {'█' * 40}" in lines
    assert f"  dog       4  {'█' * 13}" in lines
    assert "files that are no photographs (1)" in lines
    assert "  .txt 1" in lines
    assert "  dog/15.png: palette to RGB" in lines
    assert "uneven classes, 3.0 to 1 (2)" in lines
    assert lines[lines.index("classes of fewer than 10 images (1)") + 2] == "  dog: 4"


def test_a_long_name_of_a_class_makes_no_line_wider_than_a_terminal(own):
    (own / "dog").rename(own / ("d" * 200))
    lines = [line for line in _run(own).stdout.splitlines() if "█" in line]
    assert [len(line) for line in lines] == [2 + 39 + 8 + 2 + 40, 2 + 39 + 8 + 2 + 13]
    assert lines[1].startswith(f"  {'d' * 18}...{'d' * 18} ")


def test_a_folder_that_is_not_looked_at_is_said_before_the_look(own, monkeypatch):
    def stopped(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "examined", stopped)
    done = CliRunner().invoke(doctor.command, ["-S", f"folder='{own}'"])
    assert done.stderr.startswith("settings: note: folder is not read: data is 'synthetic'; add -S data=folder\n")


def test_json_holds_every_finding_with_its_files(own):
    found = _found(own)
    assert (found["set"], found["images"], found["classes"]) == ("folder", 16, {"cat": 12, "dog": 4})
    assert {one["what"]: one["count"] for one in found["findings"]} == {
        "files that are no photographs": 1,
        "classes of fewer than 10 images": 1,
        "uneven classes, 3.0 to 1": 2,
        "images that are converted": 1,
    }


def test_the_recipes_image_size_says_which_images_are_small(own):
    words = ["-S", "data=folder", "-S", f"folder='{own}'", "-S", "recipes.quick.data.image_size=112", "--json"]
    found = json.loads(CliRunner().invoke(doctor.command, words).stdout)
    small = next(one for one in found["findings"] if one["what"] == "images smaller than image_size")
    assert small["count"] == 16


def test_the_folder_and_the_project_stay_as_they_are(own):
    before = {file: file.read_bytes() for file in [*own.rglob("*.*"), *Path().rglob("*.*")]}
    _run(own)
    assert {file: file.read_bytes() for file in [*own.rglob("*.*"), *Path().rglob("*.*")]} == before


def test_what_would_stop_a_run_gives_status_1(own):
    shutil.copy(own / "cat/00.png", own / "dog/99.png")
    done = _run(own)
    assert done.exit_code == 1
    assert "what to do: a run stops at this: look which class is right" in done.stdout


def test_a_near_duplicate_across_parts_would_stop_a_run_unless_it_is_dropped(own, tmp_path):
    for part in ("train", "test"):
        shutil.copytree(own, tmp_path / "parts" / part, ignore=shutil.ignore_patterns("*[02468].png", "notes.txt"))
    shutil.rmtree(tmp_path / "parts/test")
    shutil.copytree(own, tmp_path / "parts/test", ignore=shutil.ignore_patterns("*[13579].png", "notes.txt"))
    with Image.open(own / "cat/02.png") as image:
        image.resize((60, 60)).save(tmp_path / "parts/train/cat/small.png")
    found = _found(tmp_path / "parts")
    assert found["findings"][0]["files"] == ["train/cat/small.png = test/cat/02.png"]
    assert _run(tmp_path / "parts").exit_code == 1
    assert _run(tmp_path / "parts", "-S", "defaults.data.on_leak=drop").exit_code == 0


def test_a_class_with_too_few_usable_images_is_told_as_what_stops_a_run(own):
    for file in [*own.glob("dog/13.png"), *own.glob("dog/14.png"), *own.glob("dog/15.png")]:
        file.write_bytes(b"")
    done = _run(own)
    assert done.exit_code == 1
    assert "class 'dog': 1 different usable of 4 files, 2 needed" in done.stdout


def test_a_class_of_copies_of_one_photograph_is_told_as_what_stops_a_run(own):
    """The stage `split` keeps copies together, and so cannot give both parts an image."""
    with Image.open(own / "dog/12.png") as image:
        for number, side in ((13, 96), (14, 90), (15, 84)):
            image.resize((side, side)).save(own / f"dog/{number}.png")
    done = _run(own)
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    place = lines.index("a set that cannot be divided (1)")
    assert lines[place + 1].startswith("  what to do: a run stops at this: bring more images")
    assert lines[place + 2].startswith("  class 'dog' has no image for the test part; it needs two different images")
    assert _run(own, "-S", "defaults.data.on_leak=allow").exit_code == 0


def test_groups_that_names_suggest_are_written_once_and_then_kept_together(own):
    for file in sorted(own.glob("*/*.png")):
        number = int(file.stem)
        file.rename(file.with_name(f"s{number // 4}_{number % 4}.png"))
    done = _run(own, "--name-groups")
    assert done.exit_code == 0
    table = own / "metadata.csv"
    assert done.stderr.splitlines()[-1] == (
        f"{table}: 4 groups of 16 photographs; look through it and correct it before you run"
    )
    assert "writes: a group is never both trained on and tested" in done.stdout
    assert table.read_text(encoding="utf-8").splitlines()[:2] == ["file_name,group", "cat/s0_0.png,cat/s0"]
    assert "  groups: 3 groups of 4 images, named in metadata.csv; 4 images in none" not in done.stdout
    # The one specimen of dogs could not be divided.
    table.write_text(table.read_text(encoding="utf-8").replace("dog/s3\n", "\n"), encoding="utf-8")
    before = table.read_bytes()
    again = _run(own, "--name-groups")
    assert "  groups: 3 groups of 4 images, named in metadata.csv; 4 images in none" in again.stdout
    assert isinstance(again.exception, InputError)
    assert "not written: the photographs have groups already, or their names suggest none" in str(again.exception)
    assert table.read_bytes() == before


def test_a_folder_that_is_not_there_is_one_line():
    with pytest.raises(InputError, match=r"^folder: '/nowhere' does not exist"):
        CliRunner().invoke(doctor.command, ["-S", "data=folder", "-S", "folder=/nowhere"], catch_exceptions=False)


def test_a_folder_that_mlflow_cannot_be_in_is_a_line(tmp_path, monkeypatch):
    (tmp_path / "what?").mkdir()
    monkeypatch.chdir(tmp_path / "what?")
    said = [line for line in doctor.project_lines(Path()) if "MLflow" in line]
    assert said == [
        f"project: MLflow has no runs of this project: {Path.cwd()}: its path has a question mark, which ends the name "
        "of a file in MLflow's addresses; rename the folder"
    ]


def test_a_set_without_findings_says_so():
    done = CliRunner().invoke(doctor.command, ["-S", "options.data.synthetic.images_per_class=10"])
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "nothing found in the images that needs a look")


def test_a_published_set_is_looked_at_in_a_temporary_place():
    words = ["-S", "data=digits", "--json"]
    found = json.loads(CliRunner().invoke(doctor.command, words).stdout)
    assert (found["set"], found["images"], len(found["classes"])) == ("digits", 1797, 10)
    assert sorted(place.name for place in Path().iterdir()) == ["params.yaml"]


EVERY_RECIPE = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["recipes"]


@pytest.mark.parametrize(
    "word",
    [
        pytest.param(word, marks=() if word in ("1", "phases") else pytest.mark.slow)
        for word in TABLES["network.freeze"]
    ],
)
def test_no_strategy_in_params_yaml_keeps_the_doctor_from_the_images_of_any_recipe(word):
    put = Path("params.yaml").read_text(encoding="utf-8").replace("\nfreeze: auto", f"\nfreeze: {word}", 1)
    Path("params.yaml").write_text(put, encoding="utf-8")
    assert f"\nfreeze: {word}" in put
    for recipe in EVERY_RECIPE:
        resolved, refused = read_images([f"recipe={recipe}"])
        assert resolved.recipe.recipe == recipe
        if (word, recipe) in {("phases", "quick"), ("scratch", "spa_gca")}:
            assert refused.startswith("params.yaml: freeze: ")
        if (word, recipe) in {("1", "animals"), ("phases", "animals"), ("3b", "quick")}:
            assert refused == ""


def test_settings_that_a_run_would_refuse_are_one_line_and_the_images_are_looked_at(own):
    done = _run(own, "-S", "freeze=phases")
    assert done.exit_code == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("settings: ")]
    assert line.startswith("settings: a run would be refused, whatever its images are: params.yaml: freeze: 'phases'")
    assert done.stdout.splitlines()[0] == "own: 16 images in 2 classes"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["threads=64"], "threads: 64: there are 2 cores available; give at most as many, or auto"),
        (["device=cuda:0"], "device: 'cuda:0' is not on this machine; give auto or one that is: "),
        (["cpu_instructions=portable"], "cpu_instructions: portable needs an x86 CPU with AVX2, and this process has "),
        (["weights=file", "weights_file=/nowhere.pt"], "weights_file: '/nowhere.pt' is not a file; "),
        (["attention=se", "backbone=vit_b_16", "weights=none", "image_size=64"], "attention: 'se' needs feature maps"),
    ],
)
def test_what_the_stage_validate_would_refuse_is_one_line_and_status_1(words, reason, own, monkeypatch):
    monkeypatch.setattr(seeding, "cores", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    environment = dict(os.environ)
    done = _run(own, *(part for word in words for part in ("-S", word)))
    assert done.exit_code == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("settings: a run")]
    assert line.startswith(f"settings: a run would be refused, whatever its images are: {reason}")
    assert done.stdout.splitlines()[0] == "own: 16 images in 2 classes"
    # The doctor itself computes as its machine can.
    assert dict(os.environ) == environment


def test_settings_of_the_images_that_are_wrong_stay_refused(own):
    with pytest.raises(InputError, match=r"^params.yaml: image_size: "):
        CliRunner().invoke(doctor.command, ["-S", "image_size=7", "-S", "freeze=phases"], catch_exceptions=False)
