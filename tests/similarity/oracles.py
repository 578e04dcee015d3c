"""Independent definitions of the measures, in NumPy."""

import numpy as np


def cca_by_qr(x, y):
    """Canonical correlations of full-rank data by QR, no moments involved."""
    bases = [
        np.linalg.qr((side - side.mean(0)).astype(np.float64))[0]
        for side in (x, y)
    ]
    return np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)


def google_svcca(x, y, epsilon=0.0):
    """google/svcca's definition written from its formula.

    Covariances scaled by their largest entries, epsilon on the diagonals,
    symmetric inverse square roots, singular values. Axes are transposed there.
    """
    joint = np.cov(x.T, y.T)
    size = x.shape[1]
    sxx, sxy, syy = (
        joint[:size, :size],
        joint[:size, size:],
        joint[size:, size:],
    )
    xmax, ymax = np.abs(sxx).max(), np.abs(syy).max()
    roots = []
    for covariance, scale in ((sxx, xmax), (syy, ymax)):
        scaled = covariance / scale + epsilon * np.eye(len(covariance))
        values, vectors = np.linalg.eigh(np.linalg.pinv(scaled))
        roots.append(vectors * np.sqrt(np.abs(values)) @ vectors.T)
    cross = roots[0] @ (sxy / np.sqrt(xmax * ymax)) @ roots[1]
    return np.abs(np.linalg.svd(cross, compute_uv=False))


def exact_sample(num_datapoints, rho, x_scales, y_scales, seed=0):
    """Data whose sample canonical correlations are exactly `rho`.

    Section 6.1: H centred orthonormal, X = H1 s, Y = (H1 c + H2 s') t.
    """
    size = len(rho)
    generator = np.random.default_rng(seed)
    raw = generator.normal(size=(num_datapoints, 2 * size))
    basis = np.linalg.qr(raw - raw.mean(0))[0]
    first, second = basis[:, :size], basis[:, size:]
    rho = np.asarray(rho)
    y = (first * rho + second * np.sqrt(1 - rho**2)) * y_scales
    return first * x_scales, y


def layers(num_datapoints=400, sizes=(12, 9), seed=0, shared=5):
    """Two ReLU layers with a shared signal and non-zero means, float32."""
    generator = np.random.default_rng(seed)
    signal = generator.normal(size=(num_datapoints, shared))
    sides = []
    for size in sizes:
        mixed = signal @ generator.normal(size=(shared, size))
        noise = generator.normal(size=(num_datapoints, size))
        sides.append(np.maximum(mixed + noise + 0.5, 0).astype(np.float32))
    return sides


def arrays_of(moments):
    """What moments hold, by name: means, covariances, products of norms."""
    covariances = [
        [moments.covariance(a, b) for b in moments.layers]
        for a in moments.layers
    ]
    return {
        "means": moments.means.numpy(),
        "covariances": np.block(covariances),
        "norm_products": moments.norm_products.numpy(),
    }
