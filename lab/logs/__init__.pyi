from .browsing import groups_of as groups_of
from .browsing import rollouts_of as rollouts_of
from .bundles import (
    bundled as bundled,
)
from .bundles import (
    bundled_run as bundled_run,
)
from .contract import (
    COLUMNS as COLUMNS,
)
from .contract import (
    SCALARS as SCALARS,
)
from .contract import (
    Known as Known,
)
from .contract import (
    Raw as Raw,
)
from .contract import (
    reader as reader,
)
from .diagnosis import diagnose as diagnose
from .facts import Facts as Facts
from .findings.contract import (
    Evidence as Evidence,
)
from .findings.contract import (
    Finding as Finding,
)
from .findings.contract import (
    check as check,
)
from .findings.contract import (
    checks as checks,
)
from .loading import load as load
from .readers.lab import save_log as save_log
from .table import (
    Batch as Batch,
)
from .table import (
    RolloutTable as RolloutTable,
)
from .watching import watch as watch
from .what_if import what_if as what_if
