"""KID against TF-GAN's code, its published test value and the sum over all pairs."""

import itertools
import subprocess
import sys

import numpy as np
import pytest

from anime_keras import tfgan
from anime_keras.metrics import features
from anime_keras.metrics.features import Features
from anime_keras.metrics.kernel import kernel_distance, measure, subset_distances


def by_definition(real, fake):
    def k(x, y):
        return (x @ y / len(x) + 1.0) ** 3

    among_real = np.mean([k(x, y) for x, y in itertools.permutations(real, 2)])
    among_fake = np.mean([k(x, y) for x, y in itertools.permutations(fake, 2)])
    return among_real + among_fake - 2.0 * np.mean([k(x, y) for x in real for y in fake])


def pair(n, m, dimension, seed=0, scale=1.0):
    random = np.random.default_rng(seed)
    return random.standard_normal((n, dimension)), random.standard_normal((m, dimension)) * scale


class TestDistance:
    def test_published_value(self):
        """TF-GAN, classifier_metrics_test.py, test_kernel_classifier_distance_value."""
        state = np.random.RandomState(0)
        real = state.randn(512, 256).astype("float32")
        fake = (state.randn(512, 256) * 1.1 + 0.05).astype("float32")
        assert kernel_distance(real, fake) == pytest.approx(0.00838861, rel=1e-6)

    def test_tfgan_on_float64(self):
        import tensorflow as tf

        real, fake = pair(120, 90, 17, scale=1.3)
        expected = tfgan.metrics().kernel_classifier_distance_from_activations(
            tf.constant(real), tf.constant(fake)
        )
        assert kernel_distance(real, fake) == pytest.approx(float(expected), rel=1e-6)

    @pytest.mark.parametrize(("n", "m", "dimension"), [(2, 2, 1), (20, 31, 5)])
    def test_all_pairs(self, n, m, dimension):
        real, fake = pair(n, m, dimension, scale=2.0)
        assert kernel_distance(real, fake) == pytest.approx(by_definition(real, fake), rel=1e-10)

    @pytest.mark.parametrize("block", [1, 7, 50])
    def test_blocks_change_nothing(self, block, monkeypatch):
        real, fake = pair(50, 33, 5, scale=2.0)
        expected = kernel_distance(real, fake)
        monkeypatch.setattr("anime_keras.metrics.kernel.BLOCK", block)
        assert kernel_distance(real, fake) == pytest.approx(expected, rel=1e-10)

    def test_unbiased(self):
        """The mean over many small pairs of sets of one distribution is 0 within its error."""
        values = np.array([kernel_distance(*pair(5, 5, 4, seed)) for seed in range(3000)])
        error = values.std(ddof=1) / np.sqrt(len(values))
        assert abs(values.mean()) < 3.0 * error
        assert (values < 0.0).mean() > 0.2

    def test_one_picture(self):
        with pytest.raises(ValueError, match="at least 2"):
            kernel_distance(np.zeros((1, 3)), np.zeros((5, 3)))


class TestSubsets:
    def test_mean_is_the_distance(self):
        real, fake = pair(400, 300, 6, scale=1.2)
        values = subset_distances(real, fake, subsets=400, subset_size=100)
        assert values.shape == (400,) and len(set(values)) == 400
        error = values.std() / np.sqrt(len(values))
        assert abs(values.mean() - kernel_distance(real, fake)) < 4.0 * error

    def test_of_everything(self):
        """A subset without replacement, as large as the set, is the set."""
        real, fake = pair(40, 40, 6)
        values = subset_distances(real, fake, subsets=3, subset_size=40)
        np.testing.assert_allclose(values, kernel_distance(real, fake), rtol=1e-9)

    def test_seeds(self):
        real, fake = pair(40, 40, 6)
        first, again, other = (subset_distances(real, fake, 5, 10, seed) for seed in (0, 0, 1))
        assert (first == again).all() and (first != other).all()

    def test_too_large(self):
        with pytest.raises(ValueError, match="Subsets of 41 cannot be drawn from 40 and 50"):
            subset_distances(*pair(40, 50, 3), subset_size=41)


class TestMeasure:
    def test_interval_holds_the_truth(self):
        """Of 200 intervals about 190 hold the value of two very large sets."""
        truth = kernel_distance(*pair(6000, 6000, 3, seed=999, scale=1.5))
        held = 0
        for seed in range(200):
            real, fake = (Features.of(side) for side in pair(300, 300, 3, seed, 1.5))
            result = measure(real, fake, subsets=60)
            held += abs(result.value - truth) < result.spread
        assert 180 <= held <= 199

    def test_protocol(self):
        real, fake = (Features.of(side) for side in pair(2000, 2100, 3, scale=1.2))
        result = measure(real, fake, seed=4, subsets=20)
        values = subset_distances(real.sample, fake.sample, 20, 1000, 4)
        assert result.value == pytest.approx(values.mean())
        assert result.details["subset deviation"] == pytest.approx(values.std(ddof=1))
        expected = kernel_distance(real.sample, fake.sample)
        assert result.details["all pairs"] == pytest.approx(expected)
        assert result.warnings == ()

    def test_warns_of_small_subsets(self):
        real, fake = (Features.of(side) for side in pair(300, 400, 3))
        assert "Subsets of 150 pictures instead of 1,000" in measure(real, fake).warnings[0]

    def test_takes_four(self):
        real, fake = (Features.of(side) for side in pair(3, 400, 3))
        with pytest.raises(ValueError, match="at least 4"):
            measure(real, fake)


MEMORY = """
import tracemalloc
import numpy as np
from anime_keras.metrics import kernel_distance, precision_recall, density_coverage
random = np.random.default_rng(0)
rows = random.standard_normal((5000, 256), "float32"), random.standard_normal((5000, 256), "float32")
allowed = {
    kernel_distance: 16 * 1024 * (256 + 2 * 1024),
    precision_recall: 16 * 1024 * (256 + 3 * 1024),
    density_coverage: 16 * 1024 * (256 + 3 * 1024),
}
for function, most in allowed.items():
    tracemalloc.start()
    function(*rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(function.__name__, peak, most)
    assert peak < most, (function, peak, most)
"""


def test_memory_is_what_the_docstrings_say():
    """All pairs of 5,000 in float64 would be 200 MB."""
    assert features.BLOCK == 1024
    subprocess.run([sys.executable, "-c", MEMORY], check=True)
