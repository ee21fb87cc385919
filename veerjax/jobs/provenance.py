"""Where a reading comes from: the files, the weights, the edition and the command, without a path of any machine."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from veerjax.jobs.reader import Reader, TrackReader
from veerjax.training.stored import digest
from veerjax.version import __version__


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a reading was made of; a part that is not known stays empty."""

    scan: str = ""  # name of the file
    scan_sha256: str = ""
    page: int | None = None
    calibration: str = ""
    calibration_sha256: str = ""
    command: str = ""


def provenance(reader: TrackReader, origin: Origin) -> dict[str, str]:
    """What the files of a reading say of where it comes from, by name.

    Args:
        reader: that read it
        origin: of what
    """
    learned = isinstance(reader, Reader)
    found = {
        "veerjax": __version__,
        "scan": origin.scan,
        "page": "" if origin.page is None else str(origin.page),
        "scan sha256": origin.scan_sha256,
        "calibration": origin.calibration,
        "calibration sha256": origin.calibration_sha256,
        "tracer": "learned" if learned else "classical",
        "weights": Path(reader.weights.name).name if learned else "",
        "weights sha256": digest(reader.weights.variables) if learned else "",
        "command": origin.command,
    }
    return {name: said for name, said in found.items() if said}


def told(found: dict[str, str]) -> str:
    """The lines of ~O."""
    return "\n".join(
        [f"Digitised from a scanned log by veerjax {found['veerjax']}."]
        + [f"{name}: {said}" for name, said in found.items() if name != "veerjax"]
    )


def command_line(
    scans: Sequence[Path],
    *,
    calibration: Path | None,
    weights: str,
    tracer: str,
    step: float | None,
    rows: int,
    overrides: Sequence[str],
    extras: Sequence[str],
) -> str:
    """The command that was given, with names in place of paths; of several scans, the one that is read stands alone."""
    words = ["veerjax digitize", *(path.name for path in scans)]
    words += [] if calibration is None else [f"--calibration {calibration.name}"]
    words += [f"--weights {Path(weights).name}"] if tracer == "learned" else ["--tracer classical"]
    words += [] if step is None else [f"--step {step:g}"]
    words += [] if rows == 1 else [f"--rows {rows}"]
    words += [f"--set {item}" for item in overrides]
    words += [f"--extras {','.join(extras)}"] if extras else []
    return " ".join(words)
