"""The scores to look at: tables in the terminal, a picture, and a page to send to a friend."""

import base64
import hashlib
import io
import warnings
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from anime_keras import plots
from anime_keras.data.records import replacing
from anime_keras.survey.answers import plain
from anime_keras.survey.scoring import Measure, Scores

HEADINGS = {
    "real": "Real or generated?",
    "better": "Which of two is better?",
    "rating": "How real does it look?",
    "variety": "Which group is more varied?",
    "attribute": "Is the attribute there?",
}
NOTES = {
    "real": "How often raters were wrong. A generator that cannot be told from real pictures reaches "
    "50%: raters guess. The comparisons are of how often a source was called real, and do not depend "
    "on how easily raters say so.",
    "better": "How often a source won against another. 50% is a draw.",
    "rating": "From 1, not real at all, to 5, completely real. Read it against the mean of the real "
    "pictures, which seldom is 5.",
    "variety": "How often a group of nine was found more varied than a group of another source. 50% is "
    "a draw.",
    "attribute": "How often raters were right about whether an attribute is there. Half of the "
    "questions ask for what was asked of the model, the other half for something else.",
}
ABOUT = (
    "Intervals are of 95%, and about other raters before the same pictures: of shares Wilson's at the "
    "effective number of answers, of means Student's t over raters. p is of the sign-flip test over "
    "raters, corrected for all comparisons of a kind of question after Holm. Krippendorff's alpha is 1 "
    "for full agreement and 0 for that of chance; where pictures cannot be told apart, low agreement "
    "is what to expect."
)
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; background: #fff; overflow-wrap: anywhere }
h1 { font-size: 1.6rem; margin-bottom: .3rem } h2 { font-size: 1.2rem; margin: 2.2rem 0 .3rem }
p { margin: .4rem 0; max-width: 44rem } .soft { color: #555; font-size: .92rem }
table { border-collapse: collapse; font-size: .92rem; margin: .6rem 0 }
td, th { padding: .22rem 1rem .22rem 0; text-align: left; border-bottom: 1px solid #e4e4e8;
         vertical-align: top }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
caption { text-align: left; font-weight: 600; padding-top: .6rem }
img { max-width: 100%; height: auto }
.mind { border-left: 5px solid #d9730d; background: #fff6ec; padding: .3rem .8rem }
blockquote { margin: .5rem 0; padding-left: .8rem; border-left: 3px solid #ccc; white-space: pre-wrap }
"""
_PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'sha256-$hash'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title><style>$style</style></head><body>
$body
<p class="soft">Made with anime_keras.</p>
</body></html>
""")

# Heading, header with an alignment for each column, rows: what terminal and page both show.
_Table = tuple[str, Sequence[tuple[str, str]], list[list[str]]]


def value(measure: Measure) -> str:
    """A number with its interval, such as "31% [24%, 39%]" or "3.4 [3.1, 3.7]"."""
    e = measure.estimate
    show = (lambda x: f"{x:.2f}") if measure.task == "rating" else (lambda x: f"{100 * x:.0f}%")
    interval = "" if e.low is None else f" [{show(e.low)}, {show(e.high)}]"
    return show(e.value) + interval


def _contents(scores: Scores, task: str) -> list[_Table]:
    measures = [m for m in scores.measures if m.task == task]
    found: list[_Table] = [
        (
            "",
            (("source", "l"), ("", "l"), ("value", "r"), ("answers", "r")),
            [[m.source, m.name, value(m), str(m.estimate.answers)] for m in measures],
        )
    ]
    compared = [c for c in scores.comparisons if c.task == task]
    if compared:
        scale = (
            (lambda d: f"{d:+.2f}") if task == "rating" else (lambda d: f"{100 * d:+.0f} points")
        )
        found.append(
            (
                f"Compared: {compared[0].name}",
                (("", "l"), ("difference", "r"), ("p", "r"), ("p (Holm)", "r"), ("", "l")),
                [
                    [
                        f"{c.one} against {c.other}",
                        scale(c.difference),
                        _p(c.p),
                        _p(c.p_holm),
                        "differ" if c.p_holm < 0.05 else "no difference shown",
                    ]
                    for c in compared
                ],
            )
        )
    return found


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _tasks(scores: Scores) -> list[str]:
    asked = {m.task for m in scores.measures}
    return [task for task in HEADINGS if task in asked]


def _agreement(scores: Scores, task: str) -> str:
    a = next(a for a in scores.agreement if a.task == task)
    if a.alpha is None:
        return "Agreement between raters is not defined: one rater, or one answer to everything."
    return (
        f"Agreement between raters: Krippendorff's alpha ({a.level}) {a.alpha:.2f}, "
        f"{a.trials} trials."
    )


def _summary(scores: Scores) -> str:
    count, refused = len(scores.raters), len(scores.refused)
    parts = [f"{count} rater{'s' if count != 1 else ''}"]
    parts += [f"{len(scores.rejected)} rejected"] if scores.rejected else []
    parts += [f"{refused} file{'s' if refused != 1 else ''} refused"] if refused else []
    return ", ".join(parts) + f". Survey {scores.survey}."


def _left_out(scores: Scores) -> list[list[str]]:
    rows = [[plain(Path(file).name), f"rejected: {why}"] for file, _, why in scores.rejected]
    return rows + [[plain(Path(file).name), f"refused: {why}"] for file, why in scores.refused]


# --- in the terminal --------------------------------------------------------------------------------


def tables(scores: Scores) -> Any:
    """All of it for `rich.print`."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    def table(title: str, header: Sequence[tuple[str, str]], rows: list[list[str]]) -> Table:
        # Text is shown as it is: names may contain what rich would take for markup.
        made = Table(title=Text(title) if title else None, title_justify="left", box=None)
        for name, side in header:
            made.add_column(name, justify="right" if side == "r" else "left", overflow="fold")
        for row in rows:
            made.add_row(*(Text(plain(cell)) for cell in row))
        return made

    parts: list[Any] = [Text(plain(scores.title), style="bold"), Text(_summary(scores))]
    for task in _tasks(scores):
        parts += [Text(), Text(HEADINGS[task], style="bold")]
        parts += [table(*one) for one in _contents(scores, task)]
        parts.append(Text(_agreement(scores, task)))
    rows = _left_out(scores)
    if rows:
        parts += [Text(), table("Not counted", (("file", "l"), ("why", "l")), rows)]
    parts += [Text(f"Mind: {warning}", style="yellow") for warning in scores.warnings]
    return Group(*parts)


# --- as a picture and a page -------------------------------------------------------------------------


def figure(scores: Scores) -> Any:
    """The numbers with their intervals, as a matplotlib figure."""
    panels = []
    for task in _tasks(scores):
        measures = [m for m in scores.measures if m.task == task]
        labels = [plain(f"{m.source}: {m.name}") for m in measures]
        points = [(m.estimate.value, m.estimate.low, m.estimate.high) for m in measures]
        ends = (1.0, 5.0) if task == "rating" else (0.0, 1.0)
        shortened = [label if len(label) <= 48 else label[:47] + "…" for label in labels]
        chances = {m.chance for m in measures}
        chance = chances.pop() if len(chances) == 1 else None
        panels.append((HEADINGS[task], shortened, points, ends, chance))
    return plots.intervals(panels)


def _picture(scores: Scores) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # Names in scripts that the font lacks are boxes in the picture; the tables show them.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure(scores).savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def body(scores: Scores, picture: bytes | None = None) -> str:
    """The scores as HTML; nothing in it that came from elsewhere is taken for HTML."""
    picture = picture or _picture(scores)
    source = base64.b64encode(picture).decode()
    parts = [f"<h1>{_cell(scores.title)}</h1><p>{escape(_summary(scores))}</p>"]
    parts += [f'<p class="mind">{escape(warning)}</p>' for warning in scores.warnings]
    parts.append(
        '<img alt="The values of the tables below, each with its interval." '
        f'src="data:image/png;base64,{source}">'
    )
    for task in _tasks(scores):
        parts.append(f'<h2>{escape(HEADINGS[task])}</h2><p class="soft">{escape(NOTES[task])}</p>')
        parts += [_table(*one) for one in _contents(scores, task)]
        parts.append(f"<p>{escape(_agreement(scores, task))}</p>")
    rows = _left_out(scores)
    if rows:
        parts.append("<h2>Not counted</h2>" + _table("", (("file", "l"), ("why", "l")), rows))
    if scores.comments:
        parts.append("<h2>What raters wrote</h2>")
        parts += [
            f'<blockquote dir="auto">{escape(text)}</blockquote>' for _, text in scores.comments
        ]
    parts.append(f'<h2>How it is computed</h2><p class="soft">{escape(ABOUT)}</p>')
    return "\n".join(parts)


def _cell(text: str) -> str:
    # Names that are written from right to left turn round nothing beside them.
    return f"<bdi>{escape(plain(text))}</bdi>"


def _table(title: str, header: Sequence[tuple[str, str]], rows: list[list[str]]) -> str:
    kinds = ['class="n"' if side == "r" else "" for _, side in header]
    head = "".join(
        f'<th scope="col" {kind}>{escape(name)}</th>'
        for (name, _), kind in zip(header, kinds, strict=True)
    )
    lines = "".join(
        "<tr>"
        + "".join(f"<td {k}>{_cell(c)}</td>" for c, k in zip(row, kinds, strict=True))
        + "</tr>"
        for row in rows
    )
    caption = f"<caption>{_cell(title)}</caption>" if title else ""
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


def write(folder: Path, scores: Scores) -> Path:
    """Write scores.png and report.html; returns the path of the latter."""
    picture = _picture(scores)
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    page = _PAGE.substitute(
        title=escape(scores.title), style=_STYLE, hash=digest, body=body(scores, picture)
    )
    with replacing(folder / "scores.png") as partial:
        partial.write_bytes(picture)
    with replacing(folder / "report.html") as partial:
        partial.write_text(page, encoding="utf-8")
    return folder / "report.html"
