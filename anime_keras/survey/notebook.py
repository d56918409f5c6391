"""A survey taken inside a notebook."""

from html import escape
from pathlib import Path
from typing import Any

from anime_keras.survey.building import Survey


def in_notebook(survey: Survey | str | Path, height: int = 760) -> Any:
    """Show a survey's page in the output of a notebook's cell.

    The page lives in a frame of its own, with its own security policy, and cannot reach the notebook.
    So its answers take the way that raters' answers take: save them as a file (or copy them into one),
    and give this file to `score`.

    Args:
        survey: as built, or the path of its page.
        height: of the frame in pixels.

    Returns:
        An object that Jupyter and Colab show.

    Raises:
        FileNotFoundError: the page is not there.
    """
    from IPython.display import HTML

    path = survey.page if isinstance(survey, Survey) else Path(survey)
    if path is None or not path.is_file():
        raise FileNotFoundError(
            f"There is no page {path or 'beside the key'}: build the survey again."
        )
    page = escape(path.read_text(encoding="utf-8"))
    # In a <div>, since IPython would advise its IFrame instead, which needs a server to load from.
    return HTML(
        f'<div><iframe srcdoc="{page}" title="Survey" width="100%" height="{height}" '
        'style="border: 1px solid #ccc; border-radius: 8px"></iframe></div>'
    )
