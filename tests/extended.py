"""Asks an extended copy of the project, in one process, all that test_extending.py looks at.

Run in the copy's root: `python tests/extended.py NAME FILE` writes the answers of one of the functions below as JSON.
"""

import copy
import functools
import json
import sys
from pathlib import Path
from typing import Any

import tiny
import yaml
from click.testing import CliRunner

from pipeline import params
from pipeline.commands import orbweaver
from pipeline.core import paths
from pipeline.core.errors import InputError

Answers = dict[str, Any]
AXES = ("backbone", "attention", "regularizer")


def refusal(call: Any, *words: Any) -> str:
    """What is said of what is refused."""
    try:
        call(*words)
    except InputError as error:
        return str(error)
    raise AssertionError(f"{call} takes {words}")


def unknown_choices(_given: Answers) -> Answers:
    """Of a choice that is not known, on each axis. Needs no torch."""
    values = yaml.safe_load(paths.PARAMS.read_text(encoding="utf-8"))
    return {axis: refusal(params.check, values | {axis: "mine"}) for axis in AXES}


def described(*overrides: str) -> Any:
    """What `orbweaver describe` says of these overrides, or the line that it ends with."""
    words = [word for override in overrides for word in ("-S", override)]
    done = CliRunner().invoke(orbweaver, ["describe", "--json", *words])
    if isinstance(done.exception, InputError):
        return str(done.exception)
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout)


def without_options(given: Answers) -> Answers:
    """Of a copy with the rows, the names and the modules of the guide, whose parts have their own defaults."""
    from pipeline.core.choices import row
    from pipeline.networks.attention.table import ATTENTIONS
    from pipeline.networks.backbones.table import BACKBONES
    from pipeline.regularizers.table import METHODS

    tables = {"backbone": BACKBONES, "attention": ATTENTIONS, "regularizer": METHODS}
    in_blocks = "papers.quick.network.attention_options.se.position=residual_block"
    return {
        "tables": {key: refusal(functools.partial(row, key=key), table, "mine") for key, table in tables.items()},
        "context": described("backbone=mobilenet_v3_large", "attention=context", "freeze=3b"),
        "residual_block": {
            backbone: described(f"backbone={backbone}", "attention=se", in_blocks) for backbone in given["backbones"]
        },
        "chain": chain(given["chosen"], given["regularizer"]),
    }


def chain(chosen: Answers, regularizer: str) -> Answers:
    """What a short training of these choices records."""
    from pipeline.stages import train

    train.MEASURED_SECONDS = 0.1
    tiny.write_params({"regularizer.method": regularizer, "data.image_size": 64}, **chosen)
    tiny.chain()
    folder = paths.training_metrics(1)
    return {
        "record": json.loads((folder / "record.json").read_text(encoding="utf-8")),
        "curves": (folder / "history.csv").read_text(encoding="utf-8").partition("\n")[0],
        "page": (paths.REPORT / "index.html").is_file(),
    }


def with_options(given: Answers) -> Answers:
    """Of a copy whose parts also have classes of options, with the sub-sections of some of them in each paper."""
    before = yaml.safe_load(paths.PARAMS.read_text(encoding="utf-8"))
    sections: dict[str, Answers] = given["sections"]

    def put(names: list[str]) -> None:
        values = copy.deepcopy(before)
        for paper in values["papers"].values():
            for name in names:
                section, _, key = name.partition(".")
                paper[section][key] |= copy.deepcopy(sections[name])
        paths.PARAMS.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")

    missing = {}
    for name in sections:
        put([other for other in sections if other != name])
        missing[name] = described()
    put(list(sections))
    options = "papers.quick.network.attention_options.context"
    return {
        "missing": missing,
        "settings": {choice: described(choice)["settings"] for choice in given["choices"]},
        "last_stage": described("attention=context", f"{options}.position=last_stage", f"{options}.gate_init=identity"),
        "refused": described("attention=context", f"{options}.gate_init=half"),
    }


QUESTIONS = {asked.__name__: asked for asked in (unknown_choices, without_options, with_options)}

if __name__ == "__main__":
    found = QUESTIONS[sys.argv[1]](json.load(sys.stdin))
    Path(sys.argv[2]).write_text(json.dumps(found), encoding="utf-8")
