"""Wav2CLIP beside independent implementations: librosa's spectrogram and torchvision's ResNet-18."""

import librosa
import numpy as np
import pytest
import torch
from torch import nn

from curation import compiled
from curation.errors import ItemError
from curation.torch_imports import import_torchvision
from evaluation.features.wav2clip import MIN_SAMPLES, SAMPLE_RATE_HZ, Sizes, Spectrogram, Wav2Clip
from rules.errors import ConfigurationError
from tests.evaluation.features.published_networks import OF_TRAINING, loaded, save_wav2clip, waves
from training.weights import seeded


def test_the_power_spectrogram_is_that_of_librosa():
    compiled.ready()
    wave = waves(SAMPLE_RATE_HZ, 1)[0].astype(np.float32) / 32_768
    ours = Spectrogram().power(torch.from_numpy(wave)[None])[0].numpy()
    theirs = np.abs(librosa.stft(wave, n_fft=512, hop_length=353, window="hann", pad_mode="reflect")) ** 2
    assert ours.shape == theirs.shape == (257, 1 + len(wave) // 353)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_each_clip_is_normalized_by_itself():
    loud, quiet = (
        torch.from_numpy(wave[:8000].astype(np.float32) / scale)
        for wave, scale in zip(waves(SAMPLE_RATE_HZ, 2), (32_768, 32_768_000), strict=True)
    )
    together, alone = Spectrogram()(torch.stack([loud, quiet])), Spectrogram()(quiet[None])
    torch.testing.assert_close(together[1:], alone)
    # the authors' log(power + 1e-7), less its mean, over its unbiased deviation
    log = (Spectrogram().power(quiet[None])[0] + 1e-7).log()
    torch.testing.assert_close(alone[0, 0], (log - log.mean()) / (log.std() + 1e-9))


def test_the_network_is_a_resnet_18_and_two_layers():
    import_torchvision()
    from torchvision.models import resnet18

    with seeded(0, "resnet"):
        ours = Wav2Clip(Sizes()).eval()
        for part in ours.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.normal_(std=0.1)
                part.running_var.uniform_(0.5, 1.5)
    theirs = resnet18(weights=None)
    theirs.conv1 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
    theirs.fc = nn.Identity()
    weights = {name: value for name, value in ours.audio_encoder.state_dict().items() if name != "spectrogram.window"}
    theirs.load_state_dict(weights)
    theirs.eval()
    wave = torch.from_numpy(waves(SAMPLE_RATE_HZ, 1)[0].astype(np.float32) / 32_768)[None]
    with torch.inference_mode():
        encoded = theirs(ours.audio_encoder.spectrogram(wave))
        torch.testing.assert_close(ours.audio_encoder(wave), encoded)
        first, second = (
            (ours.state_dict(), "audio_transform.sequential.0"),
            (ours.state_dict(), "audio_transform.sequential.3"),
        )
        hidden = nn.functional.linear(encoded, *(first[0][f"{first[1]}.{part}"] for part in ("weight", "bias"))).relu()
        expected = nn.functional.linear(hidden, *(second[0][f"{second[1]}.{part}"] for part in ("weight", "bias")))
        torch.testing.assert_close(ours(wave), expected)
    assert ours(wave).shape == (1, 512)


def test_names_and_shapes_are_those_of_the_published_file():
    names = Wav2Clip(Sizes()).state_dict()
    # of the authors' own module: 122 of a ResNet-18 without its classes and its window, and 4 of the two layers
    assert len(names) == 120 + 1 + 4
    assert names["audio_encoder.spectrogram.window"].shape == (512,)
    assert names["audio_encoder.conv1.weight"].shape == (64, 1, 7, 7)
    assert names["audio_encoder.layer4.0.downsample.0.weight"].shape == (512, 256, 1, 1)
    assert names["audio_encoder.layer1.1.bn2.num_batches_tracked"].shape == ()
    assert names["audio_transform.sequential.3.weight"].shape == (512, 512)


def test_a_clip_is_heard_whole(published):
    wave = waves(SAMPLE_RATE_HZ, 1)[0]
    changed = wave.copy()
    changed[-2000:] //= 3
    heard = published("wav2clip").sounds([wave, changed], SAMPLE_RATE_HZ)
    assert np.abs(heard[0] - heard[1]).max() > 1e-4


def test_what_was_needed_in_training_alone_is_left_out(published, tmp_path):
    path = save_wav2clip(tmp_path / "more.pt", width=2, **{"image_transform.sequential.3.bias": torch.ones(2)})
    assert OF_TRAINING
    assert loaded("wav2clip", path).width == 16


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ({"audio_encoder.fc.weight": torch.zeros(2)}, "not of Wav2CLIP: with audio_encoder.fc.weight"),
        ({"audio_transform.sequential.3.bias": torch.zeros(2)}, "of other shape audio_transform.sequential.3.bias"),
        ({"audio_encoder.spectrogram.window": torch.ones(512)}, "its window is not that of Hann"),
        ({"audio_encoder.spectrogram.window": torch.ones(400)}, "of other shape audio_encoder.spectrogram.window"),
        ({"audio_encoder.conv1.weight": 3}, "not of Wav2CLIP: of other shape"),
        ({"audio_encoder.conv1.weight": torch.zeros([])}, "not of Wav2CLIP: of other shape"),
    ],
    ids=["more", "shape", "window", "longer_window", "number", "scalar"],
)
def test_a_file_of_a_network_that_hears_otherwise_is_refused(others, told, tmp_path):
    with pytest.raises(ConfigurationError, match=told):
        loaded("wav2clip", save_wav2clip(tmp_path / "w.pt", width=2, **others))


def test_a_clip_that_makes_no_frame_is_told(published):
    network = published("wav2clip")
    wave = waves(SAMPLE_RATE_HZ, 1)[0]
    assert network.sounds([wave[:MIN_SAMPLES]], SAMPLE_RATE_HZ).shape == (1, 16)
    with pytest.raises(ItemError, match="too_short: 256 samples, .* needs 257"):
        network.sounds([wave[: MIN_SAMPLES - 1]], SAMPLE_RATE_HZ)


def test_silence_has_a_vector(published):
    assert np.isfinite(published("wav2clip").sounds([np.zeros(8000, np.int16)], SAMPLE_RATE_HZ)).all()
