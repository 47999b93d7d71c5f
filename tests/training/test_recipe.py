"""A recipe is read with all its mistakes told, any value is set for one run, and equal recipes have equal digests."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.errors import ConfigurationError
from training import recipe

NAMES = recipe.names()
TINY = (recipe.FOLDER / "tiny.yaml").read_text(encoding="utf-8")


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


@pytest.fixture
def written(tmp_path: Path):
    def write(text: str) -> str:
        path = tmp_path / "mine.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def refusal(name: str, *changes: str) -> str:
    with pytest.raises(ConfigurationError) as refused:
        recipe.load(name, changes)
    return str(refused.value)


def test_the_recipes_of_the_thesis_and_ours_are_there():
    assert set(NAMES) == {"lora", "model-1", "model-2", "preliminary-1", "preliminary-2", "recommended", "tiny"}


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_is_read_back_from_what_it_is_written_as(name, written):
    found = recipe.load(name)
    again = recipe.load(written(recipe.dump(found)))
    assert again == found
    assert again.digest == found.digest


@pytest.mark.parametrize(
    ("name", "epochs", "learning_rate", "batch", "schedule", "l2", "trained"),
    [
        ("preliminary-1", 8, 8e-5, (1, 4), "constant", 0, (False, "frozen")),
        ("preliminary-2", 13, 8e-5, (1, 4), "cosine", 0.01, (False, "frozen")),
        ("model-1", 25, 8e-5, (8, 1), "cosine", 0, (False, "frozen")),
        ("model-2", 50, 1e-5, (8, 1), "cosine", 0, (True, "full")),
    ],
)
def test_the_recipes_of_the_thesis_have_its_numbers(name, epochs, learning_rate, batch, schedule, l2, trained):
    found = recipe.load(name)
    assert (found.epochs, found.optimizer.learning_rate) == (epochs, learning_rate)
    assert (found.batch_size, found.accumulation) == batch
    assert (found.schedule.kind, found.loss.l2) == (schedule, l2)
    assert (found.loss.l1, found.loss.label) == (0.01, 0.01)
    assert (found.train.encoder, found.train.unet) == trained
    adam = found.optimizer
    assert (adam.betas, adam.epsilon, adam.weight_decay) == ((0.9, 0.999), 1e-8, 0.01)
    assert found.pairing == "label"
    assert (found.prompt, found.encoder.blocks) == ("an art image of <placeholder>", (4, 8, 12))


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("epochs: 6", "epoch: 6", "epoch: expected one of the keys about, model, base"),
        ("epochs: 6", "epoch: 6", "did you mean epochs?"),
        ("epochs: 6", "epochs: 0", "epochs: 0: expected a number greater than or equal to 1"),
        ("epochs: 6", "epochs: six", "epochs: six: expected a valid integer"),
        ("epochs: 6", "epochs: [6]", "epochs: a list: expected a whole number"),
        ("batch_size: 4", "batch_size: 2.5", "batch_size: 2.5: expected a valid integer"),
        ("kind: cosine", "kind: linear", "kind: linear: expected 'constant' or 'cosine'"),
        ("learning_rate: 2e-3", "learning_rate: -1", "learning_rate: -1: expected a number greater than 0"),
        ("learning_rate: 2e-3", "learning_rate: inf", "learning_rate: inf: expected a finite number"),
        ("learning_rate: 2e-3", "learning_rate: 2e-3\n  lr: 1", "lr: expected one of the keys learning_rate, scaling"),
        ("blocks: [1, 2, 3]", "blocks: []", "blocks: an empty list: expected at least one entry"),
        ("blocks: [1, 2, 3]", "blocks: [0]", "0: expected a number greater than or equal to 1"),
        ("image_size_px: 64", "image_size_px: 65", "image_size_px: 65: expected a multiple of 8"),
        ("duration_s: 5", "prompt: a picture", "prompt: a picture: expected <placeholder> once"),
        ("duration_s: 5", "prompt: <placeholder>.", "prompt: <placeholder>.: expected <placeholder> once"),
        (
            "cache_features: true",
            "crop: random\ncache_latents: true",
            "cache_latents: true: expected false, where crop",
        ),
        ("epochs: 6", "epochs: 6\nseed: -1", "seed: -1: expected a number greater than or equal to 0"),
        ("epochs: 6", "epochs: 6\nepochs: 7", "epochs: expected each key once"),
        ("about: tiny", "about: &anchor tiny", "&anchor: expected no YAML anchor"),
        ("about: tiny", "about: !!python/object:os.system tiny", "expected no YAML tag"),
        ("    scheduler:", "    schedulers:", "schedulers: expected 'unet', 'vae', 'text_encoder' or 'scheduler'"),
        ("base:\n", "base:\n  weights: owner/name\n", "base: expected either weights or random, not both"),
        (
            "\nencoder:\n",
            "\nencoder:\n  weights: here.pt\n",
            "encoder: expected either weights or random, not both",
        ),
    ],
)
def test_a_mistake_is_told_with_its_file_and_line(before, after, told, written):
    assert before in TINY
    path = written(TINY.replace(before, after, 1))
    (line,) = [line for line in refusal(path).splitlines() if told in line]
    number = int(line.removeprefix(f"{path}:").partition(":")[0])
    first = line_of(TINY, before)
    assert first <= number <= first + after.count("\n")


def test_all_mistakes_are_told_at_once_each_on_its_line(written):
    text = (
        TINY.replace("epochs: 6", "epochs: 0").replace("kind: cosine", "kind: never").replace("image_size_px: 64", "")
    )
    text += "batch: 3\n"
    path = written(text)
    lines = refusal(path).splitlines()
    places = [(line_of(text, part), part) for part in ("kind: never", "epochs: 0", "batch: 3")]
    assert [line.partition(": ")[0] for line in lines] == [f"{path}:{number}" for number, _ in sorted(places)]


def test_what_is_missing_is_told(written):
    path = written(TINY.replace("epochs: 6\n", ""))
    assert refusal(path) == f"{path}:1: no epochs: expected the key epochs"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "nothing: expected a mapping"),
        ("- epochs", "a list: expected a mapping"),
        ("epochs: [1", "expected YAML"),
        ("epochs:\t1", "expected spaces, not tabs"),
    ],
)
def test_what_is_no_recipe_at_all_is_told(text, told, written):
    assert told in refusal(written(text))


def test_values_that_do_not_go_together_are_told(written):
    text = TINY.replace("  unet: full", "  encoder: true")
    path, line = written(text), line_of(text, "cache_features")
    assert refusal(path) == (
        f"{path}:{line}: cache_features: true: expected false, where the encoder is trained: each step has other "
        "features"
    )


def test_a_default_that_does_not_go_with_what_is_written_is_told(written):
    assert "cache_latents: True: expected false, where crop is random" in refusal(written(TINY + "crop: random\n"))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("tinny", "did you mean tiny?"),
        ("model", "expected one of lora, model-1, model-2"),
        ("nowhere/tiny.yaml", "no such file; artune brings lora"),
        ("mine.yml", "no such file"),
    ],
)
def test_a_recipe_that_is_not_there_is_told_with_those_that_are(name, told):
    assert told in refusal(name)


@pytest.mark.parametrize(
    ("change", "place", "value"),
    [
        ("epochs=3", ("epochs",), 3),
        (" epochs = 3 ", ("epochs",), 3),
        ("optimizer.learning_rate=1e-4", ("optimizer", "learning_rate"), 1e-4),
        ("encoder.blocks=[1, 2]", ("encoder", "blocks"), (1, 2)),
        ("train.lora.rank=4", ("train", "lora", "rank"), 4),
        ("train={unet: lora}", ("train", "unet"), "lora"),
        ("ema_decay=0.99", ("ema_decay",), 0.99),
        ("ema_decay=null", ("ema_decay",), None),
        ("about=two words", ("about",), "two words"),
        ("prompt=a sketch of <placeholder>", ("prompt",), "a sketch of <placeholder>"),
        ("base.random.unet.sample_size=16", ("base", "random", "unet", "sample_size"), 16),
        ("seed=9223372036854775807", ("seed",), 2**63 - 1),
    ],
)
def test_any_value_is_set_for_one_run(change, place, value):
    found = recipe.load("tiny", [change])
    for key in place:
        found = found[key] if isinstance(found, dict) else getattr(found, key)
    assert found == value


def test_the_last_of_two_changes_counts_and_what_was_set_whole_has_parts():
    assert recipe.load("tiny", ["epochs=3", "epochs=4"]).epochs == 4
    changed = recipe.load("tiny", ["base={weights: owner/name}", "base.revision=main"])
    assert (changed.base.weights, changed.base.revision, changed.base.random) == ("owner/name", "main", None)
    assert recipe.load("tiny", ["base.random=null", "base.weights=owner/name"]).base.random is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("epochs", "--set epochs: expected KEY=VALUE"),
        ("=3", "--set =3: expected KEY=VALUE"),
        ("optimizer.=3", "expected KEY=VALUE"),
        ("epochs=[3", "--set epochs=[3: expected a value as in YAML"),
        ("epochs=3\nseed: 4", "expected a value as in YAML"),
        ("epochs=*a", "expected a value as in YAML"),
        ("epochs=0", "--set epochs=0: epochs: 0: expected a number greater than or equal to 1"),
        ("epochs=", "--set epochs=: epochs: nothing: expected"),
        ("epochs.x=3", "--set epochs.x=3: epochs has no parts"),
        ("epochs.x.y=3", "--set epochs.x.y=3: epochs has no parts"),
        ("encoder.blocks.0=1", "encoder.blocks has no parts"),
        ("loss=3", "--set loss=3: loss: 3: expected a mapping"),
        ("epochz=3", "--set epochz=3: epochz: expected one of the keys"),
        ("epochz=3", "did you mean epochs?"),
        ("optimizer.lr=3", "lr: expected one of the keys learning_rate"),
        ("nothing.here=3", "nothing: expected one of the keys"),
        ("optimizer.learning_rate=inf", "learning_rate: inf: expected a finite number"),
        ("base.weights=owner/name", "expected either weights or random, not both"),
    ],
)
def test_a_change_that_cannot_be_is_told_with_what_was_typed(change, told):
    assert told in refusal("tiny", change)


def test_a_change_changes_the_digest_and_the_value_it_has_already_does_not():
    before = recipe.load("tiny")
    assert recipe.load("tiny", ["epochs=6"]).digest == before.digest
    assert recipe.load("tiny", ["optimizer.learning_rate=0.002"]).digest == before.digest
    assert recipe.load("tiny", ["epochs=7"]).digest != before.digest
    assert len({recipe.load(name).digest for name in NAMES}) == len(NAMES)


floats = st.floats(min_value=0, max_value=1e30, exclude_min=True)


@given(
    about=st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1),
    learning_rate=floats,
    l1=floats,
    seed=st.integers(0, 2**63 - 1),
    decay=st.none() | st.floats(0, 1, exclude_max=True),
    settings=st.dictionaries(
        st.from_regex(r"[a-z_]{1,8}", fullmatch=True), st.booleans() | st.integers(-9, 9) | floats | st.just([1, 2.5])
    ),
)
def test_whatever_a_recipe_holds_is_read_back(tmp_path_factory, about, learning_rate, l1, seed, decay, settings):
    plain = recipe.load("tiny").model_dump(mode="json")
    plain |= {"about": about, "seed": seed, "ema_decay": decay}
    plain["optimizer"]["learning_rate"], plain["loss"]["l1"] = learning_rate, l1
    plain["base"]["random"]["unet"] = settings
    made = recipe.Recipe.model_validate(plain)
    path = tmp_path_factory.getbasetemp() / "round.yaml"
    path.write_text(recipe.dump(made), encoding="utf-8")
    assert recipe.load(str(path)) == made


def test_to_read_a_recipe_loads_neither_torch_nor_prefect():
    code = "import sys; from training import recipe; recipe.load('tiny')\n"
    code += "print([name for name in ('torch', 'prefect', 'diffusers') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
