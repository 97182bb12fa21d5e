"""Figures in one look, and the live curve of a training run. Serves every lesson.

`figures` draws lines, bars and histograms; `live` shows a figure, grows a curve while a model trains, and counts
while it samples.
"""

from course.plots.figures import bars, histogram, lines, panels
from course.plots.live import LiveCurve, one_line_each, progress, show
