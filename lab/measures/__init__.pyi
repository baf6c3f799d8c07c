from .advantage import (
    advantage_spread as advantage_spread,
)
from .advantage import (
    distinct_levels as distinct_levels,
)
from .advantage import (
    effective_rollouts as effective_rollouts,
)
from .advantage import (
    largest_advantage as largest_advantage,
)
from .advantage import (
    no_signal_share as no_signal_share,
)
from .advantage import (
    sign_flip_rate as sign_flip_rate,
)
from .agents import (
    agent_spikes as agent_spikes,
)
from .agents import (
    agent_tails as agent_tails,
)
from .alike import (
    answer_rows as answer_rows,
)
from .alike import (
    same_answers as same_answers,
)
from .gains import half_gains as half_gains
from .gold import parting as parting
from .gradient import (
    clip_norm as clip_norm,
)
from .gradient import (
    cosine as cosine,
)
from .gradient import (
    norm as norm,
)
from .gradient import (
    relative_error as relative_error,
)
from .gradient import (
    spikes as spikes,
)
from .rollouts import recorded as recorded
from .tokens import (
    token_weights as token_weights,
)
from .tokens import (
    weight_spread as weight_spread,
)
