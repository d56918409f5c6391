"""Faces drawn in a second by one process: `taskset -c 0 python benchmarks/render_faces.py`."""

import argparse
import time

from anime_keras import data


def faces_per_second(size: int, seconds: float) -> float:
    """Draws for about `seconds` and returns the rate, in processor time of this process."""
    data.render(64, size)
    count, began = 0, time.process_time()
    while time.process_time() - began < seconds:
        data.render(64, size, start=count)
        count += 64
    return count / (time.process_time() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--seconds", type=float, default=3.0, help="time for each size")
    options = parser.parse_args()
    for size in options.sizes:
        print(f"{size:4d} px  {faces_per_second(size, options.seconds):7.0f} faces/s")


if __name__ == "__main__":
    main()
