"""Bases of random weights, in folders and on the Hub; and what is refused."""

import functools
import gzip
import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from rules.errors import ConfigurationError
from tests.hub_site import Hub
from tests.training.audiotokens import tiny
from training import recipe
from training.diffusion import base, tokenizer
from training.diffusion.libraries import CLIPTokenizer
from training.diffusion.tokenizer import clip_tokenizer

RANDOM = tiny().base
SCHEDULER = {"_class_name": "PNDMScheduler", "skip_prk_steps": True, **dict((RANDOM.random or {})["scheduler"])}


@functools.cache
def drawn() -> base.Base:
    return base.load(RANDOM, 0)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a base in a folder as diffusers writes it; tests copy it before they change it."""
    folder = tmp_path_factory.mktemp("base")
    parts = {"unet": drawn().unet, "vae": drawn().vae, "text_encoder": drawn().text_encoder}
    for name, part in parts.items():
        part.save_pretrained(folder / name)
    drawn().tokenizer.save_pretrained(folder / "tokenizer")
    (folder / "scheduler").mkdir()
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(SCHEDULER))
    return folder


@pytest.fixture
def copied(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "base"))


def read(folder: Path | str, revision: str | None = None) -> base.Base:
    return base.load(recipe.Base(weights=str(folder), revision=revision), 0)


def set_in(config: Path, **changes: object) -> None:
    config.write_text(json.dumps(json.loads(config.read_text()) | changes))


# --- random weights


def test_a_seed_decides_all_weights_whatever_was_drawn_before() -> None:
    torch.manual_seed(99)
    assert base.load(RANDOM, 0).sha256 == drawn().sha256
    assert not set(base.load(RANDOM, 1).sha256.values()) & set(drawn().sha256.values())


def test_drawing_leaves_the_global_generator_as_it_was() -> None:
    before = torch.get_rng_state()
    base.load(RANDOM, 5)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("change", ["base.random.vae.use_quant_conv=true", "base.random.vae.use_quant_conv=false"])
def test_the_latents_of_two_pictures_differ_by_more_than_those_of_one_vary(change: str) -> None:
    vae = base.load(tiny(change).base, 0).vae
    pictures = torch.stack([torch.full((3, 16, 16), shade) for shade in (-1.0, 1.0)])
    with torch.no_grad():
        latents = vae.encode(pictures).latent_dist
    assert (latents.mean[0] - latents.mean[1]).abs().mean() > 2 * latents.std.max()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("base.random.unet.layer_per_block=2", "base.random.unet: .*layer_per_block"),
        ("base.random.text_encoder.width=2", "base.random.text_encoder: width: CLIPTextConfig has no such"),
        ("base.random.text_encoder.hidden_size=30", "base.random.text_encoder: .*multiple"),
        ("base.random.vae.norm_num_groups=0", "base.random.vae: .*zero"),
        ("base.random.vae.norm_num_groups=3", "base.random.vae: .*divisible"),
        ("base.random.scheduler.beta_schedule=steep", "base.random.scheduler: steep"),
        ("base.random.scheduler.prediction_type=sample", "prediction_type: 'sample': expected epsilon or v_pred"),
        ("base.random.unet.cross_attention_dim=16", "cross_attention_dim: 16: expected 32, the text encoder's"),
        ("base.random.unet.in_channels=9", "unet: in_channels: 9: expected 4, the VAE's latent_channels"),
        ("base.random.text_encoder.vocab_size=100", "vocab_size: 100: expected 49408"),
    ],
)
def test_wrong_settings_of_random_networks_are_refused_by_name(change: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        base.load(tiny(change).base, 0)


# --- the tokenizer

TEXTS = ["an art image of", "Baroque  Classical symbolism!", "20th century: 1,234 things", "Café Müller's 3½ œuvre", ""]


def test_the_tokenizer_gives_the_tokens_of_clip() -> None:
    from open_clip.tokenizer import SimpleTokenizer  # not before torchvision

    expected = SimpleTokenizer()
    assert clip_tokenizer()(TEXTS).input_ids == [[49406, *expected.encode(text), 49407] for text in TEXTS]


def test_the_prompt_of_the_paper_has_its_tokens() -> None:
    assert clip_tokenizer()("an art image of").input_ids == [49406, 550, 794, 2867, 539, 49407]


def test_without_the_vocabulary_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    tokenizer._vocabulary.cache_clear()
    with pytest.raises(ConfigurationError, match="extra `train`"):
        clip_tokenizer()


# --- folders


def test_a_folder_gives_the_weights_that_were_saved(saved: Path, capfd: pytest.CaptureFixture[str]) -> None:
    capfd.readouterr()
    found = read(saved)
    assert capfd.readouterr() == ("", "")
    assert found.sha256 == drawn().sha256
    assert not any(part.training for part in (found.unet, found.vae, found.text_encoder))


def test_weights_of_half_precision_are_read_as_float32(copied: Path) -> None:
    path = copied / "unet" / "diffusion_pytorch_model.safetensors"
    save_file({name: tensor.half() for name, tensor in load_file(path).items()}, path)
    assert {parameter.dtype for parameter in read(copied).unet.parameters()} == {torch.float32}


def test_a_text_encoder_saved_years_ago_is_read(copied: Path) -> None:
    path = copied / "text_encoder" / "model.safetensors"
    stored = {f"text_model.{name.removeprefix('text_model.')}": tensor for name, tensor in load_file(path).items()}
    save_file(stored | {"text_model.embeddings.position_ids": torch.arange(77)[None]}, path, {"format": "pt"})
    assert read(copied).sha256 == drawn().sha256


def test_a_tokenizer_saved_years_ago_is_read(copied: Path) -> None:
    shutil.rmtree(copied / "tokenizer")
    (copied / "tokenizer").mkdir()
    (copied / "tokenizer" / "vocab.json").write_text(json.dumps(clip_tokenizer().get_vocab()))
    packed = Path(str(importlib.util.find_spec("open_clip").origin)).parent / "bpe_simple_vocab_16e6.txt.gz"
    merges = gzip.decompress(packed.read_bytes()).decode().split("\n")[1:48895]
    (copied / "tokenizer" / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]))
    (copied / "tokenizer" / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 77}))
    found = read(copied).tokenizer
    assert isinstance(found, CLIPTokenizer)
    assert found("an art image of").input_ids == [49406, 550, 794, 2867, 539, 49407]


def without(name: str) -> Callable[[Path], None]:
    def remove(folder: Path) -> None:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return remove


def pickled(folder: Path) -> None:
    path = folder / "vae" / "diffusion_pytorch_model.safetensors"
    path.rename(path.with_suffix(".bin"))


def cut(folder: Path) -> None:
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


def xl(folder: Path) -> None:
    set_in(folder / "unet" / "config.json", addition_embed_type="text_time")


def lacking(folder: Path) -> None:
    path = folder / "text_encoder" / "model.safetensors"
    stored = load_file(path)
    del stored[next(name for name in stored if name.endswith("final_layer_norm.weight"))]
    save_file(stored, path, {"format": "pt"})


def flow_matching(folder: Path) -> None:
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps({"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000}))


def of_t5(folder: Path) -> None:
    set_in(folder / "text_encoder" / "config.json", model_type="t5")


def not_json(folder: Path) -> None:
    (folder / "scheduler" / "scheduler_config.json").write_text("[1]")


def other_words(folder: Path) -> None:
    clip_tokenizer().train_new_from_iterator(["a few words"], 600).save_pretrained(folder / "tokenizer")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (without("unet"), "there is no unet/config.json, unet/diffusion_pytorch_model.safetensors: .*base.weights=FOL"),
        (without("tokenizer"), "there is no tokenizer: expected a folder as diffusers"),
        (without("scheduler"), "there is no scheduler/scheduler_config.json"),
        (pickled, "there is no vae/diffusion_pytorch_model.safetensors: .*in safetensors"),
        (cut, "unet: cannot be read"),
        (xl, "two text encoders, as Stable Diffusion XL: expected one"),
        (lacking, "text_encoder: its weights do not fit its config.json: 1 are .*final_layer_norm.weight"),
        (flow_matching, "expected beta_schedule or trained_betas"),
        (of_t5, "of kind t5: expected CLIP's"),
        (not_json, "scheduler_config.json: expected settings"),
        (other_words, "tokens: expected the 49408 of CLIP"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_folder_of_something_else_is_refused(copied: Path, spoil: Callable[[Path], None], told: str) -> None:
    spoil(copied)
    with pytest.raises(ConfigurationError, match=told):
        read(copied)


def test_a_base_of_the_hub_is_read_without_what_nobody_needs(hub: Hub, saved: Path) -> None:
    repo_id = hub.new_id()
    files = {path.relative_to(saved).as_posix(): path for path in saved.rglob("*") if path.is_file()}
    unneeded = {"unet/diffusion_pytorch_model.bin": b"pickle", "unet/diffusion_pytorch_model.fp16.safetensors": b"half"}
    hub.create(repo_id, "model").add_commit({**files, **unneeded})
    with hub.watch(repo_id) as traffic:
        assert read(repo_id).sha256 == drawn().sha256
    assert not [request for request in traffic.requests if request.path.endswith(tuple(unneeded))]
