"""People's opinion, measured properly: build a survey page, score the answers.

    from anime_keras import survey

    made = survey.build("survey.html", real="my_faces", fakes={"mine": "generated"})
    survey.in_notebook(made)
    scores = survey.score("answers/", key=made)
    scores.write("scores")

`survey.raters_needed()` says beforehand how many to ask, and `survey.simulate(made)` makes answers
of raters whose sensitivity is known.
"""

from anime_keras.survey.answers import Rules
from anime_keras.survey.building import Survey, build
from anime_keras.survey.notebook import in_notebook
from anime_keras.survey.pictures import of_run
from anime_keras.survey.planning import raters_needed
from anime_keras.survey.scoring import Scores, score
from anime_keras.survey.simulation import simulate

__all__ = [
    "Rules",
    "Scores",
    "Survey",
    "build",
    "in_notebook",
    "of_run",
    "raters_needed",
    "score",
    "simulate",
]
