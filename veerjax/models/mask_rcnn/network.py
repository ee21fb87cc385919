"""The layers of Mask R-CNN: a residual backbone with a feature pyramid, and heads for proposals, boxes and masks.

Reference: He, Gkioxari, Dollar, Girshick 2017 (the heads); Lin et al. 2017 (the pyramid, and proposals from all of its
levels); Ren et al. 2015 (proposals). We differ in one basic residual block a stage where theirs has 3 to 23 bottleneck
blocks, in free widths, in the stem, and in training from scratch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from veerjax.labels import NUM_CURVES
from veerjax.models.blocks import STEMS, Images, compute_dtype, depth_to_space, norm_layer, padded, space_to_depth
from veerjax.models.residual import Residual

BOX_GRID = 7  # [bins] a side of what the box head reads
HIDDEN = 4  # units of the box head's dense layers for each channel of the pyramid: 1,024 of 256
MASK_CONVS = 4
Regions = Float[Array, "regions height width channels"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Levels:
    """What is read of images: features by level, the finest first, and what each anchor says."""

    features: tuple[Images, ...]  # of the pyramid, without its last level, which has proposals alone
    objectness: tuple[Float[Array, "batch anchors"], ...]  # log-odds that there is an object, by level
    code: tuple[Float[Array, "batch anchors 4"], ...]  # of its box against the anchor


class Network(nn.Module):
    """The layers alone, for images of any size; where their boxes come from and go to is `regions`."""

    features: tuple[int, ...]  # of the stages, finest first; the pyramid reads all but the first, as wide as the second
    stem: str
    norm: str
    dtype: str
    anchors: int  # at each place
    categories: int
    mask_grid: tuple[int, int] | None  # [cells] of the maps of a box; none: no mask head
    kinds: int = 1  # of maps of each category: its mask, or what `rows` reads
    regions: int = 1  # an image, that the box head judges
    outlines: int = NUM_CURVES  # an image, that the mask head answers for
    remat: bool = False  # keep a stage's input alone for the gradient, and compute the rest of it once more

    @property
    def strides(self) -> tuple[int, ...]:
        """Of the levels that regions are cut from [px]."""
        return tuple(STEMS[self.stem] * 2**stage for stage in range(1, len(self.features)))

    @property
    def stride(self) -> int:
        return self.strides[-1]

    def setup(self) -> None:
        wide, dtype = self.features[1], compute_dtype(self.dtype)
        self.backbone = Backbone(self.features, self.stem, self.norm, dtype, self.remat)
        self.pyramid = Pyramid(wide, dtype)
        self.rpn = ProposalHead(wide, self.anchors, dtype)
        self.box = BoxHead(HIDDEN * wide, self.categories, dtype)
        if self.mask_grid is not None:
            self.mask = MaskHead(wide, self.categories * self.kinds, dtype)

    def __call__(self, image: Images, *, train: bool) -> tuple[Levels, Array, Array, Array | None]:
        """All layers as often as a prediction uses them, for their parameters and their cost; regions are blank."""
        levels, wide = self.read(image, train=train), self.features[1]

        def blank(count: int, rows: int, columns: int) -> Regions:
            return jnp.zeros((len(image) * count, rows, columns, wide))

        scores, code = self.classify(blank(self.regions, BOX_GRID, BOX_GRID))
        masks = None
        if self.mask_grid is not None:
            rows, columns = self.mask_grid
            masks = self.outline(blank(self.outlines, rows // 2, columns // 2))
        return levels, scores, code, masks

    def read(self, image: Images, *, train: bool) -> Levels:
        """The pyramid and the proposals of images."""
        levels = self.pyramid(self.backbone(image, train=train))
        objectness, code = zip(*(self.rpn(level) for level in levels), strict=True)
        return Levels(features=levels[:-1], objectness=objectness, code=code)

    def classify(self, regions: Regions) -> tuple[Float[Array, "regions classes"], Float[Array, "regions classes 4"]]:
        """Logits of the background and of each category, and the code of each one's box."""
        return self.box(regions)

    def outline(self, regions: Regions) -> Float[Array, "regions height width outputs"]:
        """Each category's maps, of a mask its logits, twice as fine as the region."""
        return self.mask(regions)


