"""The line that `orbweaver bundle` ends with."""

from described import CALIBRATED, FINAL, REPEAT

from pipeline.commands.bundle import summary


def test_it_has_the_accuracy_and_the_command_that_comes_next() -> None:
    line = summary(REPEAT)
    assert line.startswith("bundle: models/bundle: repeat 2; 87.5 % of 27 test images right; ")
    assert line.endswith("; use it: orbweaver predict models/bundle FOLDER")


def test_probabilities_that_are_not_calibrated_are_not_passed_over() -> None:
    note = "; probabilities not calibrated, models/bundle/README.md says why; "
    assert note in summary(REPEAT)
    assert "no test score; probabilities not calibrated" in summary(FINAL)
    assert note not in summary(CALIBRATED)
