"""Collectives counted from the text of compiled programs."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from veerjax.performance.collectives import Collective, array_bytes, collectives
from veerjax.training.sharding import data_mesh

ASYNC = """
ENTRY %main {
  %p = f32[4,2]{1,0} parameter(0)
  %all-gather-start.1 = (f32[4,2]{1,0}, f32[16,2]{1,0}) all-gather-start(%p), channel_id=1, dimensions={0}
  %all-gather-done.1 = f32[16,2]{1,0:T(8,128)} all-gather-done(%all-gather-start.1)
  %cp = (bf16[3]{0:T(256)(128)(2,1)S(1)}, bf16[3]{0}, u32[], u32[]) collective-permute-start(%q), channel_id=2
  %cpd = bf16[3]{0} collective-permute-done(%cp)
  %sums = (f32[8]{0}, /*index=1*/s32[], pred[5]{0}) all-reduce(%a, %b, %c), channel_id=3, to_apply=%add
  %fused = f32[8]{0} fusion(%sums, %all-reduce.7), kind=kLoop, calls=%f, metadata={op_name="an all-reduce(x)"}
  ROOT %rs = f8e4m3fn[<=6]{0} reduce-scatter(%d), channel_id=4
}
"""


def test_pairs_tuples_and_layouts_count_once_with_the_bytes_of_their_results() -> None:
    assert collectives(ASYNC) == {
        "all-gather": Collective(1, 16 * 2 * 4),
        "collective-permute": Collective(1, 3 * 2),
        "all-reduce": Collective(1, 8 * 4 + 4 + 5),
        "reduce-scatter": Collective(1, 6),
    }


@pytest.mark.parametrize(("shape", "size"), [("f32[]", 4), ("s4[3]", 2), ("c64[2]", 16), ("token[]", 0), ("()", 0)])
def test_shapes_as_xla_writes_them(shape: str, size: int) -> None:
    assert array_bytes(shape) == size


def test_a_program_of_one_device_sends_nothing() -> None:
    assert collectives(str(jax.jit(jnp.sin).lower(jnp.zeros(3)).compile().as_text())) == {}


def test_real_programs_reduce_gather_and_shift() -> None:
    mesh = data_mesh(jax.devices()[:4])
    split, whole = NamedSharding(mesh, PartitionSpec("data")), NamedSharding(mesh, PartitionSpec())
    x = jax.device_put(jnp.zeros((8, 16)), split)

    def text(function, out) -> str:
        return str(jax.jit(function, out_shardings=out).lower(x).compile().as_text())

    assert collectives(text(lambda x: x.sum(axis=0), whole)) == {"all-reduce": Collective(1, 16 * 4)}
    assert collectives(text(lambda x: x, whole)) == {"all-gather": Collective(1, 8 * 16 * 4)}
    shifted = collectives(text(lambda x: x[1:] + x[:-1], whole))
    assert shifted.keys() >= {"collective-permute"}
