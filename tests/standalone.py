"""A whole page around the stand-alone face of a study widget, as a reader of Kaggle's notebooks gets it."""

import pytest

from course.study.widget import StudyWidget


def page_of(widget: StudyWidget) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_FACE", "standalone")
        face = widget._repr_mimebundle_()[0]["text/html"]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A widget</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<style>:root { color-scheme: light dark; }"
        " body { max-width: 46rem; margin: 1.5rem auto; padding: 0 1rem; }</style>"
        f"</head><body><main>{face}</main></body></html>"
    )
