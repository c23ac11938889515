"""autosing: from folders of songs to models that sing. What two rooms share lives here."""

__version__ = "0.1.0"
