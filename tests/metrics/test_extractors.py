"""Pictures to features: resizing as it should be, the shipped network, and what goes wrong."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from anime_keras import data, weights
from anime_keras.metrics import anime_network, attributes, extractors

UNSEEN = 777  # a seed that no network was trained on


@pytest.fixture(scope="module")
def faces():
    return data.render(1000, seed=UNSEEN)


# --- resizing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "side"), [(96, 64), (128, 64), (64, 299), (70, 33)])
def test_resize_is_the_antialiased_bicubic_of_another_house(size, side):
    images = np.random.default_rng(0).integers(0, 256, (2, size, size, 3)).astype(np.uint8)
    ours = extractors.resize(images, side)
    theirs = tf.image.resize(images, (side, side), "bicubic", antialias=True).numpy()
    assert ours.dtype == np.float32
    assert np.abs(ours - theirs).max() < 0.01  # of 255: rounding of the kernels' weights


def test_shrinking_a_chessboard_gives_grey_only_with_antialiasing():
    board = (np.indices((63, 63)).sum(axis=0) % 2 * 255).astype(np.uint8)
    images = np.repeat(board[None, :, :, None], 3, axis=3)
    smooth = extractors.resize(images, 21)[:, 2:-2, 2:-2]
    assert np.abs(smooth - 127.5).max() < 2
    cut = extractors.resize(images, 21, antialias=False)  # every third pixel: black or white
    assert np.abs(np.abs(cut - 127.5) - 127.5).max() < 1e-3


def test_resize_keeps_what_bicubic_overshoots():
    edge = np.zeros((1, 32, 32, 3), np.uint8)
    edge[:, :, 16:] = 255
    assert extractors.resize(edge, 64).max() > 260  # not cut off, not rounded
    assert extractors.resize(edge, 64).min() < -5


def test_preprocessing_is_told():
    extractor = extractors.get("anime")
    assert extractor.preprocessing((10, 64, 64, 3)) == "64 px as they are"
    assert extractor.preprocessing((10, 96, 96, 3)) == "anti-aliased bicubic, 96 to 64 px"
    extractor = extractors.Extractor("x", lambda x: x, 64, 3, antialias=False)
    assert "without anti-aliasing" in extractor.preprocessing((1, 128, 128, 3))


# --- the network that comes with the kit ----------------------------------------------------------


def test_the_shipped_weights_are_small_and_those_of_the_card():
    path = weights.path("anime_features.weights.h5")
    assert 3e6 < path.stat().st_size <= 4e6
    card = weights.card("anime_features")
    assert card["parameters"] == anime_network.build_network().count_params() == 913_025


def test_features_are_the_same_whatever_the_batch_and_the_policy(faces):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        anime_network.load.cache_clear()
        extractor = extractors.get("anime")
        features, probabilities = extractor(faces.images[:300])
    finally:
        keras.config.set_dtype_policy("float32")
    assert features.shape == (300, 256) and features.dtype == np.float32
    assert probabilities.shape == (300, 132)
    assert np.abs(probabilities.sum(axis=1) - 1).max() < 1e-5
    alone = np.concatenate([extractor(faces.images[i : i + 1])[0] for i in range(0, 300, 60)])
    assert np.abs(alone - features[::60]).max() < 1e-4 * np.abs(features).max()


def test_it_reads_97_of_100_words_off_unseen_faces(faces):
    """Each factor but the pose, which is a number cut into five words: 1 in 12 lies at a cut."""
    seen = attributes.read(faces.images)
    truth = dict(faces.factors)
    assert (seen.words["eyes"] == 1).mean() == pytest.approx(0.048, abs=0.02)  # laughing: shut
    for factor, words in truth.items():
        visible = seen.words["eyes"] == 0 if factor == "eye_color" else slice(None)
        right = (seen.words[factor] == words)[visible].mean()
        assert right >= (0.90 if factor == "pose" else 0.97), factor
    for factor in ("hair_color", "glasses", "gender", "expression"):
        assert (seen.words[factor] == truth[factor]).mean() >= 0.97


def test_it_reads_portraits_too():
    faces = data.render(80, style="portrait", seed=UNSEEN)
    seen = attributes.read(faces.images)
    assert (seen.words["style"] == 1).mean() >= 0.99
    assert (seen.words["hair_color"] == faces.factors["hair_color"]).mean() >= 0.96


def test_it_measures_pose_and_landmarks(faces):
    seen = attributes.read(faces.images)
    off = np.abs(seen.angles[:, 0] - faces.continuous["yaw"])
    assert np.median(off) < 2.5  # degrees, of ±30
    off = np.linalg.norm(seen.landmarks * 64 - faces.landmarks, axis=-1)
    assert np.median(off) < 1.5  # pixels, of 64


# --- others ---------------------------------------------------------------------------------------


def test_any_keras_model_is_an_extractor():
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, keras.layers.AveragePooling2D(2)(inputs), name="means")
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)
    features, probabilities = extractors.get(model)(images)
    assert probabilities is None
    expected = images.mean(axis=(1, 2)) / 127.5 - 1
    assert np.allclose(features, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "layer"),
    [((8, 8, 1), "flat"), ((8, 6, 3), "flat"), ((8, 8, 3), "three"), ((10,), "flat")],
)
def test_a_model_that_is_none_is_refused(shape, layer):
    inputs = keras.Input(shape)
    outputs = keras.layers.Flatten()(inputs)
    if layer == "three":
        outputs = keras.layers.Reshape((3, -1))(outputs)
    with pytest.raises(ValueError, match="An extractor"):
        extractors.get(keras.Model(inputs, outputs))


def test_pictures_that_are_none_are_refused():
    extractor = extractors.Extractor("none", lambda x: x[:, 0, 0], None, 3)
    for wrong in (
        np.zeros((2, 4, 4, 3)),
        np.zeros((2, 4, 4), np.uint8),
        np.zeros((0, 4, 4, 3), np.uint8),
    ):
        with pytest.raises(ValueError, match="ictures to measure"):
            extractor(wrong)
    broken = extractors.Extractor("broken", lambda x: x[:, 0, 0] * np.nan, None, 3)
    with pytest.raises(ValueError, match="broken answers with NaN"):
        broken(np.zeros((2, 4, 4, 3), np.uint8))


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="no extractor 'vgg': choose from anime, inception"):
        extractors.get("vgg")


def test_inception_without_a_network_says_what_to_do(monkeypatch):
    def refuse(**arguments):
        raise OSError("Name or service not known")

    monkeypatch.setattr(keras.applications, "InceptionV3", refuse)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        with pytest.raises(RuntimeError, match=r"Name or service not known.*--extractor anime"):
            extractors.get("inception")
        assert keras.config.dtype_policy().name == "mixed_bfloat16"  # put back
    finally:
        keras.config.set_dtype_policy("float32")


def test_inception_takes_pool_and_logits(monkeypatch):
    """With the architecture of keras.applications, cut down to what can be checked by hand."""

    def small(weights, classifier_activation):
        assert weights == "imagenet" and classifier_activation is None
        inputs = keras.Input((299, 299, 3))
        pool = keras.layers.GlobalAveragePooling2D(name="avg_pool")(inputs)
        identity = keras.layers.Dense(3, kernel_initializer="identity")
        return keras.Model(inputs, identity(pool))

    monkeypatch.setattr(keras.applications, "InceptionV3", small)
    extractor = extractors.get("inception")
    features, probabilities = extractor(np.full((2, 64, 64, 3), (0, 51, 255), np.uint8))
    assert np.allclose(features, [-1, -0.6, 1], atol=1e-3)  # a mean of 89,401 in float32
    expected = np.exp([-1, -0.6, 1]) / np.exp([-1, -0.6, 1]).sum()
    assert np.allclose(probabilities, expected, atol=1e-3)


class _Graph(tf.Module):
    """What TF-Hub's graph of 2015 looks like from outside."""

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32)])
    def __call__(self, images):
        mean = tf.reduce_mean(images, axis=(1, 2))
        return {"pool_3": mean[:, None, None, :], "logits": 2 * mean}


