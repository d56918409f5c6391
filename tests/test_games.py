"""Dirac-GAN against the kit's losses, against integrals done otherwise, and against Mescheder et al."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import integrate, stats

from anime_keras import games, losses

POINTS = np.random.default_rng(0).uniform(-2, 2, (2, 7))


def softplus(x):
    return np.logaddexp(0, x)


# The losses of one logit, once more and from the papers: D at a real and a fake point, G at a fake one.
LOSSES = {
    "minimax": (lambda x: softplus(-x), softplus, lambda x: -softplus(x)),
    "non_saturating": (lambda x: softplus(-x), softplus, lambda x: softplus(-x)),
    "least_squares": (lambda x: (x - 1) ** 2 / 2, lambda x: x**2 / 2, lambda x: (x - 1) ** 2 / 2),
    "hinge": (lambda x: np.maximum(0, 1 - x), lambda x: np.maximum(0, 1 + x), lambda x: -x),
    "wasserstein": (lambda x: -x, lambda x: x, lambda x: -x),
}


@pytest.mark.parametrize("name", list(games.SLOPES))
def test_slopes_are_those_of_the_kits_losses(name):
    at = np.float32([-30.0, -1.5, -0.2, 0.0, 0.7, 1.3, 30.0])
    rule, slopes = losses.get(name), games.SLOPES[name]
    for curve, loss in (
        (slopes.real, lambda x: rule.discriminator(x, at) * len(at)),
        (slopes.fake, lambda x: rule.discriminator(at, x) * len(at)),
        (slopes.generator, lambda x: rule.generator(at, x) * len(at)),
    ):
        logits = tf.constant(at)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(logits)
        np.testing.assert_allclose(curve(at), tape.gradient(value, logits), atol=1e-6)


def test_the_sigmoid_does_not_overflow():
    with np.errstate(all="raise"):
        assert games.sigmoid(700.0) == 1.0 and 0 < games.sigmoid(-700.0) < 1e-300
    assert games.sigmoid(np.log(3)) == pytest.approx(0.75, abs=1e-12)


def _descent(name, theta, psi, r1=0.0, penalty=0.0, noise=0.0):
    """The field once more: central differences of integrals over the noise."""
    real, fake, generator = LOSSES[name]

    def mean(function):
        if not noise:
            return function(0.0)
        density = stats.norm(0, noise).pdf
        return integrate.quad(lambda n: function(n) * density(n), -9 * noise, 9 * noise)[0]

    def of_discriminator(psi):
        value = mean(lambda n: real(psi * n)) + mean(lambda n: fake(psi * (theta + n)))
        return value + r1 / 2 * psi**2 + penalty * (abs(psi) - 1) ** 2

    def of_generator(theta):
        return mean(lambda n: generator(psi * (theta + n)))

    return tuple(
        -(loss(at + 1e-4) - loss(at - 1e-4)) / 2e-4
        for loss, at in ((of_generator, theta), (of_discriminator, psi))
    )


# Not the hinge with noise: of what has a kink the mean over 40 nodes is not exact.
CASES = [(name, extra) for name in games.SLOPES for extra in ({}, {"r1": 0.8}, {"penalty": 0.3})]
CASES += [(name, {"noise": 0.7}) for name in games.SLOPES if name != "hinge"]


@pytest.mark.parametrize(("name", "extra"), CASES)
def test_the_field_is_steepest_descent_of_both(name, extra):
    rules = {{"penalty": "gradient_penalty"}.get(key, key): value for key, value in extra.items()}
    found = games.DiracGAN(name, **rules).field(*POINTS)
    wanted = np.transpose([_descent(name, *point, **extra) for point in POINTS.T])
    np.testing.assert_allclose(found, wanted, atol=2e-6)


def test_the_field_has_the_shape_of_the_points():
    theta, psi = np.meshgrid(np.linspace(-1, 1, 5), np.linspace(-1, 1, 3))
    assert [part.shape for part in games.DiracGAN(noise=0.1).field(theta, psi)] == [(3, 5)] * 2
    assert [np.shape(part) for part in games.DiracGAN().field(0.5, 0.5)] == [()] * 2


def test_nobody_wants_to_leave_the_end_of_the_game():
    for name in ("minimax", "non_saturating", "wasserstein"):
        np.testing.assert_array_equal(games.DiracGAN(name, r1=1.0).field(0.0, 0.0), (0, 0))


class TestEigenvalues:
    """Mescheder et al. 2018: of the field's Jacobian where the game is over."""

    @staticmethod
    def found(game):
        matrix = games.jacobian(lambda point: game.field(*point), (0, 0))
        return np.sort_complex(np.linalg.eigvals(matrix))

    def test_unregularised(self):
        """Section 2: ± f'(0) i, with f'(0) = ½ for the logistic loss and 1 for Wasserstein's."""
        for name, wanted in (("minimax", 0.5), ("non_saturating", 0.5), ("wasserstein", 1.0)):
            found = self.found(games.DiracGAN(name))
            np.testing.assert_allclose(found, [-1j * wanted, 1j * wanted], atol=1e-8)

    @pytest.mark.parametrize("gamma", [0.2, 1.0, 3.0])
    def test_r1(self, gamma):
        """Section 3, gradient penalty: -γ/2 ± sqrt(γ²/4 - f'(0)²)."""
        root = np.sqrt(gamma**2 / 4 - 0.25 + 0j)
        wanted = np.sort_complex([-gamma / 2 - root, -gamma / 2 + root])
        np.testing.assert_allclose(self.found(games.DiracGAN(r1=gamma)), wanted, atol=1e-5)

    @pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
    def test_instance_noise(self, sigma):
        """Section 3, instance noise: f''(0)σ² ± sqrt(f''(0)²σ⁴ - f'(0)²), with f''(0) = -¼."""
        root = np.sqrt(sigma**4 / 16 - 0.25 + 0j)
        wanted = np.sort_complex([-(sigma**2) / 4 - root, -(sigma**2) / 4 + root])
        np.testing.assert_allclose(self.found(games.DiracGAN(noise=sigma)), wanted, atol=1e-5)


