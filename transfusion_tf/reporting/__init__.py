"""From a study's records to its table, figures and verdict.

Reads records only; needs neither TensorFlow nor weights, so a clone of the
repository can redraw every published table and figure.
"""

from transfusion_tf.reporting.publishing import publish_records
from transfusion_tf.reporting.report import Report, write_report
from transfusion_tf.reporting.run_pairs import NUM_TOP_STAGES

__all__ = ["NUM_TOP_STAGES", "Report", "publish_records", "write_report"]
