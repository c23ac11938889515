"""The names of files -> which of them are audio, and what to do about those that are not taken."""

from pathlib import Path

AUDIO_SUFFIXES = (
    ".mp3", ".flac", ".ogg", ".opus", ".wav", ".m4a", ".aac", ".aif", ".aiff", ".wma", ".mp4", ".webm",
    ".oga", ".wave", ".aifc", ".au", ".snd", ".caf", ".w64", ".rf64", ".bwf", ".mp2", ".mpga",
    ".m4b", ".m4r", ".mka", ".weba", ".ape", ".wv", ".tta", ".ac3", ".amr", ".3gp", ".dsf", ".mpc", ".spx",
)  # fmt: skip
"""Files with these suffixes count as songs. Whether they can be read shows when they are opened."""

_PROTECTED = ("protected", "it can only be played with a key; buy or make a copy without protection")
_FILM = ("film", "its pictures would be kept, too; take its sound out, e.g. ffmpeg -i FILM -vn SONG.flac")
_ARCHIVE = ("archive", "unpack it, and import the folder")
_DOCUMENT = ("document", "save its text as .txt or .lrc beside the song of its name")
_SHEET = ("spreadsheet", "save it as CSV (UTF-8)")
_MODULE = ("instructions", "it holds instructions rather than sound; render it, e.g. with OpenMPT")
_OTHER_AUDIO = ("audio_not_read", "no decoder for it; convert it to FLAC")
_CUE = ("cue_sheet", "the album that it describes is taken as one song; split it, e.g. with shnsplit")
NOT_TAKEN = {
    **dict.fromkeys((".m4p", ".aax", ".aa", ".ncm", ".qmc0", ".qmcflac", ".mgg", ".mflac", ".kgm"), _PROTECTED),
    **dict.fromkeys((".mkv", ".mov", ".avi", ".mpg", ".mpeg", ".flv", ".wmv", ".m4v", ".vob", ".ogv"), _FILM),
    **dict.fromkeys((".zip", ".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz"), _ARCHIVE),
    **dict.fromkeys((".doc", ".docx", ".odt", ".rtf", ".pdf", ".htm", ".html"), _DOCUMENT),
    **dict.fromkeys((".xlsx", ".xls", ".ods", ".numbers"), _SHEET),
    **dict.fromkeys((".mod", ".xm", ".it", ".s3m", ".sid", ".nsf", ".vgm"), _MODULE),
    **dict.fromkeys((".ra", ".rm", ".ram", ".dff", ".shn", ".tak", ".ofr", ".la", ".gsm", ".voc", ".at3", ".aup3"),
                    _OTHER_AUDIO),
    ".cue": _CUE,
}  # fmt: skip
"""Suffix -> (reason, what to do) of files that may hold what somebody wanted to import."""


def is_audio(path: Path) -> bool:
    return path.suffix.lower() in AUDIO_SUFFIXES
