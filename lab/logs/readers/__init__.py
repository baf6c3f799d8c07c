"""One reader for each trainer's log, found by being there: a module that registers itself with `lab.reader`."""

from lab.logs.contract import _READERS
from lab.walk import import_all

import_all(__name__, __path__)

#: Names of the lab's own readers, in alphabetical order.
HERE = tuple(_READERS)
