"""The one error for people: it names the object, what was found, what is needed, and the remedy."""


class InputError(ValueError):
    """Something that a person gave cannot be used. The command line prints it and exits with code 2."""
