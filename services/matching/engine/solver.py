"""The best choice among things of which only so many may be chosen together, by HiGHS (linear and whole numbers)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.matching.engine.columns import Bools, Floats

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rules:
    """Of the things that rule `rows[i]` names at `columns[i]`, no more than its limit may be chosen together."""

    rows: Ints
    columns: Ints
    limits: Floats

    def without(self, chosen: Floats, *, left: Bools) -> Rules:
        """For the things that are `left`, numbered anew, after these shares of the others were chosen."""
        used = np.bincount(self.rows, weights=chosen[self.columns], minlength=len(self.limits))
        kept = left[self.columns]
        numbers = np.cumsum(left) - 1
        return Rules(self.rows[kept], numbers[self.columns[kept]], self.limits - used)


def best_shares(worth: Floats, rules: Rules) -> tuple[Floats, float]:
    """A share from 0 to 1 of each thing, and their total, which no choice of whole things exceeds.

    The shares are those of a vertex, so that all are whole where the rules are those of a network. RuntimeError when
    there is no answer.
    """
    return _solved(worth, rules, whole=False, options={"solver": "ipx", "run_crossover": "on"})


def best_whole(worth: Floats, rules: Rules, *, most_seconds: float | None = None) -> Floats:
    """0 or 1 for each thing: the best there is, or with `most_seconds` the best that was found until then.

    RuntimeError when there is no answer.
    """
    options = {"mip_rel_gap": 0.0} if most_seconds is None else {"time_limit": most_seconds}
    return np.round(_solved(worth, rules, whole=True, options=options)[0])


def _solved(worth: Floats, rules: Rules, *, whole: bool, options: dict[str, Any]) -> tuple[Floats, float]:
    import highspy  # noqa: PLC0415 (for the one process that ever runs a round)

    solver: Any = highspy.Highs()  # type: ignore[no-untyped-call]
    # one thread: the same result twice, and a core left for everything else
    for name, value in {"output_flag": False, "threads": 1, "parallel": "off", **options}.items():
        if solver.setOptionValue(name, value) != highspy.HighsStatus.kOk:
            raise RuntimeError(f"the solver does not know {name}={value}")
    solver.passModel(_program(worth, rules, whole=whole))
    solver.run()
    found, status = solver.getSolution(), solver.getModelStatus()
    ends = {highspy.HighsModelStatus.kOptimal} | ({highspy.HighsModelStatus.kTimeLimit} if whole else set())
    if status not in ends or not found.value_valid or len(found.col_value) != len(worth):
        raise RuntimeError(f"the solver gave up: {solver.modelStatusToString(status)}")
    return np.asarray(found.col_value), float(solver.getInfo().objective_function_value)


def _program(worth: Floats, rules: Rules, *, whole: bool) -> Any:  # noqa: ANN401 (highspy has no types)
    import highspy  # noqa: PLC0415

    program = highspy.HighsLp()
    program.sense_ = highspy.ObjSense.kMaximize
    program.num_col_, program.num_row_ = len(worth), len(rules.limits)
    program.col_cost_ = worth
    program.col_lower_, program.col_upper_ = np.zeros(len(worth)), np.ones(len(worth))
    program.row_lower_, program.row_upper_ = np.full(len(rules.limits), -highspy.kHighsInf), rules.limits
    order = np.argsort(rules.rows, kind="stable")
    program.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    program.a_matrix_.start_ = np.concatenate([[0], np.cumsum(np.bincount(rules.rows, minlength=len(rules.limits)))])
    program.a_matrix_.index_ = rules.columns[order]
    program.a_matrix_.value_ = np.ones(len(order))
    if whole:
        program.integrality_ = [highspy.HighsVarType.kInteger] * len(worth)
    return program
