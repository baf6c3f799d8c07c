"""The marks of the rubric, and the fields of rollouts that the rubric world alone has."""

from __future__ import annotations

import numpy as np

from simulators.records import declare_field

__all__ = ["MARKS"]

#: From 1 to 5 in halves.
MARKS = np.linspace(1.0, 5.0, 9)

declare_field("sample", "SP", "which of the annotated samples stands in each slot", int)
declare_field("annotated", "SP", "mark that the annotator gave; slots 2i and 2i + 1 are the two sides of a pair")
declare_field("expected_mark", "SPG", "mean of the judge's marks after its trace")
declare_field("teacher_marks", "SPGM", "a teacher's probability of each mark")
