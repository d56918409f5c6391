"""Take a trained model elsewhere: as ONNX, SavedModel, LiteRT, or a page that makes faces in a browser.

    export.export(models.load("portrait_anime"), "anime.onnx")

Whatever is written is run once, and compared with what Keras makes of the same inputs.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from anime_keras import files, models, training
from anime_keras.export import networks
from anime_keras.export.formats import FORMATS

CHECKED = 8  # inputs that are compared


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: the file, or the folder of a SavedModel.
        card: what it is, as JSON beside it.
        difference: the largest from Keras' pictures, of a range of 2.
    """

    path: Path
    card: Path
    difference: float


def format_of(out: Path) -> str:
    """The format that a path's suffix stands for.

    Raises:
        ValueError: it stands for none.
    """
    for name, kind in FORMATS.items():
        if out.suffix.lower() == kind.suffix:
            return name
    kinds = ", ".join(kind.suffix or "no suffix" for kind in FORMATS.values())
    raise ValueError(f"{out} ends in none of {kinds}: say which --format it shall have.")


def export(
    model: keras.Model,
    out: str | Path,
    format: str | None = None,
    direction: str = "x2y",
    source: Mapping[str, Any] | None = None,
) -> Exported:
    """Write a model's way from inputs to pictures, and a card beside it.

    Args:
        model: of `anime_keras.models`, computing in float32.
        out: the file; for a SavedModel a folder that is not there yet.
        format: a name out of `FORMATS`; by default what `out` ends in.
        direction: of a CycleGAN, "x2y" or "y2x".
        source: what the card shall say of where the model comes from.

    Raises:
        ImportError: a package is missing; the message says which.
        ValueError: there is no such format, or it is not for this model, or `out` cannot be written.
        FileExistsError: `out` is a folder that is there.
        ArithmeticError: what was written makes other pictures than Keras does; it is removed again.
    """
    out = Path(out)
    name = format or format_of(out)
    if name not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, not {name!r}.")
    kind = FORMATS[name]
    if kind.suffix != out.suffix.lower():
        raise ValueError(
            f"{kind.what} is written to {kind.suffix or 'a folder without suffix'}: {out}"
        )
    if out.is_dir():
        raise FileExistsError(f"The folder {out} is there already: choose another.")
    kind.check()

    network = networks.network(model, direction)
    inputs = networks.examples(model, network, CHECKED)
    wanted = training.forward(network, inputs)["images"]
    about = _about(model, network, name, direction, source or {})
    partial = out.with_name(f"{out.stem}.partial{out.suffix}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        kind.write(model, network, partial, about)
        found = kind.run(partial, inputs)
        difference = float(np.abs(found - wanted).max())
        if not difference <= kind.tolerance:
            raise ArithmeticError(
                "What was written makes other pictures than Keras does, and was removed: they differ "
                f"by up to {difference:.2g} of a range of 2; {kind.tolerance:.2g} was allowed."
            )
        partial.replace(out)
        about["checked"] = {"inputs": CHECKED, "largest_difference_of_a_range_of_2": difference}
        card = out.with_name(f"{out.name}.json")
        card.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        error.filename = error.strerror and str(out)  # not the one beside it
        raise ValueError(f"It cannot be written: {files.told(error)}") from error
    finally:
        if partial.is_dir():
            shutil.rmtree(partial)
        elif partial.exists():
            partial.unlink()
    return Exported(out, card, difference)


def _about(
    model: keras.Model, network: keras.Model, format: str, direction: str, source: Mapping[str, Any]
) -> dict[str, Any]:
    """What the card says."""
    meaning = networks.meaning(model, network)
    batch = 1 if format == "litert" else "any"
    return {
        "what": f"The generator of a {type(model).__name__} of anime_keras",
        **({"direction": direction} if isinstance(model, models.CycleGAN) else {}),
        "format": FORMATS[format].what,
        "parameters": network.count_params(),
        "inputs": {
            t.name: {"shape": [batch, *t.shape[1:]], "dtype": t.dtype, "what": meaning[t.name]}
            for t in network.inputs
        },
        "outputs": {
            "images": {
                "shape": [batch, *network.outputs[0].shape[1:]],
                "dtype": "float32",
                "what": "RGB pictures; as uint8: round((images + 1) * 127.5)",
            }
        },
        "from": dict(source),
        "versions": {"keras": keras.__version__, "backend": keras.backend.backend()},
    }
