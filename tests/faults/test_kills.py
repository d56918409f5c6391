"""`kill -9` at random moments, in saving and training: no checkpoint breaks, nothing is lost."""

import csv
import json
import os
import random
import signal
import time

import lives
import numpy as np
import pytest

from anime_keras import checkpoints, data

KILLS = int(os.environ.get("ANIME_KERAS_KILLS", "5"))  # `make test-faults` takes a hundred
pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")


def sound(folder):
    """The newest step of a folder, in which every checkpoint is whole, and not too many are."""
    paths = checkpoints.available(folder)
    for path in paths:
        with np.load(path) as held:  # reads, and compares the checksums of, all
            arrays = dict(held)
        assert json.loads(str(arrays["position.json"]))["step"] == step_of(path)
    # One more than are kept, if it was killed before it removed the oldest.
    assert len(paths) <= checkpoints.KEPT + 1
    others = {path.name for path in folder.glob("*")} - {path.name for path in paths}
    assert others <= {"writing.partial"}
    return step_of(paths[0]) if paths else 0


def step_of(path):
    return int(path.stem.split("-")[1])


def test_kills_while_it_saves(tmp_path):
    """2 MB a checkpoint, one after the other: most kills come in the middle of writing one."""
    moments, server = random.Random(0), lives.server()
    kills, torn, before = max(30, KILLS), 0, 0
    for _ in range(kills):
        process = server.Process(target=lives.save_for_ever, args=(tmp_path,))
        process.start()
        newest = before
        while newest == before:  # it has loaded the newest, and saved the next
            assert process.is_alive(), f"it ended by itself with exit code {process.exitcode}"
            time.sleep(0.001)
            newest = max(map(step_of, checkpoints.available(tmp_path)), default=0)
        time.sleep(moments.uniform(0, 0.03))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        torn += (tmp_path / "writing.partial").exists()
        assert sound(tmp_path) > before
        before = sound(tmp_path)
    for path in checkpoints.available(tmp_path):
        with np.load(path) as held:
            assert {float(v) for n in held if n != "position.json" for v in held[n]} == {
                step_of(path)
            }
    print(f"{torn} of {kills} kills left a torn file; {before} checkpoints were written")
    assert torn >= kills // 5


def test_kills_while_it_trains(tmp_path):
    """Killed at any moment, from its first line on, it ends in the bits of a run that nobody killed.

    A third of the kills come while it starts, loads or compiles, the others among its steps, of which
    each is followed by a checkpoint.
    """
    moments, server = random.Random(1), lives.server()
    settings = {
        "count": 128,
        "size": 32,
        "batch_size": 8,
        "epochs": -(-20 * KILLS // 16),  # 20 steps a kill: more than it lives to see
        "flip": True,
        "precision": "float32",
        "deterministic": True,
        "checkpoint_minutes": 1e-9,
        "network": {"width": 4, "latent_dim": 8, "augmentation": ["color"]},
    }
    images = data.render(128, size=32).images
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    undisturbed = server.Process(
        target=lives.train, args=(whole, {**settings, "checkpoint_minutes": 60}, images)
    )
    undisturbed.start()
    before, steps = 0, []
    for number in range(KILLS):
        process = server.Process(target=lives.train, args=(folder, settings, images))
        process.start()
        begun = time.monotonic()
        # By steps, since a fast machine takes many in the time in which a busy one takes none.
        wanted = before + moments.randint(1, 8)
        until = begun + (moments.uniform(0, 3) if number % 3 == 1 else 120)
        while not any(
            step_of(path) >= wanted for path in checkpoints.available(folder / "checkpoints")
        ):
            assert process.is_alive(), f"it ended by itself with exit code {process.exitcode}"
            assert time.monotonic() - begun < 120, "no checkpoint came"
            if time.monotonic() > until:
                break
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.02))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        after = sound(folder / "checkpoints")
        assert after >= before
        steps.append(after - before)
        before = after
    print(f"killed after {steps} steps")
    last = server.Process(target=lives.train, args=(folder, settings, images))
    last.start()
    for process in (last, undisturbed):
        process.join(600)
        assert process.exitcode == 0
    assert before > 0
    for path in (folder, whole):
        assert sound(path / "checkpoints") == settings["epochs"] * 16
    ends = [
        dict(np.load(checkpoints.available(path / "checkpoints")[0])) for path in (folder, whole)
    ]
    for end in ends:
        del end["position.json"]  # it says how long it took
    assert ends[0].keys() == ends[1].keys()
    assert [n for n in ends[0] if ends[0][n].tobytes() != ends[1][n].tobytes()] == []
    histories = []
    for path in (folder, whole):
        with (path / "history.csv").open(newline="") as file:
            histories.append([{**row, "seconds": ""} for row in csv.DictReader(file)])
    assert histories[0] == histories[1] and len(histories[0]) == settings["epochs"]
    sheets = [{p.name: p.read_bytes() for p in (d / "samples").iterdir()} for d in (folder, whole)]
    assert sheets[0] == sheets[1]
