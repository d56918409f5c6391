"""FID against closed forms, scipy's matrix root, TF-GAN's code and its published test values."""

import numpy as np
import pytest
import scipy.linalg

from anime_keras import tfgan
from anime_keras.metrics import frechet
from anime_keras.metrics.features import Features
from anime_keras.metrics.frechet import (
    bootstrap,
    extrapolate,
    frechet_distance,
    frechet_from_moments,
    mean_distance,
    measure,
)


def by_definition(real, fake):
    """The equation as it stands, with scipy's matrix root."""
    gap = real.mean(axis=0) - fake.mean(axis=0)
    first, second = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    root = scipy.linalg.sqrtm(first @ second).real
    return gap @ gap + np.trace(first + second - 2.0 * root)


def by_eigenvalues(first, second):
    """tr (Σ₁ Σ₂)^½ of singular matrices: scipy's root of those is not reliable, a spectrum is."""
    return np.sqrt(np.linalg.eigvals(first @ second).astype(complex)).real.sum()


def correlated(random, count, dimension):
    return random.standard_normal((count, dimension)) @ random.standard_normal(
        (dimension, dimension)
    )


class TestAgainstOthers:
    def test_published_values(self):
        """TF-GAN, classifier_metrics_test.py: its arrays, its expected values."""
        state = np.random.RandomState(0)
        real, fake = (state.randn(512, 256).astype("float32") for _ in range(2))
        assert frechet_distance(real, fake) == pytest.approx(65.742724, rel=1e-7)
        state = np.random.RandomState(0)
        real, fake = (state.randn(256, 2048).astype("float32") for _ in range(2))
        assert mean_distance(real, fake) == pytest.approx(14.991064, rel=1e-7)

    def test_tfgan_on_float64(self):
        random = np.random.default_rng(0)
        real, fake = correlated(random, 300, 40), correlated(random, 200, 40) + 0.3
        theirs = tfgan.metrics()
        expected = float(theirs.frechet_classifier_distance_from_activations(real, fake))
        assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-6)

    @pytest.mark.parametrize(("n", "m", "dimension"), [(500, 400, 30), (60, 900, 50), (33, 40, 32)])
    def test_scipy(self, n, m, dimension):
        random = np.random.default_rng(n)
        real, fake = correlated(random, n, dimension), correlated(random, m, dimension) + 1.0
        expected = by_definition(real, fake)
        assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-9)
        assert frechet_distance(fake, real) == pytest.approx(expected, rel=1e-9)


class TestClosedForms:
    def test_gaussians_on_common_axes(self):
        """Σ (μ₁ - μ₂)² + Σ (σ₁ - σ₂)² where the covariances share their axes."""
        random = np.random.default_rng(0)
        axes = np.linalg.qr(random.standard_normal((9, 9)))[0]
        first, second, gap = random.random(9), random.random(9), random.standard_normal(9)
        ours = frechet_from_moments(
            gap, axes * first**2 @ axes.T, np.zeros(9), axes * second**2 @ axes.T
        )
        expected = (gap**2).sum() + ((first - second) ** 2).sum()
        assert ours == pytest.approx(expected, rel=1e-12)

    def test_shifted_and_stretched(self):
        """x -> 2x + b: the covariance is 4 Σ, its root 2 Σ, so d² = ‖gap‖² + tr Σ."""
        rows = correlated(np.random.default_rng(0), 500, 12)
        fake = 2.0 * rows + 5.0
        gap = rows.mean(axis=0) + 5.0
        expected = gap @ gap + np.trace(np.cov(rows, rowvar=False))
        assert frechet_distance(rows, fake) == pytest.approx(expected, rel=1e-12)

    def test_plane_of_two_uncorrelated_axes(self):
        """Covariances diag(a, 0) and diag(0, b) have no common part: all of both traces remains."""
        value = frechet_from_moments(
            np.zeros(2), np.diag([4.0, 0.0]), np.zeros(2), np.diag([0.0, 9.0])
        )
        assert value == pytest.approx(13.0, rel=1e-12)

    def test_mean_only(self):
        assert mean_distance(np.full((5, 3), 2.0), np.zeros((4, 3))) == pytest.approx(12.0)


