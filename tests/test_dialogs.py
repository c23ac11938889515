"""Dialogues of a game become tracks whose lines start where they are spoken."""

import csv

import numpy as np
import pytest
import soundfile

from autosing.errors import InputError
from autosing.text.lrc import parse_lrc
from train.corpora.dialogs import GAP_S, RATE_HZ, subtitles, write_dialogs

SCRIPT = """
dialogId("vit-1", "font_statue", "Welcome to the \\"sun\\".")
dialogStr("V\u00edtejte pod sluncem.")

dialogId("vit-2", "font_big", "Stay calm.")
dialogStr(
"Zachovejte klid")
dialogId("vit-3", "font_big", "No translation.")
dialogId("vit-4", "font_big", "Pier 5 now")
dialogStr("Molo 5 tady")
dialogId("vit-5", "font_big", "Alas")
dialogStr("B\u011bda")
"""


@pytest.fixture
def unpacked(tmp_path):
    script = tmp_path / "unpacked" / "game-data" / "usr/share/games/fillets-ng/script/city"
    script.mkdir(parents=True)
    for language in ("cs", "en"):
        (script / f"dialogs_{language}.lua").write_text(SCRIPT, encoding="utf-8")
    sounds = tmp_path / "unpacked" / "game-data-cs" / "usr/share/games/fillets-ng/sound/city/cs"
    sounds.mkdir(parents=True)
    for number in (1, 2, 3, 4, 5):
        tone_S = 0.3 * np.sin(2 * np.pi * 180 * np.arange(2 * 22050) / 22050)
        quiet_S = np.zeros(22050)
        soundfile.write(sounds / f"vit-{number}.ogg", np.concatenate([quiet_S, tone_S, quiet_S]), 22050)
    return tmp_path / "unpacked"


def test_subtitles_are_read_in_their_language():
    assert subtitles(SCRIPT, "en")["vit-1"] == 'Welcome to the "sun".'
    czech = subtitles(SCRIPT, "cs")
    assert czech == {
        "vit-1": "V\u00edtejte pod sluncem.", "vit-2": "Zachovejte klid", "vit-4": "Molo 5 tady", "vit-5": "B\u011bda",
    }  # fmt: skip


def test_tracks_hold_what_is_said_when(unpacked, tmp_path):
    minutes = write_dialogs(unpacked, tmp_path / "out", 30)
    (row,) = csv.DictReader((tmp_path / "out" / "songs.csv").open())
    assert (row["file"], row["language"], row["licence"]) == ("cs_000.wav", "cs", "GPL-2.0-only")
    audio_S, rate = soundfile.read(tmp_path / "out" / "cs_000.wav")
    lines = [line for line in parse_lrc((tmp_path / "out" / "cs_000.lrc").read_text("utf-8")).lines if line.text]
    said = {line.text for line in lines}
    assert said == {"V\u00edtejte pod sluncem.", "Zachovejte klid"}, "numbers, single words, no subtitle: left out"
    assert rate == RATE_HZ and len(audio_S) / rate == pytest.approx(2 * (2.1 + GAP_S), abs=0.05)
    assert minutes["cs"] == pytest.approx(len(audio_S) / rate / 60) and minutes["nl"] == minutes["en"] == 0
    for line in lines:
        first = round((line.start_s + 0.06) * rate)
        assert np.abs(audio_S[first : first + rate]).max() > 0.5 and line.start_s is not None
    write_dialogs(unpacked, tmp_path / "again", 30)
    assert (tmp_path / "again" / "cs_000.wav").read_bytes() == (tmp_path / "out" / "cs_000.wav").read_bytes()


def test_a_folder_without_the_game_says_what_is_needed(tmp_path):
    with pytest.raises(InputError, match="unpack it with dpkg-deb"):
        write_dialogs(tmp_path, tmp_path / "out", 30)
