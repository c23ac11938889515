"""`autosing render`: a score in, sound and what was sung out, and what is refused."""

import json
import sys
from pathlib import Path

import mido
import numpy as np
import pytest
import torch

from autosing.audio.io import decode
from autosing.checkpoint import save_model
from autosing.cli import main
from autosing.errors import InputError
from autosing.models.acoustic import new_space
from autosing.models.singers import KnownSinger, as_extra
from autosing.models.visinger import Visinger, VisingerConfig, flow_config
from autosing.score.formats.midi import read_midi
from autosing.score.formats.textgrid import read_textgrid
from autosing.score.timing import with_times
from autosing.text.lrc import parse_lrc
from inference.voice.load import check_voice
from inference.voice.pitch_csv import read_pitch_csv
from inference.voice.score_song import num_pitches
from support.scores import star_score

SECONDS = 4.0


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A run of random networks that knows rosa and tom, and a score."""
    folder = tmp_path_factory.mktemp("made")
    flow = flow_config(new_space("codec_latent"), 16, {"width": 16, "hidden": 16, "encoder_blocks": 1, "blocks": 1})
    config = VisingerConfig.build({
        "flow": flow.dump(), "content": 16, "sign_blocks": 1, "frame_blocks": 1,
        "curves": {"width": 16, "blocks": 1, "small_width": 8},
    })  # fmt: skip
    torch.manual_seed(0)
    model = Visinger(config)
    with torch.no_grad():
        assert model.curves.out.bias is not None
        model.curves.out.bias[1] = 2.0  # voiced
    singers = [KnownSinger.of(name, np.eye(2, 256, k)[0], 3, 9.0, (180.0, 260.0, 400.0)) for name, k in
               (("rosa", 5), ("tom", 9))]  # fmt: skip
    save_model(folder / "run", "visinger", config.dump(), model.state_dict(), as_extra(singers))
    (folder / "star.json").write_bytes(star_score().to_json())
    return folder


@pytest.fixture
def run(made, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("AUTOSING_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("inference.voice.singers.home", lambda: tmp_path / "home")

    def call(*words: object, score: str | None = "star.json", code: int = 0) -> dict | str:
        first = ("render", "--model", made / "run", *(("--score", made / score) if score else ()))
        monkeypatch.setattr(sys, "argv", ["autosing", *map(str, (*first, *words)), "--json"])
        with pytest.raises(SystemExit) as stop:
            main()
        said = capsys.readouterr()
        assert (stop.value.code or 0) == code, said.err
        return said.err if code else json.loads(said.out)["rows"][0]

    return call


def test_a_score_becomes_sound_of_its_length_and_says_what_was_sung(run, tmp_path):
    row = run("--singer", "rosa", "--out", tmp_path / "out.wav")
    audio = decode(tmp_path / "out.wav")
    assert audio.samples_CS.shape[1] == row["samples"] == SECONDS * 24000 and row["notes"] == 4
    sung = read_midi(tmp_path / "out.mid").score
    wanted = with_times(star_score())
    assert [note.midi for note in sung.notes] == [60, 62, 64, 66], "to semitones"
    assert [note.start_s for note in sung.notes] == pytest.approx([n.start_s for n in wanted.notes], abs=2e-3)
    phones = read_textgrid(tmp_path / "out.TextGrid").score.phones
    assert [phone.symbol for phone in phones] == [phone.symbol for phone in wanted.phones]
    assert phones[1].start_s == pytest.approx(0.5, abs=1e-3), "the vowel on the beat"
    lines = parse_lrc((tmp_path / "out.lrc").read_text()).lines
    assert [(line.text, line.start_s) for line in lines] == [("sister", 0.5), ("stars", 2.0)]
    f0_T = read_pitch_csv(tmp_path / "out.pitch.csv", 400)
    assert (f0_T > 0).mean() > 0.3
    record = json.loads((tmp_path / "out.json").read_text())
    assert record["made_by"] == "autosing render" and record["config"]["shift"] == 0


def test_the_pitch_that_was_written_is_sung_again_and_may_be_edited(run, tmp_path):
    run("--singer", "rosa", "--out", tmp_path / "out.wav")
    first, csv = (tmp_path / "out.wav").read_bytes(), tmp_path / "out.pitch.csv"
    again = tmp_path / "again.wav"
    run("--singer", "rosa", "--pitch", csv, "--out", again)
    assert again.read_bytes() == first
    rows = csv.read_text().splitlines()
    edited = [rows[0], *(f"{row.split(',')[0]},330.000000,1" for row in rows[1:])]
    (tmp_path / "edited.csv").write_text("\n".join(edited) + "\n")
    run("--singer", "rosa", "--pitch", tmp_path / "edited.csv", "--out", again)
    assert again.read_bytes() != first
    assert (tmp_path / "again.pitch.csv").read_text() == (tmp_path / "edited.csv").read_text()
    csv.write_text((tmp_path / "edited.csv").read_text())
    run("--singer", "rosa", "--pitch", csv, "--out", tmp_path / "out.wav")
    assert (tmp_path / "out.wav").read_bytes() == again.read_bytes(), "edited in its place"
    said = run("--singer", "rosa", "--out", tmp_path / "out.wav", code=2)
    assert "out.pitch.csv" in said and "--force" in said, "what was edited is the user's"


def test_nothing_sounds_in_a_rest_and_a_voice_has_room_around_its_words(made, run, tmp_path):
    """Models that learnt lines without long rests hum through them."""
    timed = with_times(star_score())
    last_s = max(phone.end_s for phone in timed.phones)
    longer = timed.model_copy(update={"duration_s": last_s + 3.0})
    (tmp_path / "longer.json").write_bytes(longer.to_json())
    run("--score", tmp_path / "longer.json", "--singer", "rosa", "--out", tmp_path / "out.wav", score=None)
    audio = decode(tmp_path / "out.wav")
    assert audio.duration_s == pytest.approx(last_s + 3.0, abs=1e-3)
    rate, sung_S = audio.sample_rate_hz, audio.mono_S()
    rest_S, ended_S = (
        sung_S[round((last_s + 0.5) * rate) :],
        sung_S[round(last_s * rate) : round((last_s + 0.2) * rate)],
    )
    assert np.abs(rest_S).max() < 1e-4 < np.abs(ended_S).max()
    f0_hz_T = read_pitch_csv(tmp_path / "out.pitch.csv", num_pitches(longer.duration_s))
    assert not np.any(f0_hz_T[round((last_s + 0.5) * 100) :] > 0)


def test_chunks_fit_together(run, tmp_path):
    run("--singer", "rosa", "--out", tmp_path / "whole.wav", "--set", "engine.chunk_s=60")
    run("--singer", "rosa", "--out", tmp_path / "parts.wav", "--set", "engine.chunk_s=1")
    whole_S, parts_S = (decode(tmp_path / f"{name}.wav").samples_CS[0] for name in ("whole", "parts"))
    assert np.abs(whole_S - parts_S).max() <= 0.02 * max(1e-3, np.abs(whole_S).max())


def test_higher_faster_and_in_part(run, tmp_path):
    row = run("--singer", "rosa", "--out", tmp_path / "a.wav", "--tempo-factor", "2", "--shift", "-1.5")
    assert row["seconds"] == SECONDS / 2
    high, low = (read_pitch_csv(tmp_path / "a.pitch.csv", 200), star_score().notes[0].midi)
    assert abs(12 * np.log2(high[30] / 440) + 69 - (low - 1.5)) < 2
    sung = read_midi(tmp_path / "a.mid").score
    assert sung.notes[0].start_s == pytest.approx(0.25, abs=2e-3)
    row = run("--singer", "rosa", "--out", tmp_path / "b.wav", "--from", "1.5", "--to", "4")
    assert row["seconds"] == 2.5 and row["words"] == 1
    said = run("--singer", "rosa", "--out", tmp_path / "c.wav", "--from", "3.6", "--to", "3.9", code=2)
    assert "no words from 3.6 to 3.9 s" in said and "--lyrics" in said
    said = run("--singer", "rosa", "--out", tmp_path / "c.wav", "--shift", "99", code=2)
    assert "shift 99: need -36 to 36 semitones" in said


def test_a_song_out_of_the_singers_range_is_told_and_moved_there(run, tmp_path):
    """rosa sings 180 to 400 Hz, 260 in the middle."""
    assert "remarks" not in run("--singer", "rosa", "--out", tmp_path / "a.wav")
    high = run("--singer", "rosa", "--out", tmp_path / "b.wav", "--shift", "17")
    assert "of the notes' time lies out of this singer's usual 180 to 400 Hz; see --key" in high["remarks"]
    octave = run("--singer", "rosa", "--out", tmp_path / "c.wav", "--shift", "17", "--key", "octave")
    near = run("--singer", "rosa", "--out", tmp_path / "d.wav", "--shift", "17", "--key", "auto")
    assert high["key"] == 17 and octave["key"] - 17 in (-12, -24) and "remarks" not in octave
    assert abs(near["key"]) <= 6 and "remarks" not in near
    written, *moved = (read_midi(tmp_path / f"{name}.mid").score.notes[0].midi for name in "acd")
    assert moved == [written + octave["key"], written + near["key"]]


def test_words_alone_get_a_tune_and_a_band_and_the_tune_can_be_sung_again(made, run, tmp_path):
    words = ("--lyrics", "sister stars\\nriver of gold")
    row = run(*words, "--out", tmp_path / "a.wav", score=None)
    assert (row["score"], row["singer"], row["words"], row["notes"]) == ("composed", "rosa", 5, 7)
    lines = parse_lrc((tmp_path / "a.lrc").read_text()).lines
    assert [line.text for line in lines] == ["sister stars", "river of gold"]
    run("--out", tmp_path / "again.wav", "--lyrics", str(tmp_path / "a.lrc"), score=None)
    assert (tmp_path / "again.wav").read_bytes() == (tmp_path / "a.wav").read_bytes()
    other = run(*words, "--out", tmp_path / "b.wav", "--seed", "1", score=None)
    assert (tmp_path / "b.mid").read_bytes() != (tmp_path / "a.mid").read_bytes() and other["words"] == 5
    row = run("--score", tmp_path / "a.mid", "--out", tmp_path / "c.wav", score=None)
    assert row["words"] == 5 and row["seconds"] == pytest.approx(row["samples"] / 24000, abs=1e-3)
    run(*words, "--out", tmp_path / "mix.wav", "--band", score=None)
    mix, alone = decode(tmp_path / "mix.wav"), decode(tmp_path / "mix.vocals.wav")
    voice_S = decode(tmp_path / "a.wav").samples_CS[0]
    assert mix.samples_CS.shape == (2, len(voice_S)) and alone.samples_CS.shape == (1, len(voice_S))
    whole = np.abs(voice_S) < 0.99  # what is louder is clipped in the file without a band
    alone_S, voice_S = alone.samples_CS[0][whole], voice_S[whole]
    gain = float(alone_S @ voice_S / (voice_S @ voice_S))
    assert np.abs(alone_S - gain * voice_S).max() < 1e-3, "the same voice"
    assert np.abs(mix.samples_CS - alone.samples_CS).max() > 0.05, "and a band"
    said = run("--score", made / "star.json", "--out", tmp_path / "d.wav", "--band", score=None, code=2)
    assert "--band" in said and "leave out --score" in said
    said = run("--out", tmp_path / "d.wav", score=None, code=2)
    assert "neither --score nor --lyrics" in said and not (tmp_path / "d.wav").exists()


def test_singers_are_blended(run, tmp_path):
    sounds = {}
    for name, words in {"rosa": ["rosa"], "tom": ["tom"], "both": ["rosa=0.5", "tom=0.5"]}.items():
        run(*(part for word in words for part in ("--singer", word)), "--out", tmp_path / f"{name}.wav")
        sounds[name] = (tmp_path / f"{name}.wav").read_bytes()
    assert len(set(sounds.values())) == 3
    assert "(rosa, tom)" in run("--singer", "nobody", "--out", tmp_path / "x.wav", code=2)


def test_a_midi_file_with_lyrics_is_sung_and_one_of_several_voices_is_told_off(made, run, tmp_path):
    pytest.importorskip("autosing.score.g2p.bind")
    file, voice = mido.MidiFile(ticks_per_beat=480), mido.MidiTrack()
    file.tracks.append(voice)
    for word, note in (("sing", 60), ("to", 62), ("me", 64)):
        voice.append(mido.MetaMessage("lyrics", text=word, time=0))
        voice.append(mido.Message("note_on", note=note, velocity=80, time=0))
        voice.append(mido.Message("note_off", note=note, time=480))
    file.save(made / "song.mid")
    row = run("--singer", "rosa", "--out", tmp_path / "out.wav", score="song.mid")
    assert row["words"] == 3 and row["seconds"] == 1.5
    row = run("--singer", "rosa", "--out", tmp_path / "b.wav", "--lyrics", "hello -", score="song.mid")
    assert row["words"] == 1
    said = run("--singer", "rosa", "--out", tmp_path / "c.wav", "--lyrics", "one two", score="song.mid", code=2)
    assert "2 syllables" in said and "3 notes" in said and "write - to hold" in said
    voice.append(mido.Message("note_on", note=60, velocity=80, time=0))
    voice.append(mido.Message("note_on", note=65, velocity=80, time=0))
    voice.append(mido.Message("note_off", note=60, time=480))
    voice.append(mido.Message("note_off", note=65, time=0))
    file.save(made / "chord.mid")
    said = run("--singer", "rosa", "--out", tmp_path / "c.wav", score="chord.mid", code=2)
    assert "two notes at once" in said and "highest" in said
    run("--singer", "rosa", "--out", tmp_path / "c.wav", "--highest", "--lyrics", "sing to me now", score="chord.mid")


def test_what_cannot_be_sung_or_would_be_replaced_is_refused_before_any_work(made, run, tmp_path):
    out = tmp_path / "out.wav"
    assert "no such file" in run("--singer", "rosa", "--out", out, score="none.mid", code=2)
    (made / "song.xyz").write_text("x")
    assert "of an unknown kind; need one of" in run("--singer", "rosa", "--out", out, score="song.xyz", code=2)
    assert "need .wav" in run("--singer", "rosa", "--out", tmp_path / "out.txt", code=2)
    out.write_bytes(b"somebody else's")
    said = run("--singer", "rosa", "--out", out, code=2)
    assert "'autosing render' did not write it" in said and out.read_bytes() == b"somebody else's"
    out.unlink()
    run("--singer", "rosa", "--out", out)
    run("--singer", "rosa", "--out", out), "its own files it replaces"
    (tmp_path / "out.mid").write_bytes(b"edited")
    assert "was changed since" in run("--singer", "rosa", "--out", out, code=2)
    run("--singer", "rosa", "--out", out, "--force")
    said = run("--singer", "rosa", "--out", tmp_path / "out.wav", "--vocoder", made / "run", code=2)
    assert "vocoder" in said
    (tmp_path / "short.csv").write_text("time_s,hz,voiced\n0.00,220.0,1\n")
    said = run("--singer", "rosa", "--out", out, "--pitch", tmp_path / "short.csv", code=2)
    assert "1 rows" in said
    assert "--singer" in run("--out", out, "--singer", "rosa", "--singer-over-time", tmp_path / "short.csv", code=2)


def test_each_kind_of_run_is_sent_to_the_command_that_sings_with_it(made, run, tmp_path):
    save_model(tmp_path / "vits", "svc_vits", {}, {})
    with pytest.raises(InputError, match=r"found a svc_vits model, need visinger; with this one .* 'autosing convert'"):
        check_voice(tmp_path / "vits", "render")
    with pytest.raises(InputError, match=r"found a visinger model, need svc_flow or svc_vits; .* 'autosing render'"):
        check_voice(made / "run")
