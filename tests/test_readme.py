"""What README.md and the pages of docs/ show and promise: the picture, tables and commands."""

import ast
import re
import runpy
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
import readme
import tiny
import torch
from click.testing import CliRunner
from dvc.utils.hydra import get_hydra_sweeps
from PIL import Image

from pipeline.commands import COMMANDS, orbweaver, outlook
from pipeline.config.choices import AXES, TABLES
from pipeline.core.errors import InputError
from pipeline.datasets.synthetic.synthetic import spider_image
from pipeline.evaluation.scores import SCORES
from pipeline.networks.attention.table import POSITIONS
from pipeline.networks.backbones.table import BACKBONES
from pipeline.networks.build import Plan, build
from pipeline.preview.overriding import read, read_each
from pipeline.running import cells
from pipeline.studies import definition

DOWNLOAD = "downloads weights or images; test_published.py and test_source.py serve small ones"
DOCKER = "needs Docker; test_container.py runs the steps of the Dockerfile"
SERVED = "test_served.py runs it, with a port and an image of its own"
EXPORT = "test_export.py calls it with a bundle"
PHOTOGRAPHS = "needs photographs or weights of the user's own; test_experiments.py runs drawn ones in folders"
SERVER = "end_to_end/test_tracking_server.py types it, or does the same with the tests' own environment"
LIKE = "test_experiments.py runs one like it"
LONG = "trains for long; its plan is tested here"
CHAIN = "tests/stages/test_whole_chain.py runs it, on a tiny project"
BANK = "takes a minute; commands/test_bank.py has it with smaller images"
ADVICE = "trains for half an hour; end_to_end/test_advice.py runs one like it"
REMOTES = "test_remotes.py has a server of S3 of its own"
CLONED = "clones.py clones the project"
CLUSTER = "needs a cluster; test_slurm_executor.py has stand-ins, and test_cluster.py a small one"
FEW_PACKAGES = "asks a package index; test_predict.py hides what these do not bring"
OUT_OF_REACH = {
    "git clone URL orbweaver && cd orbweaver": CLONED,
    "orbweaver bundle two-blocks": "end_to_end/test_bundles.py types it with the name of another experiment",
    "uv pip install --constraint requirements-dev.lock dvc-s3": "the tests' environment has it",
    "dvc remote add storage s3://bucket/orbweaver": REMOTES,
    "dvc remote modify storage endpointurl https://minio.example.org": REMOTES,
    "uv pip install dvc-ssh": "asks a package index",
    "dvc remote add storage ssh://me@host.example.org/data/orbweaver": "needs a server of SSH",
    "orbweaver study where --init": CLUSTER,
    "orbweaver study run ecsm-table5 --on slurm": CLUSTER,
    "orbweaver study run ecsm-table5 --on slurm -S folder=/data/spiders": CLUSTER,
    "orbweaver study run ecsm-table5 --on slurm --detach": CLUSTER,
    "orbweaver advise --trainings 8": ADVICE,
    "orbweaver advise -S data=folder -S folder=/data/spiders --hours 0.5 --price": ADVICE,
    "orbweaver advise -S data=folder -S folder=/data/spiders --hours 0.5": ADVICE,
    "orbweaver advise -S data=folder -S folder=/data/spiders --sizes 96,160,224 --hours 2": ADVICE,
    "orbweaver advise --backbones efficientnet_lite0,resnet18 --trainings 20 --json": ADVICE,
    "source .venv/bin/activate": "the tests run in it",
    "pip install torch torchvision safetensors pillow numpy click tqdm": FEW_PACKAGES,
    "pip install --no-deps ~/orbweaver": FEW_PACKAGES,
    "make mlflow": "serves until Ctrl-C; see test_mlflow_command.py",
    "orbweaver export models/bundle --to onnx": EXPORT,
    "orbweaver export models/bundle --to onnx --int8": EXPORT,
    "orbweaver export models/bundle --to pt2": EXPORT,
    "orbweaver export models/bundle --to onnx --photographs /data/new-spiders": EXPORT,
    "dvc exp run -S backbone=timm/vit_small_patch14_dinov2.lvd142m -S weights=timm -S image_size=224": (
        "downloads 88 MB; test_timm_backbones.py fetches from a server of its own"
    ),
    "dvc exp run -S cpu_instructions=portable -S threads=2": "test_cpu_instructions.py trains with them",
    "dvc exp run -S mlflow.images=true": "test_privacy.py publishes with it",
    "dvc exp run -S mlflow.system_metrics=true": "test_live.py follows a training with it",
    "mlflow models serve --model-uri models:/orbweaver-synthetic@champion --env-manager local --host 127.0.0.1"
    " --port 5001": SERVED,
    'echo "{\\"dataframe_records\\": [{\\"image\\": \\"$(base64 -w 0 spider.jpg)\\"}]}" > request.json': SERVED,
    "curl --silent --header 'Content-Type: application/json' --data @request.json http://127.0.0.1:5001/invocations": (
        SERVED
    ),
    "dvc exp run -S defaults.data.split.division=1 -S defaults.data.split.inner=true": CHAIN,
    "dvc exp run -S defaults.data.split.inner=false": CHAIN,
    "dvc exp run -S defaults.data.split.train_fraction=0.5": CHAIN,
    "dvc exp run -S recipe=ecsm": DOWNLOAD,
    "dvc exp run -S recipe=ecsm -S backbone=resnet18": DOWNLOAD,
    "dvc exp run -S recipe=ecsm -S lr=1e-4 -S batch_size=16": DOWNLOAD,
    "dvc exp run -S recipe=ecsm -S lr=1e-4 -S batch_size=16 -S head=linear": DOWNLOAD,
    "dvc exp run -S recipe=spa_gca -S data=mit67": DOWNLOAD,
    "dvc exp run -S recipe=csca -S data=cars -S archive=/data/stanford_cars": DOWNLOAD,
    "dvc exp run -S recipe=ecsm -S folder=/data/spiders": PHOTOGRAPHS,
    "dvc exp run -S data=folder -S folder=/data/spiders": PHOTOGRAPHS,
    "make setup": "make develop, which the tests need, begins with it",
    "dvc exp run -n frozen -S data=folder -S folder=/data/spiders -S freeze=1 -S image_size=224 -S budget=50": (
        "needs photographs of the user's own; test_real.py runs it"
    ),
    "orbweaver bank -S data=folder -S folder=/data/spiders -S image_size=224": BANK,
    "orbweaver bank -S data=folder -S folder=/data/spiders --backbones"
    " efficientnet_lite0,resnet18=/models/resnet18.safetensors": BANK,
    "dvc exp run -n two-blocks -S freeze=3b -S image_size=96 -S budget=5": LIKE,
    "dvc exp run -n two-blocks-224 -S freeze=3b -S image_size=224 -S budget=50": LIKE,
    "orbweaver compare frozen two-blocks": LIKE,
    "dvc exp run -S recipe=ecsm -S backbone=efficientnet_lite0 -S weights=bundled": PHOTOGRAPHS,
    'dvc exp run -S recipe=ecsm -S "folder=/data/my photos"': PHOTOGRAPHS,
    """dvc exp run -S recipe=ecsm -S "folder='/data/épeires (1)'\"""": PHOTOGRAPHS,
    """dvc exp run -S recipe=ecsm -S "folder='/data/L\\'épeire'\"""": PHOTOGRAPHS,
    "dvc exp run -S recipe=ecsm -S backbone=resnet18 -S weights=file -S weights_file=/models/resnet18.safetensors": (
        PHOTOGRAPHS
    ),
    """dvc exp run --queue -S 'freeze=1,3b' -S recipe=ecsm -S "folder='$PWD/data/own'\"""": PHOTOGRAPHS,
    "dvc exp run --queue -S 'regularizer=l2,l2_sp,delta,afa,spa_gca' && dvc queue start -j 2": LONG,
    "orbweaver study run ecsm-table5 -S folder=/data/spiders": LONG,
    "orbweaver study run ecsm-table8 --data spiders -S folder=/data/spiders": LONG,
    'docker build --build-arg UID="$(id -u)" --tag orbweaver .': DOCKER,
    "(umask 077; set -C; for name in PGPASSWORD MLFLOW_AUTH_ADMIN_PASSWORD MLFLOW_FLASK_SERVER_SECRET_KEY;"
    ' do echo "$name=$(openssl rand -hex 24)"; done > deploy/.env)': SERVER,
    "docker compose --file deploy/compose.yaml up --detach --build": "needs Docker; test_compose.py reads the file",
    "python3 -m venv deploy/.venv": SERVER,
    "deploy/.venv/bin/pip install --require-hashes --requirement deploy/requirements.lock": SERVER,
    'export PATH="$PWD/deploy/.venv/bin:$PATH"': SERVER,
    "(set -a && . deploy/.env && PGHOST=127.0.0.1 deploy/serve)": SERVER,
    "export MLFLOW_TRACKING_URI=http://127.0.0.1:5000 MLFLOW_TRACKING_USERNAME=ada"
    " MLFLOW_TRACKING_PASSWORD=...": SERVER,
    'docker run --rm --volume "$PWD:/project" orbweaver': DOCKER,
    'docker run --rm --volume "$PWD:/project" --gpus all orbweaver dvc exp run -S freeze=3c': DOCKER,
    'docker run --rm --volume "$PWD:/project" --volume /data/spiders:/data/spiders:ro '
    "--volume orbweaver:/cache --gpus all orbweaver dvc exp run -S recipe=ecsm -S folder=/data/spiders": DOCKER,
}
LOOKS = ("orbweaver describe ", "orbweaver doctor ", "orbweaver study list", "orbweaver study show ")
LOOKED_AT = list(dict.fromkeys(command for command in readme.commands() if command.startswith(LOOKS)))
# What the first cells of a table with this heading name.
CHOICES = {
    "recipe": set(tiny.shipped()["recipes"]),
    "position": set(POSITIONS),
    "score": set(SCORES),
    **{{setting: axis for axis, setting in AXES.items()}.get(key, key): set(table) for key, table in TABLES.items()},
}


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(readme.ROOT)
    # What `describe` measures takes seconds; see test_outlook.py.
    monkeypatch.setattr(outlook, "measured", lambda *_: [])


