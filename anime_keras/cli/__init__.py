"""The command line, a file a command: `python -m anime_keras --help`."""

import typer

from anime_keras.cli import data, demo, evaluate, export, generate, models, train, translate
from anime_keras.cli.shared import Commands
from anime_keras.survey.commands import app as survey_app

app = typer.Typer(
    cls=Commands,
    help="Learn image generation by drawing, training and measuring anime faces.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
)
for command in (
    *(demo.demo, models.models, generate.generate, translate.translate),
    *(evaluate.evaluate, export.export),
):
    app.command()(command)
app.add_typer(data.app, name="data")
app.add_typer(train.app, name="train")
app.add_typer(survey_app, name="survey")


def main() -> None:
    """Entry point."""
    app()
