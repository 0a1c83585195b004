"""Errors that end a command with one line on stderr, and the exit statuses they carry."""

OK = 0
FAILURE = 1
USAGE = 2


class HostError(Exception):
    """The command failed. Its text is one line that says what to do next."""

    status = FAILURE


class UsageError(HostError):
    """The command line is wrong, or names a link, file or port that cannot be used."""

    status = USAGE
