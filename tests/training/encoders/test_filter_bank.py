from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from curation.torch_imports import import_torchvision
from training.encoders._filter_bank import SMALLEST_ENERGY, FilterBank, frames, frames_of, mel_filters

import_torchvision()
from transformers import audio_utils  # noqa: E402

STORED = Path(__file__).parent / "filter_bank_torchaudio.txt"
BEATS = FilterBank("povey", 2.0**15, 15.41663, 6.55582)
PLAIN = FilterBank("povey", 2.0**15, 0.0, 0.5)


def stored_wave():
    """The sound of the command at the head of the stored values."""
    i = np.arange(1360)
    wave = 0.3 * np.sin(0.173 * i) + 0.2 * np.sin(0.0009 * i**2) + 0.05 * ((i * 7919) % 1009 / 504.5 - 1) + 0.02
    return torch.tensor(wave, dtype=torch.float32)


def noise(n_samples, seed=0, loudness=0.1):
    return loudness * torch.randn(n_samples, generator=torch.Generator().manual_seed(seed))


def by_transformers(wave, window):
    spectra = audio_utils.spectrogram(
        wave.double().numpy(),
        audio_utils.window_function(400, window, periodic=False),
        frame_length=400,
        hop_length=160,
        fft_length=512,
        power=2.0,
        center=False,
        preemphasis=0.97,
        mel_filters=mel_filters().double().numpy(),
        log_mel="log",
        mel_floor=SMALLEST_ENERGY,
        remove_dc_offset=True,
    )
    return torch.from_numpy(spectra.T.astype(np.float32))


def test_it_is_that_of_torchaudio():
    assert_close(PLAIN(stored_wave()[None])[0], torch.from_numpy(np.loadtxt(STORED)).float(), atol=1e-4, rtol=0)


@pytest.mark.filterwarnings("ignore:At least one mel filter has all zero values")  # so it is in Kaldi
def test_its_filters_are_those_of_transformers_but_for_the_rounding_of_float32():
    filters = audio_utils.mel_filter_bank(
        num_frequency_bins=257,
        num_mel_filters=128,
        min_frequency=20,
        max_frequency=8000,
        sampling_rate=16000,
        mel_scale="kaldi",
        triangularize_in_mel_space=True,
    )
    assert_close(mel_filters(), torch.from_numpy(filters).float(), atol=5e-5, rtol=0)


@pytest.mark.parametrize("loudness", [1e-4, 0.1, 1.0])
def test_it_is_that_of_transformers(loudness):
    wave = noise(8000, loudness=loudness)
    theirs = (by_transformers(wave * 2**15, "povey") - 15.41663) / (2 * 6.55582)  # with Fourier in float64
    assert_close(BEATS(wave[None])[0], theirs, atol=1e-4, rtol=0)


def test_with_the_window_of_hann_it_is_that_of_transformers_too():
    wave = noise(8000)
    ast = FilterBank("hann", 1.0, -4.2677393, 4.5689974)
    theirs = (by_transformers(wave, "hann") + 4.2677393) / (2 * 4.5689974)
    assert_close(ast(wave[None])[0], theirs, atol=1e-4, rtol=0)


def test_energies_are_normalized_by_the_mean_and_twice_the_deviation():
    wave = noise(4000)[None]
    assert_close(BEATS(wave), (PLAIN(wave) - 15.41663) / (2 * 6.55582), atol=1e-5, rtol=0)
    assert BEATS.normalized(15.41663 + 2 * 6.55582) == pytest.approx(1.0)


def test_silence_is_the_floor_and_has_a_finite_gradient():
    wave = torch.zeros(1, 2000, requires_grad=True)
    energies = PLAIN(wave)
    energies.sum().backward()
    assert_close(energies, torch.full_like(energies, float(np.log(SMALLEST_ENERGY))))
    assert wave.grad.isfinite().all()


def test_a_constant_added_to_the_wave_changes_nothing():
    wave = noise(4000)[None]
    assert_close(PLAIN(wave + 0.25), PLAIN(wave), atol=1e-2, rtol=0)


def test_its_gradient_is_that_of_finite_differences():
    wave = noise(560).requires_grad_()
    (gradient,) = torch.autograd.grad(PLAIN(wave[None]).sum(), wave)
    direction = noise(560, seed=1)
    step = 1e-3
    with torch.no_grad():
        rise = (
            PLAIN((wave + step * direction)[None]).double().sum()
            - PLAIN((wave - step * direction)[None]).double().sum()
        )
    assert_close((gradient * direction).sum().double(), rise / (2 * step), rtol=2e-2, atol=0)


def test_it_computes_in_float32_where_autocast_is_on():
    wave = noise(4000)[None]
    with torch.autocast("cpu", torch.bfloat16):
        under_autocast = BEATS(wave)
    assert torch.equal(under_autocast, BEATS(wave))


def test_clips_of_a_batch_do_not_see_each_other():
    waves = torch.stack([noise(4000), noise(4000, seed=1)])
    assert_close(BEATS(waves)[:1], BEATS(waves[:1]), atol=1e-5, rtol=0)


@settings(max_examples=40, deadline=None)
@given(st.integers(400, 5000))
def test_there_are_as_many_frames_as_whole_windows(n_samples):
    assert PLAIN(torch.zeros(1, n_samples)).shape == (1, frames(n_samples), 128)


@given(st.lists(st.integers(0, 10**6), min_size=1))
def test_lengths_as_a_tensor_have_the_same_number_of_frames(lengths):
    assert frames_of(torch.tensor(lengths)).tolist() == [frames(length) for length in lengths]


@pytest.mark.parametrize(("n_samples", "n_frames"), [(399, 0), (400, 1), (559, 1), (560, 2), (480_000, 2998)])
def test_frames_are_counted_as_kaldi_counts_them(n_samples, n_frames):
    assert frames(n_samples) == n_frames
