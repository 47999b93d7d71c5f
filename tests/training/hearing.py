"""Tiny networks that hear, and sounds for them."""

import torch

from training import encoders, recipe

# of each family the settings of a network of a few thousand weights, with dropout
TINY = {
    "ast": {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "hidden_dropout_prob": 0.1,
        "frequency_stride": 16,
        "time_stride": 8,
        "max_length": 64,
    },
    "beats": {
        "width": 32,
        "blocks": 2,
        "heads": 4,
        "hidden": 64,
        "patch_width": 16,
        "position_width": 16,
        "position_groups": 4,
        "attention_dropout": 0.1,
    },
    "clap": {
        "patch_embeds_hidden_size": 8,
        "depths": [1, 1],
        "num_attention_heads": [2, 2],
        "patch_size": 16,
        "patch_stride": [16, 16],
        "window_size": 4,
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
    },
    "wav2vec2": {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "conv_dim": [8, 8, 8, 8, 8, 8, 8],
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 2,
    },
}


def drawn(name, seed=0, **changes):
    """A tiny network of a family, as a recipe with `random` settings has it."""
    written = recipe.Encoder(name=name, random=TINY[name] | changes, blocks=(1,))
    return encoders.get(name).load(written, seed)


def read(name, weights):
    """A network of a family, as a recipe with `weights` has it."""
    return encoders.get(name).load(recipe.Encoder(name=name, weights=str(weights), blocks=(1,)), 0)


def noise(n_clips, n_samples, seed=0):
    return 0.1 * torch.randn(n_clips, n_samples, generator=torch.Generator().manual_seed(seed))


def hear(network, waves, blocks=(1,)):
    """The features of clips that have one length."""
    return network(waves, torch.full((len(waves),), waves.shape[1]), blocks)[0]
