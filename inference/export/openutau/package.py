"""A run of visinger -> a singer's folder for OpenUtau: names, keys and graph inputs as its DiffSinger renderer asks.

    character.txt, character.yaml       its name, renderer, phonemizer and voice colours (singers)
    dsconfig.yaml, phonemes.json, acoustic.onnx, SINGER.emb
    dsvocoder/    vocoder.yaml, vocoder.onnx
    dsdur/        dsconfig.yaml, phonemes.json, dsdict.yaml, dsdict-en.yaml, linguistic.onnx, dur.onnx, SINGER.emb
    dspitch/      likewise, with pitch.onnx

Sources: OpenUtau.Core/DiffSinger of OpenUtau (keys of DsConfig and DsVocoderConfig, and how each model is called).
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from autosing.errors import InputError
from autosing.ids import check_id
from autosing.models.melody import SINGER_WIDTH
from autosing.models.told import Sampling
from autosing.models.visinger import VisingerVoice
from autosing.nn.folding import fold_weight_norms
from autosing.storage.store import write_whole
from inference.export.manifest import write_manifest
from inference.export.onnx_file import OPSET, Given, difference, write_onnx
from inference.export.openutau.graphs import (
    AcousticGraph,
    DurationGraph,
    GroupsGraph,
    PitchGraph,
    TokensGraph,
    VocoderGraph,
)
from inference.export.openutau.phrase import PhraseScore
from inference.export.openutau.signs import ANY_PHONEMIZER, ENGLISH_PHONEMIZER, Sign, dictionary, signs_of
from inference.voice.load import load_score_voice
from inference.voice.singers import Voice, find_voice, voices_of_run


def export_openutau(
    run: Path, kind: str, out: Path, vocoder: Path | None, steps: int | None, singers: Sequence[str],
    languages: Sequence[str],
) -> list[dict[str, Any]]:  # fmt: skip
    """Raises InputError for a model that sings no scores, where nobody is there to sing, and as the loaders do."""
    if kind != "visinger":
        raise InputError(
            f"model {run}: is a {kind}; OpenUtau sings scores, so --as openutau needs a run of visinger; for others "
            "see --as onnx"
        )
    voices = [find_voice(name, run=run) for name in singers] or voices_of_run(run)
    if not voices:
        raise InputError(f"model {run}: keeps no singers of its training; name some by --singer")
    for voice in voices:
        check_id(voice.name)
    languages = list(languages) or ["en"]
    signs = signs_of(languages)
    model = load_score_voice(run, "cpu", vocoder)
    rows = _write_graphs(model, signs, out, model.model.flow.num_steps(Sampling(steps=steps)))
    _write_config(model, signs, voices, languages, out, run)
    write_manifest(out, {
        "form": "openutau", "opset": OPSET, "run": str(run), "singers": [voice.name for voice in voices],
        "languages": languages, "files": [row["file"] for row in rows],
    })  # fmt: skip
    return rows


def _write_graphs(voice: VisingerVoice, signs: Sequence[Sign], out: Path, steps: int) -> list[dict[str, Any]]:
    model, spec = voice.model, voice.spec
    fold_weight_norms(model)
    rate_hz = float(spec.rate_hz)
    score = PhraseScore(signs, rate_hz)
    outputs: dict[str, dict[int, str]] = {"encoder_out": {1: "signs"}, "x_masks": {1: "signs"}}
    graphs: dict[str, tuple[torch.nn.Module, Sequence[str], dict[str, dict[int, str]]]] = {
        "acoustic.onnx": (
            AcousticGraph(model, score, steps), ("tokens", "durations", "f0", "steps", "spk_embed"),
            {"mel": {1: "frames"}},
        ),
        "dsdur/linguistic.onnx": (
            GroupsGraph(score.alphabet, rate_hz), ("tokens", "word_div", "word_dur"), outputs,
        ),
        "dsdur/dur.onnx": (
            DurationGraph(model.lengths, rate_hz), ("encoder_out", "x_masks", "ph_midi", "spk_embed_signs"),
            {"ph_dur_pred": {1: "signs"}},
        ),
        "dspitch/linguistic.onnx": (TokensGraph(), ("tokens", "ph_dur"), outputs),
        "dspitch/pitch.onnx": (
            PitchGraph(model, score),
            ("encoder_tokens", "ph_dur", "note_midi", "note_rest", "note_dur", "pitch", "expr", "retake", "steps",
             "spk_embed"),
            {"pitch_pred": {1: "frames"}},
        ),
        # Last, because it turns the space's decoder into real numbers.
        "dsvocoder/vocoder.onnx": (VocoderGraph(voice.space), ("mel", "f0"), {"waveform": {1: "samples"}}),
    }  # fmt: skip
    first, second = (_phrase(signs, spec.width, score, count) for count in (3, 7))
    rows = []
    for name, (module, inputs, made) in graphs.items():
        given = {_PLAIN.get(key, key): first[key] for key in inputs}
        worst = write_onnx(module, out / name, given, made, {"kind": "visinger"})
        worst = max(worst, difference(module, out / name, tuple(second[key].example for key in inputs)))
        size = (out / name).stat().st_size
        rows.append({"file": name, "kind": "visinger", "bytes": size, "from_torch": f"{worst:.1e}"})
    return rows


_PLAIN = {"spk_embed_signs": "spk_embed", "encoder_tokens": "encoder_out"}
"""Examples of what has one name in two graphs and another shape in each."""


def _phrase(signs: Sequence[Sign], width: int, score: PhraseScore, syllables: int) -> dict[str, Given]:
    """Examples of all inputs: SP, syllables of a consonant, a vowel and at times another consonant, SP."""
    draw = torch.Generator().manual_seed(syllables)
    vowels = [token for token, sign in enumerate(signs) if sign.is_vowel]
    consonants = [token for token, sign in enumerate(signs) if not sign.is_vowel and not sign.is_rest]
    tokens, word_div = [0], [1]
    for number in range(syllables):
        tokens.append(consonants[number % len(consonants)])
        word_div[-1] += 1
        tokens.append(vowels[number % len(vowels)])
        word_div.append(1)
        if number % 2:
            tokens.append(consonants[-1 - number])
            word_div[-1] += 1
    tokens.append(0)
    word_div[-1] += 1
    token_BN = torch.tensor([tokens])
    ph_dur_BN = torch.randint(3, 9, token_BN.shape, generator=draw)
    frames = int(ph_dur_BN.sum())
    note_dur_BM = torch.tensor([[9] + [frames // (syllables + 2)] * syllables])
    note_dur_BM = torch.cat([note_dur_BM, frames - note_dur_BM.sum(1, keepdim=True)], dim=1)
    notes = note_dur_BM.shape[1]
    singer_BE = torch.nn.functional.normalize(torch.randn(1, SINGER_WIDTH, generator=draw), dim=1)

    def along(tensor: Tensor, axis: str) -> Given:
        return Given(tensor, {1: axis})

    curve_BF = 200 * 2 ** torch.rand(1, frames, generator=draw)
    word_dur_BW = torch.randint(30, 60, (1, len(word_div)), generator=draw)
    groups = GroupsGraph(score.alphabet, score.rate)
    word_div_BW = torch.tensor([word_div])
    encoded_BND, masks_BN = groups(token_BN, word_div_BW, word_dur_BW)
    return {
        "tokens": along(token_BN, "signs"), "durations": along(ph_dur_BN, "signs"),
        "ph_dur": along(ph_dur_BN, "signs"), "f0": along(curve_BF, "frames"),
        "steps": Given(torch.tensor([10]), {}),
        "spk_embed": along(singer_BE[:, None].repeat(1, frames, 1), "frames"),
        "spk_embed_signs": along(singer_BE[:, None].repeat(1, len(tokens), 1), "signs"),
        "mel": along(torch.cat([torch.randn(1, frames, width, generator=draw), torch.ones(1, frames, 1)], 2), "frames"),
        "word_div": along(word_div_BW, "groups"), "word_dur": along(word_dur_BW, "groups"),
        "encoder_out": along(encoded_BND, "signs"), "x_masks": along(masks_BN, "signs"),
        "encoder_tokens": along(token_BN.float()[:, :, None], "signs"),
        "ph_midi": along(torch.full_like(token_BN, 60), "signs"),
        "note_midi": along(60 + torch.arange(notes)[None].float(), "notes"),
        "note_rest": along(torch.arange(notes)[None] < 1, "notes"), "note_dur": along(note_dur_BM, "notes"),
        "pitch": along(torch.full((1, frames), 60.0), "frames"),
        "expr": along(torch.ones(1, frames), "frames"), "retake": along(torch.arange(frames)[None] > 2, "frames"),
    }  # fmt: skip


def _write_config(
    voice: VisingerVoice, signs: Sequence[Sign], voices: Sequence[Voice], languages: Sequence[str], out: Path, run: Path
) -> None:
    """All that is no graph."""
    spec = voice.spec
    names = [singer.name for singer in voices]
    mel = {
        "sample_rate": spec.sample_rate_hz, "hop_size": spec.hop_samples, "win_size": 2 * spec.hop_samples,
        "fft_size": 2 * spec.hop_samples, "num_mel_bins": spec.width + 1, "mel_fmin": 0.0,
        "mel_fmax": spec.sample_rate_hz / 2, "mel_base": "e", "mel_scale": "slaney",
    }  # fmt: skip
    common = {
        "phonemes": "phonemes.json", "speakers": names, "hidden_size": SINGER_WIDTH, "use_lang_id": False,
        "use_continuous_acceleration": True, "sample_rate": spec.sample_rate_hz, "hop_size": spec.hop_samples,
    }  # fmt: skip
    configs = {
        "dsconfig.yaml": common | mel | {
            "acoustic": "acoustic.onnx", "vocoder": "dsvocoder", "use_key_shift_embed": False, "use_speed_embed": False,
            "use_variable_depth": False,
        },
        "dsvocoder/vocoder.yaml": {"name": "dsvocoder", "model": "vocoder.onnx", **mel},
        "dsdur/dsconfig.yaml": common | {"linguistic": "linguistic.onnx", "dur": "dur.onnx", "predict_dur": True},
        "dspitch/dsconfig.yaml": common | {
            "linguistic": "linguistic.onnx", "pitch": "pitch.onnx", "predict_dur": False, "use_note_rest": True,
            "use_expr": True,
        },
        "character.yaml": {
            "text_file_encoding": "utf-8", "singer_type": "diffsinger",
            "default_phonemizer": ENGLISH_PHONEMIZER if languages[0] == "en" else ANY_PHONEMIZER,
            "subbanks": [{"color": f"{k:02}: {name}", "suffix": name} for k, name in enumerate(names, start=1)],
        },
    }  # fmt: skip
    for folder in ("dsdur", "dspitch"):
        configs[f"{folder}/dsdict.yaml"] = dictionary(signs)
        if "en" in languages:
            configs[f"{folder}/dsdict-en.yaml"] = dictionary(signs, "en")
    tokens = json.dumps({sign.name: token for token, sign in enumerate(signs)}, ensure_ascii=False, indent=1)
    texts = {name: yaml.safe_dump(values, sort_keys=False, allow_unicode=True) for name, values in configs.items()}
    texts["character.txt"] = f"name={run.resolve().name}\n"
    for folder in ("", "dsdur/", "dspitch/"):
        texts[f"{folder}phonemes.json"] = tokens
        for singer in voices:
            _write(out / f"{folder}{singer.name}.emb", np.asarray(singer.vector_E, "<f4").tobytes())
    for name, text in texts.items():
        _write(out / name, text.encode())


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, data)
