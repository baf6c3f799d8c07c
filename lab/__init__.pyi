from . import advantages as advantages
from . import combining as combining
from . import distances as distances
from . import experiment as experiment
from . import figures as figures
from . import logs as logs
from . import measures as measures
from . import objectives as objectives
from . import papers as papers
from . import plugins as plugins
from . import reward_models as reward_models
from . import rewards as rewards
from . import sampling as sampling
from . import store as store
from . import studies as studies
from .linting.report import lint as lint
from .logs.contract import (
    reader as reader,
)
from .logs.contract import (
    readers as readers,
)
from .logs.diagnosis import diagnose as diagnose
from .logs.loading import load as load
from .logs.readers.lab import save_log as save_log
from .measures.metrics import (
    measurement as measurement,
)
from .measures.metrics import (
    metrics as metrics,
)
from .methods import (
    Variant as Variant,
)
from .methods import (
    advantage as advantage,
)
from .methods import (
    method as method,
)
from .methods import (
    objective as objective,
)
from .methods import (
    variant as variant,
)
from .methods import (
    variants as variants,
)
from .notebook.door import explore as explore
from .papers import claims as claims
from .reports.html import report as report
from .studies.fair import (
    compare as compare,
)
from .studies.fair import (
    tune as tune,
)
from .training.settings import Settings as Settings
from .training.train import (
    Trace as Trace,
)
from .training.train import (
    train as train,
)
from .world_checks import check_world as check_world
from .world_registry import (
    world as world,
)
from .world_registry import (
    worlds as worlds,
)
