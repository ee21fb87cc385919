"""A model as one file that runs without veerjax: StableHLO with the weights inside, stamps, and a proof of parity."""

import datetime
import hashlib
import json
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import export
from jax.core import ShapedArray
from jaxtyping import Array, Float, Int

from veerjax.config import ModelConfig, require, to_dict
from veerjax.data.rendered import rendered_examples
from veerjax.logs.atomic import check_folder, replacing
from veerjax.models import build_model
from veerjax.training.weights import Weights, load_weights
from veerjax.types import Prediction, blank, exclusive_label
from veerjax.version import __version__

PLATFORMS = ("cpu", "cuda", "tpu")
TOLERANCE = 1e-4  # of masks, between the file and the direct call
PARITY_SETTING = "standard"  # of the rendered logs that both read
PARITY_LOGS = 3
STAMPED = ("jax", "jaxlib", "flatbuffers", "numpy")  # what it takes to read the file
PROMISE = "https://docs.jax.dev/en/latest/501/export.html#compatibility-guarantees"
BACKWARD = datetime.timedelta(weeks=26)  # the 6 months of the promise

Images = Float[np.ndarray, "batch height width channels"]
Masks = Float[np.ndarray, "batch 2 height width"]
Outputs = dict[str, Array]  # "masks", "presence" and "row_log_prob", as in `Prediction`


def run_export(name: str, out: Path) -> dict[str, Any]:
    """Writes a model as StableHLO to `out` and its stamps to `out` + `.json`, after the file read as the model does.

    Args:
        name: `release`, or `WORKDIR[@best|last|STEP]`
        out: the file; what stands there is replaced

    Returns:
        The stamps, as they are in the JSON.

    Raises:
        InputError: no such weights, `out` cannot be written, or its masks differ from the model's by more than 1e-4.
    """
    require(
        out.suffix.lower() != ".onnx",
        f"--out is {str(out)!r}, but what is written is StableHLO, not ONNX; give a name such as {out.stem}.jaxexport.",
    )
    check_folder(out.parent, "--out")
    with replacing(out) as file, replacing(stamps_path(out)) as stamps_file:
        weights = in_float32(load_weights(name))
        started = time.perf_counter()
        file.write_bytes(exported(weights).serialize())
        written = time.perf_counter()
        content = file.read_bytes()
        program = export.deserialize(bytearray(content))
        parity = parity_of(program, weights)
        check_parity(parity, out)
        stamps = {
            "schema": 1,
            "file": out.name,
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
            "weights": name,
            **compatibility(program),
            **meaning(program, weights),
            "config": to_dict(weights.config),
            "parity": parity,
            "seconds": {"export": round(written - started, 2), "parity": round(time.perf_counter() - written, 2)},
        }
        stamps_file.write_text(json.dumps(stamps, indent=2, allow_nan=False) + "\n")
    return stamps


def stamps_path(out: Path) -> Path:
    """Where the stamps of a file lie."""
    return out.with_name(out.name + ".json")


def in_float32(weights: Weights) -> Weights:
    """The same weights in a model that computes in float32, whatever this machine would choose."""
    config = replace(weights.config.model, dtype="float32")
    return replace(weights, model=build_model(config, weights.config.loss))


def exported(weights: Weights) -> export.Exported:
    """The model's `predict` for any batch, and any height and width that are multiples of its stride."""
    stride = weights.model.stride
    batch, height, width = export.symbolic_shape(f"b, {stride}*k, {stride}*m")
    image = jax.ShapeDtypeStruct((batch, height, width, weights.config.model.channels), jnp.float32)

    def predict(image: Array) -> Outputs:
        return outputs(weights.model.predict(weights.variables, blank(image)))

    # Without it a GPU and a TPU round what they multiply, to TF32 and bfloat16.
    with without_paths(), jax.default_matmul_precision("highest"):
        return export.export(jax.jit(predict), platforms=PLATFORMS)(image)


def outputs(prediction: Prediction) -> Outputs:
    """What the file answers; boxes and labels follow from it or are not given."""
    return {
        "masks": prediction.masks,
        "presence": prediction.presence,
        "row_log_prob": prediction.row_log_prob,
    }


@contextmanager
def without_paths() -> Iterator[None]:
    """Keeps the folders of this machine out of the file, which notes where in the source its operations come from."""
    option = "jax_hlo_source_file_canonicalization_regex"
    before = getattr(jax.config, option)
    jax.config.update(option, r"^.*[/\\](?=[^/\\]+$)")
    try:
        yield
    finally:
        jax.config.update(option, before)


def parity_of(program: export.Exported, weights: Weights) -> dict[str, Any]:
    """The file against the direct call, on rendered logs of the test split, on this machine's CPU."""
    cpu = jax.local_devices(backend="cpu")[0]
    direct = jax.jit(lambda image: weights.model.predict(weights.variables, blank(image)))
    read = jax.jit(program.call)
    cases = [compared(jax.device_put(images, cpu), read, direct, weights.config.model) for images in logs(weights)]
    return {
        "device": cpu.device_kind,
        "logs": f"{PARITY_SETTING}, test split",
        "tolerance": TOLERANCE,
        "worst_masks": float(np.max([case["max_abs_difference"]["masks"] for case in cases])),
        "cases": cases,
    }


