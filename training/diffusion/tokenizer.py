"""CLIP's tokenizer, for text encoders of random weights, which come without one."""

import functools
import gzip
import importlib.util
from pathlib import Path

from rules.errors import ConfigurationError
from training.diffusion.libraries import CLIPTokenizer

N_TOKENS = 49408  # of CLIP's vocabulary (Radford et al. 2021, arXiv 2103.00020); a placeholder's id is the next
_START, _END = "<|startoftext|>", "<|endoftext|>"


def clip_tokenizer() -> CLIPTokenizer:
    """Return the tokenizer of CLIP, made of the list of its merges that comes with open_clip.

    Raises:
        ConfigurationError: open_clip is not installed.
    """
    vocab, merges = _vocabulary()
    return CLIPTokenizer(vocab=vocab, merges=merges)


@functools.cache
def _vocabulary() -> tuple[dict[str, int], list[tuple[str, ...]]]:
    """Return the numbers of CLIP's tokens, and the pairs that are merged, the most frequent first."""
    found = importlib.util.find_spec("open_clip")
    if found is None or found.origin is None:
        raise ConfigurationError("CLIP's vocabulary comes with open_clip: expected artune's extra `train` installed")
    text = gzip.decompress((Path(found.origin).parent / "bpe_simple_vocab_16e6.txt.gz").read_bytes()).decode()
    letters = _letters_of_bytes()
    # 256 bytes, the same at the end of a word, a token for each merge, and two marks are the vocabulary.
    n_merges = N_TOKENS - 2 * len(letters) - 2
    merges = [tuple(line.split()) for line in text.split("\n")[1 : n_merges + 1]]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, merges), _START, _END]
    return {token: number for number, token in enumerate(tokens)}, merges


def _letters_of_bytes() -> list[str]:
    """Return the letters that stand for the 256 bytes, in CLIP's order: those that can be printed come first."""
    printed = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    n_others = 256 - len(printed)
    return [chr(byte) for byte in printed] + [chr(256 + other) for other in range(n_others)]
