"""One page about a run, with all its pictures inside, that can be sent to a friend."""

import base64
import json
from html import escape
from pathlib import Path
from string import Template

from anime_keras.callbacks import read_history
from anime_keras.files import replacing

_PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>$title</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; background: #fff }
h1 { font-size: 1.6rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
figure { margin: 1rem 0 } img { max-width: 100%; height: auto; image-rendering: auto }
figcaption { color: #555; font-size: .9rem }
table { border-collapse: collapse; font-size: .9rem } td, th { padding: .2rem .9rem .2rem 0;
       text-align: left; border-bottom: 1px solid #ddd; vertical-align: top }
</style></head><body>
<h1>$title</h1>
<p>$summary</p>
$figures
$measured
<h2>Numbers</h2>
$numbers
<h2>Settings</h2>
$settings
<p>Made with anime_keras.</p>
</body></html>
""")

_FIGURES = (
    ("final.png", "Pictures that the trained generator draws", "Each from its own random latents."),
    ("real.png", "Pictures it learned from", "A sample of the training set."),
    (
        "training.gif",
        "The same latents after each epoch",
        "The first frame is the untrained generator.",
    ),
    (
        "curves.png",
        "Losses and scores",
        "In a GAN a falling loss is not a better picture: each player's loss depends on how good the "
        "other one is. Scores near one half mean that the discriminator can hardly tell.",
    ),
)

_TRANSLATED = (
    (
        "final.png",
        "There and back",
        "A row a pair of strangers: x, what G makes of it, what F makes of that; y, what F makes of "
        "it, what G makes of that.",
    ),
    ("real.png", "Pictures it learned from", "Some of X above, some of Y below; no two belong."),
    (
        "training.gif",
        "The same pictures after each epoch",
        "The first frame is of untrained generators.",
    ),
    _FIGURES[-1],
)
_DRAWN = (
    ("final.png", "Drawn", "Pictures of X, each beside what the generator makes of it."),
    *_TRANSLATED[1:],
)
_CODED = (
    ("final.png", "Pictures of random codes", "Each from its own, drawn from the prior."),
    _FIGURES[1],
    (
        "training.gif",
        "The same codes after each epoch",
        "The first frame is the untrained decoder.",
    ),
    (
        "curves.png",
        "The two terms of the bound",
        "In nats a picture: kl is what the code tells of it, reconstruction what is left to say "
        "once the code is known. Their sum is the loss, and the lower, the likelier the pictures.",
    ),
)
_BACK = ("There and back", "Pictures it learned from, each beside what comes back from its code.")
_PATCHES = (
    "What the discriminators think, patch by patch",
    "Of y and of G(x), of x and of F(y), a picture and its scores: blue is called real, red fake.",
)
_VERDICTS = (
    "What the discriminator thinks, patch by patch",
    "Of y, to be called real, and of G(x), y in grey, and y with blurred edges, not to be called so; "
    "a picture and its scores: blue is called real, red is not.",
)
_MIXED = (
    "Styles, mixed",
    "Each face has the coarse styles, up to 16x16, of the first in its row, and the fine ones of the "
    "first in its column.",
)
_ASKED = (
    "As asked for",
    "A row a word of the first attribute. With two, a column a word of the second, and one person; "
    "with one, a column a person.",
)

_MEASURED = (
    (
        "translation.png",
        "Translated",
        "A column a face. From above: as it came, translated, then, where they are known, the true "
        "counterpart and the best of the answers that take no learning, and last what comes back. "
        "The same in the other direction below.",
    ),
    (
        "attributes.png",
        "Hair and eye colours",
        "How often each combination comes, as the kit's network reads it off the faces.",
    ),
    (
        "neighbours.png",
        "Nearest to the training pictures",
        "Above, the generated pictures that lie nearest to one; below each, that one. Equal pairs "
        "would mean that pictures are remembered, not made up.",
    ),
)


def write(folder: Path, settings: dict, pictures: int | None = None) -> Path:
    """Write `report.html` into a run's folder from what lies there.

    Args:
        folder: of the run.
        settings: as in its settings.json.
        pictures: how many it was trained on, if known.

    Returns:
        The path of the page; it loads nothing from elsewhere.
    """
    history = folder / "history.csv"
    rows = read_history(history) if history.exists() else {}
    translates = settings.get("y") is not None
    figures = "".join(
        _figure(folder / name, title, text)
        for name, title, text in _figures(settings)
        if (folder / name).exists()
    )
    patches = _VERDICTS if settings["model"] == "animegan" else _PATCHES
    sheets_of = (("patches", patches), ("back", _BACK), ("asked", _ASKED), ("mixed", _MIXED))
    for kind, words in sheets_of:
        if sheets := sorted((folder / "samples").glob(f"{kind}-*.png")):
            figures += _figure(sheets[-1], *words)
    data = f"{settings['data']} and {settings['y']}" if translates else settings["data"]
    page = _PAGE.substitute(
        title=escape(f"{settings['model']} on {data} pictures, {settings['size']} px"),
        summary=escape(_summary(rows, settings, pictures)),
        figures=figures,
        measured=_measured(folder),
        numbers=_table(_thinned(rows)),
        settings=_table(
            {"setting": list(settings), "value": [_text(v) for v in settings.values()]}
        ),
    )
    path = folder / "report.html"
    with replacing(path) as partial:
        partial.write_text(page, encoding="utf-8")
    return path


def _figures(settings: dict) -> tuple:
    if settings["model"] == "animegan":
        return _DRAWN
    if settings.get("y") is not None:
        return _TRANSLATED
    return _CODED if settings["model"] in ("vae", "vae-gan") else _FIGURES


def _measured(folder: Path) -> str:
    """What `metrics.evaluation` wrote into the folder, if anything."""
    path = folder / "metrics.json"
    if not path.exists():
        return ""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return _numbers(found) + "".join(
            _figure(folder / name, title, text)
            for name, title, text in _MEASURED
            if (folder / name).exists()
        )
    except (ValueError, KeyError, TypeError) as error:
        return f"<h2>Measured</h2><p>{escape(f'{path.name} cannot be read: {error}')}</p>"


def _numbers(found: dict) -> str:
    about, results = found["about"], found["results"]
    rows = {
        "metric": [row["name"] for row in results],
        "value": [_with_spread(row["value"], row["spread"]) for row in results],
        "": [f"{row['better']} is better" for row in results],
        "and": [
            ", ".join(f"{name} {_text(value)}" for name, value in row["details"].items())
            for row in results
        ],
    }
    text = (
        f"{about['fake']:,} generated pictures against {about['real']:,} real ones"
        f"{' of ' + about['data'] if about.get('data') else ''}, seen through "
        f"{about['extractor']}; seed {about['seed']}. The ± is half of a 95% interval."
    )
    page = f"<h2>Measured</h2><p>{escape(text)}</p>" + (_table(rows) if results else "")
    translation = found.get("translation")
    if translation:
        page += _translation(translation)
    warnings = [text for row in results for text in row["warnings"]]
    warnings += translation["warnings"] if translation else []
    if warnings := dict.fromkeys(warnings):
        items = "".join(f"<li>{escape(text)}</li>" for text in warnings)
        page += f"<p>Mind:</p><ul>{items}</ul>"
    if found["as_asked_for"]:
        asked = found["as_asked_for"]
        page += "<p>What was asked for is there:</p>" + _table(
            {
                "attribute": [name.replace("_", " ") for name in asked],
                "share": [f"{row['share']:.1%}" for row in asked.values()],
                "95% interval": ["{:.1%} to {:.1%}".format(*r["interval"]) for r in asked.values()],
                "pictures": [f"{row['count']:,}" for row in asked.values()],
            }
        )
    if spread := found["attributes"]:
        factors = spread["factors"]
        text = (
            f"Of the combinations of hair and eye colour {spread['combinations_covered']:.1%} are "
            f"there; as many real pictures would show {spread['combinations_possible']:.1%}. How "
            "differently each attribute is spread than in the training pictures (Jensen-Shannon "
            "divergence in bits: 0 is equal, 1 is nothing in common), and what chance alone does:"
        )
        page += f"<p>{escape(text)}</p>" + _table(
            {
                "attribute": [name.replace("_", " ") for name in factors],
                "divergence": [f"{row['divergence_bits']:.4f}" for row in factors.values()],
                "by chance up to": [f"{row['chance_bits']:.4f}" for row in factors.values()],
                "hardly there": [", ".join(row["missing"]) for row in factors.values()],
            }
        )
    return page


def _translation(found: dict) -> str:
    from anime_keras.metrics import counterparts

    about = found["about"]
    ways = len({"x2y", "y2x"} & set(found))
    translated, albums = about["pictures"][:ways], about["albums"][::-1][:ways]
    text = (
        f"{' and '.join(f'{n:,}' for n in translated)} pictures of {about['size']} px were "
        f"translated, and compared with {' and '.join(f'{n:,}' for n in albums)} others of "
        "the kind that they became."
    )
    if found["x2y"]["paired"]:
        text += (
            " The same people were drawn both ways, so the true counterparts are known. Beside the "
            "distance to them stand those of the picture itself, of one with the other kind's colours "
            "and of the nearest in an album, and how many times nearer the translation is than the "
            "best of these."
        )
    else:
        text += (
            " True counterparts are not known: what the network reads off a translation is compared "
            "with its own reading of the picture it came from."
        )
    page = f"<p>{escape(text)}</p>"
    for one in counterparts.tables(found):
        columns = dict(zip(one.columns, zip(*one.rows, strict=True), strict=True))
        page += f"<p><b>{escape(one.title)}</b></p>" + _table(columns)
    return page


def _with_spread(value: float | None, spread: float | None) -> str:
    if value is None:
        return "not a number"
    return f"{value:.4g}" + ("" if spread is None else f" ± {spread:.2g}")


def _summary(rows: dict[str, list], settings: dict, pictures: int | None) -> str:
    over = "" if pictures is None else f" over {pictures:,} pictures"
    if not rows:
        return f"Training{over.replace('over', 'on')} was stopped within its first epoch."
    seen = rows["step"][-1] * settings["batch_size"]
    seconds = max(rows["seconds"][-1], 0.1)
    epochs = rows["epoch"][-1]
    return (
        f"{epochs} whole epoch{'s' if epochs > 1 else ''}{over}, "
        f"{rows['step'][-1]:,} steps of "
        f"{settings['batch_size']} pictures ({seen:,} in all), in {seconds / 60:.1f} minutes of "
        f"training ({seen / seconds:.0f} pictures a second)."
    )


def _figure(path: Path, title: str, text: str) -> str:
    kind = path.suffix[1:]
    content = base64.b64encode(path.read_bytes()).decode()
    return (
        f'<h2>{escape(title)}</h2><figure><img alt="{escape(title)}" '
        f'src="data:image/{kind};base64,{content}"><figcaption>{escape(text)}</figcaption></figure>'
    )


def _table(columns: dict[str, list]) -> str:
    head = "".join(f"<th>{escape(str(name))}</th>" for name in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(_text(value))}</td>" for value in row) + "</tr>"
        for row in zip(*columns.values(), strict=True)
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _thinned(columns: dict[str, list], rows: int = 20) -> dict[str, list]:
    """At most about so many rows, the last among them."""
    count = len(next(iter(columns.values()), []))
    stride = max(1, -(-count // rows))
    kept = [i for i in range(count) if (count - 1 - i) % stride == 0]
    return {name: [values[i] for i in kept] for name, values in columns.items()}


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return json.dumps(value) if isinstance(value, (dict, list)) else str(value)
