"""CKA from Gram matrices of any kernel, and CKA of sampled neurons.

Each unbiased score rests on one estimator of HSIC (Song et al. 2012), which
sees a Gram matrix off its diagonal only.
"""

from __future__ import annotations

import math

import tensorflow as tf

from transfusion_tf.similarity import inputs, linalg
from transfusion_tf.similarity.alignment import AlignmentResult
from transfusion_tf.similarity.inputs import as_activations, check_equal_rows

# A Gram matrix that centring shrinks to less than this is rounding: constant.
_CONSTANT_CUT = 1e-13
# The same for what is left of HSIC without the pairs of one neuron with itself.
_SELF_CUT = 1e-10


def linear_gram(x: tf.Tensor) -> tf.Tensor:
    """Computes the Gram matrix of the centred activations.

    Args:
        x: Activations, shape `[num_datapoints, num_neurons]`, any real dtype.

    Returns:
        Shape `[num_datapoints, num_datapoints]`, float64; exactly 0 for a
        constant layer.

    Raises:
        ValueError: If the shape does not fit or, outside of a graph, a value
            is not finite.

    Example:
    >>> linear_gram([[1.0], [2.0], [6.0]]).numpy().tolist()
    [[4.0, 2.0, -6.0], [2.0, 1.0, -3.0], [-6.0, -3.0, 9.0]]
    """
    centred = centre(as_activations(x, "x"))
    return linalg.product(centred, centred, transpose_b=True)


def rbf_gram(x: tf.Tensor, threshold: float = 1.0) -> tf.Tensor:
    """Computes the Gram matrix of the Gaussian kernel.

    Args:
        x: Activations, shape `[num_datapoints, num_neurons]`, any real dtype.
        threshold: The bandwidth as a share of the median distance, above 0.
            The median is over all entries of the matrix of squared distances,
            with its zero diagonal.

    Returns:
        Shape `[num_datapoints, num_datapoints]`, float64, in [0, 1]; NaN
        where the median is 0, as for a constant layer.

    Raises:
        ValueError: As `linear_gram`, or if `threshold` is not positive.

    Example:
    >>> x = [[0.0], [1.0], [2.0]]  # The squared distances' median is 1.
    >>> rbf_gram(x, threshold=0.5 ** 0.5).numpy().round(4)[0].tolist()
    [1.0, 0.3679, 0.0183]

    Source: Kornblith et al. 2019, arXiv:1905.00414, and its notebook.
    """
    if not threshold > 0:
        raise ValueError(
            "The bandwidth is a share of the median distance. Received: "
            f"threshold={threshold}. Use a number above 0."
        )
    products = linear_gram(x)
    norms = tf.linalg.diag_part(products)
    # Rounding can take a distance of 0 below it.
    distances = tf.maximum(
        norms[:, tf.newaxis] + norms[tf.newaxis] - 2.0 * products, 0.0
    )
    return tf.exp(-distances / (2.0 * threshold**2 * _median(distances)))


def cka_from_grams(
    gram_x: tf.Tensor, gram_y: tf.Tensor, *, debiased: bool = True
) -> tf.Tensor:
    """Computes centred kernel alignment of two Gram matrices.

    Args:
        gram_x: Gram matrix of one layer, `[num_datapoints, num_datapoints]`,
            symmetric, any real dtype; need not be centred.
        gram_y: Gram matrix of the other, on the same datapoints.
        debiased: Whether HSIC is estimated without bias from the entries off
            the diagonal. The score may be negative then, and is left so.

    Returns:
        A float64 scalar, in [-1, 1] (biased: in [0, 1] for kernels that are
        positive semi-definite). NaN if a layer is constant or an entry is not
        finite.

    Raises:
        ValueError: If the matrices are not square or not of one size, are not
            symmetric (outside of a graph), or there are fewer than 4
            datapoints (biased: 3).

    Example:
    >>> x = tf.random.stateless_normal([50, 4], seed=[0, 0])
    >>> grams = linear_gram(x), linear_gram(7.0 - 2.0 * x)
    >>> round(float(cka_from_grams(*grams)), 6)
    1.0

    Source: Kornblith et al. 2019, arXiv:1905.00414; debiased: Szekely and
        Rizzo 2014, and Song et al. 2012, as in the former's notebook.
    """
    sides = [_as_gram(gram_x, "gram_x"), _as_gram(gram_y, "gram_y")]
    check_equal_rows(sides, ["gram_x", "gram_y"])
    inputs.check_enough_for_cka(sides[0].shape[0], debiased=debiased)
    centring = _centre_off_diagonal if debiased else centre_gram
    first, second = map(centring, sides)
    norms = tf.norm(first) * tf.norm(second)
    return tf.reduce_sum(first * second) / norms


