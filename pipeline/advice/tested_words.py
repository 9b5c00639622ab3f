"""The test part in words: how often it was opened, and how far its accuracy is from that of the trials."""

from pipeline.advice import costs
from pipeline.advice.answer import MAJORITY, Answer, summaries
from pipeline.core.percents import percent
from pipeline.core.shortening import some
from pipeline.evaluation.compare import comparison
from pipeline.reporting import aggregate, standing
from pipeline.reporting.signs import DASH
from pipeline.reporting.tables import Table
from pipeline.studies import tables
from pipeline.studies.tables import ACCURACY

# So many experiments are named.
NAMED = 3


def heading(answer: Answer) -> str:
    """Return the title of the section on the test part."""
    return "The test part, opened more than once" if answer.others else "The test part, opened once"


def table(answer: Answer) -> Table:
    """Return what the recommended candidate reached, and what takes no training.

    Its seconds are of more images than those of the trials.
    """
    results = tables.results([answer.tested])
    named = {tables.CELL: "candidate", tables.SECONDS: f"{costs.ALONE}, on all training images (s)"}
    # Beside a frozen probe of its own, its gain over the regression would be that of another strength of the same.
    left_out = tables.BESIDE_PROBE if aggregate.is_probe(answer.tested.repeats) else ()
    places = [place for place, name in enumerate(results.header) if name not in left_out]
    header = tuple(named.get(results.header[place], results.header[place]) for place in places)
    always = {header[0]: MAJORITY, ACCURACY: f"{100 * aggregate.majority_accuracy(answer.tested.repeats):.2f}"}
    rows = [tuple(row[place] for place in places) for row in results.rows]
    return Table(header, [*rows, tuple(always.get(name, DASH) for name in header)], results.numbers_from)


def over(answer: Answer) -> str:
    """Return in sentences what the interval of the tested candidate is over, and how many groups were tested."""
    tested = answer.tested.experiment
    trial = next(iter(tested.trials.values()))
    said = comparison.over([tested])
    if not trial.groups:
        return said
    return f"{said} The {len(trial.right):,} test images are in {len(set(trial.units.tolist())):,} groups."


def others(answer: Answer) -> str:
    """Return that other advices have opened the test part too; "" where none has."""
    if not (count := len(answer.others)):
        return ""
    whose = "the recommendation of another advice" if count == 1 else f"{count:,} other recommendations"
    return (
        f"This test part was opened for {whose} too ({some(answer.others, NAMED)}): the accuracy of one that is chosen "
        "among several by it is a little optimistic."
    )


def probe(answer: Answer) -> str:
    """Return that the recommended candidate is not detectably better than its own frozen probe; "" where it is.

    "" also where nothing is known of a probe, and where it is one.
    """
    if aggregate.is_probe(answer.tested.repeats):
        return ""
    beside_probe = answer.tested.standing()
    if beside_probe is None or beside_probe.pair.better == beside_probe.pair.a:
        return ""
    return f"On the test part {standing.words(beside_probe, answer.tested.repeats)}"


def optimism(answer: Answer) -> str:
    """Return by how much the estimate on inner divisions was above the test part's accuracy."""
    inner, tested = summaries(answer)[answer.advice.name], answer.tested.summary
    # Of the numbers as they are printed, so that the sentence adds up.
    points = round(100 * inner.mean, 1) - round(100 * tested.mean, 1)
    return (
        f"The recommendation was made on inner divisions, where it had {percent(inner.mean)}; on the test part it has "
        f"{percent(tested.mean)}, a difference of {-points:+z.1f} points. Inner networks were trained on fewer "
        "images, which lowers the first number; being chosen for it raises it. These seeds share one division into "
        "training and test images; the command above divides anew in each repeat, so that its accuracies may be others "
        "and differ more."
    )
