"""Pictures that `data.prepare` gets through in a second: `python benchmarks/prepare_pictures.py DIR`.

Without and with finding faces, each from the first file to the last shard in a process of its own.
The start (imports, listing the folder, loading the network) is shown apart, since it is the same for
a hundred pictures and a hundred thousand; so is TensorFlow's import before the first record.
"""

import argparse
import multiprocessing
import os
import tempfile
import time
from pathlib import Path

from anime_keras import data


def measure(folder: Path, size: int, faces: bool, workers: int) -> None:
    """Prepares a folder, and prints what each part of it took."""
    began = time.perf_counter()
    marks: dict[str, list[float]] = {}

    def progress(what: str, done: int, total: int) -> None:
        marks.setdefault(what, []).append(time.perf_counter())

    with tempfile.TemporaryDirectory() as out:
        cpu = time.process_time()
        prepared = data.prepare(
            folder, Path(out) / "out", size, faces=faces, workers=workers, progress=progress
        )
        cpu = time.process_time() - cpu
    ended = time.perf_counter()
    looking = marks["looking at pictures"]
    files = prepared.manifest["source"]["files"]
    everything = ended - began
    print(
        f"{'with faces' if faces else 'no faces':10s} {size:4d} px  {files:6d} files  "
        f"start {looking[0] - began:5.1f} s  looking {looking[-1] - looking[0]:6.1f} s "
        f"({files / (looking[-1] - looking[0]):5.0f} files/s)  rest {ended - looking[-1]:5.1f} s  "
        f"in all {everything:6.1f} s ({files / everything:5.0f} files/s, {cpu:.1f} s of processors)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--faces", choices=["no", "yes", "both"], default="both")
    options = parser.parse_args()
    for faces in {"no": [False], "yes": [True], "both": [False, True]}[options.faces]:
        arguments = (options.folder, options.size, faces, options.workers)
        process = multiprocessing.get_context("spawn").Process(target=measure, args=arguments)
        process.start()
        process.join()


if __name__ == "__main__":
    main()
