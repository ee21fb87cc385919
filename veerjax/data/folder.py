"""A folder of pairs: `NAME.png` (or another image) with `NAME.label.png`, and `NAME.pixels.csv` where it is known.

The label holds the class of each pixel: 0 background, 1 the solid curve, 2 the broken one. The table is that of
`veerjax digitize`: `row_px`, `curve_1_px` and `curve_2_px`, empty where a curve is absent. Without it the true
polylines are traced from the label, in which a curve is broken where the other one hides it.
"""

from collections.abc import Sequence
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Float64, UInt8
from PIL import Image, UnidentifiedImageError

from veerjax.config import require
from veerjax.data.logset import LogSet, Positions
from veerjax.errors import InputError
from veerjax.labels import NUM_CLASSES, NUM_CURVES
from veerjax.logs.picture import pictures_of_any_size
from veerjax.logs.scan import MAX_PIXELS, read_scan
from veerjax.logs.tables import read_pixels_csv
from veerjax.models.model import prediction_from_probability
from veerjax.tracing.trace import trace
from veerjax.types import Batch

IMAGES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
LABEL, TABLE = ".label.png", ".pixels.csv"


def folder_set(folder: Path, *, limit: int | None) -> LogSet:
    """The pairs of a folder, by name.

    Raises:
        InputError: no pair, an image without a label, two images with one label, an image of a single row or column,
            or a label of another size or with other classes.
    """
    paths = image_paths(folder)[:limit]
    check_names(paths)

    def read(positions: Positions) -> tuple[Batch, list[str], list[str | None]]:
        chosen = [paths[position] for position in positions]
        return batch_of(chosen), [path.stem for path in chosen], [None] * len(chosen)

    sizes = [size_of(label_path(path)) for path in paths]
    return LogSet(data=str(folder), split="all", sizes=sizes, read=read)


def image_paths(folder: Path) -> list[Path]:
    """The images of a folder by name, labels left out.

    Raises:
        InputError: there is none.
    """
    paths = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in IMAGES and not is_label(path)]
    require(bool(paths), f"{str(folder)!r} holds no image; put pairs NAME.png and NAME{LABEL} in it.")
    return paths


def check_names(paths: Sequence[Path]) -> None:
    """Refuses images without a label of their own.

    Raises:
        InputError: there is no label, or another image has the same.
    """
    owners: dict[Path, Path] = {}
    for path in paths:
        label = label_path(path)
        require(label.is_file(), f"{path} has no label beside it; write it to {label.name}.")
        other = owners.setdefault(label, path)
        require(other is path, f"{other} and {path} share the label {label.name}; rename one of them and its label.")


def size_of(label: Path) -> tuple[int, int]:
    """Height and width of a label [px].

    Raises:
        InputError: it has fewer than two rows or columns, in which no curve runs.
    """
    height, width = read_label(label).shape
    require(min(height, width) >= 2, f"{label} is {width} x {height} px; at least 2 rows and 2 columns are needed.")
    return height, width


def is_label(path: Path) -> bool:
    return path.name.endswith(LABEL)


def label_path(path: Path) -> Path:
    return path.with_name(path.stem + LABEL)


def read_label(path: Path) -> UInt8[np.ndarray, "height width"]:
    """Class ids, from an 8-bit grey or palette PNG.

    Raises:
        InputError: no such picture, too large a one, or it holds other ids.
    """
    try:
        with pictures_of_any_size(), Image.open(path) as picture:
            mode, (width, height) = picture.mode, picture.size
            require(
                width * height <= MAX_PIXELS, f"{path} is {width} x {height} px; cut it and its scan into sections."
            )
            label = np.asarray(picture)
    # A damaged PNG raises SyntaxError.
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise InputError(f"{path} cannot be read as a picture; write class ids as an 8-bit PNG.") from error
    require(mode in ("L", "P"), f"{path} is of mode {mode}; write class ids 0, 1 and 2 as an 8-bit grey PNG.")
    require(
        label.max() < NUM_CLASSES,
        f"{path} holds the class {label.max()}; veerjax knows 0 background, 1 the solid curve and 2 the broken one.",
    )
    return label


def batch_of(paths: Sequence[Path]) -> Batch:
    """Pairs of one size as one batch."""
    images, labels = [read_scan(path) for path in paths], [read_label(label_path(path)) for path in paths]
    for path, image, label in zip(paths, images, labels, strict=True):
        check_sizes(path, image, label)
    label = np.stack(labels)
    strokes = label[:, None] == np.arange(1, NUM_CURVES + 1)[None, :, None, None]
    x, presence = traced(label)
    for index, path in enumerate(paths):
        table = path.with_name(path.stem + TABLE)
        if table.is_file():
            x[index], presence[index] = declared(table, rows=label.shape[1])
    return Batch(
        image=jnp.asarray(np.stack(images)[..., None], jnp.float32) / 255,
        strokes=jnp.asarray(strokes),
        label=jnp.asarray(label),
        centreline=jnp.asarray(x),
        presence=jnp.asarray(presence),
        valid=jnp.ones(len(paths), bool),
    )


def check_sizes(path: Path, image: np.ndarray, label: np.ndarray) -> None:
    """Refuses a label of another size than its image.

    Raises:
        InputError: they differ.
    """
    require(
        image.shape == label.shape,
        f"{path} is {image.shape[1]} x {image.shape[0]} px and its label {label.shape[1]} x {label.shape[0]}; "
        "they must be of one size.",
    )


def traced(
    label: UInt8[np.ndarray, "batch height width"],
) -> tuple[Float[np.ndarray, "batch 2 height"], Bool[np.ndarray, "batch 2 height"]]:
    """Where the curves of labels run."""
    found = trace(prediction_from_probability(jnp.asarray(np.eye(NUM_CLASSES, dtype=np.float32)[label])))
    return np.array(found.x), np.array(found.presence)


def declared(table: Path, *, rows: int) -> tuple[Float[np.ndarray, "2 height"], Bool[np.ndarray, "2 height"]]:
    """Where the curves run by the table.

    Raises:
        InputError: a column is missing, or it has another number of rows.
    """
    x = declared_x(table, rows=rows)
    return np.nan_to_num(x).astype(np.float32), np.isfinite(x)


def declared_x(table: Path, *, rows: int) -> Float64[np.ndarray, "2 height"]:
    """The table's own numbers [px], NaN where a curve is absent.

    Raises:
        InputError: a column is missing, or it has another number of rows.
    """
    columns = read_pixels_csv(table)
    x = []
    for name in (f"curve_{k}_px" for k in range(1, NUM_CURVES + 1)):
        if name not in columns:
            raise InputError(f"{table} has no column {name}; write row_px, curve_1_px and curve_2_px.")
        require(
            len(columns[name]) == rows,
            f"{table} has {len(columns[name])} rows and its image {rows}; one a row is needed.",
        )
        x.append(columns[name])
    return np.stack(x)
