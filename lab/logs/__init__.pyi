from .bundles import (
    bundled as bundled,
)
from .bundles import (
    bundled_run as bundled_run,
)
from .diagnosis import diagnose as diagnose
from .readers.trl import load as load
from .table import (
    Batch as Batch,
)
from .table import (
    RolloutTable as RolloutTable,
)
