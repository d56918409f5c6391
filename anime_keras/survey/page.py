"""The page that asks: one HTML file that needs nothing but a browser."""

import base64
import hashlib
import json
from html import escape
from importlib.resources import files
from string import Template
from typing import Any


def compose(content: dict[str, Any], title: str) -> str:
    """The survey's HTML.

    Its Content-Security-Policy allows this style, this script and the pictures inside; there is no
    network for them, and a script that came in by a name or a word would not run.

    Args:
        content: what `page.js` reads.
        title: of the window.
    """
    folder = files("anime_keras.survey")
    style = folder.joinpath("page.css").read_text("utf-8")
    script = folder.joinpath("page.js").read_text("utf-8")
    template = Template(folder.joinpath("page.html").read_text("utf-8"))
    return template.substitute(
        title=escape(title),
        style=style,
        style_hash=hashed(style),
        script=script,
        script_hash=hashed(script),
        content=embeddable(content),
    )


def embeddable(content: Any) -> str:
    """JSON that can stand inside <script>: no text in it can end the element."""
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def hashed(text: str) -> str:
    """What a Content-Security-Policy calls a style or a script by."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