def test_simultaneous_and_alternating_steps_by_hand():
    """Wasserstein: d theta = psi, d psi = -theta."""
    field = games.DiracGAN("wasserstein").field
    np.testing.assert_allclose(games.one_step(field, 0.5)((1, 2)), (2.0, 1.5))
    # D first: psi = 2 - 0.5 = 1.5; then theta = 1 + 0.5 * 1.5
    np.testing.assert_allclose(games.one_step(field, 0.5, alternating=True)((1, 2)), (1.75, 1.5))


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_radius_of_a_step(rate):
    field = games.DiracGAN().field
    for alternating, wanted in ((False, np.sqrt(1 + rate**2 / 4)), (True, 1.0)):
        step = games.one_step(field, rate, alternating)
        radius = games.spectral_radius(games.jacobian(step, (0, 0)))
        assert radius == pytest.approx(wanted, abs=1e-8)


def test_a_trajectory_is_one_step_after_another():
    field = games.DiracGAN("non_saturating", r1=0.3).field
    path = games.trajectory(field, (1, -1), rate=0.2, steps=3, alternating=True)
    assert path.shape == (4, 2) and path.dtype == "float64"
    step = games.one_step(field, 0.2, alternating=True)
    np.testing.assert_array_equal(path[0], (1, -1))
    np.testing.assert_array_equal(path[3], step(step(step((1, -1)))))


def test_jacobian_rows_are_values():
    matrix = np.array([[1.0, 2.0], [3.0, -4.0]])
    np.testing.assert_allclose(games.jacobian(lambda x: matrix @ x, (5, 6)), matrix, atol=1e-8)


def test_spectral_radius_is_of_complex_eigenvalues_too():
    assert games.spectral_radius([[0, -3], [3, 0]]) == pytest.approx(3.0)
    assert games.spectral_radius([[0.5, 9], [0, -0.7]]) == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"loss": "relativistic"}, r"no loss 'relativistic' here.*'minimax'"),
        ({"r1": -1.0}, "r1 is a weight"),
        ({"gradient_penalty": -0.1}, "gradient_penalty is a weight"),
        ({"noise": -0.1}, "noise is a weight"),
    ],
)
def test_refusals(rules, message):
    with pytest.raises(ValueError, match=message):
        games.DiracGAN(**rules)
