"""The PyTorch side of `veerjax benchmark --against torch`: the same network, timed on commands from standard input.

    python tools/torch_peer.py FOLDER

FOLDER holds spec.json, batch.npz (image, label), for the U-Net variables.npz (the Flax variables, keys joined by "/"),
and for some commands images.npy, labels.npy and validation_images.npy (uint8). One JSON line says that the peer is
ready; then every JSON command on standard input gets one JSON line on standard output. Tensors are NCHW, channels last.
"""

import json
import math
import os
import sys
import textwrap
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

try:
    import numpy as np
    import torch
    from torch import Tensor, nn
    from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler
except ModuleNotFoundError as error:
    advice = f"pip install {error.name} there, or give another interpreter by --peer-python."
    print(f"{error.name} is not installed for {sys.executable}; {advice}", file=sys.stderr)
    sys.exit(2)

CLASSES = 3  # background first
STEMS = {"full": 1, "space_to_depth": 2, "space_to_depth_4": 4}  # pixels a side that the finest level reads as one
PAPER = 0.5  # subtracted from grey levels before the first convolution
DICE_SMOOTH = 1.0  # [pixels]
ENDLESS = 10**9  # batches of one pass over the shuffled examples: no pause between epochs
LEAVES = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}


def depth_to_space(features: Tensor, side: int = 2) -> Tensor:
    """Channels, in the order row, column, rest, become blocks of `side` x `side` px."""
    batch, channels, height, width = features.shape
    rest = channels // side**2
    blocks = features.permute(0, 2, 3, 1).reshape(batch, height, width, side, side, rest).transpose(2, 3)
    return blocks.reshape(batch, side * height, side * width, rest).permute(0, 3, 1, 2)


class PixelNorm(nn.LayerNorm):
    """A layer norm over the channels of each pixel."""

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2).to(features.dtype)


def block(inputs: int, outputs: int, norm: str) -> nn.Sequential:
    """Two 3 x 3 convolutions, each followed by a norm and a ReLU, under the names that Flax gives them."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for index, width in enumerate((inputs, outputs)):
        layers[f"Conv_{index}"] = nn.Conv2d(width, outputs, 3, padding=1, bias=False)
        if norm == "batch":
            layers[f"BatchNorm_{index}"] = nn.BatchNorm2d(outputs, eps=1e-5, momentum=0.03)
        else:
            layers[f"LayerNorm_{index}"] = PixelNorm(outputs, eps=1e-6)
        layers[f"ReLU_{index}"] = nn.ReLU(inplace=True)
    return nn.Sequential(layers)


class UNet(nn.ModuleDict):
    """Logits of every pixel; the twin of `veerjax.models.unet.UNet`, its parts under the names that Flax gives them."""

    def __init__(self, features: list[int], *, stem: str, norm: str) -> None:
        super().__init__()
        self.side = STEMS[stem]
        self.depth = len(features) - 1
        self.stride = 2**self.depth * self.side
        back = features[-2::-1]
        inputs = [self.side**2, *features[:-1], *(2 * width for width in back)]
        for index, widths in enumerate(zip(inputs, [*features, *back], strict=True)):
            self[f"Block_{index}"] = block(*widths, norm)
        outputs = [*(4 * width for width in back), CLASSES * self.side**2]
        # A training step of the up-samplings on 2 CPU threads: 1 for this form, 1.25 for pixel_shuffle, 1.3 for
        # ConvTranspose2d (1.5 with a bias for each of the four pixels, as Flax has it), 1.6 for Linear.
        for index, widths in enumerate(zip([features[-1], *back], outputs, strict=True)):
            self[f"Dense_{index}"] = nn.Conv2d(*widths, 1)

    def forward(self, image: Tensor) -> Tensor:
        image = image - PAPER
        # Of one channel, pixel_unshuffle is the inverse of depth_to_space; of more, it has another order.
        features = self.levels(nn.functional.pixel_unshuffle(image, self.side))
        with torch.autocast(image.device.type, enabled=False):
            logits = self[f"Dense_{self.depth}"](features.float())
        return depth_to_space(logits, self.side)

    def levels(self, features: Tensor) -> Tensor:
        skips = []
        for index in range(self.depth):
            skips.append(self[f"Block_{index}"](features))
            features = nn.functional.max_pool2d(skips[-1], 2)
        features = self[f"Block_{self.depth}"](features)
        for index, skip in enumerate(reversed(skips)):
            features = torch.cat([depth_to_space(self[f"Dense_{index}"](features)), skip], dim=1)
            features = self[f"Block_{self.depth + 1 + index}"](features)
        return features


def flax_state(path: Path) -> dict[str, Tensor]:
    """The variables of a Flax U-Net under the names and in the layouts of `UNet`."""
    state = {}
    with np.load(path) as variables:
        for name, array in variables.items():
            _, *parents, leaf = name.split("/")
            if leaf == "kernel":
                array = (array if array.ndim == 4 else array[None, None]).transpose(3, 2, 0, 1)
            state[".".join([*parents, LEAVES[leaf]])] = torch.tensor(array, dtype=torch.float32)
    return state


def build_model(spec: dict[str, Any], folder: Path) -> nn.Module:
    """The network of the spec, with the parent's weights or, for "smp", with seeded ones."""
    if spec["model"] == "smp":
        import segmentation_models_pytorch

        torch.manual_seed(spec["seed"])
        return segmentation_models_pytorch.Unet("resnet34", encoder_weights=None, in_channels=1, classes=CLASSES)
    model = UNet(spec["features"], stem=spec["stem"], norm=spec["norm"])
    model.load_state_dict(flax_state(folder / "variables.npz"))
    return model


