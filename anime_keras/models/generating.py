"""What all generators of the kit have in common: pictures from latents, each seed always the same."""

from typing import Any

import numpy as np

from anime_keras import latents


class Generating:
    """A model with a `latent_dim`, and with `draw(points, batch_size)`, which makes uint8 pictures."""

    latent_dim: int

    def points(self, count: int, seed: int = 0, **attributes: Any) -> np.ndarray:
        """What `generate` draws from: standard normal latents, float32 (count, latent_dim).

        Raises:
            ValueError: count is below 1, or this model cannot be asked for anything.
        """
        if attributes:
            raise ValueError(
                f"A {type(self).__name__} cannot be asked for {', '.join(attributes)}; a conditional "
                'one can, such as models.load("conditional_dcgan").'
            )
        return latents.draw(count, self.latent_dim, seed)

    def generate(
        self, count: int, seed: int = 0, batch_size: int = 64, **attributes: Any
    ) -> np.ndarray:
        """Draw pictures: uint8 RGB (count, size, size, 3). Picture i of a seed is always the same.

        Args:
            count: how many.
            seed: of the latents.
            batch_size: how many at a time.
            **attributes: what they shall show, for models that can be asked: `hair_color="blue"`.

        Raises:
            ValueError: count is below 1, or nothing of the kind can be asked for.
        """
        return self.draw(self.points(count, seed, **attributes), batch_size=batch_size)
