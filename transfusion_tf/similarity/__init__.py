"""How alike two layers represent the same images.

Activations are `[num_datapoints, num_neurons]` everywhere (google/svcca has
the transpose). All measures come from one streaming state of float64 moments,
`RepresentationMoments`; `cca` and `svcca` are its short forms for two arrays,
`compare` and `compare_seeds` score layers of models.
"""

from transfusion_tf.similarity import conventions, differentiable, null
from transfusion_tf.similarity.alignment import (
    AlignmentResult,
    cka_from_moments,
    linear_regression,
    linear_regression_from_moments,
    procrustes,
    procrustes_from_moments,
    shape_distance,
    shape_distance_from_moments,
)
from transfusion_tf.similarity.comparison import compare
from transfusion_tf.similarity.correlation import (
    CCAResult,
    cca,
    cca_from_moments,
    pwcca,
    pwcca_from_moments,
    svcca,
    svcca_from_moments,
)
from transfusion_tf.similarity.gram import (
    cka_from_grams,
    corrected_cka,
    corrected_hsic,
    linear_gram,
    rbf_gram,
)
from transfusion_tf.similarity.intervals import half_sampling, jackknife
from transfusion_tf.similarity.kernels import cka
from transfusion_tf.similarity.layer_grams import cka_matrix
from transfusion_tf.similarity.matrix import SimilarityMatrix
from transfusion_tf.similarity.minibatch import MinibatchCKA
from transfusion_tf.similarity.moments import (
    PRECISIONS,
    RepresentationMoments,
)
from transfusion_tf.similarity.neighbors import (
    PredictionSimilarity,
    mutual_nearest_neighbors,
    prediction_similarity,
    rsa,
)
from transfusion_tf.similarity.null import (
    exchangeable_null_mean,
    exchangeable_null_mean_squared,
)
from transfusion_tf.similarity.permutation import NullLevel, null_level
from transfusion_tf.similarity.protocol import ProtocolResult, paper_protocol
from transfusion_tf.similarity.sampling import (
    Positions,
    choose_positions,
    positions_of_images,
    sample_channels,
    sample_positions,
)
from transfusion_tf.similarity.scores import MEASURES, check_measures
from transfusion_tf.similarity.second_moments import Moments
from transfusion_tf.similarity.seed_bands import SeedBand, SeedComparison
from transfusion_tf.similarity.seeds import compare_seeds

__all__ = [
    "AlignmentResult",
    "CCAResult",
    "MEASURES",
    "MinibatchCKA",
    "Moments",
    "NullLevel",
    "PRECISIONS",
    "Positions",
    "PredictionSimilarity",
    "ProtocolResult",
    "RepresentationMoments",
    "SeedBand",
    "SeedComparison",
    "SimilarityMatrix",
    "cca",
    "cca_from_moments",
    "cka",
    "cka_from_grams",
    "cka_from_moments",
    "cka_matrix",
    "check_measures",
    "choose_positions",
    "compare",
    "compare_seeds",
    "conventions",
    "corrected_cka",
    "corrected_hsic",
    "differentiable",
    "exchangeable_null_mean",
    "exchangeable_null_mean_squared",
    "half_sampling",
    "jackknife",
    "linear_gram",
    "linear_regression",
    "linear_regression_from_moments",
    "mutual_nearest_neighbors",
    "null",
    "null_level",
    "paper_protocol",
    "positions_of_images",
    "prediction_similarity",
    "procrustes",
    "procrustes_from_moments",
    "pwcca",
    "pwcca_from_moments",
    "rbf_gram",
    "rsa",
    "sample_channels",
    "sample_positions",
    "shape_distance",
    "shape_distance_from_moments",
    "svcca",
    "svcca_from_moments",
]
