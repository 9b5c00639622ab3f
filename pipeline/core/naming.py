"""The names that people tell an experiment by: images, changes of its recipe, the recipe's own values.

No result follows from it, and no stage is run again for it.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.core.shortening import cut, value_text
from pipeline.core.types import Amount, Name, Section

AUTO = "auto"
LONGEST = 160


class Naming(Section):
    """The names that tell an experiment apart.

    Attributes:
        data: the set; of the user's own photographs the last name of their folder, never the path to it.
        recipe_in_commit: whether params.yaml of the commit that is checked out has its recipe, if there is such a file.
        changes: what it has in place of its recipe's own values, by the key of params.yaml; `auto` only takes back
            what the commit has at the top of that file.
        own: the recipe's own values of these, by the same keys; of what it does not state there is none.
    """

    data: str = ""
    recipe_in_commit: bool = True
    changes: Mapping[str, Any] = {}
    own: Mapping[str, Any] = {}

    def words(self) -> tuple[str, ...]:
        """Return the changes as KEY=VALUE, the key's last part, in the order of params.yaml.

        >>> Naming(data="spiders", changes={"data": "folder", "lr": 0.0001, "defaults.train.schedule": "step"}).words()
        ('data=spiders', 'lr=0.0001', 'schedule=step')
        """
        return tuple(f"{name.rpartition('.')[2]}={value_text(value)}" for name, value in self.set_values().items())

    def set_values(self) -> dict[str, Any]:
        """Return the changes that set a value, with the name of the images in place of `folder`."""
        return {name: self.data if name == "data" else value for name, value in self.changes.items() if value != AUTO}

    def text(self) -> str:
        """Return the words in a line, cut where there are very many."""
        return cut(" ".join(self.words()), LONGEST)


UNNAMED = Naming()


class Own(Section):
    """Values of the recipe itself, before anything is varied: its attention, and the amount of its budget.

    Of several attentions that the recipe's paper trains with this budget, it is that of the experiment.
    """

    attention: Name
    amount: Amount