def corrected_cka(
    x: tf.Tensor, y: tf.Tensor, *, same_neurons: bool = False
) -> AlignmentResult:
    """Computes linear CKA without the bias of few images *and* few neurons.

    For neurons that are a sample of a layer's (recorded cells, sampled
    channels) `cka` scores too low, however many images there are: in
    HSIC(x, x), but not in HSIC(x, y), each neuron also meets itself. This is
    the ratio of `corrected_hsic`'s terms, which have no such bias. The ratio
    has one of its own that falls with their variance: for a true 0.860 in 8
    dimensions, 0.90 from 40 images of 30 and 20 neurons, 0.867 from 100 of
    100, where debiased CKA has 0.66 and 0.80. Where a layer is sampled
    several times, average the terms, not the ratios.

    Args:
        x: As in `corrected_hsic`.
        y: As in `corrected_hsic`.
        same_neurons: As in `corrected_hsic`.

    Returns:
        The score. It estimates a number in [0, 1] but is itself not bounded,
        and NaN where a layer is constant or too little was sampled for its
        HSIC with itself to come out positive. Unrelated images score 0.

    Raises:
        ValueError: As `corrected_hsic`.

    Example:
    >>> x = tf.random.stateless_normal([500, 20], seed=[0, 0])
    >>> halves = [x @ tf.random.stateless_normal([20, 80], seed=[0, s])
    ...           for s in (1, 2)]  # Two samples of one layer's neurons.
    >>> float(cka_from_grams(*map(linear_gram, halves))) < 0.85
    True
    >>> abs(corrected_cka(*halves).score - 1.0) < 0.03
    True

    Source: as `corrected_hsic`.
    """
    terms = corrected_hsic(x, y, same_neurons=same_neurons)
    cross, *norms = (float(term) for term in terms)
    sizes = int(tf.shape(x)[1]), int(tf.shape(y)[1])
    notes = tuple(
        f"{name}'s neurons do not vary together: a constant layer, or too few "
        f"datapoints or neurons ({size}) to estimate it"
        for name, size, norm in zip("xy", sizes, norms, strict=True)
        if not norm > 0
    )
    return AlignmentResult(
        measure="corrected_cka",
        score=float("nan") if notes else cross / math.sqrt(math.prod(norms)),
        num_datapoints=int(tf.shape(x)[0]),
        num_neurons=sizes,
        null=0.0,
        notes=notes,
    )


