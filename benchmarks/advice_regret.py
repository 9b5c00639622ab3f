"""How good is the advice of `orbweaver advise`? Its regret beside that of simpler rules, replayed from a table.

    make advice-proof

The table of `advice_trainings.py` holds every candidate on every cut of every source. An advice is replayed on it: the
candidates are in the order of the *other* sources' results, successive halving spends a budget of trainings on inner
divisions, and the recommendation is looked up on the test part. Regret is the accuracy of the candidate that is best
there, less that of the one that was chosen. It writes docs/advice-proof.md, and the order of candidates that every
advice starts from: `pipeline/advice/prior.json`.
"""

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import product
from math import isnan
from pathlib import Path
from statistics import fmean
from typing import Any

from advice_images import MOST_TESTED, SIZES
from advice_rules import RULES, SEEN_LATER, WITHOUT_BUDGET, Cut
from advice_table import DIVISIONS, INNER, OUTER, REPEATS, TABLE, table

from pipeline.advice import candidates, prior
from pipeline.advice.prior import Measured
from pipeline.evaluation.compare.statistics import ALPHA, TTest, corrected_t, holm
from pipeline.reporting.confidence_intervals import p_value
from pipeline.reporting.tables import Table, markdown

BUDGETS = (2, 5, 10)
# Of fewer sources a spread says nothing.
LEAST_SOURCES = 5
# Sources on whose results parts of the method were chosen, before the others were there.
CHOSEN_ON = ("clothing10", "digits", "synthetic")
ADVICE = "advice"
DOCS = Path(__file__).resolve().parents[1] / "docs/advice-proof.md"
PAGE = Path(__file__).with_name("advice_page.md")
SPREAD = Path(__file__).with_name("advice_spread.md")


def cuts(file: Path, divisions: Path) -> list[Cut]:
    """Return the cuts of a table, with the candidates of which no training of any cut is missing."""
    rows: dict[tuple[str, int], dict[tuple[str, str, int], dict[str, Any]]] = defaultdict(dict)
    for row in table(file):
        rows[row["set"], row["per_class"]][row["candidate"], row["part"], row["repeat"]] = row
    images = json.loads(divisions.read_text(encoding="utf-8"))
    numbers, known = range(1, REPEATS + 1), sorted(rows.items())
    every = dict.fromkeys(name for _, trained in known for name, _, _ in trained)
    needed = list(product((INNER, OUTER), numbers))
    names = [name for name in every if all((name, *one) in trained for _, trained in known for one in needed)]
    return [
        Cut(
            source,
            size,
            {name: {number: trained[name, INNER, number]["right"] for number in numbers} for name in names},
            images[f"{source} {size}"],
            {number: trained[names[0], INNER, number]["train"] for number in numbers},
            {name: fmean(trained[name, OUTER, number]["accuracy"] for number in numbers) for name in names},
            {name: fmean(trained[name, INNER, number]["seconds"] for number in numbers) for name in names},
        )
        for (source, size), trained in known
    ]


def sources(found: list[Cut]) -> dict[str, dict[str, float]]:
    """Return the shortfalls of each source."""
    return prior.by_source(
        Measured(one.source, str(one.per_class), name, accuracy) for one in found for name, accuracy in one.test.items()
    )


def prior_of(found: list[Cut]) -> str:
    """Return the content of the file that the advice starts from."""
    values = {name: {key: round(value, 4) for key, value in one.items()} for name, one in sources(found).items()}
    return json.dumps(values, indent=2) + "\n"


def regrets(found: list[Cut]) -> dict[str, dict[int, dict[str, float]]]:
    """Return the mean regret by rule, budget and source; what is known of a source is left out for all its cuts."""
    every = sources(found)
    result: dict[str, dict[int, dict[str, float]]] = {}
    for rule, choose in RULES.items():
        for budget in BUDGETS[:1] if rule in WITHOUT_BUDGET else BUDGETS:
            of_source: dict[str, list[float]] = {}
            for cut in found:
                elsewhere = prior.shortfalls(one for name, one in every.items() if name != cut.source)
                chosen = choose(cut, prior.ordered(list(cut.test), elsewhere), budget)
                regret = sum(share * cut.regret(name) for name, share in chosen.items())
                of_source.setdefault(cut.source, []).append(regret)
            result.setdefault(rule, {})[budget] = {name: fmean(values) for name, values in of_source.items()}
    return result


def differences(found: list[Cut]) -> dict[int, dict[str, TTest]]:
    """Return how much more regret each rule has than the advice, by budget, over the sources.

    p is adjusted by Holm's method over all of these tests.
    """
    by_rule = regrets(found)
    tests = {}
    for budget, rule in product(BUDGETS, by_rule):
        if rule not in (ADVICE, *SEEN_LATER):
            of_rule = by_rule[rule][BUDGETS[0] if rule in WITHOUT_BUDGET else budget]
            more = [of_rule[name] - regret for name, regret in by_rule[ADVICE][budget].items()]
            tests[budget, rule] = corrected_t(more, train=1, test=0)
    adjusted = zip(tests.items(), holm([one.p for one in tests.values()]), strict=True)
    result: dict[int, dict[str, TTest]] = {}
    for ((budget, rule), one), p in adjusted:
        result.setdefault(budget, {})[rule] = one._replace(p=p)
    return result


