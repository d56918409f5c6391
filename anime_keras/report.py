"""One page about a run, with all its pictures inside, that can be sent to a friend."""

import base64
import json
from html import escape
from pathlib import Path
from string import Template

from anime_keras.callbacks import read_history

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


def write(folder: Path, settings: dict, pictures: int) -> Path:
    """Write `report.html` into a run's folder from what lies there.

    Args:
        folder: of the run.
        settings: as in its settings.json.
        pictures: how many it was trained on.

    Returns:
        The path of the page; it loads nothing from elsewhere.
    """
    history = folder / "history.csv"
    rows = read_history(history) if history.exists() else {}
    figures = "".join(
        _figure(folder / name, title, text)
        for name, title, text in _FIGURES
        if (folder / name).exists()
    )
    page = _PAGE.substitute(
        title=escape(f"{settings['model']} on {settings['data']} pictures, {settings['size']} px"),
        summary=escape(_summary(rows, settings, pictures)),
        figures=figures,
        numbers=_table(_thinned(rows)),
        settings=_table(
            {"setting": list(settings), "value": [_text(v) for v in settings.values()]}
        ),
    )
    path = folder / "report.html"
    partial = folder / "report.html.partial"
    partial.write_text(page, encoding="utf-8")
    partial.replace(path)
    return path


def _summary(rows: dict[str, list], settings: dict, pictures: int) -> str:
    if not rows:
        return f"Training on {pictures:,} pictures was stopped within its first epoch."
    seen = rows["step"][-1] * settings["batch_size"]
    seconds = max(rows["seconds"][-1], 0.1)
    epochs = rows["epoch"][-1]
    return (
        f"{epochs} whole epoch{'s' if epochs > 1 else ''} over {pictures:,} pictures, "
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
