"""L2-FE: the pre-trained features as they are, only the head trains."""

from typing import ClassVar

from pipeline.regularizers.l2 import L2


class L2FE(L2):
    """Nothing of its own: that only the head trains is freezing's, its number of epochs the recipe's.

    Source:
        SPA-GCA Table 4, L2-FE. Departure: none.
    """

    name: ClassVar[str] = "l2_fe"