class Backbone(nn.Module):
    """Residual stages, each after the first at half the resolution of the one before."""

    features: tuple[int, ...]
    stem: str
    norm: str
    dtype: jnp.dtype
    remat: bool

    @nn.compact
    def __call__(self, image: Images, *, train: bool) -> tuple[Images, ...]:
        """What each stage but the first makes."""
        side = STEMS[self.stem]
        norm = norm_layer(self.norm, train=train, dtype=self.dtype)
        x = padded(image, multiple=side * 2 ** (len(self.features) - 1)).astype(self.dtype)
        x = space_to_depth(x, side=side)
        stage, made = nn.remat(Residual) if self.remat else Residual, []
        for index, width in enumerate(self.features):
            x = stage(width, norm, self.dtype, stride=1 if index == 0 else 2, name=f"Residual_{index}")(x)
            made.append(x)
        return tuple(made[1:])


class Pyramid(nn.Module):
    """Every level with what coarser ones know, and one more level of half the size.

    Reference: Lin et al. 2017: lateral 1 x 1 convolutions, nearest upsampling, sums, 3 x 3 convolutions.
    """

    features: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, stages: Sequence[Images]) -> tuple[Images, ...]:
        lateral = [
            nn.Dense(self.features, dtype=self.dtype, name=f"lateral_{k}")(stage) for k, stage in enumerate(stages)
        ]
        merged = [lateral[-1]]
        for finer in reversed(lateral[:-1]):
            merged.append(finer + jnp.repeat(jnp.repeat(merged[-1], 2, axis=1), 2, axis=2))
        levels = [
            nn.Conv(self.features, (3, 3), dtype=self.dtype, name=f"level_{k}")(level)
            for k, level in enumerate(reversed(merged))
        ]
        return (*levels, levels[-1][:, ::2, ::2])


class ProposalHead(nn.Module):
    """Of each anchor at each place of a level, whether it covers an object, and where the object's box is."""

    features: int
    anchors: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, level: Images) -> tuple[Float[Array, "batch anchors"], Float[Array, "batch anchors 4"]]:
        small = nn.initializers.normal(0.01)
        x = nn.relu(nn.Conv(self.features, (3, 3), dtype=self.dtype, kernel_init=small, name="hidden")(level))
        objectness = nn.Dense(self.anchors, dtype=jnp.float32, kernel_init=small, name="objectness")(x)
        code = nn.Dense(4 * self.anchors, dtype=jnp.float32, kernel_init=small, name="code")(x)
        return objectness.reshape(len(level), -1), code.reshape(len(level), -1, 4)


class BoxHead(nn.Module):
    """Two dense layers, then the category of a region and, for each category, its box."""

    hidden: int
    categories: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, regions: Regions) -> tuple[Float[Array, "regions classes"], Float[Array, "regions classes 4"]]:
        x = regions.reshape(len(regions), -1)
        for number in range(2):
            x = nn.relu(nn.Dense(self.hidden, dtype=self.dtype, name=f"hidden_{number}")(x))
        classes = self.categories + 1
        scores = nn.Dense(classes, dtype=jnp.float32, name="scores")(x)
        code = nn.Dense(4 * classes, dtype=jnp.float32, kernel_init=nn.initializers.normal(1e-3), name="code")(x)
        return scores, code.reshape(len(regions), classes, 4)


class MaskHead(nn.Module):
    """Four 3 x 3 convolutions, an upsampling to twice the size, and the maps of each category."""

    features: int
    outputs: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, regions: Regions) -> Float[Array, "regions height width outputs"]:
        x = regions
        for number in range(MASK_CONVS):
            x = nn.relu(nn.Conv(self.features, (3, 3), dtype=self.dtype, name=f"Conv_{number}")(x))
        # A transposed convolution of 2 x 2, whose gradient is fast on CPU.
        x = nn.relu(depth_to_space(nn.Dense(4 * self.features, dtype=self.dtype, name="up")(x)))
        return nn.Dense(self.outputs, dtype=jnp.float32, name="masks")(x)
