"""Sliced Wasserstein distance between patches of two sets of pictures, scale by scale.

Karras et al. 2018, "Progressive Growing of GANs …", section 5: 64 patches of 7 x 7 pixels are cut from
each level of every picture's Laplacian pyramid, and the two clouds of patches are compared along
random directions, in each of which the Wasserstein distance is a matter of sorting. Coarse levels
compare shapes, fine ones texture. No network is asked, so nothing depends on one.

The work is TF-GAN's, `eval/sliced_wasserstein.py`.
"""

import numpy as np

from anime_keras import tfgan
from anime_keras.metrics.results import Result

COMPARABLE = 8192
"""Pictures a side in the paper; the distance of fewer is larger."""


def sliced_wasserstein_distance(
    real_images: np.ndarray, fake_images: np.ndarray, seed: int = 0
) -> dict[int, tuple[float, float]]:
    """Distances for each level of the pyramid, from full size down to 16 pixels.

    TF-GAN divides each patch by its own standard deviation, and a flat patch, of which drawings have
    many, by 0. So both sides get noise of up to half a grey level first, as rounding to 8 bits leaves.

    TF-GAN holds all patches of both sides: 0.5 MB a picture at 64 pixels.

    Args:
        real_images: uint8 (n, size, size, 3); the size a power of two, at least 16.
        fake_images: the same of generated ones, as many.
        seed: of noise, patches and directions. TensorFlow's global seed is set to it.

    Returns:
        For each size in pixels, the distance of generated from real patches, and that of real ones
        from other real ones, the least to hope for.

    Raises:
        ImportError: TF-GAN is not installed; the message says how to.
        ValueError: pictures of other shapes or types, or different numbers of them.
    """
    swd = tfgan.module("eval.sliced_wasserstein")
    import tensorflow as tf

    real, fake = np.asarray(real_images), np.asarray(fake_images)
    size = real.shape[1] if real.ndim == 4 else 0
    if real.shape != fake.shape or real.shape[1:] != (size, size, 3) or len(real) < 2:
        raise ValueError(
            "Sliced Wasserstein distance takes as many square RGB pictures on both sides, at least 2, "
            f"not {real.shape} and {fake.shape}."
        )
    if size < 16 or size & (size - 1):
        raise ValueError(
            f"The pyramid halves pictures down to 16 pixels: {size} is no power of two."
        )
    if real.dtype != np.uint8 or fake.dtype != np.uint8:
        raise ValueError(f"Pictures must be uint8, not {real.dtype} and {fake.dtype}.")
    random = np.random.default_rng(seed)
    dithered = (
        tf.constant(side + random.uniform(-0.5, 0.5, side.shape).astype("float32"))
        for side in (real, fake)
    )
    before = np.random.get_state()
    np.random.seed(seed)  # TF-GAN draws patches from NumPy's global generator
    tf.random.set_seed(seed)
    logger = tf.get_logger()
    loud = logger.level
    logger.setLevel("ERROR")  # TF-GAN calls what TensorFlow has deprecated
    try:
        levels = swd.sliced_wasserstein_distance(*dithered)
    finally:
        np.random.set_state(before)
        logger.setLevel(loud)
    sizes = [size >> level for level in range(len(levels))]
    return {
        side: (float(between), float(among))
        for side, (among, between) in zip(sizes, levels, strict=True)
    }


def measure(real_images: np.ndarray, fake_images: np.ndarray, seed: int = 0) -> Result:
    """The distance averaged over levels, each of them among the details, x 1,000 as in the paper.

    Raises:
        ImportError: TF-GAN is not installed.
        ValueError: as `sliced_wasserstein_distance`.
    """
    levels = sliced_wasserstein_distance(real_images, fake_images, seed)
    details = {}
    for size, (between, among) in levels.items():
        details[f"{size} px"] = 1000.0 * between
        details[f"real {size} px"] = 1000.0 * among
    few = len(real_images) < COMPARABLE
    note = f"{len(real_images):,} pictures; published numbers are of {COMPARABLE:,}, and smaller."
    return Result(
        "SWD x 1000",
        1000.0 * float(np.mean([between for between, _ in levels.values()])),
        None,
        "",
        len(real_images),
        len(fake_images),
        seed,
        f"{real_images.shape[1]} px",
        details,
        (note,) if few else (),
    )
