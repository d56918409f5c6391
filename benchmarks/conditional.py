"""Who listens? DCGAN told nothing, projection, AC-GAN and both, on the same pictures for as many steps.

    python benchmarks/conditional.py --steps 1000 --seeds 0 1 2

Faces of 32 px, hair colour and expression; networks, rates, batches and seeds are the same. Prints
how often each is as asked for, read by the kit's network, how far apart two pictures of one wish are,
and the Fréchet distance. "Told nothing" has a generator with words and a discriminator that never hears
them.
"""

import argparse
from types import SimpleNamespace

import keras
import numpy as np

from anime_keras import data, metrics, models
from anime_keras.data.pipelines import Batches
from anime_keras.metrics import attributes, references

WAYS = {
    "told nothing": {"missing": True},
    "projection": {"conditioning": "projection"},
    "AC-GAN": {"conditioning": "ac"},
    "both": {"conditioning": "both"},
}
ASKED = ("hair_color", "expression")
RATES = {"learning_rate": 2e-3, "discriminator_learning_rate": 6e-4}


def train(
    faces: data.Faces,
    steps: int,
    seed: int,
    conditioning: str = "projection",
    missing: bool = False,
) -> models.ConditionalDCGAN:
    """A small conditional DCGAN, trained."""
    keras.utils.set_random_seed(seed)
    labels = {k: np.full(len(faces), -1) if missing else faces.factors[k] for k in ASKED}
    batches = Batches(faces.images, 16, seed, labels=labels)
    gan = models.ConditionalDCGAN(
        {name: faces.names[name] for name in ASKED},
        image_size=32,
        width=16,
        conditioning=conditioning,
        seed=seed,
    )
    gan.compile(**RATES, decay="cosine", decay_steps=steps)
    gan.fit(batches.dataset(), steps_per_epoch=steps, epochs=1, shuffle=False, verbose=0)
    return gan


def look(gan: models.ConditionalDCGAN, real: SimpleNamespace, count: int) -> list[float]:
    """As asked for (hair, expression), difference of two pictures of one wish, Fréchet distance."""
    pictures = gan.generate(count, seed=1)
    found = attributes.accuracy(attributes.read(pictures), gan.ask(count, seed=1))
    alike = gan.generate(100, seed=2, hair_color="blue", expression="smile").astype(float)
    apart = np.abs(alike[1:] - alike[:-1]).mean()
    fake = references.collect(pictures)
    fid = metrics.frechet_distance(real.features.sample, fake.sample)
    return [*(found[name].value for name in ASKED), apart, fid]


def main() -> None:
    """Train and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--count", type=int, default=1000)
    options = parser.parse_args()
    faces = data.render(8000, size=32, seed=0)
    real = SimpleNamespace(features=references.collect(faces.images[:5000]))
    where = {"hair_color": "blue", "expression": "smile"}
    alike = data.render(100, size=32, seed=2, where=where).images.astype(float)
    print(f"drawn faces of one wish: {np.abs(alike[1:] - alike[:-1]).mean():.1f} apart\n")
    print(
        "| way | hair as asked for | expression as asked for | apart | FID |\n|---|---|---|---|---|"
    )
    for name, way in WAYS.items():
        rows = np.array(
            [
                look(train(faces, options.steps, s, **way), real, options.count)
                for s in options.seeds
            ]
        )
        cells = [
            " / ".join(form.format(value) for value in column)
            for form, column in zip(("{:.1%}", "{:.1%}", "{:.1f}", "{:.0f}"), rows.T, strict=True)
        ]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
