"""Sources: where the first value of a variable comes from.

A plan names one source for each stage. A new way to initialize is a new source
here and a new scheme in `plans`.
"""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any, Protocol

import keras
import numpy as np

from transfusion_tf.initialization import donors


@dataclasses.dataclass(frozen=True, eq=False)
class Slot:
    """A variable that is to get its first value.

    Attributes:
        key: `"layer/variable"`.
        stage: The stage that holds it, or `head`.
        layer: Its layer.
        variable: The variable.
    """

    key: str
    stage: str
    layer: keras.layers.Layer
    variable: keras.Variable


@dataclasses.dataclass(frozen=True, eq=False)
class Value:
    """A first value.

    Attributes:
        array: The value, of the variable's shape.
        detail: How it came about: the initializer, or the donor's name.
        donor: Whose values it depends on; None where on nobody's.
    """

    array: Any
    detail: str
    donor: donors.Donor | None = None


class Source(Protocol):
    """Where first values come from."""

    @property
    def name(self) -> str:
        """As it stands in weight records."""

    @property
    def needs_donor(self) -> bool:
        """Whether a donor must be given."""

    def value(
        self, slot: Slot, *, seed: int, donor: donors.Donor | None
    ) -> Value:
        """Returns the first value of a variable; a function of (key, seed)."""


@dataclasses.dataclass(frozen=True)
class Random:
    """Draws by the variable's own Keras initializer.

    Batch norm gets the identity: scale 1, shift 0, moving mean 0 and moving
    variance 1, as its initializers say.
    """

    name: str = "random"
    needs_donor: bool = False

    def value(
        self, slot: Slot, *, seed: int, donor: donors.Donor | None
    ) -> Value:
        """Draws a value that depends on (seed, key) alone."""
        del donor
        initializer = keyed_initializer(slot, seed)
        # On the processor, so that a machine with an accelerator draws the
        # same values.
        with keras.device("cpu:0"):
            array = initializer(slot.variable.shape, slot.variable.dtype)
        return Value(array, _describe(initializer))


@dataclasses.dataclass(frozen=True)
class Copy:
    """Takes the donor's value, moving statistics included."""

    name: str = "copy"
    needs_donor: bool = True

    def value(
        self, slot: Slot, *, seed: int, donor: donors.Donor | None
    ) -> Value:
        """Returns the donor's value of the same variable.

        Raises:
            ValueError: The donor has none of this name and shape.
        """
        del seed
        if donor is None:
            raise ValueError(
                "Copying needs a donor. Received: donor=None. Give "
                "--donor=imagenet or --donor=PATH."
            )
        return Value(donor_array(slot, donor), donor.name, donor)


def donor_array(slot: Slot, donor: donors.Donor) -> np.ndarray:
    """Returns what a donor has for a variable.

    Raises:
        ValueError: The donor has none of this name and shape.
    """
    layer, _, name = slot.key.rpartition("/")
    if slot.key not in donor.values:
        raise ValueError(
            f"The donor has no {name!r} for layer {layer!r}. Received: "
            f"donor={donor.name!r} with {len(donor.values)} variables. Name a "
            "donor of the same architecture (--donor=...)."
        )
    array = donor.values[slot.key]
    if tuple(array.shape) != tuple(slot.variable.shape):
        raise ValueError(
            f"The donor does not fit at layer {layer!r}: {name!r} has shape "
            f"{tuple(slot.variable.shape)} in the model. Received: "
            f"{tuple(array.shape)} from donor={donor.name!r}. Name a donor of "
            "the same architecture (--donor=...)."
        )
    return array


def keyed_seed(seed: int, key: str) -> int:
    """Returns the seed of one variable's draw, in [0, 2**31).

    It depends on nothing but the run's seed and the variable's key, so that
    two schemes that draw the same variable draw the same values, whatever else
    they draw or copy.

    Example:
        >>> keyed_seed(0, "conv1_conv/kernel") == keyed_seed(
        ...     0, "conv1_conv/kernel"
        ... )
        True
    """
    digest = hashlib.sha256(f"{seed}/{key}".encode()).digest()
    return int.from_bytes(digest[:4], "big") & 0x7FFFFFFF


def keyed_initializer(slot: Slot, seed: int) -> keras.Initializer:
    """Returns a variable's own initializer, seeded by (seed, key)."""
    _, _, name = slot.key.rpartition("/")
    if isinstance(slot.layer, keras.layers.DepthwiseConv2D):
        name = name.replace("kernel", "depthwise")
    initializer = getattr(slot.layer, f"{name}_initializer")
    config: Mapping[str, Any] = initializer.get_config()
    if "seed" in config:
        config = {**config, "seed": keyed_seed(seed, slot.key)}
    return type(initializer).from_config(dict(config))


def _describe(initializer: keras.Initializer) -> str:
    """Returns an initializer as text, without its seed."""
    arguments = ", ".join(
        f"{name}={value}"
        for name, value in initializer.get_config().items()
        if name != "seed"
    )
    return f"{type(initializer).__name__}({arguments})"