def segmentation_loss(logits: Tensor, label: Tensor, weights: dict[str, float]) -> Tensor:
    """The weighted sum of mean cross-entropy and soft Dice loss, as in `veerjax.losses`."""
    # One softmax for both terms, and comparisons instead of one_hot: .65 of the time on a CPU.
    log_probability = logits.log_softmax(1)
    truth = torch.stack([label == index for index in range(CLASSES)], 1).float()
    entropy = -(truth * log_probability).sum() / label.numel()
    probability = log_probability.exp()
    shared = (probability * truth).sum((0, 2, 3))
    total = probability.square().sum((0, 2, 3)) + truth.sum((0, 2, 3))
    dice = (2 * shared + DICE_SMOOTH) / (total + DICE_SMOOTH)
    return weights["cross_entropy"] * entropy + weights["dice"] * (1 - dice[1:].mean())


def learning_rate(step: int, steps: int, optimiser: dict[str, Any]) -> float:
    """optax's warm-up and cosine decay, as `veerjax.training.optimiser` sets it up."""
    peak, final = optimiser["learning_rate"], optimiser["final_fraction"]
    warmup = min(optimiser["warmup_steps"], steps // 2)
    if step < warmup:
        return peak * step / warmup
    passed = min((step - warmup) / (max(steps, warmup + 1) - warmup), 1.0)
    return peak * (final + (1 - final) * (1 + math.cos(math.pi * passed)) / 2)


class BuiltImages(Dataset):
    """The built training data, a whole batch at a time, from memory-mapped files."""

    def __init__(self, folder: Path) -> None:
        self.paths = (folder / "images.npy", folder / "labels.npy")
        self.shape = np.load(self.paths[0], mmap_mode="r").shape

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, indices: list[int]) -> list[Tensor]:
        # Mapped anew each time (microseconds): a map kept here would be pickled whole to a spawned worker.
        return [torch.from_numpy(np.load(path, mmap_mode="r")[indices]) for path in self.paths]


def to_input(grey: Tensor, device: str) -> Tensor:
    """Grey levels 0..255 of [B, H, W] as the network's input 0..1, on the device."""
    return (grey.to(device, non_blocking=True).float() / 255)[..., None].permute(0, 3, 1, 2)


