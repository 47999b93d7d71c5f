"""What a device cannot compute is refused before anything is built."""

import pytest
import torch

from rules.errors import ConfigurationError
from training import recipe
from training.fitting.devices import accelerator_for, one_thread


def test_float16_without_a_gpu_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    with pytest.raises(ConfigurationError, match="mixed_precision: fp16 needs a GPU.*bf16 or no on a CPU"):
        accelerator_for(recipe.load("tiny", ["mixed_precision=fp16"]))


def test_bfloat16_on_a_gpu_that_lacks_it_is_refused_with_the_name_of_the_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla T4")

    with pytest.raises(ConfigurationError, match="bf16 is not what Tesla T4 computes in: expected fp16 or no"):
        accelerator_for(recipe.load("tiny", ["mixed_precision=bf16"]))


def test_a_process_may_train_in_one_precision_after_the_other():
    asked = ["no", "bf16", "no"]
    recipes = [recipe.load("tiny", [f"mixed_precision={precision}"]) for precision in asked]

    assert [accelerator_for(one).mixed_precision for one in recipes] == asked


@pytest.fixture
def three_threads():
    """Give torch three threads for a test."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
def test_on_the_cpu_torch_has_one_thread_and_afterwards_as_many_as_before():
    with one_thread(torch.device("cpu")):
        assert torch.get_num_threads() == 1

    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
def test_beside_a_gpu_torch_has_as_many_threads_as_before():
    with one_thread(torch.device("cuda")):
        assert torch.get_num_threads() == 3

    assert torch.get_num_threads() == 3