def typed_in_whole_runs() -> set[str]:
    """What tests give to `Clone.typed` and `readme.typed`, and the section that test_whole_chain.py reads."""
    texts = [file.read_text(encoding="utf-8") for file in (readme.ROOT / "tests").rglob("*.py")]
    parsed = [ast.parse(text) for text in texts if ".typed(" in text]
    calls = [node for tree in parsed for node in ast.walk(tree) if isinstance(node, ast.Call)]
    asked = [c.args[0] for c in calls if isinstance(c.func, ast.Attribute) and c.func.attr == "typed"]
    recipes = readme.commands(readme.section("Try a recipe on the drawn spiders"))
    return {*recipes, *(str(word.value) for word in asked if isinstance(word, ast.Constant))}


def test_every_command_is_run_by_a_test_or_named_with_what_it_would_take() -> None:
    run = typed_in_whole_runs() | set(LOOKED_AT)
    assert not run & OUT_OF_REACH.keys()
    assert set(readme.commands()) == run | OUT_OF_REACH.keys()


@pytest.mark.parametrize("command", LOOKED_AT)
def test_a_command_that_only_looks_runs(command: str, tmp_path: Path) -> None:
    for number in range(12 if "/data/spiders" in command else 0):
        file = tmp_path / f"spiders/{'ab'[number % 2]}/specimen{number // 4}_{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        spider_image(number % 2, number, size=224, seed=0).save(file)
    program, *words = shlex.split(command.replace("/data/spiders", str(tmp_path / "spiders")))
    assert program == "orbweaver"
    done = CliRunner().invoke(orbweaver, words)
    assert done.exit_code == 0, (done.output, done.exception)