class Peer:
    """The network in training, and what the parent may ask of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spec = json.loads((folder / "spec.json").read_text())
        self.device: str = self.spec["device"]
        if self.spec["threads"]:
            torch.set_num_threads(self.spec["threads"])
        torch.backends.cudnn.benchmark = True
        allow_tensor_float(True)
        self.model = build_model(self.spec, folder).to(self.device, memory_format=torch.channels_last)
        self.initial = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.restart(self.spec["steps"])
        if self.spec["compile"]:
            self.loss_of, self.probability_of = torch.compile(self.loss_of), torch.compile(self.probability_of)
        self.loader: DataLoader | None = None
        self.stream: Iterator[list[Tensor]] | None = None
        with np.load(folder / "batch.npz") as batch:
            self.check_size(*batch["label"].shape[1:])
            self.image = torch.from_numpy(batch["image"]).to(self.device).permute(0, 3, 1, 2)
            self.label = torch.from_numpy(batch["label"]).to(self.device)

    def ready(self) -> dict[str, Any]:
        """What the parent prints of this side."""
        device = torch.cuda.get_device_name() if self.device == "cuda" else self.device
        count = sum(parameter.numel() for parameter in self.model.parameters())
        about = {"torch": torch.__version__, "device": device, "parameters": count, "threads": torch.get_num_threads()}
        return {"ready": True, **about}

    def answer(self, command: dict[str, Any]) -> dict[str, Any]:
        """Obeys one command."""
        name = command["do"]
        steps: dict[str, Callable[[], Tensor]] = {
            "predict": lambda: self.predicted(self.image),
            "train": lambda: self.train_step(self.image, self.label),
            "train_built": self.built_step,
        }
        if name in steps:
            self.model.train(name != "predict")
            return self.timed(steps[name], command)
        others = {"logits": self.logits, "probability": self.probability, "fit": lambda: self.fit(command["steps"])}
        if name not in others:
            raise ValueError(f"there is no command {name!r}; give one of {', '.join([*steps, *others])}.")
        return others[name]()

    def logits(self) -> dict[str, Any]:
        """Writes logits.npy, the fixed batch in plain float32."""
        self.model.eval()
        allow_tensor_float(False)
        with torch.inference_mode():
            logits = self.model(self.image)
        allow_tensor_float(True)
        np.save(self.folder / "logits.npy", logits.permute(0, 2, 3, 1).contiguous().cpu().numpy())
        return {"ok": True}

    def probability(self) -> dict[str, Any]:
        """Writes probability.npy, the validation images; the seconds are those from uint8 to arrays on the host."""
        images = np.load(self.folder / "validation_images.npy")
        self.check_size(*images.shape[1:])
        self.model.eval()
        parts, started = [], self.clock()
        for start in range(0, len(images), self.spec["batch"]):
            # The last batch is filled up, so that a compiled network keeps its one shape.
            rows = np.minimum(np.arange(start, start + self.spec["batch"]), len(images) - 1)
            parts.append(self.predicted(to_input(torch.from_numpy(images[rows]), self.device)).cpu())
        seconds = self.clock() - started
        result = torch.cat(parts)[: len(images)].permute(0, 2, 3, 1)
        np.save(self.folder / "probability.npy", result.contiguous().numpy())
        return {"seconds": seconds}

    def fit(self, steps: int) -> dict[str, Any]:
        """Trains the initial weights on the built data; `first_step` of the seconds went to start and compilation."""
        self.restart(steps)
        self.model.train()
        started = self.clock()
        self.stream = self.shuffled()
        last = self.built_step()
        first = self.clock()
        for _ in range(steps - 1):
            last = self.built_step()
        return {"seconds": self.clock() - started, "first_step": first - started, "loss": last.item()}

    def timed(self, step: Callable[[], Tensor], command: dict[str, Any]) -> dict[str, Any]:
        """Seconds of each step after the warm-up, and the last loss of a training step."""
        for _ in range(command["warmup"]):
            step()
        seconds, last = [], None
        for _ in range(command["steps"]):
            started = self.clock()
            last = step()
            seconds.append(self.clock() - started)
        return {"seconds": seconds} if last is None or last.ndim else {"seconds": seconds, "loss": last.item()}

    def clock(self) -> float:
        """The time [s] once the device has nothing left to do."""
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def predicted(self, image: Tensor) -> Tensor:
        # The image is made outside of inference mode: one made inside would have the network compiled twice.
        with torch.inference_mode():
            return self.probability_of(image)

    def built_step(self) -> Tensor:
        if self.stream is None:
            self.stream = self.shuffled()
        grey, label = next(self.stream)
        return self.train_step(to_input(grey, self.device), label.to(self.device, non_blocking=True))

    def train_step(self, image: Tensor, label: Tensor) -> Tensor:
        """One full step; the loss before it, still on the device."""
        config = self.spec["optimiser"]
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.step, self.steps, config)
        loss = self.loss_of(image, label)
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), config["clip_norm"])
        self.optimiser.step()
        self.step += 1
        return loss.detach()

    def restart(self, steps: int) -> None:
        """Back to the initial weights, in place, and to the start of a schedule over `steps`."""
        self.model.load_state_dict(self.initial)
        self.step, self.steps = 0, steps
        config, parameters = self.spec["optimiser"], self.model.parameters()
        if config["name"] == "sgd":
            self.optimiser: torch.optim.Optimizer = torch.optim.SGD(parameters, fused=True)
        else:
            self.optimiser = torch.optim.AdamW(parameters, weight_decay=config["weight_decay"], fused=True)

    def shuffled(self) -> Iterator[list[Tensor]]:
        """Endless batches of the built data, the order from the seed; the workers stay from call to call."""
        if self.loader is None:
            dataset, batch = BuiltImages(self.folder), self.spec["batch"]
            self.check_size(*dataset.shape[1:])
            self.order = torch.Generator()
            sampler = RandomSampler(dataset, num_samples=ENDLESS * batch, generator=self.order)
            options = {"num_workers": 2, "persistent_workers": True, "pin_memory": self.device == "cuda"}
            self.loader = DataLoader(dataset, None, sampler=BatchSampler(sampler, batch, drop_last=True), **options)
        self.order.manual_seed(self.spec["seed"])
        return iter(self.loader)

    def check_size(self, height: int, width: int) -> None:
        stride = getattr(self.model, "stride", 32)
        if height % stride or width % stride:
            raise ValueError(f"images are {height} x {width} px; give this network multiples of {stride} px.")

    def network(self, image: Tensor) -> Tensor:
        """Logits in float32, whatever the network computes in."""
        with torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.spec["dtype"] == "bfloat16"):
            return self.model(image).float()

    def loss_of(self, image: Tensor, label: Tensor) -> Tensor:
        return segmentation_loss(self.network(image), label, self.spec["loss"])

    def probability_of(self, image: Tensor) -> Tensor:
        return self.network(image).softmax(1)


def allow_tensor_float(allowed: bool) -> None:
    """TF32 in float32 products of a GPU, as JAX has it by default; a CPU always keeps full precision."""
    torch.backends.cudnn.allow_tf32 = allowed
    torch.backends.cuda.matmul.allow_tf32 = allowed


def sentence(error: Exception) -> str:
    """The error on one line."""
    advice = f"; pip install {error.name} for {sys.executable}" if isinstance(error, ModuleNotFoundError) else ""
    return textwrap.shorten(str(error) or type(error).__name__, 300, placeholder=" ...") + advice


def main() -> int:
    # Whatever a library prints goes to standard error, so that standard output holds answers only.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    try:
        peer = Peer(Path(sys.argv[1]))
    except Exception as error:
        print(json.dumps({"error": sentence(error)}), file=answers)
        return 2
    print(json.dumps(peer.ready()), file=answers)
    for line in sys.stdin:
        try:
            answer = peer.answer(json.loads(line))
        except Exception as error:
            answer = {"error": sentence(error)}
        print(json.dumps(answer), file=answers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
