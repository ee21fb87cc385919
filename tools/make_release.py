"""Turns a checkpoint into weights to ship: `make_release.py WORKDIR[@best|last|STEP] FOLDER [KEY=VALUE ...]`.

The folder holds config.json and weights/ (stored as bfloat16, read back as float32); overrides such as
model.mirror=true change how they are read. To ship them, make the folder
`veerjax/release` and write the model card beside them.
"""

import json
import sys
from pathlib import Path

import jax.numpy as jnp

from veerjax.config import with_overrides
from veerjax.training.checkpoint import save_variables
from veerjax.training.weights import load_weights
from veerjax.training.workdir import write_config

LIMIT_MB = 8


def main(name: str, target: str, *overrides: str) -> None:
    weights, folder = load_weights(name), Path(target)
    folder.mkdir(parents=True, exist_ok=True)
    save_variables(folder / "weights", weights.variables, dtype=jnp.bfloat16)
    write_config(folder, with_overrides(weights.config, overrides))
    (folder / "storage.json").write_text(json.dumps({"stored_dtype": "bfloat16", "restored_dtype": "float32"}) + "\n")
    size_mb = sum(path.stat().st_size for path in (folder / "weights").rglob("*") if path.is_file()) / 1e6
    print(f"{folder}: {size_mb:.2f} MB")
    if size_mb > LIMIT_MB:
        raise SystemExit(f"the weights take {size_mb:.1f} MB; at most {LIMIT_MB} MB may be shipped")


if __name__ == "__main__":
    main(*sys.argv[1:])
