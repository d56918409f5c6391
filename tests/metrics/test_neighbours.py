"""Nearest neighbours against brute force; generators that copy against ones that do not."""

import numpy as np
import pytest

from anime_keras.metrics.features import Features
from anime_keras.metrics.neighbours import (
    measure,
    memorisation,
    nearest_neighbours,
    squared_distances,
)


def draw(count, seed, dimension=6):
    return np.random.default_rng(seed).standard_normal((count, dimension))


class TestNearest:
    @pytest.mark.parametrize("block", [1024, 7])
    @pytest.mark.parametrize("k", [1, 4])
    def test_brute_force(self, k, block, monkeypatch):
        monkeypatch.setattr("anime_keras.metrics.neighbours.BLOCK", block)
        queries, references = draw(40, 0), draw(55, 1)
        distances, indices = nearest_neighbours(queries, references, k)
        expected = np.sqrt(np.square(queries[:, None] - references[None]).sum(axis=2))
        np.testing.assert_array_equal(indices, np.argsort(expected, axis=1)[:, :k])
        np.testing.assert_allclose(distances, np.sort(expected, axis=1)[:, :k], rtol=1e-10)

    @pytest.mark.parametrize("block", [1024, 7])
    def test_without_itself(self, block, monkeypatch):
        monkeypatch.setattr("anime_keras.metrics.neighbours.BLOCK", block)
        rows = draw(40, 0)
        _, indices = nearest_neighbours(rows, rows, 39, itself=False)
        for i, row in enumerate(indices):
            assert sorted(row) == [j for j in range(40) if j != i]
        distances, indices = nearest_neighbours(rows, rows)
        np.testing.assert_array_equal(indices[:, 0], np.arange(40))
        assert (distances == 0.0).all()

    def test_equal_rows_are_no_distance_apart(self):
        rows = (draw(30, 0, 512) * 1e3 + 1e5).astype("float32")
        assert (np.diag(squared_distances(rows, rows)) == 0.0).all()
        apart = squared_distances(rows, rows) + np.eye(30)
        assert (apart > 0.0).all()

    def test_too_few(self):
        with pytest.raises(ValueError, match="4 neighbours cannot be found among 4"):
            nearest_neighbours(draw(4, 0), draw(4, 0), 4, itself=False)
        with pytest.raises(ValueError, match="5 neighbours"):
            nearest_neighbours(draw(4, 0), draw(4, 0), 5)


class TestMemorisation:
    def test_honest_generator(self):
        """Over many draws the probability is ½, and its error what it says."""
        scores = []
        for seed in range(150):
            found = memorisation(
                draw(100, 3 * seed), draw(300, 3 * seed + 1), draw(80, 3 * seed + 2)
            )
            scores.append((found.nearer - 0.5) / found.error)
        assert abs(np.mean(scores)) < 3.0 / np.sqrt(150)
        assert 0.8 < np.std(scores) < 1.25

    def test_copies(self):
        training = draw(300, 0)
        fake = training[np.random.default_rng(1).integers(0, 300, 100)]
        found = memorisation(fake, training, draw(80, 2))
        assert found.nearer == 1.0 and found.copies == 1.0 and found.ratio == 0.0
        np.testing.assert_array_equal(training[found.indices], fake)
        assert (found.distances == 0.0).all()

    @pytest.mark.parametrize("part", [0.1, 0.3, 0.6])
    def test_some_copies(self, part):
        """A share c of near copies: c + (1 - c) / 2 nearer, and c + 0.01 (1 - c) found as copies."""
        training, fake = draw(2000, 0), draw(2000, 1)
        copied = int(2000 * part)
        fake[:copied] = training[:copied] + 1e-4 * draw(copied, 3)
        found = memorisation(fake, training, draw(2000, 2))
        assert found.nearer == pytest.approx(part + (1.0 - part) / 2.0, abs=0.03)
        assert found.copies == pytest.approx(part + 0.01 * (1.0 - part), abs=0.015)
        np.testing.assert_array_equal(found.indices[:copied], np.arange(copied))

    def test_off_the_data(self):
        found = memorisation(draw(100, 0) * 3.0, draw(300, 1), draw(80, 2))
        assert found.nearer < 0.15 and found.ratio > 1.5

    def test_by_hand(self):
        """Distances 0, 2, 3 generated against 1, 2 held out: wins 2 + 0.5 + 0 of 6, ties half."""
        training = np.array([[0.0], [100.0]])
        found = memorisation(np.array([[0.0], [2.0], [97.0]]), training, np.array([[1.0], [98.0]]))
        assert found.nearer == pytest.approx(2.5 / 6.0)
        assert found.ratio == pytest.approx(2.0 / 1.5)
        wins, losses = np.array([1.0, 0.25, 0.0]), np.array([2.0 / 3.0, 1.0 - 0.5])
        losses[0] = 1.0 / 3.0  # of the generated ones only 0 is nearer than 1
        losses[1] = 0.5  # 0 is nearer than 2, and 2 is as near
        expected = np.sqrt(wins.var(ddof=1) / 3 + losses.var(ddof=1) / 2)
        assert found.error == pytest.approx(expected)

    def test_training_pictures_stand_in(self):
        found = memorisation(draw(400, 0), draw(400, 1))
        assert abs(found.nearer - 0.5) < 3.0 * found.error


class TestMeasure:
    def test_result(self):
        training, fake, held_out = (Features.of(draw(n, n), "net") for n in (300, 200, 100))
        result = measure(training, fake, held_out)
        found = memorisation(fake.sample, training.sample, held_out.sample)
        assert result.value == found.nearer and result.spread == pytest.approx(1.96 * found.error)
        assert result.details == {"ratio": found.ratio, "copies": found.copies}
        assert (result.real, result.fake, result.better) == (300, 200, "lower")
        assert result.warnings == ()

    def test_warnings(self):
        training, fake = (Features.of(draw(n, n)) for n in (300, 200))
        assert "No held-out" in measure(training, fake).warnings[0]
        few = measure(training, fake, Features.of(draw(99, 0)))
        assert "Only 99 held-out" in few.warnings[0]
        with pytest.raises(ValueError, match="one extractor"):
            measure(training, fake, Features.of(draw(99, 0), "other"))