def test_the_graph_of_2015_from_a_folder(tmp_path, monkeypatch):
    folder = tmp_path / "graph"
    tf.saved_model.save(_Graph(), str(folder))
    monkeypatch.setenv("ANIME_KERAS_INCEPTION_2015", str(folder))
    extractor = extractors.get("inception-2015")
    features, probabilities = extractor(np.full((2, 64, 64, 3), (0, 51, 255), np.uint8))
    assert np.allclose(features, [-1, -0.6, 1], atol=1e-3)
    expected = np.exp([-2, -1.2, 2]) / np.exp([-2, -1.2, 2]).sum()
    assert np.allclose(probabilities, expected, atol=1e-3)
    assert extractor.side == 299 and len(extractor.fingerprint) == 64
    (folder / "saved_model.pb").write_bytes((folder / "saved_model.pb").read_bytes() + b" ")
    with pytest.raises(RuntimeError, match="has changed since it was downloaded"):
        extractors.get("inception-2015")


def test_the_graph_of_2015_without_a_network(tmp_path, monkeypatch):
    monkeypatch.setenv("ANIME_KERAS_INCEPTION_2015", str(tmp_path / "nowhere"))
    with pytest.raises(RuntimeError, match=r"ANIME_KERAS_INCEPTION_2015.*--extractor anime"):
        extractors.get("inception-2015")