def difference_table(tested: Mapping[int, Mapping[str, TTest]]) -> Table:
    """Return the same in points: a row a rule, a column a budget."""
    header = ("rule", *(f"{budget} trainings" for budget in tested))
    rows = [(rule, *(_difference(by_rule[rule]) for by_rule in tested.values())) for rule in tested[BUDGETS[0]]]
    return Table(header, rows, numbers_from=1)


def _difference(one: TTest) -> str:
    if isnan(one.low):
        return f"{100 * one.mean:+z.1f}"
    low, mean, high = (f"{100 * value:+z.1f}" for value in (one.low, one.mean, one.high))
    return f"{mean} ({low} to {high}), p {p_value(one.p)}"


def regret_table(found: list[Cut]) -> Table:
    """Return regrets in points: a row a rule and budget, a column a source, and the mean over the sources.

    Then that over the sources on which nothing was chosen, if there are any.
    """
    names = sorted({one.source for one in found})
    means = {f"mean of {len(names)} sources": names}
    if others := [name for name in names if name not in CHOSEN_ON]:
        means[f"mean of the {len(others)} not used to choose"] = others
    rows = [
        (
            rule,
            "–" if rule in WITHOUT_BUDGET else str(budget),
            *(f"{100 * of_source[name]:.1f}" for name in names),
            *(f"{100 * fmean(of_source[name] for name in some):.1f}" for some in means.values()),
        )
        for rule, budgets in regrets(found).items()
        for budget, of_source in budgets.items()
    ]
    return Table(("rule", "trainings", *names, *means), rows, numbers_from=1)


def accuracy_table(found: list[Cut]) -> Table:
    """Return test accuracies in percent: a row a candidate, a column a cut."""
    names = list(prior.shortfalls(sources(found).values()))
    rows = [(name, *(f"{100 * one.test[name]:.1f}" if name in one.test else "–" for one in found)) for name in names]
    return Table(("candidate", *(f"{one.source} {one.per_class}" for one in found)), rows, numbers_from=1)


def winners(found: list[Cut]) -> str:
    """Return which candidates are the best on the test part, by images per class, as a list in Markdown."""
    best: dict[int, Counter[str]] = defaultdict(Counter)
    for one in found:
        best[one.per_class][max(one.test, key=one.test.__getitem__)] += 1
    return "\n".join(
        f"- {size} images per class: {', '.join(f'`{name}` {times}' for name, times in counts.most_common())}"
        for size, counts in sorted(best.items())
    )


def missing(found: list[Cut]) -> str:
    """Return which strategies of an advice are not in the table."""
    names = [name for name in (*candidates.STRATEGIES, candidates.MODERN) if name not in found[0].test]
    return f"Not included: {', '.join(names)}." if names else ""


def page(found: list[Cut]) -> str:
    """Return the page of docs/ in Markdown."""
    names = sorted({one.source for one in found})
    return PAGE.read_text(encoding="utf-8").format(
        sources=", ".join(names),
        chosen_on=", ".join(CHOSEN_ON),
        missing=missing(found),
        cuts=len(found),
        trainings=f"{sum(2 * REPEATS * len(one.test) for one in found):,}",
        tested=MOST_TESTED,
        sizes=f"{', '.join(map(str, SIZES[:-1]))} or {SIZES[-1]}",
        repeats=REPEATS,
        independent=len(names),
        order=", ".join(prior.shortfalls(sources(found).values())),
        spread=spread(found, len(names)),
        accuracies=markdown(accuracy_table(found)),
        winners=winners(found),
        regrets=markdown(regret_table(found)),
    )


def spread(found: list[Cut], count: int) -> str:
    """Return what the means over the sources say of the rules, as Markdown."""
    if count < LEAST_SOURCES:
        return f"It is **not shown**: {count} sources are too few for an interval."
    tested = differences(found)
    text = SPREAD.read_text(encoding="utf-8").strip()
    return text.format(
        differences=markdown(difference_table(tested)),
        better=_shown(tested, 1),
        worse=_shown(tested, -1),
    )


def _shown(tested: Mapping[int, Mapping[str, TTest]], sign: int) -> str:
    """Return the rules that have detectably more regret than the advice (1) or less (-1), each with its budgets."""
    budgets: dict[str, list[str]] = {}
    for budget, by_rule in tested.items():
        for rule, one in by_rule.items():
            if one.p < ALPHA and sign * one.mean > 0:
                budgets.setdefault(rule, []).append(str(budget))
    return "; ".join(f"{rule} (at {', '.join(at)} trainings)" for rule, at in budgets.items()) or "none"


def main() -> None:
    """Write the page and the prior."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--page", type=Path, default=DOCS)
    parser.add_argument("--prior", type=Path, default=prior.FILE)
    arguments = parser.parse_args()
    measured = cuts(arguments.table, DIVISIONS)
    arguments.page.write_text(page(measured), encoding="utf-8")
    arguments.prior.write_text(prior_of(measured), encoding="utf-8")


if __name__ == "__main__":
    main()
