"""Zero-shot answers about recordings by a CLAP model, in the layout in which transformers saves models.

A recording is heard in windows of 10 s, spread over its length; the answers fit it as well as their mean.
"""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt

from curation.audio import MAX_DURATION_S
from curation.decoder import Decoder, ffmpeg_version
from curation.models import Loaded, Scores, _torch
from curation.torch_imports import import_torchvision

VERSION = 1
MODALITY = "music"
REQUIRES = ("torch", "torchvision", "transformers")
FILES = (
    ("config.json",),
    ("model.safetensors", "pytorch_model.bin"),
    ("preprocessor_config.json",),
    ("tokenizer.json",),
    ("tokenizer_config.json",),
)
AT_ONCE = 1  # a recording's own windows are a batch
RATE_HZ = 48_000  # CLAP was trained at it, with windows of this length: Wu et al. 2023, arXiv:2211.06687
WINDOW_S = 10
MAX_WINDOWS = 8
FULL_SCALE = 32_768

Windows = npt.NDArray[np.float32]  # shape (n_windows, frames), range [-1, 1]


def library_versions() -> str:
    return f"{ffmpeg_version()}, transformers {version('transformers')}"


def load(weights: Path, answers: Sequence[Sequence[str]]) -> Loaded:
    return _Clap(weights, answers)


class _Clap:
    def __init__(self, weights: Path, answers: Sequence[Sequence[str]]) -> None:
        import torch

        import_torchvision()
        from transformers import AutoTokenizer, ClapFeatureExtractor, ClapModel
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()  # it would draw over the command's own
        self._device = _torch.device()
        self._model = ClapModel.from_pretrained(weights, local_files_only=True).to(self._device)
        self._model.eval()
        self._features = ClapFeatureExtractor.from_pretrained(weights, local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(weights, local_files_only=True)
        prompts = [prompt for of_one in answers for prompt in of_one]
        tokens = tokenizer(prompts, padding=True, return_tensors="pt").to(self._device)
        with torch.inference_mode():
            embedded = self._model.get_text_features(tokens["input_ids"], tokens["attention_mask"]).pooler_output
            self._answers = _torch.mean_of_prompts(embedded, answers) * self._model.logit_scale_a.exp()

    def read(self, path: Path) -> Windows:
        return windows(path)

    def scores(self, items: Sequence[Windows]) -> Scores:
        return np.stack([self._scores(item) for item in items])

    def _scores(self, item: Windows) -> Scores:
        import torch

        heard = self._features(list(item), sampling_rate=RATE_HZ, return_tensors="pt").to(self._device)
        # A window is never longer than what the model hears at once; the extractor would call one of them so, by lot.
        is_longer = torch.zeros_like(heard["is_longer"])
        with torch.inference_mode():
            embedded = self._model.get_audio_features(heard["input_features"], is_longer).pooler_output
            return _torch.rounded((embedded @ self._answers.T).mean(dim=0))


def windows(path: Path) -> Windows:
    """Return windows of a recording at equal distances, in memory that does not grow with its length.

    There are from half of MAX_WINDOWS to MAX_WINDOWS of them, or as many as fit; a recording that is shorter than one
    window is one.

    Raises:
        ItemError: "undecodable_audio", "no_audio" or "too_long".
    """
    kept: list[npt.NDArray[np.int16]] = []
    step = 1
    with Decoder(path, RATE_HZ, channels=1) as decoder:
        for number, samples in enumerate(decoder.chunks(WINDOW_S * RATE_HZ, MAX_DURATION_S)):
            is_whole = len(samples) == WINDOW_S * RATE_HZ
            if number % step or (kept and not is_whole):
                continue
            if len(kept) == MAX_WINDOWS:
                kept, step = kept[::2], 2 * step  # which this window's number is a multiple of as well
            kept.append(samples)
    return (np.stack(kept)[:, :, 0] / FULL_SCALE).astype(np.float32)
