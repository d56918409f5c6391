"""Features collected batch by batch against NumPy on all of them, and what is refused."""

import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from anime_keras.metrics.features import (
    Collector,
    Features,
    Moments,
    as_features,
    comparable,
    splits_of,
    thinned,
)


@pytest.fixture
def rows():
    return np.random.default_rng(0).standard_normal((2500, 7)).astype("float32") * 3 + 50


def collect(rows, size, **settings):
    collector = Collector("net", "64 px", **settings)
    for start in range(0, len(rows), size):
        collector.add(rows[start : start + size])
    return collector.features()


class TestMoments:
    def test_equal_numpy(self, rows):
        moments = Features.of(rows).moments
        assert moments.count == 2500
        np.testing.assert_allclose(moments.mean, rows.mean(axis=0, dtype="float64"), rtol=1e-13)
        expected = np.cov(rows.astype("float64"), rowvar=False)
        np.testing.assert_allclose(moments.covariance, expected, rtol=1e-11)

    def test_of_values_far_from_zero(self):
        """The sum of squares minus the square of the sum would lose all digits here."""
        rows = 1e8 + np.random.default_rng(0).standard_normal((3000, 2))
        covariance = Features.of(rows).moments.covariance
        np.testing.assert_allclose(covariance, np.cov(rows, rowvar=False), rtol=1e-6, atol=1e-6)

    def test_two_sets_add_up(self, rows):
        together = Moments.of(rows[:900]) + Moments.of(rows[900:])
        np.testing.assert_allclose(together.covariance, Moments.of(rows).covariance, rtol=1e-11)
        nothing = Moments.none(7)
        np.testing.assert_array_equal((nothing + together).covariance, together.covariance)

    def test_weights_count_rows_again(self, rows):
        weights = np.random.default_rng(1).integers(0, 4, len(rows))
        weighted, repeated = Moments.of(rows, weights), Moments.of(np.repeat(rows, weights, axis=0))
        assert weighted.count == repeated.count == weights.sum()
        np.testing.assert_allclose(weighted.mean, repeated.mean, rtol=1e-12)
        np.testing.assert_allclose(weighted.covariance, repeated.covariance, rtol=1e-10)

    def test_one_row_has_no_covariance(self):
        with pytest.raises(ValueError, match="at least 2 pictures; there are 1"):
            _ = Moments.of(np.ones((1, 3))).covariance


class TestBatches:
    @pytest.mark.parametrize("size", [1, 64, 1000, 1024, 2500])
    def test_any_size_gives_the_same_to_the_last_bit(self, rows, size):
        whole, cut = collect(rows, 2500, capacity=100), collect(rows, size, capacity=100)
        np.testing.assert_array_equal(whole.moments.scatter, cut.moments.scatter)
        np.testing.assert_array_equal(whole.moments.mean, cut.moments.mean)
        np.testing.assert_array_equal(whole.sample, cut.sample)
        np.testing.assert_array_equal(whole.indices, cut.indices)

    def test_more_may_follow(self, rows):
        collector = Collector("net")
        collector.add(rows[:1500])
        half = collector.features()
        collector.add(rows[1500:])
        np.testing.assert_allclose(half.moments.mean, rows[:1500].mean(axis=0), rtol=1e-6)
        whole = Features.of(rows).moments
        np.testing.assert_array_equal(collector.features().moments.scatter, whole.scatter)

    def test_what_was_given_may_be_overwritten(self, rows):
        collector, batch = Collector("net"), rows[:10].copy()
        collector.add(batch)
        batch[:] = 0.0
        np.testing.assert_allclose(collector.features().moments.mean, rows[:10].mean(axis=0), 1e-6)


class TestSample:
    def test_keeps_all_in_order_while_there_is_room(self, rows):
        features = Features.of(rows, capacity=2500)
        np.testing.assert_array_equal(features.sample, rows)
        np.testing.assert_array_equal(features.indices, np.arange(2500))
        assert thinned(features) == []

    def test_indices_say_which_rows_were_kept(self, rows):
        features = Features.of(rows, capacity=200, seed=3)
        assert features.sample.shape == (200, 7) and features.count == 2500
        assert (np.diff(features.indices) > 0).all()
        np.testing.assert_array_equal(features.sample, rows[features.indices])
        assert "200 of 2,500" in thinned(features)[0]

    def test_is_uniform(self):
        """Each of 60 rows is kept as often as any other, whether it comes early or late."""
        rows, times = np.zeros((60, 1)), 4000
        kept = np.zeros(60)
        for seed in range(times):
            kept[Features.of(rows, capacity=15, seed=seed).indices] += 1
        expected = times * 15 / 60
        # sampling without replacement: each count's variance is smaller by (1 - 15 / 60) · 60 / 59
        statistic = ((kept - expected) ** 2).sum() / expected / (0.75 * 60 / 59)
        assert kept.sum() == times * 15
        assert 0.001 < stats.chi2.sf(statistic, 59) < 0.999

    def test_seeds_draw_differently(self, rows):
        first, second = (Features.of(rows, capacity=50, seed=seed).indices for seed in (0, 1))
        assert (first != second).any()


