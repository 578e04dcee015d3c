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

from transfusion_tf.initialization import donors, gabor


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

    @property
    def may_use_donor(self) -> bool:
        """Whether anything is taken from a donor that is given."""

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
    may_use_donor: bool = False

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
    may_use_donor: bool = True

    def value(
        self, slot: Slot, *, seed: int, donor: donors.Donor | None
    ) -> Value:
        """Returns the donor's value of the same variable.

        Raises:
            ValueError: The donor has none of this name and shape.
        """
        del seed
        array = donor_array(slot, donor)
        return Value(array, _name_of(donor), donor)


@dataclasses.dataclass(frozen=True)
class Resample:
    """Draws a tensor like the donor's, without its features.

    Attributes:
        name: "mean_var" draws i.i.d. from a normal distribution of the donor
            tensor's mean and variance; a moving variance from the gamma
            distribution of these moments, which has no negative values.
            "empirical" draws with replacement from the donor tensor's own
            values. "shuffle" permutes them.

    Source: section 5 (Mean Var Init) and the appendix (its empirical variant);
        Matsoukas et al. 2022, in whose code the permutation stands beside.
    """

    name: str
    needs_donor: bool = True
    may_use_donor: bool = True

    def value(
        self, slot: Slot, *, seed: int, donor: donors.Donor | None
    ) -> Value:
        """Draws a value.

        Raises:
            ValueError: The donor has none of this name and shape, or its
                tensor is empty.
        """
        array = donor_array(slot, donor)
        rng = keyed_rng(seed, slot.key, self.name)
        if self.name == "mean_var":
            is_variance = slot.key.endswith("/moving_variance")
            drawn, detail = _draw_like(rng, array, is_variance)
        elif self.name == "empirical":
            drawn = rng.choice(array.ravel(), array.shape)
            detail = f"values of {_name_of(donor)}"
        else:
            drawn = rng.permutation(array.ravel()).reshape(array.shape)
            detail = f"permuted values of {_name_of(donor)}"
        return Value(drawn.astype(np.float32), detail, donor)


def _draw_like(
    rng: np.random.Generator, array: np.ndarray, is_variance: bool
) -> tuple[np.ndarray, str]:
    """Draws by mean and standard deviation, and says from what."""
    mean, std = (float(f(array, dtype=np.float64)) for f in (np.mean, np.std))
    moments = f"(mean={mean:.6g}, std={std:.6g})"
    if is_variance and std > 0:
        scale = std**2 / mean
        return rng.gamma(mean / scale, scale, array.shape), f"gamma{moments}"
    return rng.normal(mean, std, array.shape), f"normal{moments}"


@dataclasses.dataclass(frozen=True)
class Gabor:
    """Synthetic Gabor filters for the kernel of the first convolution.

    One factor scales them all to the standard deviation of the donor's
    kernel, or without a donor to that of He initialization.

    Source: section 5, Figures 8 and 19 ("Synthetic Gabor filters").
    """

    name: str = "gabor"
    needs_donor: bool = False
    may_use_donor: bool = True

    def value(
        self, slot: Slot, *, seed: int, donor: donors.Donor | None
    ) -> Value:
        """Makes the filters; no draw is made.

        Raises:
            ValueError: The kernel is too small for them, or the donor has none
                of this name and shape.
        """
        del seed
        kernel = gabor.first_kernel(tuple(slot.variable.shape), slot.key)
        fan_in = int(np.prod(kernel.shape[:3]))
        std, origin = np.sqrt(2 / fan_in), "He"
        if donor is not None:
            std, origin = donor_array(slot, donor).std(), donor.name
        scaled = (kernel * (std / kernel.std())).astype(np.float32)
        return Value(
            scaled, f"Gabor filters, standard deviation of {origin}", donor
        )


def _name_of(donor: donors.Donor | None) -> str:
    return donor.name if donor else ""


def donor_array(slot: Slot, donor: donors.Donor | None) -> np.ndarray:
    """Returns what a donor has for a variable.

    Raises:
        ValueError: There is no donor, or it has none of this name and shape,
            or an empty one.
    """
    if donor is None:
        raise ValueError(
            "This source needs a donor. Received: donor=None. Give "
            "--donor=imagenet or --donor=PATH."
        )
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
    if not array.size:
        raise ValueError(
            f"The donor's tensor is empty. Received: {slot.key!r} of shape "
            f"{tuple(array.shape)} from donor={donor.name!r}. It has no mean "
            "and no values to draw from: name another donor (--donor=...)."
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


def keyed_rng(seed: int, key: str, source: str) -> np.random.Generator:
    """Returns the stream of one variable's draw from a donor.

    It depends on nothing else, so that schemes that share a source for a
    variable draw the same values.
    """
    digest = hashlib.sha256(f"{seed}/{key}/{source}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


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
