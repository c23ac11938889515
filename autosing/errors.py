"""The one error for people: it names the object, what was found, what is needed, and the remedy."""


class InputError(ValueError):
    """The user's input cannot be used. The command line prints the message and exits with code 2.

    `reason` is one word to count by if the error becomes a Rejected row.
    """

    def __init__(self, message: str, reason: str = "bad_input") -> None:
        super().__init__(message)
        self.reason = reason
