"""The torch modules: image networks, Show and Tell, the two towers, and their files."""

from __future__ import annotations

import os

# Read by torch's thread pool when torch is first imported. By default its threads wait in a busy loop: beside one other
# busy process a training step took ten times as long (2,400 ms for 240 on two cores). A setting of the user's stands.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
