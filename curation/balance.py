"""Which label an item gets where several fit, and how many pairs each label has: one integer program, solved exactly.

Items with the same fitting labels are one variable, so the program's size does not grow with the items. Goals, each
held while the next is sought: most pairs; most labels with pairs; sizes met as evenly as possible, by the labels'
weights; most of what an earlier release gave a label to.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from rules.schema import RuleSet

Quota = tuple[str, str]  # label, sub-genre

# A label's distance to its size costs its square; the curve is drawn by this many straight pieces, so it is exact up
# to this many pairs a label.
PIECES = 32
TOLERANCE = 1e-7  # of that distance, where it is held


@dataclass(frozen=True, slots=True)
class Supply:
    """What there is to balance.

    Attributes:
        images: free images by the labels that fit them.
        recordings: free recordings by the quotas that fit them and their number of clips.
        fixed_images: images whose label an earlier release decided, by label.
        fixed_clips: clips whose label an earlier release decided, by quota.
        kept_clips: those of them whose pair stays, by quota; they stay even where the quota is smaller now.
        released_clips: those of them that the parent held, by quota.
    """

    images: Mapping[tuple[str, ...], int]
    recordings: Mapping[tuple[tuple[Quota, ...], int], int]
    fixed_images: Mapping[str, int]
    fixed_clips: Mapping[Quota, int]
    kept_clips: Mapping[Quota, int]
    released_clips: Mapping[Quota, int]


@dataclass(frozen=True, slots=True)
class Plan:
    """How many of each kind go where.

    Attributes:
        images: free images by fitting labels and the label that takes them.
        recordings: free recordings by fitting quotas, number of clips, and the quota that takes them.
        clips: clips to use, fixed ones included, by quota.
        pairs: pairs by label.
    """

    images: dict[tuple[tuple[str, ...], str], int]
    recordings: dict[tuple[tuple[Quota, ...], int, Quota], int]
    clips: dict[Quota, int]
    pairs: dict[str, int]


class _Program:
    """Columns and rows of an integer program while it is written down."""

    def __init__(self) -> None:
        self.lower: list[float] = []
        self.upper: list[float] = []
        self.rows: list[tuple[dict[int, float], float, float]] = []

    def column(self, lower: float, upper: float) -> int:
        self.lower.append(lower)
        self.upper.append(upper)
        return len(self.upper) - 1

    def row(self, terms: dict[int, float], lower: float, upper: float) -> None:
        self.rows.append((terms, lower, upper))

    def minimize(self, cost: dict[int, float]) -> npt.NDArray[np.float64]:
        """Return the best value of every column, rounded to integers."""
        width = len(self.upper)
        entries = [(r, c, v) for r, (terms, _, _) in enumerate(self.rows) for c, v in terms.items()]
        at_rows, at_columns, values = zip(*entries, strict=True) if entries else ((), (), ())
        matrix = csr_array((values, (at_rows, at_columns)), shape=(len(self.rows), width))
        bounds = Bounds(np.array(self.lower), np.array(self.upper))
        rows = LinearConstraint(matrix, [row[1] for row in self.rows], [row[2] for row in self.rows])
        costs = np.array([cost.get(c, 0.0) for c in range(width)])
        # With presolve, HiGHS calls about one small program in six hundred infeasible that is not (scipy 1.17.1);
        # without, it takes twice as long and prints lines of its own.
        for presolve in (True, False):
            options = {"mip_rel_gap": 0.0, "presolve": presolve}
            result = milp(costs, integrality=np.ones(width), bounds=bounds, constraints=rows, options=options)
            if result.success:
                return np.asarray(np.round(result.x))
        raise RuntimeError(f"the balance has no solution: {result.message}")


def balance(supply: Supply, rule_set: RuleSet) -> Plan:
    """Fill the class sizes as well as the supply allows.

    A label has no more pairs than its size, its images and its clips; a sub-genre no more clips than its quota. What
    an earlier release fixed always fits.
    """
    program = _Program()
    images = {
        (labels, label): program.column(0, count) for labels, count in sorted(supply.images.items()) for label in labels
    }
    for labels, count in sorted(supply.images.items()):
        program.row({images[labels, label]: 1 for label in labels}, 0, count)
    recordings = {
        (quotas, clips, quota): program.column(0, count)
        for (quotas, clips), count in sorted(supply.recordings.items())
        for quota in quotas
    }
    for (quotas, clips), count in sorted(supply.recordings.items()):
        program.row({recordings[quotas, clips, quota]: 1 for quota in quotas}, count, count)
    used = _clips(program, supply, rule_set, recordings)
    pairs = _pairs(program, supply, rule_set, images, used)
    solution = _solve(program, supply, rule_set, pairs, used)
    return Plan(
        {key: int(solution[column]) for key, column in images.items() if solution[column]},
        {key: int(solution[column]) for key, column in recordings.items() if solution[column]},
        {quota: int(solution[column]) for quota, column in used.items() if solution[column]},
        {label: int(solution[column]) for label, column in pairs.items()},
    )


def _clips(
    program: _Program, supply: Supply, rule_set: RuleSet, recordings: dict[tuple[tuple[Quota, ...], int, Quota], int]
) -> dict[Quota, int]:
    """Add the clips used of each quota: no more than it allows, no more than its recordings have."""
    used = {}
    for label in rule_set.labels:
        for sub_genre, limit in label.music.sub_genres.items():
            quota = (label.name, sub_genre)
            kept = supply.kept_clips.get(quota, 0)
            used[quota] = program.column(kept, max(limit, kept))
            supplied = {column: -float(key[1]) for key, column in recordings.items() if key[2] == quota}
            program.row({used[quota]: 1.0, **supplied}, -np.inf, supply.fixed_clips.get(quota, 0))
    return used


def _pairs(
    program: _Program,
    supply: Supply,
    rule_set: RuleSet,
    images: dict[tuple[tuple[str, ...], str], int],
    used: dict[Quota, int],
) -> dict[str, int]:
    """Add the pairs of each label: as many as clips used, no more than images."""
    pairs = {}
    for label in rule_set.labels:
        quotas = [quota for quota in used if quota[0] == label.name]
        kept = sum(supply.kept_clips.get(quota, 0) for quota in quotas)
        pairs[label.name] = column = program.column(kept, max(label.size, kept))
        program.row({column: 1.0, **{used[quota]: -1.0 for quota in quotas}}, 0, 0)
        chosen = {key_column: -1.0 for (_, name), key_column in images.items() if name == label.name}
        program.row({column: 1.0, **chosen}, -np.inf, supply.fixed_images.get(label.name, 0))
    return pairs


def _solve(
    program: _Program, supply: Supply, rule_set: RuleSet, pairs: dict[str, int], used: dict[Quota, int]
) -> npt.NDArray[np.float64]:
    """Seek the goals one after the other; each is held while the next is sought."""
    most = {column: -1.0 for column in pairs.values()}
    total = float(program.minimize(most)[list(pairs.values())].sum())
    program.row({column: 1.0 for column in pairs.values()}, total, total)

    filled = {}
    for column in pairs.values():
        filled[column] = program.column(0, 1)
        program.row({filled[column]: 1.0, column: -1.0}, -np.inf, 0)
    labels = float(program.minimize({column: -1.0 for column in filled.values()})[list(filled.values())].sum())
    program.row({column: 1.0 for column in filled.values()}, labels, labels)

    cost = _distance(program, rule_set, pairs)
    solution = program.minimize(cost)
    staying = _staying(program, supply, pairs, used)
    if not staying:
        return solution
    program.row(cost, -np.inf, sum(each * solution[column] for column, each in cost.items()) + TOLERANCE)
    return program.minimize({column: -1.0 for column in staying})


def _distance(program: _Program, rule_set: RuleSet, pairs: dict[str, int]) -> dict[int, float]:
    """Add the pieces of each label's distance to its size and return their costs."""
    cost: dict[int, float] = {}
    for label in rule_set.labels:
        limit = program.upper[pairs[label.name]]
        pieces = np.unique(np.linspace(0, limit, min(PIECES, int(limit)) + 1).round())
        columns = [program.column(0, float(step)) for step in np.diff(pieces)]
        program.row({pairs[label.name]: -1.0, **{column: 1.0 for column in columns}}, 0, 0)
        short = label.weight * (label.size - pieces) ** 2 / label.size
        cost |= dict(zip(columns, (np.diff(short) / np.diff(pieces)).tolist(), strict=True))
    return cost


def _staying(program: _Program, supply: Supply, pairs: dict[str, int], used: dict[Quota, int]) -> list[int]:
    """Add what stays of the images and clips that the parent held; none where all that lost nothing stays anyway."""
    kept: Counter[str] = Counter()
    for (label, _), count in supply.kept_clips.items():
        kept[label] += count
    places = [(pairs[label], count, kept[label]) for label, count in supply.fixed_images.items()]
    places += [(used[quota], count, supply.kept_clips.get(quota, 0)) for quota, count in supply.released_clips.items()]
    staying = []
    for column, count, stays_anyway in places:
        if count > stays_anyway:
            staying.append(program.column(0, count))
            program.row({staying[-1]: 1.0, column: -1.0}, -np.inf, 0)
    return staying
