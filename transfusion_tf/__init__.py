"""Transfusion: understanding transfer learning for medical imaging.

Import the package that you need, e.g. `from transfusion_tf import models`.
This module imports nothing, because TensorBoard imports it at every start.
"""

__version__ = "0.1.0"
