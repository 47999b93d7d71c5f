"""The integer program against all the ways there are."""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.balance import Quota, Supply, balance
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
    return Supply(images, recordings, {}, {}, {}, {})


def goals(pairs: dict[str, int], rule_set: RuleSet) -> tuple[float, ...]:
    """Return what is sought, smallest first: pairs, labels with pairs, distance to the sizes by weight."""
    distance = sum(label.weight * (label.size - pairs[label.name]) ** 2 / label.size for label in rule_set.labels)
    return -sum(pairs.values()), -sum(count > 0 for count in pairs.values()), round(distance, 6)


def ways(supply: Supply, rule_set: RuleSet) -> Iterator[tuple[dict[str, int], Counter]]:
    """Yield the images of each label and the clips of each quota for all ways to label what is free."""
    pictures = [kinds for kinds, count in supply.images.items() for _ in range(count)]
    pieces = [(kinds, clips) for (kinds, clips), count in supply.recordings.items() for _ in range(count)]
    names = rule_set.label_names
    images = {tuple(Counter(choice)[name] for name in names) for choice in itertools.product(*pictures)}
    music = set()
    for choice in itertools.product(*(kinds for kinds, _ in pieces)):
        clips = Counter(supply.fixed_clips)
        for quota, (_, count) in zip(choice, pieces, strict=True):
            clips[quota] += count
        music.add(tuple(clips[quota] for quota in rule_set.quotas))
    for of_images, of_music in itertools.product(images, music):
        counts = {name: n + supply.fixed_images.get(name, 0) for name, n in zip(names, of_images, strict=True)}
        yield counts, Counter(dict(zip(rule_set.quotas, of_music, strict=True)))


def best_by_trial(supply: Supply, rule_set: RuleSet) -> tuple[float, ...]:
    """Return the goals of the best of all ways to label every single picture and recording.

    Given the labels, a label's best is the most pairs, for pairs of different labels never compete.
    """
    found = []
    for images, clips in ways(supply, rule_set):
        pairs = {}
        for label in rule_set.labels:
            music = sum(min(limit, clips[label.name, g]) for g, limit in label.music.sub_genres.items())
            pairs[label.name] = min(label.size, images[label.name], music)
        found.append(goals(pairs, rule_set))
    return min(found)


def staying(pairs: dict[str, int], clips: Mapping[Quota, int], supply: Supply) -> int:
    """Return how many images and clips of the parent keep their label in a plan."""
    images = sum(min(count, pairs[label]) for label, count in supply.fixed_images.items())
    return images + sum(min(count, clips.get(quota, 0)) for quota, count in supply.released_clips.items())


def most_staying(supply: Supply, rule_set: RuleSet) -> int:
    """Return the most of the parent that keeps its label in any plan that reaches the best goals."""
    best, most = best_by_trial(supply, rule_set), 0
    for images, clips in ways(supply, rule_set):
        limits = [min(limit, clips[quota]) for quota, limit in rule_set.quotas.items()]
        for used in itertools.product(*(range(limit + 1) for limit in limits)):
            by_quota = dict(zip(rule_set.quotas, used, strict=True))
            pairs = {name: sum(n for (label, _), n in by_quota.items() if label == name) for name in images}
            fits = all(pairs[label.name] <= min(label.size, images[label.name]) for label in rule_set.labels)
            if fits and goals(pairs, rule_set) == best:
                most = max(most, staying(pairs, by_quota, supply))
    return most


@settings(deadline=None, max_examples=150)
@given(images, recordings, sizes)
def test_no_other_way_is_better(images, recordings, sizes):
    rule_set, supply = tiny_rules(sizes), free(images, recordings)
    assert goals(balance(supply, rule_set).pairs, rule_set) == best_by_trial(supply, rule_set)


@settings(deadline=None, max_examples=80)
@given(images, recordings, sizes, st.lists(st.sampled_from([0.1, 1.0, 5.0]), min_size=4, max_size=4))
def test_labels_of_weight_come_nearer_to_their_sizes(images, recordings, sizes, weights):
    rule_set = tiny_rules(sizes)
    labels = [label.model_copy(update={"weight": w}) for label, w in zip(rule_set.labels, weights, strict=True)]
    rule_set, supply = rule_set.model_copy(update={"labels": tuple(labels)}), free(images, recordings)
    assert goals(balance(supply, rule_set).pairs, rule_set) == best_by_trial(supply, rule_set)


few_images = st.dictionaries(st.sampled_from(IMAGE_KINDS), st.integers(1, 2), max_size=2)
few_recordings = st.dictionaries(
    st.tuples(st.sampled_from(MUSIC_KINDS), st.integers(1, 2)), st.just(1), min_size=1, max_size=2
)
left_alone = st.tuples(
    st.dictionaries(st.sampled_from((VIEWS, FACES, BILLS)), st.integers(1, 2), max_size=2),
    st.dictionaries(
        st.sampled_from([(VIEWS, "Late"), (FACES, "Song"), (BILLS, "Song")]), st.integers(1, 2), max_size=2
    ),
)


@settings(deadline=None, max_examples=150)
@given(few_images, few_recordings, left_alone, st.lists(st.integers(1, 3), min_size=4, max_size=4))
def test_no_other_way_as_good_changes_fewer_labels_of_the_parent(images, recordings, alone, sizes):
    """What lost its partner keeps its label wherever that costs no fill."""
    rule_set, (alone_images, alone_clips) = tiny_rules(sizes), alone
    supply = Supply(images, recordings, alone_images, alone_clips, {}, alone_clips)
    plan = balance(supply, rule_set)
    assert goals(plan.pairs, rule_set) == best_by_trial(supply, rule_set)
    assert staying(plan.pairs, plan.clips, supply) == most_staying(supply, rule_set)


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
    supply = Supply({}, {}, {FACES: 3}, {(FACES, "Song"): 3}, {(FACES, "Song"): size}, {(FACES, "Song"): size})
    plan = balance(supply, tiny_rules((6, size, 4, 3)))
    assert plan.pairs[FACES] == size


def test_kept_pairs_stay_where_another_label_needs_them_more():
    supply = Supply({(GRIDS,): 1}, {}, {FACES: 1}, {(FACES, "Song"): 1}, {(FACES, "Song"): 1}, {})
    assert balance(supply, tiny_rules()).pairs == {VIEWS: 0, FACES: 1, BILLS: 0, GRIDS: 0}


def test_nothing_gives_no_pairs():
    assert set(balance(free({}, {}), tiny_rules()).pairs.values()) == {0}


def test_program_that_presolve_calls_infeasible_is_solved():
    late = ((VIEWS, "Late"), (FACES, "Late"))
    music = {(((FACES, "Song"), (BILLS, "Song")), 1): 2, (((GRIDS, "Hum"),), 3): 1, (((GRIDS, "Hum"),), 2): 1}
    music |= {(late, clips): 1 for clips in (3, 1, 2)}
    plan = balance(free({(BILLS,): 3, (FACES,): 1, (VIEWS, GRIDS): 1}, music), tiny_rules())
    assert sum(plan.pairs.values()) == 4
