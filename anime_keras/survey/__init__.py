"""People's opinion, measured properly: build a survey page, score the answers.

from anime_keras import survey

made = survey.build("survey.html", real="my_faces", fakes={"mine": "generated"})
scores = survey.score(["answers/"], key=made)
"""

from anime_keras.survey.building import Survey, build

__all__ = [
    "Survey",
    "build",
]