class TestProbabilities:
    def test_splits_are_those_of_the_papers_code(self):
        for total in (10, 23, 1000, 1009):
            parts = [total * i // 10 for i in range(11)]
            expected = np.repeat(np.arange(10), np.diff(parts))
            np.testing.assert_array_equal(splits_of(0, total, total, 10), expected)
            np.testing.assert_array_equal(splits_of(4, 5, total, 10), expected[4:9])

    def test_need_the_count(self, rows):
        collector = Collector("net")
        collector.add(rows, np.full((2500, 4), 0.25))
        assert collector.features().probabilities is None

    def test_more_than_announced(self, rows):
        collector = Collector("net", count=10)
        with pytest.raises(ValueError, match="10 pictures were announced"):
            collector.add(rows[:11], np.full((11, 4), 0.25))

    def test_of_some_batches_only(self, rows):
        collector = Collector("net", count=20)
        collector.add(rows[:10], np.full((10, 4), 0.25))
        collector.add(rows[10:20])
        with pytest.raises(ValueError, match="some without"):
            collector.features()

    @pytest.mark.parametrize("wrong", [np.full((3, 4), 0.3), np.float32([[1.5, -0.5]] * 3)])
    def test_logits_are_refused(self, rows, wrong):
        with pytest.raises(ValueError, match="softmax"):
            Collector("net", count=3).add(rows[:3], wrong)


class TestRefused:
    @pytest.mark.parametrize("shape", [(4,), (4, 2, 2), (4, 0)])
    def test_shapes(self, shape):
        with pytest.raises(ValueError, match="not of shape"):
            as_features(np.zeros(shape))

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_numbers(self, bad, rows):
        rows[[3, 2000], 1] = bad
        with pytest.raises(ValueError, match="2 of 2,500 pictures hold NaN or infinity"):
            Collector("net").add(rows)

    def test_types(self):
        with pytest.raises(ValueError, match="real numbers"):
            as_features(np.array([["a", "b"]]))
        with pytest.raises(ValueError, match="real numbers"):
            as_features(np.array([[1j]]))

    def test_nothing(self):
        with pytest.raises(ValueError, match="no pictures"):
            Collector("net").features()

    def test_another_width(self, rows):
        collector = Collector("net")
        collector.add(rows)
        with pytest.raises(ValueError, match="has 6 features a picture, those before had 7"):
            collector.add(rows[:, :6])


class TestComparable:
    def test_extractors_must_agree(self, rows):
        with pytest.raises(ValueError, match=r"'a' .* 'b'"):
            comparable(Features.of(rows, "a"), Features.of(rows, "b"))
        with pytest.raises(ValueError, match=r"7 features.*6"):
            comparable(Features.of(rows), Features.of(rows[:, :6]))

    def test_preparation_should_agree(self, rows):
        real = Features.of(rows, preprocessing="area")
        assert comparable(real, real) == []
        (warning,) = comparable(real, Features.of(rows, preprocessing="nearest"))
        assert "'area' and 'nearest'" in warning


class TestFile:
    @pytest.mark.parametrize("with_probabilities", [True, False])
    def test_round_trip(self, rows, tmp_path, with_probabilities):
        p = np.random.default_rng(0).dirichlet(np.ones(4), 2500) if with_probabilities else None
        features = Features.of(rows, "net", "64 px", p, capacity=100)
        features.save(tmp_path / "real.npz")
        loaded = Features.load(tmp_path / "real.npz")
        assert (loaded.extractor, loaded.preprocessing, loaded.count) == ("net", "64 px", 2500)
        for name in ("sample", "indices"):
            np.testing.assert_array_equal(getattr(loaded, name), getattr(features, name))
        np.testing.assert_array_equal(loaded.moments.covariance, features.moments.covariance)
        if with_probabilities:
            np.testing.assert_array_equal(
                loaded.probabilities.counts, features.probabilities.counts
            )
            np.testing.assert_array_equal(
                loaded.probabilities.classes, features.probabilities.classes
            )
        else:
            assert loaded.probabilities is None
        assert [path.name for path in tmp_path.iterdir()] == ["real.npz"]

    @pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a zip", None])
    def test_damaged(self, rows, tmp_path, damage):
        path = tmp_path / "real.npz"
        Features.of(rows).save(path)
        path.write_bytes(path.read_bytes()[:5000] if damage is None else damage)
        with pytest.raises(ValueError, match=r"real\.npz holds no features.*Delete it"):
            Features.load(path)

    def test_of_something_else(self, tmp_path):
        np.savez(tmp_path / "other.npz", a=1)
        with pytest.raises(ValueError, match="Delete it"):
            Features.load(tmp_path / "other.npz")

    def test_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            Features.load(tmp_path / "none.npz")


MEMORY = """
import tracemalloc
import numpy as np
from anime_keras.metrics import Collector
def peak(batches):
    random = np.random.default_rng(0)
    collector = Collector("net", capacity=1000)
    tracemalloc.start()
    for _ in range(batches):
        collector.add(random.standard_normal((200, 128), "float32"))
    collector.features()
    return tracemalloc.get_traced_memory()[1]
few, many = peak(30), peak(300)
print(few, many)
assert many < 1.05 * few < 8e6, (few, many)
"""


def test_memory_does_not_grow_with_pictures():
    """60,000 pictures of 128 float32 would be 31 MB."""
    subprocess.run([sys.executable, "-c", MEMORY], check=True)


def test_keras_is_not_imported_for_numbers():
    code = (
        "import sys; from anime_keras import metrics; import numpy as np;"
        "metrics.frechet_distance(np.eye(3), np.eye(3)); metrics.Features.of(np.eye(3));"
        "assert not {'tensorflow', 'keras', 'torch', 'jax'} & set(sys.modules);"
        "assert callable(metrics.precision_recall) and callable(metrics.inception_score);"
        "assert 'FrechetDistance' in dir(metrics); metrics.FrechetDistance"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
