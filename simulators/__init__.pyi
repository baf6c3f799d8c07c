from .agents.world import Agents as Agents
from .bandit.world import Bandit as Bandit
from .bigrams.world import Bigrams as Bigrams
from .captions.world import Captions as Captions
from .delayed.world import Delayed as Delayed
from .flow.world import Flow as Flow
from .graphs.world import Graphs as Graphs
from .hidden_lm.world import HiddenLM as HiddenLM
from .judged.world import Judged as Judged
from .learned_reward.world import LearnedReward as LearnedReward
from .lengths.world import Lengths as Lengths
from .mdp.mdp import MDP as MDP
from .preferences.world import Preferences as Preferences
from .queries.world import Queries as Queries
from .recorded.world import Recorded as Recorded
from .records import (
    Policy as Policy,
)
from .records import (
    Rollouts as Rollouts,
)
from .records import (
    Truth as Truth,
)
from .records import (
    World as World,
)
from .reward_hacks.world import RewardHacks as RewardHacks
from .reward_laws.laws import Law as Law
from .rooms import (
    providers as providers,
)
from .rooms import (
    warm as warm,
)
from .rubric.world import Rubric as Rubric
from .toy_lm.world import ToyLM as ToyLM
from .turns.world import Turns as Turns
