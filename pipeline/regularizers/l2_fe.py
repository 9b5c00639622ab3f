"""L2-FE: feature extraction, the pre-trained features stay fixed and only the head trains."""

from typing import ClassVar

from pipeline.regularizers.l2 import L2


class L2FE(L2):
    """No loss term: freezing restricts training to the head, the recipe sets its number of epochs.

    Source:
        SPA-GCA Table 4, L2-FE; budget and schedule from the code of DELTA and AFA, weight decay from DELTA's alone.
        Departure: batch norms keep their pre-trained statistics, as frozen layers do here; in that code they are in
        train mode, so that their statistics follow the new images although their parameters are fixed. The rate falls
        at each step, in that code after each epoch, so that ours is lower by up to a third, and by a sixth on average.
    """

    name: ClassVar[str] = "l2_fe"