@pytest.mark.parametrize("command", [command for command in OUT_OF_REACH if " -S " in command])
def test_the_words_of_a_command_out_of_reach_are_those_of_params_yaml(command: str, tmp_path: Path) -> None:
    typed = command.partition(" && ")[0].replace("/data/spiders", str(tmp_path)).replace("$PWD", str(tmp_path))
    words = shlex.split(typed)
    given = [after for before, after in pairwise(words) if before == "-S"]
    if "study" in words:
        assert cells.plan(definition.find("ecsm-table5"), sets=given)
        return
    swept = [choice["params.yaml"] for choice in get_hydra_sweeps({"params.yaml": given})]
    assert all(resolved.recipe for resolved in read_each(swept))


def test_an_awkward_folder_arrives_as_it_is_called() -> None:
    quoted = [one for one in OUT_OF_REACH if 'recipe=ecsm -S "folder=' in one and "$PWD" not in one]
    folders = [read([shlex.split(command)[-1]]).settings.axes.folder for command in quoted]
    assert folders == ["/data/my photos", "/data/épeires (1)", "/data/L'épeire"]


def test_every_option_is_one_of_the_commands() -> None:
    helps = [[name] for name in COMMANDS] + [["study", name] for name in ("run", "show", "report", "where")]
    known = " ".join(CliRunner().invoke(orbweaver, [*words, "--help"]).output for words in helps)
    others = {
        "--each",
        "--queue",
        "--temp",
        "--only-changed",
        "--ours",
        "--build-arg",
        "--tag",
        "--rm",
        "--volume",
        "--gpus",
        # Of `dvc remote modify`, rsync and uv.
        "--local",
        "--times",
        # Of `dvc gc`.
        "--workspace",
        "--all-commits",
        "--all-experiments",
        "--constraint",
        # Of docker compose and pip.
        "--file",
        "--detach",
        "--build",
        "--no-deps",
        "--require-hashes",
        "--requirement",
        # Of `mlflow models serve` and curl.
        "--model-uri",
        "--env-manager",
        "--silent",
        "--header",
        "--data",
    }
    told = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", readme.TEXT)) - others
    assert len(told) > 5
    assert [option for option in told if not re.search(rf"{option}\b", known)] == []


