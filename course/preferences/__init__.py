"""Learning from preferences without a reward model: DPO and its relatives on language models.

Serves notebooks 11 to 13. The formulas are in `course.losses.preference`; `methods` says which of them a method uses,
`sequences` reads how likely answers are, `fit` trains.
"""

from course.preferences.fit import fit_preferences
from course.preferences.methods import DPO, IPO, KTO, ORPO, Method, SimPO
from course.preferences.sequences import sequence_logps
