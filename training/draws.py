"""Random numbers that depend on nothing but what they are for: no state is carried, none has to be saved."""

import hashlib

import torch


def number(*words: int | str) -> int:
    """Return a number in [0, 2**63) that is the same for the same words on every machine."""
    text = "\0".join(f"{type(word).__name__}:{word}" for word in words)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(*words: int | str) -> torch.Generator:
    """Return a generator on the CPU that is seeded by words; what it draws is the same on every machine."""
    return torch.Generator().manual_seed(number(*words))
