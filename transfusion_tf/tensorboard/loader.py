"""TensorBoard's door to the tab.

TensorBoard imports this module at every start, whatever it is to show, and an
error here would stop all of it: nothing is imported but its own base class.
"""

from __future__ import annotations

import argparse

from tensorboard.plugins import base_plugin

from transfusion_tf.tensorboard import PLUGIN_NAME

# TensorBoard would keep 10 or 100 steps of a tag, by chance, and so lose step
# 0. Not all: what is kept is in memory.
SAMPLES = 1_000


class TransfusionLoader(base_plugin.TBLoader):
    """Loads the tab; what fails in `load` TensorBoard logs, and goes on."""

    def __init__(self) -> None:
        """Knows of no sampling until `fix_flags`."""
        self._set_by = "tensorboard"

    def fix_flags(self, flags: argparse.Namespace) -> None:
        """Asks for enough steps to be kept, unless the user said how many.

        Args:
            flags: TensorBoard's, parsed; `samples_per_plugin` is changed.
        """
        samples = getattr(flags, "samples_per_plugin", None)
        if isinstance(samples, dict):
            is_users = PLUGIN_NAME in samples
            self._set_by = "user" if is_users else "plugin"
            samples.setdefault(PLUGIN_NAME, SAMPLES)

    def load(
        self, context: base_plugin.TBContext
    ) -> base_plugin.TBPlugin | None:
        """Returns the tab; None if TensorBoard has no data provider."""
        if context.data_provider is None:
            return None
        from transfusion_tf.tensorboard import plugin

        limit = (context.sampling_hints or {}).get(PLUGIN_NAME)
        return plugin.TransfusionPlugin(
            context, {"limit": limit, "set_by": self._set_by}
        )
