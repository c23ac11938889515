"""Songs of known truth: a seed -> lyrics, singers, score, stems, mix, and the time of every phoneme, word and note.

How a voice sings: eSpeak NG speaks each word on one pitch and tells where its phonemes start (espeak); WORLD takes the
word apart (analysis); its frames are laid on the score's time line so that every vowel starts with its note (score,
layout) and are sounded at the score's pitch (sing). Times, notes and f0 are decided before anything sounds, so they are
exact, not estimated. A band (band) and a room (room) are added, and the parts sum to the mix to the bit.

Natural voices (natural_song) are Kokoro's network (kokoro), told the durations and the f0 of a tune that is made of its
own speech (grammar, phones, tune, gesture, natural). What it sings is put on the asked f0 and its vowels on the beat
(retune, onsets); what a tracker then hears is written beside what was asked (tracked).
"""

from autosing.songs.corpus import SongsMade, make_songs
from autosing.songs.singers import SINGERS, Singer
from autosing.songs.tiny import tiny_song
from autosing.songs.truth import F0_RATE_HZ, SongTruth, Stems, load_stems, load_truth, song_ids, truths_without

__all__ = [
    "F0_RATE_HZ",
    "SINGERS",
    "Singer",
    "SongTruth",
    "SongsMade",
    "Stems",
    "load_stems",
    "load_truth",
    "make_songs",
    "song_ids",
    "tiny_song",
    "truths_without",
]
