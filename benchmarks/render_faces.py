"""Faces drawn in a second by one process: `taskset -c 0 python benchmarks/render_faces.py`."""

import argparse
import time

import cv2

from anime_keras import data

WARM_UP = 256


def faces_per_second(size: int, style: str, seconds: float) -> float:
    """Draws for about `seconds` and returns the rate, in processor time of this process.

    A first row of faces is not counted: it cuts the stencils of the drawings and bakes the plates
    and wigs of the portraits, which happens once a process.
    """
    data.render(WARM_UP, size, style)
    count, began = 0, time.process_time()
    while time.process_time() - began < seconds:
        data.render(64, size, style, start=count)
        count += 64
    return count / (time.process_time() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--seconds", type=float, default=3.0, help="time for each size")
    parser.add_argument("--styles", nargs="+", default=data.rendering.STYLES)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    for style in options.styles:
        for size in options.sizes:
            rate = faces_per_second(size, style, options.seconds)
            print(f"{style:8s} {size:4d} px  {rate:7.0f} faces/s")


if __name__ == "__main__":
    main()
