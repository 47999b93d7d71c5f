"""The integer program against all the ways there are."""

import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.balance import Supply, balance
from rules.schema import RuleSet
from tests.curation.tables import tiny_rules

GRIDS, BILLS, FACES, VIEWS = "Grids", "Bills", "Faces", "Old views"
# What can fit what, in the order of the rule set: (labels of a picture), (quotas of a recording).
IMAGE_KINDS = ((VIEWS,), (FACES,), (BILLS,), (GRIDS,), (VIEWS, FACES), (FACES, BILLS), (VIEWS, FACES, GRIDS))
MUSIC_KINDS = (
    ((VIEWS, "Early"),),
    ((FACES, "Song"),),
    ((BILLS, "Song"),),
    ((GRIDS, "Hum"),),
    ((VIEWS, "Late"), (FACES, "Late")),
    ((FACES, "Song"), (BILLS, "Song")),
)

images = st.dictionaries(st.sampled_from(IMAGE_KINDS), st.integers(1, 3), max_size=3)
recordings = st.dictionaries(st.tuples(st.sampled_from(MUSIC_KINDS), st.integers(1, 2)), st.integers(1, 2), max_size=3)
sizes = st.lists(st.integers(1, 4), min_size=4, max_size=4)


def free(images: dict, recordings: dict) -> Supply:
    return Supply(images, recordings, {}, {}, {})


def goals(pairs: dict[str, int], rule_set: RuleSet) -> tuple[float, ...]:
    """Return what is sought, smallest first: pairs, labels with pairs, distance to the sizes."""
    distance = sum((label.size - pairs[label.name]) ** 2 / label.size for label in rule_set.labels)
    return -sum(pairs.values()), -sum(count > 0 for count in pairs.values()), round(distance, 6)


def best_by_trial(supply: Supply, rule_set: RuleSet) -> tuple[float, ...]:
    """Return the goals of the best of all ways to label every single picture and recording.

    Given the labels, a label's best is the most pairs, except that pairs of different labels never compete.
    """
    pictures = [kinds for kinds, count in supply.images.items() for _ in range(count)]
    pieces = [(kinds, clips) for (kinds, clips), count in supply.recordings.items() for _ in range(count)]
    music = set()
    for choice in itertools.product(*(kinds for kinds, _ in pieces)):
        clips: Counter = Counter()
        for quota, (_, count) in zip(choice, pieces, strict=True):
            clips[quota] += count
        music.add(
            tuple(
                min(label.size, sum(min(limit, clips[label.name, g]) for g, limit in label.music.sub_genres.items()))
                for label in rule_set.labels
            )
        )
    names = rule_set.label_names
    chosen = {tuple(Counter(choice)[name] for name in names) for choice in itertools.product(*pictures)}
    found = (
        goals({name: min(a, b) for name, a, b in zip(names, of_images, of_music, strict=True)}, rule_set)
        for of_images in chosen
        for of_music in music
    )
    return min(found)


@settings(deadline=None, max_examples=150)
@given(images, recordings, sizes)
def test_no_other_way_is_better(images, recordings, sizes):
    rule_set, supply = tiny_rules(sizes), free(images, recordings)
    assert goals(balance(supply, rule_set).pairs, rule_set) == best_by_trial(supply, rule_set)


@settings(deadline=None, max_examples=60)
@given(images, recordings, sizes, st.randoms(use_true_random=False))
def test_order_of_the_supply_changes_nothing(images, recordings, sizes, rng):
    rule_set = tiny_rules(sizes)
    shuffled = [list(images.items()), list(recordings.items())]
    for part in shuffled:
        rng.shuffle(part)
    assert balance(free(*map(dict, shuffled)), rule_set) == balance(free(images, recordings), rule_set)


@settings(deadline=None, max_examples=60)
@given(images, recordings, sizes)
def test_plan_takes_no_more_than_there_is(images, recordings, sizes):
    rule_set = tiny_rules(sizes)
    plan = balance(free(images, recordings), rule_set)
    taken, given_out, clips = Counter(), Counter(), Counter()
    for (kinds, label), count in plan.images.items():
        assert label in kinds
        taken[kinds] += count
    for (kinds, number, quota), count in plan.recordings.items():
        assert quota in kinds
        given_out[kinds, number] += count
        clips[quota] += number * count
    assert all(count <= images[kinds] for kinds, count in taken.items())
    assert given_out == Counter(recordings)
    assert all(count <= clips[quota] for quota, count in plan.clips.items())
    for label in rule_set.labels:
        of_label = {quota: count for quota, count in plan.clips.items() if quota[0] == label.name}
        assert plan.pairs[label.name] == sum(of_label.values()) <= label.size
        assert all(count <= label.music.sub_genres[quota[1]] for quota, count in of_label.items())


def test_picture_that_fits_two_goes_where_it_makes_a_pair():
    supply = free({(VIEWS, FACES): 1, (VIEWS,): 1}, {(((VIEWS, "Early"),), 1): 1, (((FACES, "Song"),), 1): 1})
    plan = balance(supply, tiny_rules())
    assert (plan.pairs[VIEWS], plan.pairs[FACES]) == (1, 1)


def test_most_labels_come_before_even_sizes():
    music = {(((FACES, "Song"), (BILLS, "Song")), 1): 2}
    plan = balance(free({(FACES, BILLS): 2}, music), tiny_rules())
    assert (plan.pairs[FACES], plan.pairs[BILLS]) == (1, 1)


@pytest.mark.parametrize("size", [1, 2])
def test_what_is_kept_stays_in_a_quota_that_shrank(size):
    supply = Supply({}, {}, {FACES: 3}, {(FACES, "Song"): 3}, {(FACES, "Song"): size})
    plan = balance(supply, tiny_rules((6, size, 4, 3)))
    assert plan.pairs[FACES] == size


def test_kept_pairs_stay_where_another_label_needs_them_more():
    supply = Supply({(GRIDS,): 1}, {}, {FACES: 1}, {(FACES, "Song"): 1}, {(FACES, "Song"): 1})
    assert balance(supply, tiny_rules()).pairs == {VIEWS: 0, FACES: 1, BILLS: 0, GRIDS: 0}


def test_nothing_gives_no_pairs():
    assert set(balance(free({}, {}), tiny_rules()).pairs.values()) == {0}


def test_program_that_presolve_calls_infeasible_is_solved():
    late = ((VIEWS, "Late"), (FACES, "Late"))
    music = {(((FACES, "Song"), (BILLS, "Song")), 1): 2, (((GRIDS, "Hum"),), 3): 1, (((GRIDS, "Hum"),), 2): 1}
    music |= {(late, clips): 1 for clips in (3, 1, 2)}
    plan = balance(free({(BILLS,): 3, (FACES,): 1, (VIEWS, GRIDS): 1}, music), tiny_rules())
    assert sum(plan.pairs.values()) == 4
