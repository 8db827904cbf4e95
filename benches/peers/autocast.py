"""How far bfloat16 autocast moves the original networks, full size, random weights: the bounds of `npm run test:parity`.

python benches/peers/autocast.py vitpose
python benches/peers/autocast.py vitdet|regnety --detectron2 CHECKOUT --checkpoint FILE.pkl --image PHOTO

Prints, per tensor, the largest and the mean difference from fp32 as parts of its largest value.
`--checkpoint`: made with `detectors_python.py write`.
"""

import argparse
import pickle

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

SIZES = {"s": (384, 12, 12), "b": (768, 12, 12), "l": (1024, 24, 16), "h": (1280, 32, 16)}


def tell(name, exact, rough):
    parts = (exact - rough.float()).abs() / exact.abs().max()
    print(f"{name}: max {parts.max():.2e} mean {parts.mean():.2e}", flush=True)


class Block(nn.Module):
    """Of ViTPose's trunk: pre-norm attention and a perceptron of four times the width."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def attend(self, x):
        rows, tokens, width = x.shape
        qkv = self.qkv(x).reshape(rows, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        weights = (q * (width // self.heads) ** -0.5 @ k.transpose(-2, -1)).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(rows, tokens, width))

    def forward(self, x):
        x = x + self.attend(self.norm1(x))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class VitPose(nn.Module):
    """The operations of ViTPose in their order, under torch's own names (mmpose is not needed)."""

    def __init__(self, width, depth, heads):
        super().__init__()
        up = lambda inputs: [nn.ConvTranspose2d(inputs, 256, 4, 2, 1, bias=False), nn.BatchNorm2d(256), nn.ReLU()]
        self.patches = nn.Conv2d(3, width, 16, 16, padding=2)
        self.positions = nn.Parameter(torch.randn(1, 193, width) * 0.02)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, 1e-6)
        self.head = nn.Sequential(*up(width), *up(256), nn.Conv2d(256, 17, 1))
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.normal_(module.weight, 0, module.weight[0].numel() ** -0.5)
            if isinstance(module, nn.BatchNorm2d):
                module.running_var.uniform_(0.5, 2)
                module.running_mean.normal_(0, 0.1)

    def forward(self, x):
        x = self.patches(x)
        rows, width, height, columns = x.shape
        x = x.flatten(2).transpose(1, 2) + self.positions[:, 1:] + self.positions[:, :1]
        for block in self.blocks:
            x = block(x)
        features = self.norm(x).transpose(1, 2).reshape(rows, width, height, columns)
        return features, self.head(features)


def vitpose():
    torch.manual_seed(0)
    for size, sizes in SIZES.items():
        model, crops = VitPose(*sizes).eval(), torch.randn(2, 3, 256, 192)
        exact = model(crops)
        with torch.autocast("cpu", torch.bfloat16):
            rough = model(crops)
        for name, a, b in zip(("features", "heat maps"), exact, rough):
            tell(f"vitpose-{size} {name}", a, b)


def detector(arguments):
    import detectors_python
    from PIL import Image

    model, (short, long), order = detectors_python.build(arguments.detectron2, arguments.what)
    from detectron2.data import transforms

    with open(arguments.checkpoint, "rb") as file:
        weights = pickle.load(file)["model"]
    model.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()}, strict=False)
    photo = np.asarray(Image.open(arguments.image).convert("RGB"))
    photo = photo[:, :, ::-1] if order == "BGR" else photo
    resize = transforms.ResizeShortestEdge(short_edge_length=short, max_size=long)
    image = resize(transforms.AugInput(photo)).apply_image(photo)
    image = torch.as_tensor(image.astype("float32").transpose(2, 0, 1))
    images = model.preprocess_image([{"image": image}])

    def stages():
        pyramid = model.backbone(images.tensor)
        levels = [pyramid[name] for name in model.proposal_generator.in_features]
        logits, deltas = model.proposal_generator.rpn_head(levels)
        return {"pyramid": levels, "logits": logits, "deltas": deltas}

    exact = stages()
    with torch.autocast("cpu", torch.bfloat16):
        rough = stages()
    for name, maps in exact.items():
        for level, (a, b) in enumerate(zip(maps, rough[name])):
            tell(f"{arguments.what} {name} {level}", a, b)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["vitpose", "vitdet", "regnety"])
    parser.add_argument("--detectron2")
    parser.add_argument("--checkpoint")
    parser.add_argument("--image")
    arguments = parser.parse_args()
    torch.set_grad_enabled(False)
    vitpose() if arguments.what == "vitpose" else detector(arguments)


main()
