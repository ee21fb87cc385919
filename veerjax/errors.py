"""The errors that the command line turns into one sentence and an exit code of their own."""


class InputError(ValueError):
    """What was given, what is needed, and what to write instead, in one sentence."""

    exit_code = 2


class NumericalFault(RuntimeError):
    """A loss or gradient was not finite: where, of what, and what to try."""

    exit_code = 3


class PeerLost(RuntimeError):
    """Another process of the same training is gone, or says nothing."""

    exit_code = 1


class Interrupted(RuntimeError):
    """A training was saved and stopped by a signal, and asks for another start."""

    exit_code = 75

    def __init__(self, *, step: int, workdir: str, signal: str) -> None:
        saved = f"saved step {step} in {workdir} and stopped on {signal}"
        super().__init__(f"{saved}; the same command goes on from there.")
        self.step, self.workdir, self.signal = step, workdir, signal
