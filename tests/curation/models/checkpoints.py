"""Tiny models with random weights, saved in the layouts in which real ones are published."""

import json
from pathlib import Path

import safetensors.torch
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from curation.torch_imports import import_torchvision

import_torchvision()
torch.set_num_threads(1)  # two threads on two busy cores wait for each other most of the time

WORDS = ["this", "is", "a", "recording", "of", "music", "for", "orchestra", "choir", "band", "and", "drums"]
CLIP = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


def save_clip(folder: Path, seed: int = 0) -> Path:
    """Save a CLIP model for pictures of 32 x 32 px; its tokenizer comes with open_clip."""
    from open_clip.model import CLIP as Clip  # not before torchvision

    folder.mkdir()
    torch.manual_seed(seed)
    model = Clip(**CLIP)
    with torch.no_grad():
        model.visual.proj.mul_(20)  # or all pictures would look nearly alike to it
    safetensors.torch.save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    preprocess = {
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    }
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": CLIP, "preprocess_cfg": preprocess}))
    return folder


def save_clap(folder: Path, seed: int = 0) -> Path:
    """Save a CLAP model and a tokenizer that knows WORDS."""
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel, PreTrainedTokenizerFast

    torch.manual_seed(seed)
    audio = {
        "spec_size": 64,
        "patch_size": 4,
        "patch_stride": [4, 4],
        "num_mel_bins": 16,
        "patch_embeds_hidden_size": 8,
        "hidden_size": 16,
        "depths": [1, 1],
        "num_attention_heads": [1, 2],
        "window_size": 4,
        "num_hidden_layers": 2,
        "projection_dim": 8,
    }
    text = {
        "vocab_size": len(WORDS) + 2,
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "max_position_embeddings": 40,
        "projection_dim": 8,
        "pad_token_id": 0,
    }
    ClapModel(ClapConfig(text_config=text, audio_config=audio, projection_dim=8)).save_pretrained(folder)
    ClapFeatureExtractor(feature_size=16, hop_length=2_400, truncation="rand_trunc").save_pretrained(folder)
    vocabulary = {word: number for number, word in enumerate(["<pad>", "<unk>", *WORDS])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>").save_pretrained(folder)
    return folder
