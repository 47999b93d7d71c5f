"""What training takes of diffusers, transformers and peft, which import torchvision: it must be importable first."""

from curation.torch_imports import import_torchvision

import_torchvision()

from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel  # noqa: E402
from peft import LoraConfig  # noqa: E402
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer  # noqa: E402
from transformers.utils.logging import disable_progress_bar  # noqa: E402

__all__ = [
    "AutoencoderKL",
    "CLIPTextConfig",
    "CLIPTextModel",
    "CLIPTokenizer",
    "DDIMScheduler",
    "LoraConfig",
    "UNet2DConditionModel",
    "disable_progress_bar",
]
