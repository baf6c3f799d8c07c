"""Reference loops that the lab is measured against, and the benchmarks of `advlab bench`.

Every benchmark runs the lab and its references side by side in one process, alternating, and reports medians: a ratio
holds where the absolute figures depend on the machine and on what else it does.
"""

from __future__ import annotations

from lab.bench.harness import Benchmark, names, run
from lab.walk import import_all

__all__ = ["Benchmark", "names", "run"]

import_all(__name__, __path__)