class TestSingular:
    """N < D, N = 2 and constant features: real, right, not negative."""

    @pytest.mark.parametrize(
        ("n", "m"), [(2, 2), (2, 300), (10, 7), (20, 20), (20, 300), (64, 64), (300, 20)]
    )
    def test_fewer_pictures_than_features(self, n, m):
        random = np.random.default_rng(n + m)
        real, fake = correlated(random, n, 64), correlated(random, m, 64)
        first, second = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
        gap = real.mean(axis=0) - fake.mean(axis=0)
        expected = gap @ gap + np.trace(first + second) - 2.0 * by_eigenvalues(first, second)
        # rounding of up to 64 eigenvalues that should be 0 stays in the expected value: sqrt(1e-16)
        ours = frechet_distance(real, fake)
        assert ours == pytest.approx(expected, rel=3e-7)
        # the singular values of the centred rows' product have no such rounding
        scaled = [(side - side.mean(axis=0)) / np.sqrt(len(side) - 1) for side in (real, fake)]
        roots = np.linalg.svd(scaled[0] @ scaled[1].T, compute_uv=False).sum()
        exact = gap @ gap + np.trace(first + second) - 2.0 * roots
        assert ours == pytest.approx(exact, rel=1e-12)
        from_moments = frechet_from_moments(real.mean(axis=0), first, fake.mean(axis=0), second)
        assert from_moments == pytest.approx(exact, rel=1e-12)

    def test_two_pictures_by_hand(self):
        """Covariances d dᵀ / 2 and e eᵀ / 2 of rank one: tr (Σ₁ Σ₂)^½ = |d · e| / 2."""
        random = np.random.default_rng(0)
        real, fake = random.standard_normal((2, 2, 100))
        d, e, gap = real[0] - real[1], fake[0] - fake[1], real.mean(axis=0) - fake.mean(axis=0)
        expected = gap @ gap + (d @ d + e @ e) / 2.0 - abs(d @ e)
        assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-12)

    @pytest.mark.parametrize("count", [2, 30, 500])
    def test_the_same_pictures(self, count):
        rows = correlated(np.random.default_rng(0), count, 100)
        scale = np.trace(np.cov(rows, rowvar=False))
        assert 0.0 <= frechet_distance(rows, rows) < 1e-10 * scale
        assert 0.0 <= frechet_distance(rows, rows[::-1]) < 1e-10 * scale

    def test_constant_features(self):
        constant = np.full((50, 8), 3.0)
        assert frechet_distance(constant, constant) == 0.0
        assert frechet_distance(constant, constant + 1.0) == pytest.approx(8.0)
        rows = np.random.default_rng(0).standard_normal((50, 8))
        expected = np.square(rows.mean(axis=0) - 3.0).sum() + np.trace(np.cov(rows, rowvar=False))
        assert frechet_distance(constant, rows) == pytest.approx(expected, rel=1e-12)

    def test_dead_features(self):
        """Units that are always 0, as ReLU leaves them, take nothing away and add nothing."""
        random = np.random.default_rng(0)
        real, fake = correlated(random, 200, 10), correlated(random, 200, 10)
        padded = (np.pad(side, ((0, 0), (0, 30))) for side in (real, fake))
        assert frechet_distance(*padded) == pytest.approx(frechet_distance(real, fake), rel=1e-12)


class TestRefused:
    def test_unlike_widths(self):
        with pytest.raises(ValueError, match="3 and 4 features"):
            frechet_distance(np.zeros((5, 3)), np.zeros((5, 4)))

    def test_one_picture(self):
        with pytest.raises(ValueError, match="generated features are of 1 pictures"):
            frechet_distance(np.zeros((5, 3)), np.zeros((1, 3)))

    def test_nan(self):
        with pytest.raises(ValueError, match=r"real features of 1 of 5 .* NaN"):
            frechet_distance(np.diag([np.nan, 1, 1, 1, 1]), np.zeros((5, 5)))


def gaussian(count, dimension, seed, scale=1.0):
    return Features.of(np.random.default_rng(seed).standard_normal((count, dimension)) * scale)


