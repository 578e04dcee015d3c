"""How alike two layers represent the same images.

Activations are `[num_datapoints, num_neurons]` everywhere (google/svcca has
the transpose). All measures come from one streaming state of float64 moments,
`RepresentationMoments`; `cca` and `svcca` are its short forms for two arrays.
"""

from transfusion_tf.similarity.correlation import (
    CCAResult,
    cca,
    cca_from_moments,
    svcca,
    svcca_from_moments,
)
from transfusion_tf.similarity.moments import Moments, RepresentationMoments
from transfusion_tf.similarity.null import (
    NullLevel,
    exchangeable_null_mean_squared,
    null_level,
)
from transfusion_tf.similarity.protocol import ProtocolResult, paper_protocol
from transfusion_tf.similarity.sampling import (
    Positions,
    choose_positions,
    sample_channels,
    sample_positions,
)

__all__ = [
    "CCAResult",
    "Moments",
    "NullLevel",
    "Positions",
    "ProtocolResult",
    "RepresentationMoments",
    "cca",
    "cca_from_moments",
    "choose_positions",
    "exchangeable_null_mean_squared",
    "null_level",
    "paper_protocol",
    "sample_channels",
    "sample_positions",
    "svcca",
    "svcca_from_moments",
]
