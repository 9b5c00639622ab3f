"""The page of an advice: one HTML file that needs nothing beside it, and the same facts as Markdown."""

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from pipeline.advice import answer as words
from pipeline.advice import backbone_words, costs, curve_words, prior, separating, size_words, tested_words
from pipeline.advice.answer import Answer
from pipeline.reporting import markup, signs
from pipeline.reporting.tables import Table, literal, markdown

NEXT = "Run this in the project's folder; `orbweaver bundle` then makes one folder of the network that it trains."
TEMPLATES = Path(__file__).parent / "templates"


def content(answer: Answer, *, name: str, again: str) -> dict[str, Any]:
    """Return the content of the page and of the Markdown.

    Args:
        answer: what is said.
        name: what the images are called.
        again: the command that makes the page.
    """
    record = answer.tested.repeats[0].record
    return {
        "next": NEXT,
        "title": f"How to adapt a network to {name}",
        "images": f"{name}: {record.data.images:,} images in {len(record.data.classes):,} classes",
        "sentence": words.sentence(answer),
        "command": answer.command,
        "alternative": words.alternative(answer),
        "best_command": answer.best_command,
        "probe": tested_words.probe(answer),
        "trained_on": costs.sentence(answer.advice.compared.machines),
        "elsewhere": prior.sentence(prior.elsewhere(record.data.set)),
        "next_step": answer.next_step,
        "sizes": size_words.table(answer.sizes) if answer.sizes else None,
        "size": size_words.verdict(answer.sizes) if answer.sizes else "",
        "caption": size_words.CAPTION,
        "backbones": backbone_words.table(answer.frozen) if answer.frozen else None,
        "tried": words.table(answer),
        "tests": words.tests(answer),
        "separating": separating.lines(answer),
        "opened": tested_words.heading(answer),
        "others": tested_words.others(answer),
        "tested": tested_words.table(answer),
        "over": tested_words.over(answer),
        "optimism": tested_words.optimism(answer),
        "curve": curve_words.sentence(answer),
        "points": points(answer) if answer.points else None,
        "fractions": curve_words.fractions(answer),
        "again": again,
    }


def points(answer: Answer) -> Table:
    """Return the learning curve's accuracies: a row a repeat, a column a fraction of the training images."""
    # Of one fraction the repeats may differ by an image or two, as their divisions do.
    images: dict[float, list[int]] = {}
    for point in sorted(chain(*answer.points.values()), key=lambda one: one.fraction):
        images.setdefault(point.fraction, []).append(point.images)
    rows = []
    for number, repeat in answer.points.items():
        accuracy = {point.fraction: f"{100 * point.accuracy:.1f}" for point in repeat}
        rows.append((str(number), *(accuracy.get(fraction, signs.DASH) for fraction in images)))
    return Table(("repeat", *(_numbers(min(each), max(each)) for each in images.values())), rows, numbers_from=1)


def _numbers(fewest: int, most: int) -> str:
    return f"{fewest:,} images" if fewest == most else f"{fewest:,} to {most:,} images"


def page(values: Mapping[str, Any]) -> str:
    """Return the whole page: no script, nothing loaded from elsewhere."""
    return markup.environment(TEMPLATES, markup.TEMPLATES).get_template("advice.html").render(**values)


def as_markdown(values: Mapping[str, Any]) -> str:
    """Return the same facts in Markdown."""
    measured = [markdown(values["points"])] if values["points"] else []
    parts = [
        f"# {literal(values['title'])}",
        f"Images: {literal(values['images'])}.",
        literal(values["sentence"]),
        f"    {values['command']}",
        literal(NEXT),
        *([literal(values["alternative"]), f"    {values['best_command']}"] if values["alternative"] else []),
        *([literal(values["probe"])] if values["probe"] else []),
        *([literal(values["trained_on"])] if values["trained_on"] else []),
        *([literal(values["next_step"])] if values["next_step"] else []),
        *(["## Image sizes", markdown(values["sizes"]), literal(values["size"])] if values["sizes"] else []),
        *(["## Frozen backbones", markdown(values["backbones"])] if values["backbones"] else []),
        "## What was tried",
        markdown(values["tried"]),
        literal(values["tests"]),
        *(["\n".join(f"- {literal(line)}" for line in values["separating"])] if values["separating"] else []),
        literal(values["elsewhere"]),
        f"## {values['opened']}",
        markdown(values["tested"]),
        literal(values["over"]),
        literal(values["optimism"]),
        *([literal(values["others"])] if values["others"] else []),
        "## More images",
        *measured,
        *([literal(values["fractions"])] if values["fractions"] else []),
        literal(values["curve"]),
        "## Again",
        f"    {values['again']}",
    ]
    return "\n\n".join(parts) + "\n"
