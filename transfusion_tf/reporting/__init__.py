"""From a study's records to its table, figures and verdict.

Reads records only; needs no weights, and TensorFlow for event files alone, so
a clone of the repository can redraw every published table and figure.
"""

from transfusion_tf.reporting.events import (
    write_document,
    write_events,
    write_run,
)
from transfusion_tf.reporting.page import write_page
from transfusion_tf.reporting.publishing import publish_records
from transfusion_tf.reporting.report import Report, write_report
from transfusion_tf.reporting.run_pairs import NUM_TOP_STAGES

__all__ = [
    "NUM_TOP_STAGES",
    "Report",
    "publish_records",
    "write_document",
    "write_events",
    "write_page",
    "write_report",
    "write_run",
]
