"""How well does the measuring network measure? On drawn faces that it never saw.

    python benchmarks/measuring.py

Prints how often it reads each factor rightly, how FID and KID rise with the dose of six corruptions,
what missing hair colours do to recall and coverage, and how many pictures a second it looks at.
"""

import argparse
import time

import numpy as np

from anime_keras import data, metrics
from anime_keras.metrics import attributes, corruptions, extractors

UNSEEN = 777  # a seed that no network was trained on
DOSES = (0.0, 0.1, 0.2, 0.4, 0.7, 1.0)


def reading(count: int, style: str) -> None:
    faces = data.render(count, style=style, seed=UNSEEN)
    seen = attributes.read(faces.images)
    print(f"\n{count:,} {style} faces of seed {UNSEEN}:\n\n| factor | right | of |\n|---|---|---|")
    shut = seen.words["eyes"] == 1
    for factor, words in faces.factors.items():
        # Eyes that are shut have no colour to see.
        visible = ~shut if factor == "eye_color" else np.ones(count, bool)
        asked = {factor: np.where(visible, words, -1)}
        found = attributes.accuracy(seen, asked)[factor]
        interval = f"({found.low:.1%} to {found.high:.1%})"
        print(f"| {factor.replace('_', ' ')} | {found.value:.1%} {interval} | {found.count:,} |")
    yaw = np.median(np.abs(seen.angles[:, 0] - faces.continuous["yaw"]))
    off = np.linalg.norm(seen.landmarks * 64 - faces.landmarks, axis=-1)
    print(
        f"\nyaw off by {yaw:.1f} degrees in the median, landmarks by {np.median(off):.2f} px of 64; "
        f"{shut.mean():.1%} read as having shut eyes"
    )


def doses(count: int) -> None:
    extractor = extractors.get("anime")
    real = extractor(data.render(2 * count, seed=UNSEEN + 1).images)[0]
    images = data.render(count, seed=UNSEEN + 2).images
    print(f"\nFID (KID) of {count:,} spoiled against {2 * count:,} whole faces, by dose:\n")
    print("| corruption | " + " | ".join(f"{dose:g}" for dose in DOSES) + " |")
    print("|" + "---|" * (len(DOSES) + 1))
    for kind in corruptions.KINDS:
        cells = []
        for dose in DOSES:
            fake = extractor(corruptions.corrupt(images, kind, dose))[0]
            fid, kid = metrics.frechet_distance(real, fake), metrics.kernel_distance(real, fake)
            cells.append(f"{fid:.1f} ({kid:.3f})")
        print(f"| {kind.replace('_', ' ')} | {' | '.join(cells)} |")


def dropping(count: int) -> None:
    extractor = extractors.get("anime")
    real = extractor(data.render(count, seed=UNSEEN + 3).images)[0]
    faces = data.render(5 * count, seed=UNSEEN + 4)
    features = extractor(faces.images)[0]
    print(f"\n{count:,} faces against {count:,} of which some hair colours are missing:\n")
    print("| missing of 12 | precision | recall | density | coverage | FID |")
    print("|---|---|---|---|---|---|")
    for dropped in range(0, 10):
        kept = features[faces.factors["hair_color"] >= dropped][:count]
        numbers = (*metrics.precision_recall(real, kept), *metrics.density_coverage(real, kept))
        shown = " | ".join(f"{number:.3f}" for number in numbers)
        print(f"| {dropped} | {shown} | {metrics.frechet_distance(real, kept):.1f} |")


def speed() -> None:
    images = data.render(2000, seed=UNSEEN).images
    extractor = extractors.get("anime")
    extractor(images[:250])
    began = time.perf_counter()
    extractor(images)
    print(f"\n{len(images) / (time.perf_counter() - began):,.0f} pictures of 64 px a second")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=5000, help="faces to read")
    options = parser.parse_args()
    reading(options.count, "anime")
    reading(options.count // 5, "portrait")
    doses(options.count // 5)
    dropping(options.count)
    speed()


if __name__ == "__main__":
    main()
