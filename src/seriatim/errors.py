"""Errors that a person meets. Each message is one line: what happened, to what, and what to do next."""


class SeriatimError(Exception):
    """Something failed that the person can act on; the command line prints it and exits with status 1."""


class UsageError(SeriatimError):
    """The request itself was wrong (an unknown name, a value out of range); exit status 2."""


class Interrupted(Exception):
    """The person stopped a command, and can go on with it; the message says how. Exit status 130."""


class DocumentError(SeriatimError):
    """A document that cannot be read or parsed."""


class LibraryError(SeriatimError):
    """A library that cannot be opened, written or searched as asked."""


class ModelError(SeriatimError):
    """A model that cannot be found, fetched, loaded or reached."""


class TrainingError(SeriatimError):
    """A training run that cannot begin or go on."""
