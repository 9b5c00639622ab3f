"""orbweaver: adapt a pre-trained network to a few hundred labelled images, with evidence."""

import os

# Threads of a step that wait by spinning starve each other as soon as another process wants a core: measured on two
# cores beside one busy process, a training step took 20 times as long. OpenMP reads this once, when torch is loaded,
# so it has to be said before.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
