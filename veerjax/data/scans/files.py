"""Which files of a folder belong together: those that have one name before their endings."""

from collections import defaultdict
from pathlib import Path

from veerjax.config import require
from veerjax.data.folder import IMAGES, LABEL, TABLE
from veerjax.data.scans.opened import LabelFiles, LasFiles, ScannedLog

LAS, CALIBRATION = ".las", ".toml"
PARTNERS = (LABEL, TABLE, LAS, CALIBRATION)
ADVICE = f"a scan NAME.png needs NAME{LABEL}, or NAME{LAS} and NAME{CALIBRATION}"

Group = dict[str, list[Path]]  # the files of one name by their endings, those of images under ""


def groups(folder: Path) -> dict[str, Group]:
    """The files of a folder by name; those with other endings are left alone.

    Raises:
        InputError: there is no such folder, or no scan in it.
    """
    require(folder.is_dir(), f"there is no folder {str(folder)!r}; give one of scans and their truth.")
    found: dict[str, Group] = defaultdict(lambda: defaultdict(list))
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        ending = next((ending for ending in PARTNERS if path.name.lower().endswith(ending)), path.suffix)
        if ending in PARTNERS or ending.lower() in IMAGES:
            found[path.name[: -len(ending)]][ending if ending in PARTNERS else ""].append(path)
    require(any("" in group for group in found.values()), f"{str(folder)!r} holds no scan; {ADVICE}.")
    return dict(found)


def log_of(name: str, group: Group) -> ScannedLog:
    """The scan of a name with its truth: the label where there is one, else what the LAS file says.

    Raises:
        InputError: a scan without a partner, a partner without a scan, or two files for one purpose.
    """
    files = {}
    for ending, paths in group.items():
        require(len(paths) == 1, f"{' and '.join(map(str, paths))} have one name; rename one of them and its partners.")
        files[ending] = paths[0]
    if "" not in files:
        first = next(iter(files.values()))
        require(False, f"{first} has no scan beside it; put {name}.png there, or take it away.")
    scan = files[""]
    if LABEL in files:
        las, table, calibration = (files.get(ending) for ending in (LAS, TABLE, CALIBRATION))
        return ScannedLog(
            name=name,
            scan=scan,
            truth=LabelFiles(label=files[LABEL], table=table, calibration=calibration, las=las),
        )
    missing = [f"{name}{ending}" for ending in (LAS, CALIBRATION) if ending not in files]
    started = len(missing) == 1
    need = f"write {missing[0] if missing else ''}" if started else f"write {name}{LABEL}, or {' and '.join(missing)}"
    require(not missing, f"{scan} has {'only half of a' if started else 'no'} partner beside it; {need}.")
    return ScannedLog(name=name, scan=scan, truth=LasFiles(las=files[LAS], calibration=files[CALIBRATION]))
