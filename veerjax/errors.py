"""The one error that means "the input is at fault", which the command line turns into a sentence and exit code 2."""


class InputError(ValueError):
    """What was given, what is needed, and what to write instead, in one sentence."""
