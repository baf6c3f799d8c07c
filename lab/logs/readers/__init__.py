"""One reader for each trainer's log, found by being there: a module that registers itself with `lab.reader`."""

from lab.walk import import_all

import_all(__name__, __path__)
