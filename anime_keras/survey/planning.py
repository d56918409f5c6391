"""How many raters a survey needs, before anybody is asked."""

import math

from scipy import stats


def raters_needed(
    share: float = 0.6,
    chance: float = 0.5,
    trials: int = 20,
    correlation: float = 0.05,
    power: float = 0.8,
    alpha: float = 0.05,
) -> int:
    """Raters to tell a share from chance with a two-sided test.

    The number of independent answers is that of the normal approximation,
    n = ((z_alpha sqrt(p0 (1 - p0)) + z_power sqrt(p1 (1 - p1))) / (p1 - p0))^2 (Fleiss, Levin & Paik
    2003, section 2.6, without continuity correction), and answers of one rater count for less by
    Kish's design effect 1 + (trials - 1) correlation.

    Args:
        share: p1, the share to be found, such as of pictures taken rightly.
        chance: p0, the share that there would be by chance.
        trials: answers of each rater.
        correlation: between two answers of one rater, 0 (raters all alike) to 1.
        power: chance to find the difference if it is there.
        alpha: chance to find one if it is not.

    Returns:
        Number of raters; with `trials=1`, number of independent answers.

    Raises:
        ValueError: a number out of range, or no difference to be found.
    """
    for name, value in (("share", share), ("chance", chance), ("power", power), ("alpha", alpha)):
        if not 0 < value < 1:
            raise ValueError(f"{name} must lie between 0 and 1, not be {value}.")
    if share == chance:
        raise ValueError("share and chance are the same: no number of raters finds a difference.")
    if not 0 <= correlation <= 1:
        raise ValueError(f"correlation must be between 0 and 1, not {correlation}.")
    if trials < 1:
        raise ValueError(f"trials must be at least 1, not {trials}.")
    z_alpha, z_power = stats.norm.ppf(1 - alpha / 2), stats.norm.ppf(power)
    spread = z_alpha * math.sqrt(chance * (1 - chance)) + z_power * math.sqrt(share * (1 - share))
    answers = (spread / (share - chance)) ** 2
    return math.ceil(answers * (1 + (trials - 1) * correlation) / trials)
