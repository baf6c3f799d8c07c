"""What can be found in a log: one file per family of checks, found by being there.

`lab.logs.findings.contract` says what a check and a finding are.
"""

from lab.walk import import_all

import_all(__name__, __path__)
