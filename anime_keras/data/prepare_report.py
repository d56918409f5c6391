"""The page that shows what `prepare` did: counts, and pictures of everything it decided."""

import base64
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import cv2
import numpy as np

from anime_keras.data import reading
from anime_keras.data.prepare_choice import STEPS, Choice, Picture, Rejected
from anime_keras.data.records import Prepared, replacing
from anime_keras.data.sources import Item, Source

KEPT, REJECTED, PAIRS, ALIGNED, WORDS = 40, 20, 35, 20, 24  # at most so many are shown
_HEADINGS = {
    "open": "Not readable",
    "exact duplicate": "Exact duplicates",
    "find faces": "Without a face",
    "size": "Too small",
    "blank": "Blank",
    "blurred": "Blurred",
}

_PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>$title</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 66rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; background: #fff }
h1 { font-size: 1.7rem; margin-bottom: .3rem } h2 { font-size: 1.2rem; margin: 2.4rem 0 .4rem }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem }
p { margin: .4rem 0; max-width: 46rem }
code, pre { background: #f4f4f6; border-radius: 4px; padding: .1rem .3rem; font-size: .88rem }
pre { padding: .6rem .8rem; white-space: pre-wrap; overflow-wrap: anywhere }
table { border-collapse: collapse; font-size: .92rem }
td, th { padding: .22rem .9rem .22rem 0; text-align: left; border-bottom: 1px solid #e4e4e8;
         vertical-align: top }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.bar { width: 17rem } .bar i { display: block; height: .8rem; margin-top: .35rem; background: #5b7fd1;
       border-radius: 2px }
.none { color: #999 }
.sheet { display: flex; flex-wrap: wrap; gap: .7rem .6rem }
figure { margin: 0; width: 6rem } figure.pair { width: 12.2rem }
figure img { height: 6rem; width: 6rem; object-fit: contain; background: #f1f1f4;
       outline: 1px solid #0000001a; outline-offset: -1px }
figure.pair img + img { margin-left: .2rem }
figcaption { font-size: .7rem; line-height: 1.25; color: #555; overflow-wrap: anywhere }
figcaption b { color: #222; font-weight: 600 }
.blank { display: flex; height: 6rem; align-items: center; justify-content: center; color: #999;
         background: #f1f1f4; font-size: .75rem; text-align: center }
.columns { display: flex; flex-wrap: wrap; gap: 1rem 3rem }
.small .bar { width: 6rem } .small td, .small th { padding: .05rem .7rem .05rem 0; border: 0;
         font-size: .85rem }
</style></head><body>
$body
<p class="none">Made with anime_keras.</p>
</body></html>
""")


def write(path: Path, prepared: Prepared, choice: Choice, source: Source) -> None:
    """Write the page; it loads nothing from elsewhere.

    Args:
        path: of the page.
        prepared: what was written.
        choice: why it was.
        source: still open; the files that are shown as they were are read again.
    """
    manifest, size = prepared.manifest, prepared.size
    about = manifest["source"]
    title = f"{about['name']}, prepared at {size} px"
    kept = {split: choice.split(split) for split in prepared.splits}
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{_summary(choice, kept)}</p>",
        f"<pre>{escape(manifest['command'])}</pre>",
        _warnings(about["warnings"]),
        _funnel(choice),
        _section(
            "What came out",
            "A sample of the training pictures, exactly as a network will get them."
            if size <= 96
            else "A sample of the training pictures, made smaller for this page.",
            (_figure(_uri(p.image()), p.name) for p in _sample(kept.get("train", []), KEPT)),
        ),
        _aligned(choice, source),
        _pairs(choice),
        *(_rejected(step, choice, source) for step in STEPS),
        _splits(prepared),
        _labels(prepared, kept),
        _card(source),
        _settings(manifest),
    ]
    page = _PAGE.substitute(title=escape(title), body="\n".join(filter(None, parts)))
    with replacing(path) as partial:
        # A name that is no Unicode is written with question marks.
        partial.write_text(page, encoding="utf-8", errors="replace")


def _summary(choice: Choice, kept: dict[str, list[Picture]]) -> str:
    counts = ", ".join(f"{len(pictures):,} in {split}" for split, pictures in kept.items())
    faces = "" if choice.faces is None else f", in which {choice.faces:,} faces were found"
    return (
        f"<b>{len(choice.kept):,} pictures</b> ({counts}) from {choice.files:,} files{faces}. "
        f"{len(choice.rejected):,} were left out; rejected.csv names each with its reason."
    )


def _warnings(warnings: Sequence[str]) -> str:
    if not warnings:
        return ""
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in warnings) + "</ul>"


def _funnel(choice: Choice) -> str:
    steps = choice.steps()
    most = max(choice.files, *(row["left"] for row in steps))

    def row(name: str, removed: str, left: int) -> str:
        return (
            f'<tr><td>{name}</td><td class="n">{removed}</td><td class="n">{left:,}</td>'
            f'<td class="bar"><i style="width:{100 * left / most:.2f}%"></i></td></tr>'
        )

    rows = [row("files", "", choice.files)]
    for step in steps:
        removed = f"{step['removed']:,}" if step["removed"] else '<span class="none">0</span>'
        name = STEPS[step["step"]]
        if step["step"] == "find faces":
            name += ' <span class="none">(from here on faces are counted)</span>'
        rows.append(row(name, removed, step["left"]))
    return (
        '<h2>Step by step</h2><table><tr><th>step</th><th class="n">left out</th>'
        f'<th class="n">remain</th><th></th></tr>{"".join(rows)}</table>'
    )


def _aligned(choice: Choice, source: Source) -> str:
    def show(picture: Picture) -> str:
        before = _original(source, picture.item, picture.face)
        return _figure([before, _uri(picture.image())], picture.name)

    chosen = _sample([picture for picture in choice.kept if picture.face], ALIGNED)
    return _section(
        "Found and aligned",
        "The file with the face's box and eyes, and what was cut out of it: eyes level, and always at "
        "the same places.",
        map(show, chosen),
    )


def _pairs(choice: Choice) -> str:
    removed = [one for one in choice.rejected if one.twin]
    shown = [
        _figure(
            [_uri(one.twin.image()), _uri(one.picture.image())], f"{one.twin.name} | {one.name}"
        )
        for one in _sample(removed, PAIRS)
    ]
    together = [
        _figure([_uri(a.image()), _uri(b.image())], f"{a.name} | {b.name}")
        for a, b in _sample(choice.together, PAIRS)
    ]
    return _section(
        f"Near duplicates: {len(removed):,} left out",
        "On the left what is kept, on the right what is left out because it is nearly the same. Are "
        "they one drawing? If these are different drawings, keep them: --near together.",
        shown,
    ) + _section(
        f"Near duplicates: {len(choice.together):,} pairs kept together",
        "Both pictures of a pair are in one split.",
        together,
    )


def _rejected(step: str, choice: Choice, source: Source) -> str:
    chosen = [one for one in choice.rejected if one.reason.step == step]
    if step == "near duplicate" or not chosen:
        return ""

    def show(one: Rejected) -> str:
        image = _original(source, one.item, one.face)
        return _figure(image, one.name, one.reason.text)

    title = f"{_HEADINGS[step]}: {len(chosen):,}"
    return _section(title, "", map(show, _sample(chosen, REJECTED)))


def _splits(prepared: Prepared) -> str:
    rows = "".join(
        f'<tr><td>{split}</td><td class="n">{entry["count"]:,}</td>'
        f'<td class="n">{len(entry["shards"])}</td>'
        f'<td class="n">{sum(s["bytes"] for s in entry["shards"]) / 1e6:,.1f} MB</td></tr>'
        for split, entry in prepared.manifest["splits"].items()
    )
    return (
        '<h2>Splits</h2><table><tr><th>split</th><th class="n">pictures</th><th class="n">shards</th>'
        f'<th class="n">size</th></tr>{rows}</table>'
    )


def _labels(prepared: Prepared, kept: dict[str, list[Picture]]) -> str:
    tables = [_label(label, prepared, kept) for label in prepared.label_names]
    if not tables:
        return ""
    return (
        "<h2>Labels</h2><p>How often each word occurs in each split. What is rare here will be rare in "
        f'what a model draws.</p><div class="columns small">{"".join(tables)}</div>'
    )


def _label(label: str, prepared: Prepared, kept: dict[str, list[Picture]]) -> str:
    counts = {
        split: Counter(picture.labels.get(label) for picture in pictures)
        for split, pictures in kept.items()
    }
    total = sum(counts.values(), Counter())
    words = sorted(prepared.label_names[label], key=lambda word: -total[word])
    shown = [*words[:WORDS], *([None] if total[None] else [])]
    most = max(total[word] for word in shown)
    rows = []
    for word in shown:
        numbers = "".join(f'<td class="n">{counts[split][word]:,}</td>' for split in kept)
        name = '<span class="none">unknown</span>' if word is None else escape(word)
        width = 100 * total[word] / max(most, 1)
        rows.append(
            f'<tr><td>{name}</td><td class="bar"><i style="width:{width:.1f}%"></i></td>'
            f"{numbers}</tr>"
        )
    if len(words) > WORDS:
        rows.append(f'<tr><td class="none">and {len(words) - WORDS} more</td></tr>')
    head = "".join(f'<th class="n">{split}</th>' for split in kept)
    return (
        f"<div><h3>{escape(label)}</h3><table><tr><th></th><th></th>{head}</tr>"
        f"{''.join(rows)}</table></div>"
    )


def _card(source: Source) -> str:
    if source.card is None:
        return (
            "<h2>The collection</h2><p>It is none that this kit knows. Before you train on it or show "
            "what came of it, find out whose pictures these are, what their licence allows, and "
            "whether the people in them agreed.</p>"
        )
    shown = {
        name: value for name, value in asdict(source.card).items() if value and name != "files"
    }
    return f"<h2>The collection</h2>{_two_columns(shown)}"


def _settings(manifest: dict[str, Any]) -> str:
    return (
        f"<h2>Settings</h2>{_two_columns(manifest['settings'])}"
        f"<h2>Made with</h2>{_two_columns(manifest['versions'])}"
    )


def _two_columns(values: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><th>{escape(str(name))}</th><td>{escape(_text(value))}</td></tr>"
        for name, value in values.items()
    )
    return f"<table>{rows}</table>"


def _text(value: Any) -> str:
    if value is None:
        return "found out"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _section(title: str, text: str, figures: Iterable[str]) -> str:
    shown = "".join(figures)
    if not shown:
        return ""
    text = f"<p>{text}</p>" if text else ""
    return f'<h2>{escape(title)}</h2>{text}<div class="sheet">{shown}</div>'


def _figure(images: str | list[str | None] | None, name: str, text: str = "") -> str:
    images = images if isinstance(images, list) else [images]
    shown = "".join(
        f'<img alt="" src="{uri}">' if uri else '<div class="blank">no picture</div>'
        for uri in images
    )
    kind = ' class="pair"' if len(images) > 1 else ""
    # Folders would fill the caption; they are told when the mouse rests on it.
    short = escape(" | ".join(part.rpartition("/")[2] for part in name.split(" | ")))
    caption = f"<b>{short}</b><br>{escape(text)}" if text else short
    return (
        f'<figure{kind} title="{escape(name)}">{shown}<figcaption>{caption}</figcaption></figure>'
    )


def _original(source: Source, item: Item, face: dict[str, Any] | None = None) -> str | None:
    """A file as it is, made small, with a face's box and eyes drawn in; None if it has no picture."""
    try:
        image = reading.read(source.read_bytes(item))
    except reading.Unreadable:
        return None
    scale = 192 / max(image.shape[:2])
    # Enlarged too, so that box and eyes are drawn fine.
    size = [max(round(side * scale), 1) for side in image.shape[1::-1]]
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    image = cv2.resize(image, size, interpolation=kind)
    if face:
        left, top, right, bottom = (round(v * scale) for v in face["box"])
        cv2.rectangle(image, (left, top), (right, bottom), (255, 255, 255), 4, cv2.LINE_AA)
        cv2.rectangle(image, (left, top), (right, bottom), (214, 40, 90), 2, cv2.LINE_AA)
        for x, y in face["landmarks"]:
            middle = (round(x * scale), round(y * scale))
            cv2.circle(image, middle, 5, (255, 255, 255), -1, cv2.LINE_AA)
            cv2.circle(image, middle, 4, (214, 40, 90), -1, cv2.LINE_AA)
    return _uri(image)


def _uri(image: np.ndarray) -> str:
    side = max(image.shape[:2])
    if side > 192:
        size = [max(round(s * 192 / side), 1) for s in image.shape[1::-1]]
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    quality = [cv2.IMWRITE_JPEG_QUALITY, 90]
    _, content = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)
    return "data:image/jpeg;base64," + base64.b64encode(content.tobytes()).decode()


def _sample(values: Sequence[Any], most: int) -> list[Any]:
    """At most so many, spread over all."""
    if len(values) <= most:
        return list(values)
    return [values[i * len(values) // most] for i in range(most)]
