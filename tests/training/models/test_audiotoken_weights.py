"""What a checkpoint holds, and how many weights there are at the published sizes."""

import pytest
import torch
from torch import nn

from rules.errors import ConfigurationError
from tests.training import published
from tests.training.audiotokens import ALL, LORA, TRAINED, build, shared
from training import recipe
from training.models.audiotoken import AudioToken


@pytest.mark.parametrize("changes", TRAINED, ids=["embedder", "encoder", "lora", "both", "all"])
def test_the_trained_state_rebuilds_the_model(changes: tuple[str, ...]) -> None:
    model = build(*changes)
    with torch.no_grad():
        for parameter in model.trainable().values():
            parameter.add_(0.01 * torch.randn_like(parameter))
    state = {name: tensor.clone() for name, tensor in model.trained_state().items()}
    again = build(*changes)
    assert again.base_sha256 == model.base_sha256
    again.load_trained(state)
    own, others = model.state_dict(), again.state_dict()
    assert own.keys() == others.keys()
    assert all(torch.equal(own[name], others[name]) for name in own)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (ALL, "is not trained by this recipe.*, and [0-9]+ more"),
        (("encoder.blocks=[1, 2]",), r"embedder.fc1.weight has shape \(64, 64\), expected \(96, 96\)"),
    ],
    ids=["more", "shapes"],
)
def test_the_state_of_another_recipe_is_refused(changes: tuple[str, ...], told: str) -> None:
    model = build()
    before = {name: tensor.clone() for name, tensor in model.trained_state().items()}
    with pytest.raises(ConfigurationError, match=f"of another recipe: .*{told}"):
        model.load_trained(build(*changes).trained_state())
    with pytest.raises(ConfigurationError, match="embedder.fc1.weight is missing; embedder.fc1.bias is missing"):
        model.load_trained({})
    assert all(torch.equal(before[name], tensor) for name, tensor in model.trained_state().items())


def test_the_seed_decides_all_weights_and_no_global_state() -> None:
    torch.manual_seed(1)
    model = build(*LORA)
    before = torch.get_rng_state()
    again = build(*LORA)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    other = build(*LORA, "seed=1")
    names = ("embedder.fc1.weight", "unet.conv_in.weight", next(n for n in model.trainable() if ".lora_A" in n))
    for name in names:
        assert not torch.equal(model.get_parameter(name), other.get_parameter(name)), name


def test_the_digests_are_of_the_weights_before_training() -> None:
    assert set(shared().base_sha256) == {"unet", "vae", "text_encoder", "encoder"}
    assert build("mixed_precision=bf16", *LORA).base_sha256 == shared().base_sha256
    assert build("seed=1").base_sha256["encoder"] != shared().base_sha256["encoder"]


EMBEDDER = 8_853_507
BEATS = 90_311_792
PUBLISHED = {
    "preliminary-1": EMBEDDER,
    "preliminary-2": EMBEDDER,
    "model-1": EMBEDDER,
    "model-2": EMBEDDER + BEATS + published.PARAMETERS["unet"],
    "lora": EMBEDDER + 3_188_736,
    "recommended": EMBEDDER,
}


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def full_size(name: str, settings: dict[str, dict[str, object]] = published.SETTINGS) -> AudioToken:
    """Give a recipe's model at a published size, without a byte of weights."""
    read = recipe.load(name)
    parts = {
        "base": recipe.Base(random=settings),
        "encoder": recipe.Encoder(name="beats", random={}, blocks=read.encoder.blocks),
    }
    with torch.device("meta"):
        return AudioToken.build(read.model_copy(update=parts), [f"label {i}" for i in range(18)])


@pytest.mark.parametrize(("name", "expected"), PUBLISHED.items(), ids=list(PUBLISHED))
def test_each_recipe_trains_as_many_weights_as_published(name: str, expected: int) -> None:
    model = full_size(name)
    assert sum(parameter.numel() for parameter in model.trainable().values()) == expected
    adapters = sum(p.numel() for n, p in model.named_parameters() if ".lora_" in n)
    assert count(model.unet) - adapters == published.PARAMETERS["unet"]
    assert count(model.vae) == published.PARAMETERS["vae"]
    assert count(model.conditioning.text_encoder) == published.PARAMETERS["text_encoder"]
    assert count(model.encoder) == BEATS
    assert count(model.embedder) == EMBEDDER


def test_stable_diffusion_2_has_its_published_size_too() -> None:
    model = full_size("model-1", published.SETTINGS_2)
    parts = {"unet": model.unet, "vae": model.vae, "text_encoder": model.conditioning.text_encoder}
    found = {name: count(part) for name, part in parts.items()}
    assert found | {"embedder": count(model.embedder)} == published.PARAMETERS_2
    assert model.width == 1024
    assert model.noise.prediction_type == "v_prediction"


def test_every_recipe_but_tiny_has_its_published_size() -> None:
    assert set(PUBLISHED) == set(recipe.names()) - {"tiny"}
