"""Inception score against TF-GAN's code, closed forms and the sum as it is written."""

import numpy as np
import pytest

from anime_keras import tfgan
from anime_keras.metrics.features import Collector, Features
from anime_keras.metrics.inception_score import inception_score, measure


def softmax(logits):
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def by_definition(p):
    marginal = p.mean(axis=0)
    return np.exp((p * (np.log(p) - np.log(marginal))).sum(axis=1).mean())


@pytest.fixture
def probabilities():
    return np.random.default_rng(0).dirichlet(np.full(5, 0.3), 203)


def test_published_logits():
    """TF-GAN, classifier_metrics_test.py, test_classifier_score_from_logits_value."""
    logits = np.array([[1.0, 2.0] * 500 + [4.0], [4.0, 5.0] * 500 + [6.0]])
    mean, deviation = inception_score(softmax(logits), splits=1)
    assert mean == pytest.approx(1.00080878, rel=1e-8) and deviation == 0.0


def test_tfgan_on_float64():
    logits = np.random.default_rng(0).standard_normal((150, 12)) * 3.0
    expected = float(tfgan.metrics().classifier_score_from_logits(logits))
    assert inception_score(softmax(logits), splits=1)[0] == pytest.approx(expected, rel=1e-6)


def test_splits_are_contiguous(probabilities):
    parts = [probabilities[203 * i // 10 : 203 * (i + 1) // 10] for i in range(10)]
    scores = [by_definition(part) for part in parts]
    mean, deviation = inception_score(probabilities)
    assert mean == pytest.approx(np.mean(scores), rel=1e-12)
    assert deviation == pytest.approx(np.std(scores), rel=1e-9)


def test_sure_of_all_classes_alike():
    """One-hot and balanced: as many as there are classes, and 0 log 0 is 0."""
    assert inception_score(np.tile(np.eye(7), (10, 1)))[0] == pytest.approx(7.0, rel=1e-12)


def test_sure_of_one_class_or_of_none():
    assert inception_score(np.eye(7)[np.zeros(20, int)])[0] == pytest.approx(1.0, rel=1e-12)
    assert inception_score(np.full((20, 7), 1 / 7))[0] == pytest.approx(1.0, rel=1e-12)


def test_fewer_pictures_than_splits(probabilities):
    with pytest.raises(ValueError, match="of 9 pictures; this metric takes at least 10"):
        inception_score(probabilities[:9])


def test_refuses_logits_and_nan(probabilities):
    with pytest.raises(ValueError, match="softmax"):
        inception_score(probabilities * 2.0)
    with pytest.raises(ValueError, match="NaN"):
        inception_score(np.where(probabilities == probabilities.max(), np.nan, probabilities))


@pytest.mark.parametrize("size", [1, 17, 203])
def test_streamed(probabilities, size):
    collector = Collector("net", count=203)
    for start in range(0, 203, size):
        batch = probabilities[start : start + size]
        collector.add(batch, batch)
    mean, deviation = inception_score(probabilities)
    result = measure(collector.features())
    assert result.value == pytest.approx(mean, rel=1e-12)
    assert result.details["split deviation"] == pytest.approx(deviation, rel=1e-9)
    assert result.spread == pytest.approx(1.96 * deviation / 3.0, rel=1e-9)  # ddof 1, ten splits
    assert (result.real, result.fake, result.better) == (None, 203, "higher")
    assert result.warnings == ()


def test_warns_of_few(probabilities):
    result = measure(Features.of(probabilities[:49], probabilities=probabilities[:49]))
    assert "5 pictures in each split for 5 classes" in result.warnings[0]


def test_of_fewer_than_announced(probabilities):
    """What did come is scored; splits that stayed empty are not."""
    collector = Collector("net", count=406)
    collector.add(probabilities, probabilities)
    result = measure(collector.features())
    assert "uneven" in " ".join(result.warnings)
    parts = [probabilities[406 * i // 10 : 406 * (i + 1) // 10] for i in range(5)]
    assert result.value == pytest.approx(np.mean([by_definition(part) for part in parts]))


def test_without_probabilities(probabilities):
    with pytest.raises(ValueError, match="gave no class probabilities"):
        measure(Features.of(probabilities))
