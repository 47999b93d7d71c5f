"""Samples of made features, in which it is known how well images fit their clips."""

from dataclasses import replace
from functools import cache

import numpy as np

from evaluation.result import NetworkFacts
from evaluation.sample import Items, Sample, Space

D = 12
LABEL_NAMES = ("Renaissance", "Baroque", "Folklore")
N_LABELS = len(LABEL_NAMES)
PUBLISHED = {
    "pairing.image": "CLIP ViT-B/32 (openai)",
    "pairing.music": "Wav2CLIP",
    "inception": "Inception v3 (torch-fidelity)",
    "clip": "CLIP ViT-L/14@336 (openai)",
    "likeness": "DINOv2 ViT-L/14",
}


def facts(role: str, name: str | None = None, sha256: str = "a1" * 32) -> NetworkFacts:
    name = PUBLISHED[role] if name is None else name
    is_stand_in = name.startswith("stand-in")
    return NetworkFacts(
        role=role, name=name, weights="owner/name", weights_sha256=sha256, width=D, is_stand_in=is_stand_in
    )


@cache  # so that weights, which are kept for the very same items, are drawn once
def items(n_recordings: int, clips: int = 2) -> Items:
    """Return so many clips of each recording; recordings take turns in their labels."""
    n = n_recordings * clips
    recordings = np.arange(n) // clips
    return Items(
        pair_ids=tuple(f"{number:064x}" for number in range(n)),
        labels=recordings % N_LABELS,
        recordings=recordings,
        titles=tuple(f"Sonata No. {number}" for number in range(n)),
        rows=np.arange(n),
        digest=f"{n:064x}",
    )


def sample(
    n_recordings: int = 24, *, clips: int = 2, signal: float = 1.0, world: int = 0, model: int = 0, seed: int = 1
) -> Sample:
    """Return features of clips and images that share what a recording is about.

    Args:
        signal: how much of it the images show; 0: nothing.
        world: other clips and other true images; model: other generated ones.
    """
    chosen = items(n_recordings, clips)
    n, draws, of_model = len(chosen), np.random.default_rng([7, world]), np.random.default_rng([8, world, model])
    about = draws.normal(size=(n_recordings, D))[chosen.recordings]
    music, partners, same, other = (about + 0.5 * draws.normal(size=(n, D)) for _ in range(4))
    generated = signal * about + of_model.normal(size=(n, D))
    at = np.arange(n)
    others = {
        "other_label": (at, np.roll(other, clips, axis=0).astype(np.float32)),
        "same_label": (at[::2], same[::2].astype(np.float32)),
    }
    images = Space(
        networks=(facts("inception"),),
        generated=generated.astype(np.float32),
        partners=partners.astype(np.float32),
        real=np.concatenate([partners, draws.normal(size=(n, D))]).astype(np.float32),
        real_groups=np.arange(2 * n),
        others=others,
    )
    pairing = replace(
        images,
        networks=(facts("pairing.image"), facts("pairing.music")),
        music=music.astype(np.float32),
        texts=draws.normal(size=(N_LABELS, D)).astype(np.float32),
    )
    spaces = {name: replace(images, networks=(facts(name),)) for name in ("inception", "clip", "likeness")}
    return Sample(chosen, N_LABELS, {"pairing": pairing} | spaces, seed)
