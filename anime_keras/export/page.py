"""The page that makes faces: one HTML file that needs nothing but a browser."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import fields
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import keras
import numpy as np

from anime_keras import training
from anime_keras.export import networks, recipe
from anime_keras.export.recipe import Recipe
from anime_keras.survey.page import embeddable, hashed

ALIGNED = 4  # bytes, which a browser's arrays of float32 must begin at a multiple of


def compose(model: keras.Model, network: keras.Model, card: Mapping[str, Any]) -> str:
    """The HTML of a page that makes a model's faces.

    All weights are in it, matrices in float16 and vectors in float32, and one face as Keras draws it,
    by which the page can tell whether the browser computes what it should.

    Args:
        model: that makes faces from noise.
        network: of `networks.network`.
        card: what is known of the model.

    Raises:
        ValueError: the model is not of that kind.
    """
    found = recipe.of(model)
    known = networks.examples(model, network, 1)
    if "truncation" in known:
        known["truncation"] = np.ones((1, 1), "float32")
    picture = training.forward(network, known)["images"][0]
    row = [np.arange(len(words)) == known[name][0] for name, words in found.words.items()]
    content = {
        **vars(found),
        "title": f"New faces by a {type(model).__name__}",
        "about": _about(card),
        "shares": {name: model.shares[name] for name in found.words},
        "directions": recipe.directions(*recipe.samples(found, network)),
        "known": {
            "latents": known["latents"][0],
            "row": np.concatenate([np.zeros(0), *row]),
            "picture": np.round((picture + 1.0) * 127.5).astype("uint8").reshape(-1),
        },
    }
    return _filled(content)


def _about(card: Mapping[str, Any]) -> list[str]:
    """The card in sentences, for the foot of the page."""
    source = card["from"]
    about = [
        f"{card['what']}, with {card['parameters']:,} parameters, all of which are in this file: "
        "nothing is fetched from anywhere, and nothing that you do here is sent."
    ]
    if "trained_on" in source:
        about.append(f"Trained on {source['trained_on']}.")
    about.append("Nobody on these pictures exists.")
    return about


def _filled(content: Mapping[str, Any]) -> str:
    folder = files("anime_keras.export")
    style, engine, script = (
        folder.joinpath(name).read_text("utf-8") for name in ("page.css", "engine.js", "page.js")
    )
    blob = bytearray()
    packed = embeddable(_packed(content, blob))
    return Template(folder.joinpath("page.html").read_text("utf-8")).substitute(
        title=escape(content["title"]),
        style=style,
        style_hash=hashed(style),
        script=script,
        script_hash=hashed(script),
        engine=embeddable(engine),
        content=packed,
        weights=base64.b64encode(blob).decode(),
    )


def read(path: Path) -> dict[str, Any]:
    """What a page holds, with its weights as they were rounded."""
    text = path.read_text("utf-8")
    content, weights = (
        re.search(rf'<script type="[^"]*" id="{name}">(.*?)</script>', text, re.DOTALL)[1]
        for name in ("content", "weights")
    )
    return _unpacked(json.loads(content), base64.b64decode(weights))


def recipe_of(path: Path) -> Recipe:
    """The recipe by which a page draws."""
    content = read(path)
    return Recipe(**{field.name: content[field.name] for field in fields(Recipe)})


def _packed(value: Any, blob: bytearray) -> Any:
    """A copy in which arrays are replaced by where they lie in `blob`, to which they are added."""
    if isinstance(value, dict):
        return {key: _packed(part, blob) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_packed(part, blob) for part in value]
    if isinstance(value, np.ndarray) and value.ndim:
        kind = "|u1" if value.dtype == np.uint8 else "<f2" if value.ndim > 1 else "<f4"
        blob.extend(bytes(-len(blob) % ALIGNED))
        place = {"at": len(blob), "shape": value.shape, "type": kind}
        blob.extend(value.astype(kind).tobytes())
        return place
    return value.item() if isinstance(value, np.generic | np.ndarray) else value


def _unpacked(value: Any, blob: bytes) -> Any:
    """The other half of `_packed`."""
    if isinstance(value, list):
        return [_unpacked(part, blob) for part in value]
    if isinstance(value, dict) and "at" in value:
        found = np.frombuffer(blob, value["type"], int(np.prod(value["shape"])), value["at"])
        return found.reshape(value["shape"]).astype("float32")
    if isinstance(value, dict):
        return {key: _unpacked(part, blob) for key, part in value.items()}
    return value
