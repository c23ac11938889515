"""Made audio -> how fast it is separated, heard and sung again, in hours of audio an hour.

Networks are the library's, of the usual sizes; where weights would have to be fetched they are random, which costs the
same.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu_clock import seconds_a_call

from autosing.audio.io import Audio, save
from autosing.checkpoint import save_model
from autosing.codecs import BUNDLED, load_codec
from autosing.codecs.fitted import FittedCodec
from autosing.models.acoustic import new_space
from autosing.models.content import EncoderConfig, load_content, parts_of
from autosing.models.speaker import SpeakerEncoder
from autosing.models.spleeter import Spleeter
from autosing.models.svc_flow import SvcFlow, SvcFlowConfig
from inference.evaluate.clips import Clip
from inference.evaluate.systems import FromSource
from inference.voice.convert import ConvertConfig
from inference.voice.engine import render
from inference.voice.singers import Voice

RATE_HZ = 24_000


def hearing(seconds: float, device: str, at_least_s: float, work: Path, tiny: bool) -> dict[str, Any]:
    """Name -> hours of audio an hour; a part whose package is not there says so."""
    found: dict[str, Any] = {}
    for name, prepare in WAYS.items():
        try:
            call = prepare(made_audio(seconds), device, work, tiny)
        except ImportError as error:
            found[name] = {"skipped": str(error)}
            continue
        with torch.inference_mode():
            found[name] = {"audio_hours_per_hour": seconds / seconds_a_call(call, device, at_least_s, warm_up=1)}
    return found


def converting(seconds: float, device: str, at_least_s: float, work: Path, tiny: bool) -> dict[str, Any]:
    """The real-time factor of `autosing convert` by the clock, with and without hearing the source."""
    audio, files = made_audio(seconds), {"whisper-own": str(whisper_file(work, tiny))}
    parts = parts_of([EncoderConfig(name="whisper-own")], files)
    small: dict[str, Any] = {"width": 16, "hidden": 16, "blocks": 1, "encoder_blocks": 1} if tiny else {}
    model = SvcFlowConfig.build({
        "space": new_space("codec_latent").dump(), "content": [part.dump() for part in parts], **small,
    })  # fmt: skip
    save_model(work / "run", "svc_flow", model.dump(), SvcFlow(model).state_dict())
    save(audio, work / "clip.wav")
    config = ConvertConfig.build({"device": device, "keep_features": False, "content_files": files})
    system, voice = FromSource(work / "run", config, work), Voice("made", tuple(np.eye(1, 256)[0].tolist()), None)
    clip = Clip("made", "made", "en", work / "clip.wav", 0.0, seconds)
    song = system.song(clip, voice)

    def sing() -> None:
        for _ in render(system.model, song, config.engine):
            pass

    return {
        "rtf_of_model": seconds_a_call(sing, device, at_least_s, warm_up=1) / seconds,
        "rtf": seconds_a_call(lambda: system.sing(clip, voice), device, at_least_s, warm_up=1) / seconds,
        "parameters": sum(p.numel() for p in system.model.model.parameters()),
    }  # fmt: skip


def made_audio(seconds: float) -> Audio:
    """A buzz at 220 Hz with noise."""
    t_S = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    buzz_S = np.sign(np.sin(2 * np.pi * 220 * t_S)) * 0.1 + 0.01 * np.random.default_rng(0).standard_normal(len(t_S))
    return Audio(buzz_S[None].astype(np.float32), RATE_HZ)


def whisper_file(work: Path, tiny: bool) -> Path:
    """A checkpoint of Whisper base, or a tiny one, with random weights."""
    import whisper

    width, layers = (64, 2) if tiny else (512, 6)
    dims = {
        "n_mels": 80, "n_audio_ctx": 1500, "n_audio_state": width, "n_audio_head": width // 64, "n_audio_layer": layers,
        "n_vocab": 20, "n_text_ctx": 8, "n_text_state": 64, "n_text_head": 1, "n_text_layer": 1,
    }  # fmt: skip
    state = whisper.model.Whisper(whisper.model.ModelDimensions(**dims)).state_dict()
    torch.save({"dims": dims, "model_state_dict": state}, work / "whisper.pt")
    return work / "whisper.pt"


def _separate(audio: Audio, device: str, work: Path, tiny: bool) -> Callable[[], object]:
    model = Spleeter().to(device).eval().requires_grad_(False)
    stereo_CS = np.repeat(audio.resampled(44_100).samples_CS, 2, axis=0)
    rms = float(np.square(stereo_CS).mean()) ** 0.5
    return lambda: [block_CS for block_CS in model.stream(iter([stereo_CS]), stereo_CS.shape[1], rms, 1 if tiny else 4)]


def _pitch(audio: Audio, device: str, work: Path, tiny: bool) -> Callable[[], object]:
    from autosing.audio.pitch import load_tracker

    track = load_tracker("fcpe", device)
    return lambda: track(audio.samples_CS[0], RATE_HZ)


def _singer(audio: Audio, device: str, work: Path, tiny: bool) -> Callable[[], object]:
    encoder = SpeakerEncoder().to(device).eval()
    return lambda: encoder.embed(audio.samples_CS[0], RATE_HZ)


def _content(audio: Audio, device: str, work: Path, tiny: bool) -> Callable[[], object]:
    content = load_content([EncoderConfig(name="whisper-own")], {"whisper-own": str(whisper_file(work, tiny))}, device)
    return lambda: list(content.blocks(audio.resampled(16_000)))


def _acoustic(audio: Audio, device: str, work: Path, tiny: bool) -> Callable[[], object]:
    codec = load_codec(BUNDLED)
    assert isinstance(codec, FittedCodec), codec
    model, block = codec.model.to(device), codec.spec.block_samples
    whole_CS = audio.samples_CS[:, : audio.samples_CS.shape[1] // block * block]
    audio_BS = torch.from_numpy(np.ascontiguousarray(whole_CS)).to(device)
    f0_hz_BF = torch.full((1, audio_BS.shape[1] // codec.spec.hop_samples), 220.0, device=device)
    return lambda: model.latent(audio_BS, model.f0_codes(f0_hz_BF))


WAYS: dict[str, Callable[[Audio, str, Path, bool], Callable[[], object]]] = {
    "separate": _separate, "pitch": _pitch, "singer": _singer, "content": _content, "acoustic": _acoustic,
}  # fmt: skip
