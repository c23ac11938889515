"""What the page asks for: each form is a command, each field an option of it, or a word without an option."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from autosing.models.bundled import SM2A, STS, SVC_FLOW, T2S, VISINGER
from inference.voice.singers import CONSENT_EXAMPLE

Kind = Literal["text", "lines", "words", "number", "choice", "flag", "sound", "sounds", "score", "model", "singer"]
"""lines: text that is kept in a file; words: each line is a word of the command; sound: a file or the microphone;
score: a file, or notes that are drawn."""
UPLOADS: tuple[Kind, ...] = ("sound", "sounds", "score")


@dataclass(frozen=True)
class Field:
    """One thing that is asked for."""

    name: str
    """The option without its dashes."""
    kind: Kind
    label: str
    hint: str = ""
    example: str = ""
    """Shown while it is empty."""
    needed: bool = False
    default: str = ""
    choices: tuple[str, ...] = ()
    """Of a choice its values, of a model the kinds that will do, of a score its endings."""
    bare: bool = False
    """A word without an option."""
    more: bool = False
    """Folded away until somebody looks for it."""
    yields: str = ""
    """Another field: once that is filled, this one's default goes."""


@dataclass(frozen=True)
class Form:
    """One tab, or a part of it."""

    name: str
    tab: str
    about: str
    command: tuple[str, ...]
    fields: tuple[Field, ...]
    sound: bool = True
    """Whether it writes a sound, and files beside it."""
    beside: tuple[tuple[str, str], ...] = ()
    """(option, ending) of files that are written only if they are asked for."""
    action: str = "Sing"
    voices_of: str = "model"
    """The field of the model whose singers may be chosen."""

    def shown(self) -> dict[str, Any]:
        """For the page."""
        return asdict(self)


_SEED = Field("seed", "number", "Seed", "The same seed gives the same sound.", default="0")
_SHIFT = Field("shift", "number", "Shift", "Semitones, fractions too.", default="0")
_LYRICS = Field("lyrics", "lines", "Words", "A line each.", needed=True)
_SCORE = Field(
    "score", "score", "Score", "MIDI, MusicXML, UltraStar .txt, .ustx, .ds, .TextGrid, .json",
    choices=(".mid", ".midi", ".musicxml", ".mxl", ".xml", ".ustx", ".ds", ".txt", ".TextGrid", ".json"),
)  # fmt: skip
_SINGER = Field("singer", "singer", "Singer")
_LANGUAGE = Field(
    "language", "text", "Language of the words", "en, ko, zh ... where the score does not say.", more=True
)
_NAME = Field("name", "text", "Name", "Letters, digits, _ and -.", needed=True, bare=True)

_RENDER = Form(
    "render", "Render", "Sing words to a tune that is made up for them, or sing a score.", ("render",),
    (
        replace(_LYRICS, hint="A line each. With a score they replace its words: a syllable a note.",
                needed=False, yields="score", default="the lantern on the water\nremembers every sailor"),
        _SCORE,
        replace(_SINGER, example="the model's first"),
        _SEED,
        Field("band", "flag", "With a band", "Only for a tune that is made up.", default="on", yields="score"),
        Field("model", "model", "Model", default=VISINGER, choices=("visinger",), more=True),
        replace(_SHIFT, hint="Semitones; of a score.", more=True),
        Field("key", "choice", "Key", "octave, auto: a score is moved into the singer's range.",
              choices=("keep", "octave", "auto"), default="keep", more=True),
        Field("tempo-factor", "number", "Tempo", "So many times as fast.", default="1", more=True),
        Field("vibrato", "number", "Vibrato", "0: none.", default="1", more=True),
        _LANGUAGE,
    ),
)  # fmt: skip
_CONVERT = Form(
    "convert", "Convert", "Sing a recording again in another voice: same words, melody and dynamics.", ("convert",),
    (
        Field("source", "sound", "Singing", "A voice alone; tick the box below where a band plays.", needed=True),
        Field("over-music", "flag", "A band plays", "The voice is separated, converted, and mixed again."),
        Field("model", "model", "Model", default=SVC_FLOW, choices=("svc_flow", "svc_vits"), needed=True),
        replace(_SINGER, example="choose a singer", needed=True),
        Field("key", "choice", "Key", "auto: moved into the singer's range.", choices=("keep", "auto"), default="keep"),
        _SHIFT,
        replace(_SEED, more=True),
    ),
    beside=(("pitch-out", ".pitch.csv"),), action="Convert",
)  # fmt: skip
_SPEECH = Form(
    "speech", "Speech to singing", "Sing what is spoken, on a tune that is made up, a score or a hummed melody.",
    ("speech-to-singing",),
    (
        Field("speech", "sound", "Speech", needed=True),
        replace(_SCORE, hint=f"This or a melody. {_SCORE.hint}"),
        Field("melody", "sound", "Melody", "Hummed or sung: its pitch is sung."),
        replace(_LYRICS, hint="The spoken words; else the score's, or what is heard.", needed=False),
        Field("model", "model", "Model", default=STS, choices=("sts",), more=True),
        replace(_SINGER, example="who speaks"),
        replace(_SHIFT, hint="Semitones. Speech lies lower than most songs."),
        replace(_SEED, more=True),
        _LANGUAGE,
    ),
)  # fmt: skip
_SING = Form(
    "sing", "Sing over a song", "Sing words over the instrumental of a song, in its singer's voice or another's.",
    ("sing",),
    (
        Field("reference", "sound", "Song", "Gives music and singer.", needed=True),
        replace(_LYRICS, hint="A line each, or LRC with the song's times."),
        replace(_SINGER, example="the song's own"),
        Field("t2s", "model", "Words to codes", default=T2S, choices=("t2s",), more=True),
        Field("sm2a", "model", "Codes to sound", default=SM2A, choices=("sm2a",), more=True),
        Field("start", "number", "Start", "Seconds of the song.", default="0", more=True),
        Field("length", "number", "Length", "Seconds; empty: what the words need.", more=True),
        _SEED,
    ),
    voices_of="sm2a",
)  # fmt: skip
_ENROL = Form(
    "enrol", "Voices", "Keep a singer under a name. Voices belong to people: who agreed is kept with it.",
    ("voices", "enrol"),
    (
        _NAME,
        Field("files", "sounds", "Recordings", "Of this singer, alone; one or more.", needed=True, bare=True),
        Field("consent", "text", "Who agreed, and to what", "It is kept with the voice.", CONSENT_EXAMPLE, needed=True),
    ),
    sound=False, action="Enrol",
)  # fmt: skip
_MIX = Form(
    "mix", "Voices", "Keep a blend of voices under a name.", ("voices", "mix"),
    (
        _NAME,
        Field("parts", "words", "Voices", "A line each, with its weight.", "anna=0.5\nbert=0.5", needed=True,
              bare=True),
        Field("model", "model", "Model", "Whose singers may be named, too.", "none",
              choices=("visinger", "svc_flow", "svc_vits", "sts")),
    ),
    sound=False, action="Mix",
)  # fmt: skip

FORMS = {form.name: form for form in (_RENDER, _CONVERT, _SPEECH, _SING, _ENROL, _MIX)}
"""In the order of the tabs."""
