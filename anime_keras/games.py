"""The GAN game with two numbers in it: Dirac-GAN, on which one can see what training does.

Real data is one point, 0. The generator draws one point, theta. The discriminator is a straight line
through 0, D(x) = psi * x. The game is over when theta = 0, and then psi = 0 is the only honest verdict
(Mescheder et al. 2018, "Which Training Methods for GANs do actually Converge?", section 2).

    game = DiracGAN("non_saturating", r1=0.5)
    game.field(theta, psi)                                # where the two players want to go
    path = trajectory(game.field, (1.0, 1.0), rate=0.1, steps=500, alternating=True)
    step = one_step(game.field, rate=0.1, alternating=True)
    spectral_radius(jacobian(step, (0.0, 0.0)))           # below 1: small errors die out

All of it is NumPy in float64, with derivatives written by hand: an independent second opinion on
`anime_keras.losses`, whose derivatives a backend takes. D is high for *real* points, as everywhere in
this kit; Mescheder et al. have it high for fakes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

Curve = Callable[[np.ndarray], np.ndarray]
Field = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), for x of any size."""
    return np.exp(-np.logaddexp(0.0, -np.asarray(logits, "float64")))


class Slopes(NamedTuple):
    """Derivatives of the two players' losses with respect to one logit."""

    real: Curve  # the discriminator's loss, at a real logit
    fake: Curve  # the discriminator's loss, at a fake one
    generator: Curve  # the generator's loss, at a fake one


SLOPES: dict[str, Slopes] = {
    "minimax": Slopes(lambda x: -sigmoid(-x), sigmoid, lambda x: -sigmoid(x)),
    "non_saturating": Slopes(lambda x: -sigmoid(-x), sigmoid, lambda x: -sigmoid(-x)),
    "least_squares": Slopes(lambda x: x - 1.0, lambda x: 1.0 * x, lambda x: x - 1.0),
    "hinge": Slopes(lambda x: -1.0 * (x < 1), lambda x: 1.0 * (x > -1), lambda x: 0.0 * x - 1.0),
    "wasserstein": Slopes(
        lambda x: 0.0 * x - 1.0, lambda x: 0.0 * x + 1.0, lambda x: 0.0 * x - 1.0
    ),
}
"""Name of a loss, as in `losses.ADVERSARIAL` -> its slopes. A relativistic one looks at all logits."""

# Nodes and weights for the mean over a standard normal number: exact for polynomials to degree 79.
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(40)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


@dataclass(frozen=True)
class DiracGAN:
    """The rules of one game.

    Attributes:
        loss: a name out of `SLOPES`.
        r1: gamma of ½ D'(0)², the slope at the real point (Mescheder et al., equation 9).
        gradient_penalty: weight of (|D'| - 1)² (Gulrajani et al. 2017, equation 3). D is straight, so
            it does not matter where between 0 and theta the slope is taken.
        noise: standard deviation of normal noise on real and fake points alike (Sønderby et al. 2017;
            Arjovsky and Bottou 2017), of which the mean is taken exactly.

    Raises:
        ValueError: there is no such loss, or a weight is negative.
    """

    loss: str = "minimax"
    r1: float = 0.0
    gradient_penalty: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        if self.loss not in SLOPES:
            raise ValueError(f"There is no loss {self.loss!r} here. Choose one of {list(SLOPES)}.")
        for name in ("r1", "gradient_penalty", "noise"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is a weight of 0 or more, not {getattr(self, name)}.")

    def field(self, theta: np.ndarray, psi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Minus each player's slope in its own number: where a small step of both would lead.

        Args:
            theta: the generator's number, of any shape.
            psi: the discriminator's, of the same shape.

        Returns:
            (d theta, d psi), float64, of that shape.
        """
        theta, psi = np.asarray(theta, "float64"), np.asarray(psi, "float64")
        slopes = SLOPES[self.loss]
        nodes, weights = (_NODES, _WEIGHTS) if self.noise else (np.zeros(1), np.ones(1))
        real = self.noise * nodes + 0.0 * theta[..., None]
        fake = self.noise * nodes + theta[..., None]
        line = psi[..., None]
        of_theta = slopes.generator(line * fake) * line
        of_psi = slopes.real(line * real) * real + slopes.fake(line * fake) * fake
        penalties = self.r1 * psi + 2 * self.gradient_penalty * (np.abs(psi) - 1) * np.sign(psi)
        return -of_theta @ weights, -of_psi @ weights - penalties


def one_step(field: Field, rate: float, alternating: bool = False) -> Callable:
    """One step of gradient descent for both players, as a function of the point (theta, psi).

    Args:
        field: such as `DiracGAN(...).field`.
        rate: the learning rate of both.
        alternating: the discriminator moves first and the generator answers to where it is then, as in
            Goodfellow et al.'s algorithm 1. Otherwise both answer to where the other *was*.
    """

    def step(point: Sequence[float]) -> np.ndarray:
        theta, psi = point
        of_theta, of_psi = field(theta, psi)
        if alternating:
            of_theta, _ = field(theta, psi + rate * of_psi)
        return np.array([theta + rate * of_theta, psi + rate * of_psi])

    return step


def trajectory(
    field: Field, start: Sequence[float], rate: float, steps: int, alternating: bool = False
) -> np.ndarray:
    """The points of so many steps from a start, float64 (steps + 1, 2); the first is the start."""
    step = one_step(field, rate, alternating)
    path = [np.asarray(start, "float64")]
    for _ in range(steps):
        path.append(step(path[-1]))
    return np.array(path)


def jacobian(
    function: Callable[[np.ndarray], np.ndarray], at: Sequence[float], width: float = 1e-5
) -> np.ndarray:
    """Derivatives of a function of a point, by central differences; row i is of its i-th value.

    Where the function has a kink at the point this is the mean of what holds on its two sides.
    """
    at = np.asarray(at, "float64")
    columns = [
        (np.asarray(function(at + move)) - np.asarray(function(at - move))) / (2 * width)
        for move in width * np.eye(len(at))
    ]
    return np.stack(columns, axis=1)


def spectral_radius(matrix: np.ndarray) -> float:
    """The largest absolute eigenvalue: by this factor a step stretches the worst small error."""
    return float(np.abs(np.linalg.eigvals(matrix)).max())
