from . import candidates as candidates
from . import fair as fair
from .blending import (
    blend_policies as blend_policies,
)
from .blending import (
    blend_study as blend_study,
)
from .blending import (
    blend_weights as blend_weights,
)
from .collapse import (
    level_counts as level_counts,
)
from .collapse import (
    signal_study as signal_study,
)
from .denoising import (
    denoising_study as denoising_study,
)
from .denoising import (
    reward_landscape as reward_landscape,
)
from .distance_regret import (
    distance_study as distance_study,
)
from .distance_regret import (
    regret_correlations as regret_correlations,
)
from .ensembles import (
    ensemble_curves as ensemble_curves,
)
from .ensembles import (
    ensemble_disagreement as ensemble_disagreement,
)
from .ensembles import (
    ensemble_pool as ensemble_pool,
)
from .field_samples import (
    field_table as field_table,
)
from .field_samples import (
    sample_fields as sample_fields,
)
from .implied_reward import (
    implied_distance as implied_distance,
)
from .implied_reward import (
    implied_reward_study as implied_reward_study,
)
from .messages import message_study as message_study
from .over_optimisation import (
    BEST_OF_N as BEST_OF_N,
)
from .over_optimisation import (
    best_of_n_curve as best_of_n_curve,
)
from .over_optimisation import (
    gao_fit as gao_fit,
)
from .over_optimisation import (
    optimisation_curve as optimisation_curve,
)
from .over_optimisation import (
    turning_points as turning_points,
)
from .potentials import potential_study as potential_study
from .redistribution import (
    redistributed_episode as redistributed_episode,
)
from .redistribution import (
    redistribution_study as redistribution_study,
)
from .redistribution import (
    redistribution_training as redistribution_training,
)
from .reward_balance import balance_study as balance_study
from .reward_hacking import hacking_study as hacking_study
from .reward_models import (
    RewardModelStudy as RewardModelStudy,
)
from .reward_models import (
    reward_model_names as reward_model_names,
)
from .reward_models import (
    reward_model_study as reward_model_study,
)
from .reward_pairs import (
    reward_map as reward_map,
)
from .reward_pairs import (
    reward_pair as reward_pair,
)
from .reward_pairs import (
    reward_walk as reward_walk,
)
from .shaping import (
    shaping_policies as shaping_policies,
)
from .shaping import (
    shaping_scores as shaping_scores,
)
from .shaping import (
    shaping_study as shaping_study,
)
from .sign_flips import sign_flip_study as sign_flip_study
from .topologies import (
    inference_distances as inference_distances,
)
from .topologies import (
    latent_tree as latent_tree,
)
from .topologies import (
    mean_inference_distance as mean_inference_distance,
)
from .topologies import (
    topology_ratios as topology_ratios,
)
from .what_if import (
    advantage_summary as advantage_summary,
)
from .what_if import (
    advantage_table as advantage_table,
)
