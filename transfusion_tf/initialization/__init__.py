"""Where the first value of every weight comes from."""

from transfusion_tf.initialization.donors import Donor
from transfusion_tf.initialization.initialize import WeightRecord, initialize
from transfusion_tf.initialization.loading import load_donor
from transfusion_tf.initialization.plans import (
    BATCH_NORM_POLICIES,
    SCHEMES,
    Plan,
    parse_scheme,
)

__all__ = [
    "BATCH_NORM_POLICIES",
    "SCHEMES",
    "Donor",
    "Plan",
    "WeightRecord",
    "initialize",
    "load_donor",
    "parse_scheme",
]