@pytest.mark.parametrize("title", CHOICES)
def test_a_table_names_exactly_what_may_be_chosen(title: str) -> None:
    assert set(readme.table(title)) == CHOICES[title]


def test_no_table_of_choices_is_left_out() -> None:
    assert set(re.findall(r"^\| `([\w.]+)` \|.*\n\|[-:| ]+\|$", readme.TEXT, re.MULTILINE)) == CHOICES.keys()


def test_the_tables_are_as_the_code_fills_them() -> None:
    tables = runpy.run_path(str(readme.ROOT / "docs/tables.py"))
    pages = {file.relative_to(readme.ROOT).as_posix(): text for file, text in readme.PAGES.items()}
    assert set(tables["PAGES"]) == {name for name, text in pages.items() if tables["TABLE"].search(text)}
    filled = "".join(pages[name] for name in tables["PAGES"])
    assert len(tables["TABLE"].findall(filled)) == len({first for first, _ in tables["CELLS"]})
    stale = re.sub(r"\| (yes|no) \||everything trains|strategy 3b", "?", filled)
    assert stale != filled
    for one in tables["PAGES"]:
        assert tables["filled"](pages[one]) == pages[one], "`make tables` fills them anew"


def test_the_page_of_choices_is_what_the_rows_say() -> None:
    tables = runpy.run_path(str(readme.ROOT / "docs/tables.py"))
    assert tables["choices_page"]() == tables["CHOICES"].read_text(encoding="utf-8"), "`make tables` writes it anew"


@pytest.mark.parametrize("backbone", sorted(BACKBONES))
def test_a_backbone_takes_attention_where_the_table_says_and_nowhere_else(backbone: str) -> None:
    given = set(re.findall(r"`(\w+)`", readme.table("backbone")[backbone]["attention positions"]))
    assert given == {position for position in POSITIONS if takes(backbone, position)}


def takes(backbone: str, position: str) -> bool:
    plan = Plan(backbone, "linear", 2, 64, head_options={"dropout": 0.0}, attention="se", position=position)
    try:
        with torch.device("meta"):
            build(plan, pretrained=None)
    except InputError:
        return False
    return True


def test_the_backbones_with_weights_of_places365_are_named() -> None:
    (row,) = re.findall(r"^\| `places365` \|(.*)$", readme.PAGES[readme.ROOT / "docs/data.md"], re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", row)) == {name for name, row in BACKBONES.items() if row.places365}


def test_the_picture_is_there_in_light_and_dark_and_is_described() -> None:
    (picture,) = re.findall(r"<picture>.*?</picture>", readme.PAGES[readme.ROOT / "README.md"], re.DOTALL)
    (dark,) = re.findall(r'<source media="\(prefers-color-scheme: dark\)" srcset="([^"]+)">', picture)
    ((light, alt),) = re.findall(r'<img src="([^"]+)"[^>]* alt="([^"]+)">', picture)
    assert len(alt) > 60
    sizes = []
    for name in (light, dark):
        file = readme.ROOT / name
        assert file.stat().st_size < 200_000
        with Image.open(file) as image:
            assert image.format == "PNG"
            sizes.append(image.size)
    assert sizes[0] == sizes[1]
    width, height = sizes[0]
    assert width == 1280
    assert width / 2 < height < width