def logs(weights: Weights) -> Iterator[Images]:
    """One log and several, at the size the model was trained on, rounded up to its stride, and at a smaller one."""
    data, stride = weights.config.data, weights.model.stride
    rows, columns = (max(-(-size // stride), 2) for size in (data.height, data.width))
    drawn = rendered_examples(
        PARITY_SETTING,
        split="test",
        indices=jnp.arange(PARITY_LOGS),
        height=rows * stride,
        width=columns * stride,
        channels=weights.config.model.channels,
    )
    images = np.asarray(drawn.image)
    for part in (images, images[:, : rows // 2 * stride, : (columns - 1) * stride]):
        yield part[:1]
        yield part


def compared(
    images: Float[Array, "batch height width channels"],
    read: Callable[[Array], Outputs],
    direct: Callable[[Array], Prediction],
    config: ModelConfig,
) -> dict[str, Any]:
    """How far the two are apart on some images."""
    found, prediction = jax.device_get((read(images), direct(images)))
    expected = cast(dict[str, np.ndarray], outputs(prediction))
    differing = label_of(found["masks"], config.head) != np.asarray(exclusive_label(prediction))
    return {
        "batch": images.shape[0],
        "size": list(images.shape[1:3]),
        "max_abs_difference": {key: float(np.max(np.abs(found[key] - expected[key]))) for key in expected},
        "label_differs": float(np.mean(differing)),
    }


def label_of(masks: Masks, head: str) -> Int[np.ndarray, "batch height width"]:
    """The class ids that `label_rule` describes."""
    first, second = masks[:, 0], masks[:, 1]
    if head == "sigmoid":
        ink = (1 - first) * (1 - second) < 0.5
        return np.where(ink, np.where((first > 0.5) | (first >= second), 1, 2), 0)
    return np.argmax(np.stack([1 - first - second, first, second], axis=1), axis=1)


def label_rule(head: str) -> str:
    """How labels follow from masks, as a sentence."""
    if head == "sigmoid":
        return (
            "with p1 = masks[:, 0] and p2 = masks[:, 1]: 0 background where (1 - p1) * (1 - p2) >= 0.5; else 1 where "
            "p1 > 0.5 or p1 >= p2, and 2 elsewhere"
        )
    return "argmax over [1 - masks[:, 0] - masks[:, 1], masks[:, 0], masks[:, 1]]: 0 background, 1 and 2 the curves"


def check_parity(parity: dict[str, Any], out: Path) -> None:
    """Refuses a file that does not read as the model does; a NaN is refused too."""
    require(
        parity["worst_masks"] <= TOLERANCE,
        f"{out} was not written: read back, its masks differ from the model's by {parity['worst_masks']:.1e}, which is "
        f"more than {TOLERANCE:g}; export with another version of jax.",
    )


def compatibility(program: export.Exported) -> dict[str, Any]:
    """Versions, and what jax promises about other ones."""
    today = datetime.datetime.now(tz=datetime.UTC).date()
    versions = {package: version(package) for package in STAMPED}
    pinned = " ".join(f"{package}=={versions[package]}" for package in STAMPED)
    return {
        "date": today.isoformat(),
        "versions": {"veerjax": __version__, "python": platform.python_version(), **versions},
        "calling_convention": {
            "version": program.calling_convention_version,
            "min_supported": export.minimum_supported_calling_convention_version,
            "max_supported": export.maximum_supported_calling_convention_version,
        },
        "compatibility": {
            "newer": f"read by a jaxlib released up to 6 months after jaxlib {versions['jaxlib']}",
            "older": f"read by a jaxlib released up to 3 weeks before jaxlib {versions['jaxlib']}",
            "until": (today + BACKWARD).isoformat(),
            "until_means": "no jaxlib released after that day is promised to read it; the day is the latest one, as "
            "a jaxlib does not say when it was released itself",
            "afterwards": f"a Python {platform.python_version()} with: pip install {pinned}",
            "source": PROMISE,
        },
    }


def meaning(program: export.Exported, weights: Weights) -> dict[str, Any]:
    """What goes in, what comes out, and how an image has to look."""
    config = weights.config
    colour = "luma (ITU-R BT.601) of a colour scan" if config.model.channels == 1 else "red, green and blue"
    [image] = program.in_avals
    answers = jax.tree.unflatten(program.out_tree, program.out_avals)
    return {
        "platforms": list(program.platforms),
        "compute_dtype": "float32",
        "matmul_precision": "highest",
        "input": {"image": described(image)},
        "outputs": {key: described(aval) for key, aval in answers.items()},
        "stride_px": weights.model.stride,
        "working_width_px": config.data.width,
        "image": f"one track at the working width, its height scaled alike; 0 black to 1 white; {colour}",
        "label": label_rule(config.model.head),
        "mirror": config.model.mirror,
        "crf": asdict(config.model.crf),
    }


def described(aval: ShapedArray) -> dict[str, Any]:
    """An array's kind; `32*k` px are a multiple of 32."""
    return {"dtype": str(aval.dtype), "shape": [size if isinstance(size, int) else str(size) for size in aval.shape]}
