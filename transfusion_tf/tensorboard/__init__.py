"""What TensorBoard shows of a run; a view of the records, never the record.

The tab's server side needs TensorBoard and NumPy only; TensorFlow is imported
by `writer` alone. This module imports nothing, because TensorBoard imports it
at every start.
"""

PLUGIN_NAME = "transfusion"
