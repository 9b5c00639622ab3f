"""orbweaver: adapt a pre-trained network to a few hundred labeled images, with evidence."""

import os

# Threads of a training step wait for each other by spinning, and starve whatever else wants a core: measured on two
# cores beside one busy process, a step took 20 times as long. Without any spinning a step of a small network takes a
# third longer on a quiet machine; with this little, a fifth longer on a busy one. OpenMP reads both once, when torch is
# loaded, so they have to be said before, and what the user says wins.
if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
    os.environ |= {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000"}
