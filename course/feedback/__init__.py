"""Simulated labellers: what they like, how often two of them agree, the records they leave and what these cost.

Serves notebook 06, and every later one that needs more labels than you can click. `tastes` says what an answer is worth
to somebody, `labellers` how surely they choose the better one, and what this means for whoever learns from them;
`records` makes comparisons, rankings and ratings, `cost` counts the dollars. None of it needs torch.
"""

from course.feedback.cost import annotation_cost
from course.feedback.labellers import Labeller, Pair, agreement, labeller_with_agreement, noise_bound
from course.feedback.records import label_pairs, rank, rate
from course.feedback.tastes import TASTES, combined
