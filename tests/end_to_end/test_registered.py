"""Two networks that were trained, in a registry of MLflow's: the worse one takes the alias by force alone."""

from pathlib import Path

import clones
import pytest
from click.testing import CliRunner
from clones import Clone

from pipeline import tracking
from pipeline.commands import compare, register
from pipeline.core.errors import InputError

pytestmark = pytest.mark.slow
NAME, ALIAS = "orbweaver-synthetic", "champion"
# Enough test images, and large enough ones, that one network is seen to be better.
IMAGES = ("image_size=96", "options.data.synthetic.images_per_class=20", "options.data.synthetic.size=96")


def bundled(clone: Clone, name: str, *settings: str) -> None:
    """Train a network as an experiment of this name, and bundle it."""
    clone.run("dvc", "exp", "run", "-n", name, *(word for one in settings for word in ("-S", one)))
    clone.typed("orbweaver bundle")


def champion() -> str:
    """Return the number of the version that has the alias."""
    found = tracking.version_of(NAME, ALIAS)
    assert found is not None
    return found.number


@pytest.mark.filterwarnings("ignore")
def test_a_worse_network_is_refused_by_the_words_of_compare_and_taken_by_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "clone").mkdir()
    clone = clones.make_clone(tmp_path / "clone", tmp_path)
    clone.enter(monkeypatch)
    bundled(clone, "learned", "budget=5", "lr=0.002", *IMAGES)
    told = clone.typed("orbweaver register models/bundle")
    assert f"{NAME} version 1 has the alias {ALIAS}: the first to have it" in told
    bundled(clone, "unlearned", "budget=1", "lr=1e-9")
    # In this process, which has imported MLflow already.
    refused = CliRunner().invoke(register.command, ["models/bundle"]).exception
    assert isinstance(refused, InputError)
    verdict = "version 1's network is better; other seeds are not tried"
    assert str(refused).startswith(f"not better than {NAME} version 1, which has the alias {ALIAS}: {verdict} (-")
    assert str(refused).endswith("points of accuracy in 1 repeat); --force registers it anyway")
    compared = CliRunner().invoke(compare.command, ["learned", "unlearned"], catch_exceptions=False).output
    assert "learned's network is better; other seeds are not tried" in compared
    assert champion() == "1"
    forced = clone.typed("orbweaver register models/bundle", "--force")
    assert f"{NAME} version 2 has the alias {ALIAS}: by --force" in forced
    assert champion() == "2"
