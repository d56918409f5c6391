"""The kit's own network for measuring: it reads a face's factors, and what it sees are features.

It was trained by this project on drawn faces alone (`weights/anime_features.py`), to name all that is
known of each. So its features know hair, eyes, expression, pose and place; and because it was also
asked how blurred, noisy and compressed a picture is, they keep what a reader of faces would rather
overlook, and a metric on them sees it.
"""

import functools
from typing import Any

import numpy as np

from anime_keras.data.anime import LANDMARKS
from anime_keras.data.people import FACTORS

SIDE = 64  # pixels of the pictures it looks at
WORDS: dict[str, tuple[str, ...]] = {
    **FACTORS,
    "style": ("anime", "portrait"),
    "eyes": ("open", "shut"),
}
"""What it names: every factor, how the face is drawn, and whether its eyes are open."""
NUMBERS: dict[str, int] = {"angles": 3, "landmarks": 2 * len(LANDMARKS), "damage": 3}
"""What it measures: yaw, pitch and roll in units of 30, 9 and 13 degrees; landmarks, x then y, from -1
at the left and upper edge to 1; blur (sigma in parts of 2 px), noise (standard deviation in parts of
0.15 of black to white), JPEG compression (1 - quality / 100)."""
ANGLES = (30.0, 9.0, 13.0)


def slices() -> dict[str, slice]:
    """Where each of `WORDS` and `NUMBERS` stands among the network's answers."""
    places, start = {}, 0
    for name, count in [*((n, len(w)) for n, w in WORDS.items()), *NUMBERS.items()]:
        places[name] = slice(start, start + count)
        start += count
    return places


def build_network(width: int = 24) -> Any:
    """Pictures (n, 64, 64, 3) in [-1, 1] to features (n, 256) and answers (n, 153).

    Four times the picture is halved, each time followed by a residual block (He et al. 2016). The
    features are the means over the picture of the last two stages, 96 and 160 channels at width 24,
    each standardised over the training pictures: in a distance between features none then counts
    for more than another because its numbers are larger. One linear layer reads all answers off them.
    0.1 GFLOP a picture.
    """
    import keras
    from keras import layers

    def conv(x: Any, filters: int, stride: int = 1) -> Any:
        x = layers.Conv2D(filters, 3, stride, padding="same", use_bias=False)(x)
        return layers.ReLU()(layers.BatchNormalization(momentum=0.95, epsilon=1e-3)(x))

    inputs = x = keras.Input((SIDE, SIDE, 3))
    stages = []
    for filters in (width, 2 * width, 4 * width, 20 * width // 3):
        x = conv(x, filters, stride=2)
        x = layers.Add()([x, conv(conv(x, filters), filters)])
        stages.append(x)
    means = [layers.GlobalAveragePooling2D(dtype="float32")(stage) for stage in stages[2:]]
    x = layers.Concatenate(dtype="float32")(means)
    standardise = layers.BatchNormalization(
        momentum=0.99, epsilon=1e-5, center=False, scale=False, dtype="float32", name="features"
    )
    features = standardise(x)
    count = max(place.stop for place in slices().values())
    answers = layers.Dense(count, name="answers", dtype="float32")(features)
    return keras.Model(inputs, [features, answers], name="anime_features")


@functools.cache
def load() -> Any:
    """The trained network, in float32 whatever the dtype policy is.

    Raises:
        FileNotFoundError: its weights are missing.
        ValueError: they are damaged.
    """
    import keras

    from anime_keras import weights

    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        network = build_network()
    finally:
        keras.config.set_dtype_policy(policy)
    network.load_weights(weights.path("anime_features.weights.h5"))
    return network


def stages() -> Any:
    """The trained network as far as its four stages, for losses that compare what it sees.

    Returns:
        Pictures (n, 64, 64, 3) in [-1, 1] to maps (n, 32, 32, 24), (n, 16, 16, 48), (n, 8, 8, 96) and
        (n, 4, 4, 160), computed as the dtype policy of the moment says. Frozen: call it with
        `training=False`.

    Raises:
        FileNotFoundError, ValueError: as `load`.
    """
    import keras

    return _stages(keras.config.dtype_policy().name)


@functools.cache
def _stages(policy: str) -> Any:
    """`stages` in the dtype policy of that name, which is the present one."""
    import keras

    network = build_network()
    network.set_weights(load().get_weights())
    maps = [layer.output for layer in network.layers if isinstance(layer, keras.layers.Add)]
    stages = keras.Model(network.input, maps, name="anime_stages")
    stages.trainable = False
    return stages


def read(answers: np.ndarray) -> dict[str, np.ndarray]:
    """Answers (n, 153), split: logits (n, words) of each of `WORDS`, values of each of `NUMBERS`."""
    return {name: answers[:, place] for name, place in slices().items()}
