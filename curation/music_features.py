"""Loudness, tempo, key and onsets of a clip, all of what librosa gives from one spectrogram."""

import numpy as np
import numpy.typing as npt

from curation import compiled

LOUDNESS_BLOCK_S = 0.4  # ITU-R BS.1770-4: nothing shorter has a loudness
ANALYSIS_RATE_HZ = 22_050  # librosa's own default, for which its tempo and onset parameters are tuned
FFT_SAMPLES = 2_048
HOP_SAMPLES = 512
MIN_ONSETS = 2  # with fewer there is no interval, hence no tempo

# How well each pitch fits a key, from its tonic upwards: Krumhansl and Kessler 1982, in Krumhansl, Cognitive
# Foundations of Musical Pitch, 1990, table 2.1; the key is the one that correlates best (chapter 4).
MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")

Waveform = npt.NDArray[np.float32]


def loudness_lufs(samples: Waveform, rate_hz: int) -> float | None:
    """Return the integrated loudness (ITU-R BS.1770-4), to 0.01; None if nothing is above its gate.

    Args:
        samples: shape (frames, channels), range [-1, 1].
    """
    import pyloudnorm  # with scipy's signals: a second to import

    if len(samples) < LOUDNESS_BLOCK_S * rate_hz:
        return None
    with np.errstate(divide="ignore"):  # it takes the logarithm of digital silence
        loudness = float(pyloudnorm.Meter(rate_hz).integrated_loudness(samples.astype(np.float64)))
    return round(loudness, 2) if np.isfinite(loudness) else None


def describe(samples: Waveform, rate_hz: int) -> tuple[float | None, str | None, float]:
    """Return tempo in beats a minute to 0.01, key such as "A minor", and onsets a second to 0.001.

    Tempo is None where there are not two onsets, the key where no pitch stands out.

    Args:
        samples: shape (frames, channels), range [-1, 1].
    """
    compiled.ready()
    import librosa  # with numba: seconds to import
    import soxr
    from librosa.onset import onset_detect, onset_strength

    mono = soxr.resample(samples.mean(axis=1), rate_hz, ANALYSIS_RATE_HZ)
    power = np.abs(librosa.stft(mono, n_fft=FFT_SAMPLES, hop_length=HOP_SAMPLES)) ** 2
    mel_db = librosa.power_to_db(librosa.feature.melspectrogram(S=power, sr=ANALYSIS_RATE_HZ))
    strength = onset_strength(S=mel_db, sr=ANALYSIS_RATE_HZ, hop_length=HOP_SAMPLES)
    timing = {"onset_envelope": strength, "sr": ANALYSIS_RATE_HZ, "hop_length": HOP_SAMPLES}
    onsets = len(onset_detect(**timing))
    tempo_bpm = round(float(librosa.feature.tempo(**timing)[0]), 2) if onsets >= MIN_ONSETS else None
    # tuning=0: estimating it costs more than all else, and a quarter tone seldom moves the key
    chroma = librosa.feature.chroma_stft(S=power, sr=ANALYSIS_RATE_HZ, tuning=0.0).mean(axis=1)
    return tempo_bpm, key(chroma), round(onsets * rate_hz / len(samples), 3)


def key(chroma: npt.NDArray[np.floating]) -> str | None:
    """Return the key whose profile correlates best with the strength of the pitches; None if they are all equal.

    Args:
        chroma: shape (12,), from C upwards.
    """
    if np.ptp(chroma) == 0:
        return None
    profiles = np.array([np.roll(profile, tonic) for profile in (MAJOR, MINOR) for tonic in range(len(TONICS))])
    best = int(np.corrcoef(chroma, profiles)[0, 1:].argmax())
    return f"{TONICS[best % len(TONICS)]} {'major' if best < len(TONICS) else 'minor'}"
