"""A small survey with names that would like to be markup."""

import numpy as np
import pytest
from PIL import Image

from anime_keras import data, survey

EVIL = "<img src=x onerror=window.hacked=1>"
EVIL_FILE = "<script>window.hacked=1<|script>\"'$ ‮顔[red]"


@pytest.fixture(scope="session")
def faces():
    return data.render(120, size=32, seed=5)


@pytest.fixture(scope="session")
def evil_folder(tmp_path_factory, faces):
    """Pictures of several formats and sizes, and labels; every name is hostile."""
    folder = tmp_path_factory.mktemp("real") / EVIL
    folder.mkdir()
    lines = ["file,hair_color"]
    for i, image in enumerate(faces.images[:40]):
        name = f"{EVIL_FILE}{i}.{'png' if i % 2 else 'jpg'}"
        Image.fromarray(image).resize((40 + i, 48)).save(folder / name)
        word = ("</script><b>", "blue & 'pink'")[i % 2]
        quoted = name.replace('"', '""')
        lines.append(f'"{quoted}",{word}')
    (folder / "labels.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def made(tmp_path_factory, faces, evil_folder):
    """A survey of all kinds of trials about two models."""
    rng = np.random.default_rng(0)
    fakes = {
        EVIL: rng.integers(0, 256, (60, 40, 40, 3), np.uint8),
        "$x_1$ second": faces.images[:60],
    }
    folder = tmp_path_factory.mktemp("survey")
    return survey.build(
        *(folder / "survey.html", faces.images[60:], fakes),
        attribute={"labelled": evil_folder},
        tasks=("real", "better", "rating", "variety", "attribute"),
        count=2,
        checks=1,
        practice=1,
        title="</title><script>window.hacked=1</script>",
        contact='"><script>window.hacked=1</script>',
    )
