"""What a metric hands back: a number, and what one must know to believe it.

    FID 23.4 ± 0.6 (anime-features, 10,000 vs 10,000 pictures, seed 0)

The same pictures give another FID with another extractor, another number of pictures or another
resize (Parmar et al. 2022, "On Aliased Resizing and Surprising Subtleties in GAN Evaluation"), so the
number never travels without them.
"""

import math
from dataclasses import asdict, dataclass, field
from typing import Literal

Z95 = 1.96
"""Standard errors in half a 95% interval of a normal distribution."""


@dataclass(frozen=True)
class Result:
    """One measured number.

    Attributes:
        name: the metric's, such as "FID".
        value: the number.
        spread: half the width of its 95% interval, or None where none was computed.
        extractor: the network that turned pictures into features; "" where there is none.
        real: real pictures it was measured on; None if the metric looks at none.
        fake: generated ones.
        seed: of whatever was drawn at random; None if nothing was.
        preprocessing: what was done to the pictures before the extractor.
        details: further numbers by name, such as {"infinite": 21.2}.
        warnings: why the number may mean less than it seems to, in sentences.
        better: which way is good.
    """

    name: str
    value: float
    spread: float | None = None
    extractor: str = ""
    real: int | None = None
    fake: int | None = None
    seed: int | None = None
    preprocessing: str = ""
    details: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    better: Literal["lower", "higher"] = "lower"

    def __str__(self) -> str:
        counts = " vs ".join(f"{count:,}" for count in (self.real, self.fake) if count is not None)
        seed = "" if self.seed is None else f"seed {self.seed}"
        notes = ", ".join(filter(None, [self.extractor, counts and f"{counts} pictures", seed]))
        return f"{self.name} {self.number}" + (f" ({notes})" if notes else "")

    @property
    def number(self) -> str:
        """Value and spread, such as "23.4 ± 0.6": no more digits than the spread vouches for."""
        if self.spread is None or not (math.isfinite(self.value) and math.isfinite(self.spread)):
            return f"{self.value:,.4g}" if abs(self.value) < 1e4 else f"{self.value:,.0f}"
        if self.spread == 0.0:
            return f"{self.value:.4g} ± 0"
        decimals = _decimals(self.spread)
        if decimals > 5:
            return f"{self.value:.1e} ± {self.spread:.1e}"
        shown = (round(number, decimals) for number in (self.value, self.spread))
        return " ± ".join(f"{number:,.{max(decimals, 0)}f}" for number in shown)

    def to_dict(self) -> dict:
        """All of it in JSON's types; numbers that JSON lacks (NaN, infinity) become None."""
        row = asdict(self)
        row["warnings"] = list(self.warnings)
        row["details"] = {name: _finite(number) for name, number in self.details.items()}
        return row | {"value": _finite(self.value), "spread": _finite(self.spread)}


def _decimals(spread: float) -> int:
    """Decimals to one significant digit of the spread; two where that digit would be a 1."""
    first = math.floor(math.log10(spread))
    leading = round(spread / 10.0**first, 6)
    return -first + (1 if leading < 1.95 else 0)


def _finite(number: float | None) -> float | None:
    return float(number) if number is not None and math.isfinite(number) else None
