"""How far a time is from what the machine could do: its ceilings as measured, and the work that cannot be avoided."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from veerjax.models.cost import Cost
from veerjax.performance.timing import timed

MATRIX = {"cpu": 2048}  # side of the square product; `MATRIX_ACCELERATOR` elsewhere
MATRIX_ACCELERATOR = 8192
COPY_BYTES = {"cpu": 2**28}
COPY_BYTES_ACCELERATOR = 2**31
TRIES = 10


@dataclass(frozen=True, kw_only=True)
class Ceilings:
    """The best rates that plain operations reached on this machine, in this run."""

    flops_per_s: float  # of one large matrix product, over all devices
    bytes_per_s: float  # of one large copy: each byte counts when it is read and when it is written


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a step must do however it is computed."""

    flops: int
    bytes: int


def measured_ceilings(dtype: jnp.dtype, *, devices: int) -> Ceilings:
    """A large matrix product and a large copy on the first device, at their best; times the number of devices.

    Args:
        dtype: of the product; bfloat16 has another ceiling than float32
        devices: that the steps run on and that are not simulated
    """
    platform = jax.default_backend()
    side = MATRIX.get(platform, MATRIX_ACCELERATOR)
    size = COPY_BYTES.get(platform, COPY_BYTES_ACCELERATOR)
    left = jax.random.normal(jax.random.key(0), (side, side)).astype(dtype)
    product = jax.jit(lambda a, b: a @ b)
    copied = jnp.zeros(size // 4, jnp.float32)
    copy = jax.jit(lambda a: a + 1)  # a plain copy would be optimised away
    product_s = min(timed(lambda: product(left, left), warmup=2, steps=TRIES).seconds)
    copy_s = min(timed(lambda: copy(copied), warmup=2, steps=TRIES).seconds)
    return Ceilings(flops_per_s=devices * 2 * side**3 / product_s, bytes_per_s=devices * 2 * size / copy_s)


def training_work(cost: Cost, *, state_bytes: int) -> Work:
    """Of a training step: the forward pass, and the gradients by each layer's input and by its kernel.

    The bytes are a lower bound: each activation written once and read once, the state read once and written once;
    gradients and whatever is read again are left out.

    Args:
        cost: of the forward pass
        state_bytes: parameters, running statistics and the optimiser's moments, of every device that holds them
    """
    traffic = cost.image_bytes + 2 * cost.activation_bytes + 2 * state_bytes
    return Work(flops=3 * cost.flops - cost.first_flops, bytes=traffic)


def prediction_work(cost: Cost, *, passes: int = 1) -> Work:
    """Of one prediction: each activation written once and read once, the parameters (float32) read once.

    Args:
        cost: of the forward pass
        passes: 2 where the mirror image is read too
    """
    traffic = cost.image_bytes + 2 * cost.activation_bytes
    return Work(flops=passes * cost.flops, bytes=passes * traffic + 4 * cost.parameters)


def utilisation(work: Work, seconds: float, ceilings: Ceilings) -> dict[str, float]:
    """MFU, and the share of the roofline: the time that the ceilings allow over the time taken."""
    arithmetic = work.flops / ceilings.flops_per_s
    traffic = work.bytes / ceilings.bytes_per_s
    return {"mfu": arithmetic / seconds, "roofline_fraction": max(arithmetic, traffic) / seconds}


def timing_error(work: Work, seconds: float, ceilings: Ceilings) -> str | None:
    """Why a time cannot be right, or None: nothing computes faster than the machine's ceiling."""
    rate = work.flops / seconds
    if rate <= ceilings.flops_per_s:
        return None
    return (
        f"refused: {rate:.3g} FLOP/s is over the ceiling of {ceilings.flops_per_s:.3g} measured in this run; the clock "
        "did not wait for the result (asynchronous dispatch)."
    )