def corrected_hsic(
    x: tf.Tensor, y: tf.Tensor, *, same_neurons: bool = False
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Estimates HSIC of layers from samples of their neurons, without bias.

    With neurons drawn at random, neuron p of x has the kernel
    k_p(s, t) = x_p(s) x_p(t), and the layer has k = E[k_p]; likewise l of y.
    Let H(K, L) be the unbiased estimate of HSIC from images that all differ
    (debiased `cka_from_grams` has it), which is linear in K and in L. Then
    HSIC(k, l) = E[H(k_p, l_q)] for p and q drawn independently, so these are
    unbiased over images and neurons, P and Q being the numbers of neurons:

    * HSIC(k, l): the mean of H(k_p, l_q) over all p and q, H(K, L) / (P Q),
      where K is the sum of all k_p, the linear Gram matrix;
    * HSIC(k, k): the same over p != q only,
      (H(K, K) - sum_p H(k_p, k_p)) / (P (P - 1)).

    H(k_p, k_p) costs no more than a neuron's second and fourth powers.

    Args:
        x: Activations, shape `[num_datapoints, num_neurons_x]`, any real
            dtype, at least 4 datapoints and 2 neurons.
        y: Activations on the same datapoints, `[num_datapoints,
            num_neurons_y]`.
        same_neurons: Whether neuron p of x and neuron p of y are one (the
            same channels of one network before and after training). Then
            p != q is asked for in HSIC(k, l) too.

    Returns:
        HSIC of x and y, of x and x, and of y and y: float64 scalars, which
        may be negative. Their averages over samples are unbiased too.

    Raises:
        ValueError: If shapes do not fit, a value is not finite, or there are
            too few datapoints or neurons.

    Example:
    >>> x = tf.random.stateless_normal([50, 4], seed=[0, 0])
    >>> cross, first, second = corrected_hsic(x, x, same_neurons=True)
    >>> bool(cross == first)
    True

    Source: the aim, Chun et al. 2025, arXiv:2502.15104; the estimator is
        derived above.
    """
    sides = [as_activations(x, "x"), as_activations(y, "y")]
    check_equal_rows(sides, ["x", "y"])
    inputs.check_enough_for_cka(
        sides[0].shape[0], debiased=True, what="Corrected CKA"
    )
    sizes = (int(sides[0].shape[1]), int(sides[1].shape[1]))
    _check_num_neurons(sizes, same_neurons)
    first, second = map(centre, sides)
    if same_neurons:
        cross = _hsic_between_neurons(first, second)
    else:
        cross = _hsic_of_layers(first, second) / (sizes[0] * sizes[1])
    return (
        cross,
        _hsic_between_neurons(first, first),
        _hsic_between_neurons(second, second),
    )


def centre(x: tf.Tensor) -> tf.Tensor:
    """Subtracts each neuron's mean; exactly 0 where a neuron is constant."""
    moved = x - x[:1]
    return moved - tf.reduce_mean(moved, axis=0)


def _median(values: tf.Tensor) -> tf.Tensor:
    ordered = tf.sort(tf.reshape(values, [-1]))
    size = tf.size(ordered)
    return (ordered[(size - 1) // 2] + ordered[size // 2]) / 2.0


def _as_gram(values: tf.Tensor, name: str) -> tf.Tensor:
    values = tf.cast(tf.convert_to_tensor(values), tf.float64)
    shape = values.shape
    if shape.rank != 2 or not shape[:1].is_compatible_with(shape[1:]):
        raise ValueError(
            f"A Gram matrix is square. Received: {name} of shape "
            f"{tuple(shape)}. Give linear_gram or rbf_gram of activations."
        )
    if tf.executing_eagerly():
        largest = tf.reduce_max(tf.abs(values))
        gap = tf.reduce_max(tf.abs(values - tf.transpose(values)))
        if gap > 1e-6 * largest:
            raise ValueError(
                f"A Gram matrix is symmetric. Received: {name}, which differs "
                f"from its transpose by up to {float(gap):.3g}. Give "
                "linear_gram or rbf_gram of activations."
            )
    return values


def centre_gram(gram: tf.Tensor) -> tf.Tensor:
    """Returns a Gram matrix whose rows and columns sum to 0."""
    means = tf.reduce_mean(gram, axis=0)
    centred = gram - means - means[:, tf.newaxis] + tf.reduce_mean(means)
    return _unless_constant(centred, gram)


def _centre_off_diagonal(gram: tf.Tensor) -> tf.Tensor:
    """The unbiased centring: the diagonal is 0, rows sum to 0 without it."""
    count = tf.cast(tf.shape(gram)[0], tf.float64)
    mask = off_diagonal(tf.shape(gram)[0])
    gram = gram * mask
    means = tf.reduce_sum(gram, axis=0) / (count - 2.0)
    means -= tf.reduce_sum(means) / (2.0 * (count - 1.0))
    centred = (gram - means - means[:, tf.newaxis]) * mask
    return _unless_constant(centred, gram)


def off_diagonal(size: tf.Tensor) -> tf.Tensor:
    """0 on the diagonal, 1 beside it.

    To multiply by, so that what is not finite on a diagonal is not lost.
    """
    return 1.0 - tf.eye(size, dtype=tf.float64)


def _unless_constant(centred: tf.Tensor, gram: tf.Tensor) -> tf.Tensor:
    """Returns zeros, whose CKA is NaN, where only rounding is left."""
    is_rounding = tf.norm(centred) <= _CONSTANT_CUT * tf.norm(gram)
    return tf.where(is_rounding, tf.zeros_like(centred), centred)


def unbiased_hsic(
    products: tf.Tensor,
    norm_products: tf.Tensor,
    sum_products: tf.Tensor,
    count: tf.Tensor,
) -> tf.Tensor:
    """Song's estimator for Gram matrices K and L of centred activations.

    As rows of those sum to 0, a row without its diagonal sums to minus that.

    Args:
        products: Sum of K_ij L_ij over i != j.
        norm_products: Sum of K_ii L_ii.
        sum_products: The trace of K times that of L.
        count: Datapoints.
    """
    total = (
        products
        - 2.0 / (count - 2.0) * norm_products
        + sum_products / ((count - 1.0) * (count - 2.0))
    )
    return total / (count * (count - 3.0))


def _hsic_of_layers(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """H(K, L) of two centred layers, by whichever products are smaller."""
    if x.shape[0] < max(x.shape[1], y.shape[1]):
        grams = [linalg.product(s, s, transpose_b=True) for s in (x, y)]
        products = tf.reduce_sum(grams[0] * grams[1])
    else:
        crossed = linalg.product(x, y, transpose_a=True)
        products = tf.reduce_sum(crossed * crossed)
    norms = [tf.reduce_sum(side * side, axis=1) for side in (x, y)]
    both = tf.reduce_sum(norms[0] * norms[1])
    return unbiased_hsic(
        products - both,
        both,
        tf.reduce_sum(norms[0]) * tf.reduce_sum(norms[1]),
        tf.cast(tf.shape(x)[0], tf.float64),
    )


def _hsic_between_neurons(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Mean of H(k_p, l_q) over p != q, of as many neurons."""
    size = float(x.shape[1])
    of_all = _hsic_of_layers(x, y)
    between = of_all - _hsic_of_neurons(x, y)
    # All that varies may be one neuron.
    is_rounding = tf.abs(between) <= _SELF_CUT * tf.abs(of_all)
    between = tf.where(is_rounding, tf.zeros_like(between), between)
    return between / (size * (size - 1.0))


def _hsic_of_neurons(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Sum over p of H(k_p, l_p): each neuron a centred layer of its own."""
    squares = x * x, y * y
    both = tf.reduce_sum(squares[0] * squares[1])
    inner = tf.reduce_sum(x * y, axis=0)
    sums = [tf.reduce_sum(square, axis=0) for square in squares]
    return unbiased_hsic(
        tf.reduce_sum(inner * inner) - both,
        both,
        tf.reduce_sum(sums[0] * sums[1]),
        tf.cast(tf.shape(x)[0], tf.float64),
    )


def _check_num_neurons(sizes: tuple[int, int], same_neurons: bool) -> None:
    if min(sizes) < 2:
        raise ValueError(
            "Corrected CKA compares neurons with each other. Received: "
            f"num_neurons={sizes}. Give at least 2 of each layer."
        )
    if same_neurons and sizes[0] != sizes[1]:
        raise ValueError(
            "The same neurons are as many on both sides. Received: "
            f"num_neurons={sizes}, same_neurons=True. Give the same channels "
            "of both, or same_neurons=False."
        )
