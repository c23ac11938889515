"""A dry voice -> the same voice in a room; and stems -> levelled stems whose sum is the mix to the bit.

Shapes: S samples, C channels.
"""

import numpy as np

_FULL_SCALE_16_BIT = 32768
"""soundfile writes a float x as round(32768 x), clipped, and reads it back as that / 32768."""


def reverberate(dry_S: np.ndarray, sample_rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """The voice with a diffuse tail 16 dB below it that dies by 60 dB in 0.6 to 1.2 s. As long as it was."""
    tail_s = float(rng.uniform(0.6, 1.2))
    time_S = np.arange(int(tail_s * sample_rate_hz)) / sample_rate_hz
    response_S = rng.standard_normal(len(time_S)) * 10 ** (-3 * time_S / tail_s)
    response_S[time_S < 0.012] = 0  # what comes sooner would colour the voice
    response_S = np.convolve(response_S, np.ones(3) / 3, "same")
    response_S *= 0.16 / np.sqrt(np.square(response_S).sum())
    return dry_S + convolve(dry_S, response_S)[: len(dry_S)]


def convolve(signal_S: np.ndarray, response_S: np.ndarray) -> np.ndarray:
    """Full convolution in blocks as long as the response needs."""
    block = 1 << (4 * len(response_S) - 1).bit_length()
    step = block - len(response_S) + 1
    num_blocks = -(-len(signal_S) // step)
    padded_BS = np.zeros((num_blocks, block))
    padded_BS[:, :step].flat[: len(signal_S)] = signal_S
    parts_BS = np.fft.irfft(np.fft.rfft(padded_BS) * np.fft.rfft(response_S, block), block)
    out_S = np.zeros(num_blocks * step + block)
    for number, part_S in enumerate(parts_BS):
        out_S[number * step : number * step + block] += part_S
    return out_S[: len(signal_S) + len(response_S) - 1]


def rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.square(samples, dtype=np.float64).mean()))


def on_16_bits(samples_CS: np.ndarray) -> np.ndarray:
    """float32 samples that 16-bit files keep exactly, so that stems read from files add up to the mix."""
    return (np.round(samples_CS * _FULL_SCALE_16_BIT) / _FULL_SCALE_16_BIT).astype(np.float32)
