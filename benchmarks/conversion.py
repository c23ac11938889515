"""What `convert` costs: memory against the source's length, and time against its parts. JSON on stdout.

    python benchmarks/conversion.py memory [--minutes 1 30] [--over-music] [--run RUN]
    python benchmarks/conversion.py speed [--seconds 120] [--run RUN]

Models are untrained where no run is given: weights do not change what they cost. `memory` uses a small one, since what
grows with the source is not the model; each length runs in a process of its own, and its peak is the kernel's (VmHWM:
mapped files count). `speed` uses the default sizes on one thread and tells CPU seconds: other work does not count.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from autosing.audio.io import Writer
from autosing.checkpoint import save_model
from autosing.models.acoustic import new_space
from autosing.models.content import EncoderConfig, parts_of
from autosing.models.svc_flow import SvcFlow, SvcFlowConfig, SvcFlowVoice
from autosing.models.svc_vits import SvcVitsVoice
from autosing.songs import tiny_song
from inference.voice.convert import ConvertConfig, Request, convert
from inference.voice.engine import EngineConfig, Song, render
from inference.voice.features import Reader
from inference.voice.load import load_voice
from inference.voice.singers import Voice

SINGER = Voice("unit", tuple(np.eye(1, 256)[0].tolist()), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    asked = parts.add_parser("memory")
    asked.add_argument("--minutes", type=float, nargs="+", default=[1, 30])
    asked.add_argument("--over-music", action="store_true")
    asked.add_argument("--run", type=Path)
    asked = parts.add_parser("one")
    asked.add_argument("run", type=Path)
    asked.add_argument("folder", type=Path)
    asked.add_argument("minutes", type=float)
    asked.add_argument("--over-music", action="store_true")
    asked = parts.add_parser("speed")
    asked.add_argument("--seconds", type=float, default=120)
    asked.add_argument("--run", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(json.dumps({"memory": memory, "one": one, "speed": speed}[given.part](given), indent=1))


def memory(given: argparse.Namespace) -> dict[str, Any]:
    """The peak of each length, and the last over the first."""
    found: dict[str, Any] = {"over_music": given.over_music, "run": _named(given.run), "minutes": {}}
    with tempfile.TemporaryDirectory() as folder:
        run = given.run or untrained(Path(folder), width=64, hidden=64, encoder_blocks=1, blocks=1)
        for minutes in given.minutes:
            words = [sys.executable, __file__, "one", str(run), folder, str(minutes)]
            words += ["--over-music"] if given.over_music else []
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            found["minutes"][f"{minutes:g}"] = json.loads(done.stdout)
    peaks = [held["peak_mb"] for held in found["minutes"].values()]
    return {**found, "last_over_first": round(peaks[-1] / peaks[0], 3)}


def one(given: argparse.Namespace) -> dict[str, Any]:
    """One conversion through the product's own way, features and all."""
    source, out = given.folder / "source.flac", given.folder / "out.wav"
    write_singing(source, given.minutes * 60, stereo=given.over_music)
    started = time.process_time()
    config = ConvertConfig(keep_features=False, over_music=given.over_music, device="cpu")
    (row,) = convert(Request(given.run, source, out, SINGER, config=config, force=True))
    cpu_s = time.process_time() - started
    status = Path("/proc/self/status").read_text().splitlines()
    (peak,) = (line for line in status if line.startswith("VmHWM"))
    return {
        "peak_mb": round(int(peak.split()[1]) / 1024, 1), "samples": row["samples"], "seconds": row["seconds"],
        "cpu_s": round(cpu_s, 1), "rtf_cpu": round(cpu_s / row["seconds"], 4),
    }  # fmt: skip


def speed(given: argparse.Namespace) -> dict[str, Any]:
    """CPU seconds a second of audio: each feature, the model, the decoder, all of the engine."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        run = given.run or untrained(home)
        write_singing(home / "source.wav", given.seconds)
        model = load_voice(run)
        assert isinstance(model, SvcFlowVoice | SvcVitsVoice)
        parameters = sum(parameter.numel() for parameter in model.model.parameters())
        reader = Reader(model.content)
        write_singing(home / "short.wav", 5)
        reader.read(home / "short.wav", home)  # loads, and warms up
        features, heard_s = timed(lambda: reader.read(home / "source.wav", home))
        spent = {"model": 0.0, "decoder": 0.0}
        model.sing = counted(model.sing, spent, "model")  # type: ignore[method-assign]
        model.sound = counted(model.sound, spent, "decoder")  # type: ignore[method-assign]
        song = Song(features, features.f0_hz_T, lambda _: SINGER.vector_E)
        samples, sung_s = timed(lambda: sum(map(len, render(model, song, EngineConfig()))))
    per_s = {"features": heard_s, **spent, "engine": sung_s, "all": heard_s + sung_s}
    per_s["model_and_decoder"] = spent["model"] + spent["decoder"]
    return {
        "run": _named(given.run), "parameters": parameters, "seconds": given.seconds, "samples": samples, "threads": 1,
        "rtf_cpu": {name: round(value / given.seconds, 4) for name, value in per_s.items()},
    }  # fmt: skip


def _named(run: Path | None) -> str:
    return str(run) if run else "untrained"


def untrained(home: Path, **sizes: int) -> Path:
    """A run in the codec's latent that hears by Whisper base."""
    folder = home / "run"
    torch.manual_seed(0)
    parts = parts_of([EncoderConfig(name="whisper-base")])
    config = SvcFlowConfig(space=new_space("codec_latent"), content=parts, **sizes)
    save_model(folder, "svc_flow", config.dump(), SvcFlow(config).state_dict())
    return folder


def write_singing(path: Path, seconds: float, stereo: bool = False) -> None:
    """20 s of a made song, again and again: the voice alone, or with its band in stereo."""
    _, _, stems = tiny_song(seed=1, seconds=20)
    audio = stems.mix if stereo else stems.vocals
    mono_S, rate = audio.samples_CS.mean(axis=0), audio.sample_rate_hz
    part_CS = np.stack([mono_S, np.roll(mono_S, 30)]) if stereo else mono_S[None]
    writer, left = Writer(rate, len(part_CS), path.suffix[1:], path), round(seconds * rate)
    while left > 0:
        writer.write(part_CS[:, :left])
        left -= part_CS.shape[1]
    writer.finish()


def timed(make: Callable[[], Any]) -> tuple[Any, float]:
    started = time.process_time()
    return make(), time.process_time() - started


def counted(call: Callable[..., Any], spent: dict[str, float], name: str) -> Callable[..., Any]:
    """The call, whose CPU seconds are added up."""

    def wrapped(*given: Any) -> Any:
        found, cpu_s = timed(lambda: call(*given))
        spent[name] += cpu_s
        return found

    return wrapped


if __name__ == "__main__":
    main()