class TestExtrapolation:
    def test_takes_the_bias_out(self):
        """Two samples of one distribution: the truth is 0, plain FID is not near it."""
        plain, both, one = [], [], []
        for seed in range(6):
            real, fake = gaussian(2000, 16, 2 * seed), gaussian(2000, 16, 2 * seed + 1)
            plain.append(frechet_distance(real.sample, fake.sample))
            both.append(extrapolate(real, fake, both=True, seed=seed).infinite)
            one.append(extrapolate(real, fake, seed=seed).infinite)
        # D/N + D(D+1)/(4N) from each side, to first order
        bias = 2 * (16 / 2000 + 16 * 17 / 8000)
        assert np.mean(plain) == pytest.approx(bias, rel=0.15)
        assert abs(np.mean(both)) < 0.1 * bias
        assert np.mean(one) == pytest.approx(bias / 2, rel=0.2)

    def test_says_how_well_the_line_fits(self):
        line = extrapolate(gaussian(5000, 8, 0), gaussian(5000, 8, 1, 1.5))
        assert line.sizes[0] == 500 and line.sizes[-1] == 5000
        residual = line.distances - line.infinite - line.slope / line.sizes
        assert line.fit == pytest.approx(1 - residual.var() / line.distances.var())
        assert (np.abs(residual) < 0.3).all() and line.fit < 1.0

    def test_keeps_above_the_number_of_features(self):
        assert extrapolate(gaussian(1000, 100, 0), gaussian(1000, 100, 1)).sizes[0] == 200

    def test_takes_twenty_pictures(self):
        with pytest.raises(ValueError, match="at least 20 pictures; there are 19"):
            extrapolate(gaussian(100, 3, 0), gaussian(19, 3, 1))


class TestMeasure:
    def test_bootstrap_knows_the_spread(self):
        """Against the spread of FID over fresh draws, which only a test has."""
        fresh = [
            frechet_distance(
                gaussian(800, 6, seed).sample, gaussian(800, 6, 500 + seed, 1.5).sample
            )
            for seed in range(300)
        ]
        width = bootstrap(gaussian(800, 6, 1), gaussian(800, 6, 2, 1.5), resamples=200)
        assert width == pytest.approx(1.96 * np.std(fresh), rel=0.25)

    def test_bootstrap_of_a_sample_speaks_for_all(self):
        """Ten times the pictures, of which the same number is kept: a narrower interval."""
        rows = np.random.default_rng(0).standard_normal((8000, 6))
        few, many = Features.of(rows[:800]), Features.of(rows, capacity=800)
        fake = Features.of(1.5 * rows[::-1][:800]), Features.of(1.5 * rows[::-1], capacity=800)
        ratio = bootstrap(few, fake[0], 100) / bootstrap(many, fake[1], 100)
        assert ratio == pytest.approx(np.sqrt(10), rel=0.3)

    def test_result(self):
        real, fake = gaussian(500, 6, 0), gaussian(400, 6, 1, 1.5)
        result = measure(real, fake, seed=3)
        assert result.value == pytest.approx(frechet_distance(real.sample, fake.sample), rel=1e-6)
        assert (result.real, result.fake, result.seed, result.better) == (500, 400, 3, "lower")
        assert result.details["mean only"] == pytest.approx(
            mean_distance(real.sample, fake.sample), rel=1e-5
        )
        assert result.details["infinite"] < result.value
        assert result.warnings == () and result.spread > 0.0
        assert measure(real, fake, seed=3) == result
        assert measure(real, fake, resamples=0).spread is None

    def test_warns_of_few_pictures(self):
        result = measure(gaussian(30, 30, 0), gaussian(400, 30, 1))
        assert any("30 real pictures for 30 features" in warning for warning in result.warnings)
        assert not any("generated pictures for" in warning for warning in result.warnings)

    def test_uses_all_pictures_not_the_sample(self):
        rows = np.random.default_rng(0).standard_normal((3000, 5))
        fake = Features.of(rows * 1.2, capacity=50)
        value = frechet.measure(Features.of(rows), fake, resamples=2).value
        assert value == pytest.approx(frechet_distance(rows, rows * 1.2), rel=1e-9)
