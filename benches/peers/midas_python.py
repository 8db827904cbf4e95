"""The original depth networks with random weights: cases for `npm run test:parity`, a peer for `cargo bench --bench midas`.

usage: midas_python.py cases  CHECKOUT FOLDER [--size tiny|full] [--kind a,b] [--seed 0] [--image PHOTO] [--net SIDE]
       midas_python.py serve  CHECKOUT KIND FILE THREADS
       midas_python.py autocast CHECKOUT [--size full] [--kind a,b] [--seeds 3] [--image PHOTO]

CHECKOUT is isl-org/MiDaS at 4545977. Also needed: torch, numpy, cv2, timm 0.6.13, geffnet 1.0.2, torchvision (its ResNet, as
facebookresearch/WSL-Images uses it). Kinds are torch.hub's names. `cases` writes folders laid out as ../shared/goldens/dpt: a
checkpoint in the release's layout, image.png, golden.npz, meta.json, keys.json. `autocast` prints how far bfloat16 autocast
moves the depth, as parts of its largest value.
"""

import argparse
import contextlib
import io
import json
import os
import sys
import time

import numpy as np

KINDS = {
    "DPT_Large": "dpt_large_384.pt",
    "DPT_Hybrid": "dpt_hybrid_384.pt",
    "MiDaS": "midas_v21_384.pt",
    "MiDaS_small": "midas_v21_small_256.pt",
}
NET = {"MiDaS_small": 256}
# Of the tiny networks: sizes that no released one has.
TINY = {
    "DPT_Large": {"net": 64, "embed_dim": 48, "depth": 5, "heads": 3, "hooks": [0, 2, 3, 4], "features": 12, "readout": "project",
                  "reassemble": [6, 10, 14, 20]},
    "DPT_Hybrid": {"net": 64, "embed_dim": 32, "depth": 2, "heads": 2, "hooks": [0, 1, 0, 1], "features": 8, "readout": "project",
                   "reassemble": [128, 128, 14, 20], "layers": [2, 1, 1], "channels": [128, 128, 128], "stem": 32},
    "MiDaS": {"net": 96, "features": 8, "layers": [2, 1, 2, 1], "planes": [8, 12, 16, 24], "groups": 4, "width_per_group": 32},
    "MiDaS_small": {"net": 96, "features": 4, "channel_multiplier": 0.15, "depth_multiplier": 0.5},
}


def prepare(checkout):
    """The original's modules, without the network and without what they print."""
    import torch

    sys.path.insert(0, checkout)
    with contextlib.redirect_stdout(io.StringIO()):
        import midas.blocks
        import midas.dpt_depth
        import midas.midas_net
        import midas.midas_net_custom  # noqa: F401
    torch.set_grad_enabled(False)


def resnext(settings):
    """What `torch.hub.load("facebookresearch/WSL-Images", "resnext101_32x8d_wsl")` gives, untrained; smaller if so set."""
    from torch import nn
    from torchvision.models.resnet import Bottleneck, ResNet

    if settings is None:
        return ResNet(Bottleneck, [3, 4, 23, 3], groups=32, width_per_group=8)

    class Small(ResNet):
        def __init__(self):
            nn.Module.__init__(self)
            self._norm_layer, self.inplanes, self.dilation = nn.BatchNorm2d, 16, 1
            self.groups, self.base_width = settings["groups"], settings["width_per_group"]
            self.conv1 = nn.Conv2d(3, self.inplanes, 7, 2, 3, bias=False)
            self.bn1, self.relu, self.maxpool = nn.BatchNorm2d(self.inplanes), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
            for i, (planes, blocks) in enumerate(zip(settings["planes"], settings["layers"])):
                setattr(self, f"layer{i + 1}", self._make_layer(Bottleneck, planes, blocks, stride=1 if i == 0 else 2))

    return Small()


def efficientnet(settings, exportable):
    """What `torch.hub.load("rwightman/gen-efficientnet-pytorch", "tf_efficientnet_lite3")` gives, untrained."""
    import geffnet
    from geffnet import gen_efficientnet

    if settings is None:
        return geffnet.tf_efficientnet_lite3(pretrained=False, exportable=exportable)
    with geffnet.config.layer_config_kwargs({"exportable": exportable}):
        return gen_efficientnet._gen_efficientnet_lite(
            "tf_efficientnet_lite3", settings["channel_multiplier"], settings["depth_multiplier"],
            bn_eps=gen_efficientnet.BN_EPS_TF_DEFAULT, pad_type="same")


def convolutional(kind, settings):
    import torch
    from midas import blocks
    from midas.midas_net import MidasNet
    from midas.midas_net_custom import MidasNet_small

    def load(repository, *_, exportable=False, **__):
        return resnext(settings) if "WSL" in repository else efficientnet(settings, exportable)

    scratch = blocks._make_scratch

    def of_any_width(in_shape, *rest, **named):
        return scratch(widths or in_shape, *rest, **named)

    widths = None
    real, torch.hub.load = torch.hub.load, load
    blocks._make_scratch = of_any_width
    try:
        if settings is not None:
            backbone = (blocks._make_resnet_backbone(load("WSL")) if kind == "MiDaS"
                        else blocks._make_efficientnet_backbone(load("", exportable=True)))
            x, widths = torch.zeros(1, 3, 64, 64), []
            backbone.eval()
            for i in range(4):
                x = getattr(backbone, f"layer{i + 1}")(x)
                widths.append(x.shape[1])
        if kind == "MiDaS":
            return MidasNet(features=settings["features"] if settings else 256)
        return MidasNet_small(None, features=settings["features"] if settings else 64, backbone="efficientnet_lite3",
                              exportable=True, non_negative=True, blocks={"expand": True})
    finally:
        torch.hub.load, blocks._make_scratch = real, scratch


def transformer(kind, settings):
    import timm
    from midas import blocks, dpt_depth
    from midas.backbones import vit
    from midas.dpt_depth import DPTDepthModel
    from timm.models.resnetv2 import ResNetV2
    from timm.models.vision_transformer import VisionTransformer
    from timm.models.vision_transformer_hybrid import HybridEmbed, StdConv2dSame

    backbone = {"DPT_Large": "vitl16_384", "DPT_Hybrid": "vitb_rn50_384"}[kind]
    if settings is None:
        return DPTDepthModel(path=None, backbone=backbone, non_negative=True)
    from functools import partial

    def encoder(_, features, *__, use_readout, **___):
        sizes = dict(img_size=settings["net"], num_classes=10, embed_dim=settings["embed_dim"], depth=settings["depth"],
                     num_heads=settings["heads"])
        made = dict(features=settings["reassemble"], size=[settings["net"]] * 2, hooks=settings["hooks"],
                    vit_features=settings["embed_dim"], use_readout=settings["readout"])
        if kind == "DPT_Large":
            pretrained = vit._make_vit_b16_backbone(VisionTransformer(patch_size=16, **sizes), **made)
        else:
            net = ResNetV2(layers=settings["layers"], channels=settings["channels"], stem_chs=settings["stem"], num_classes=0,
                           global_pool="", preact=False, stem_type="same", conv_layer=partial(StdConv2dSame, eps=1e-8))
            embed = partial(HybridEmbed, backbone=net)
            pretrained = vit._make_vit_b_rn50_backbone(VisionTransformer(patch_size=1, embed_layer=embed, **sizes), **made)
        return pretrained, blocks._make_scratch(settings["reassemble"], features)

    real, dpt_depth._make_encoder = dpt_depth._make_encoder, encoder
    try:
        return DPTDepthModel(path=None, backbone=backbone, non_negative=True, features=settings["features"])
    finally:
        dpt_depth._make_encoder = real
        del timm


def build(kind, settings=None):
    with contextlib.redirect_stdout(io.StringIO()):
        make = transformer if kind.startswith("DPT") else convolutional
        return make(kind, settings).eval()


def randomise(model, seed):
    """Weights as alive as trained ones: signals of about one size all the way, statistics that are not 0 and 1."""
    import torch
    from torch import nn

    made = torch.Generator().manual_seed(seed)
    normal = lambda t, s: t.normal_(0, s, generator=made)
    for name, module in model.named_modules():
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            # Rectifiers halve what comes in; a transposed one's sums are over its inputs alone.
            inputs = module.weight.shape[0] if isinstance(module, nn.ConvTranspose2d) else module.weight[0].numel()
            normal(module.weight, (1.0 if isinstance(module, nn.Linear) else 1.6) * inputs**-0.5)
            if "resConfUnit" in name:
                module.weight *= 0.5
            if module.bias is not None:
                normal(module.bias, 0.1)
        elif isinstance(module, (nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm)):
            module.weight.uniform_(0.6, 1.2, generator=made)
            normal(module.bias, 0.1)
            if isinstance(module, nn.BatchNorm2d):
                normal(module.running_mean, 0.1)
                module.running_var.uniform_(0.5, 2.0, generator=made)
    for name, value in model.named_parameters():
        if name.endswith(("pos_embed", "cls_token")):
            normal(value, 0.2)


def level(model, x):
    """Depths well above zero, as trained networks give them: the rectifier at the end would hide the rest."""
    last = model.scratch.output_conv[4]
    found = []
    hook = last.register_forward_hook(lambda _, __, out: found.append((float(out.mean()), float(out.std()))))
    model(x.clone())
    hook.remove()
    mean, deviation = found[0]
    last.weight /= deviation
    last.bias.sub_(mean).div_(deviation).add_(4.0)


def transform(kind, net):
    """`hubconf.py`, `transforms`, for a square of any side."""
    import cv2
    from midas.transforms import NormalizeImage, PrepareForNet, Resize

    dpt = kind.startswith("DPT")
    statistics = ([0.5] * 3, [0.5] * 3) if dpt else ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    resize = Resize(net, net, resize_target=None, keep_aspect_ratio=True, ensure_multiple_of=32,
                    resize_method="minimal" if dpt else "upper_bound", image_interpolation_method=cv2.INTER_CUBIC)
    steps = [resize, NormalizeImage(*statistics), PrepareForNet()]

    def run(image):
        import torch

        sample = {"image": image / 255.0}
        for step in steps:
            sample = step(sample)
        return torch.from_numpy(sample["image"]).unsqueeze(0)

    return run


def layers_of(model, x):
    """The trunk's four maps and the depth."""
    found = {}
    hooks = [getattr(model.scratch, f"layer{i}_rn").register_forward_pre_hook(
        lambda _, inputs, i=i: found.__setitem__(f"layer{i}", inputs[0].float().clone())) for i in range(1, 5)]
    found["depth"] = model(x)
    for hook in hooks:
        hook.remove()
    return found


def enlarge(depth, image):
    import torch

    size = image.shape[:2]
    return torch.nn.functional.interpolate(depth.unsqueeze(1).float(), size=size, mode="bicubic", align_corners=False).squeeze()


def photo(path, seed=0):
    """A photo, or a picture with edges, slopes and noise of an odd size."""
    import cv2

    if path:
        return cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)
    random = np.random.default_rng(seed)
    height, width = [(97, 131), (89, 75), (61, 131)][seed % 3]
    y, x = np.mgrid[:height, :width] / max(height, width)
    image = np.stack([x, y, 1 - x], -1) * 180 + 40 * (np.hypot(x - 0.5, y - 0.3) < 0.2)[..., None]
    return np.clip(image + random.normal(0, 12, image.shape), 0, 255).astype(np.uint8)


def autocast(model, x, exact):
    import torch

    with torch.autocast("cpu", torch.bfloat16):
        rough = model(x.clone()).float()
    parts = (rough - exact).abs() / exact.abs().max()
    return {"max": float(parts.max()), "mean": float(parts.mean())}


def settings_of(arguments, kind):
    return TINY[kind] if arguments.size == "tiny" else None


def cases(arguments):
    import cv2
    import torch

    for index, kind in enumerate(arguments.kind.split(",")):
        settings = settings_of(arguments, kind)
        model = build(kind, settings)
        randomise(model, arguments.seed + index)
        folder = os.path.join(arguments.folder, f"{kind.lower()}_{arguments.size}")
        os.makedirs(folder, exist_ok=True)
        image = photo(arguments.image, arguments.seed + index)
        cv2.imwrite(os.path.join(folder, "image.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        net = arguments.net or (settings or {}).get("net") or NET.get(kind, 384)
        x = transform(kind, net)(image)
        level(model, x)
        state = model.state_dict()
        torch.save(state, os.path.join(folder, KINDS[kind]))
        found = layers_of(model, x.clone())
        full = enlarge(found["depth"], image)
        # Of the maps, those that take little room tell enough.
        arrays = {"input": x, **{k: v for k, v in found.items() if k == "depth" or v.numel() < 1 << 20}}
        if arguments.size == "tiny":
            arrays = {k: v for k, v in arrays.items() if v.numel() < 6000 or k in ("input", "depth")}
        large = full.numel() > 1 << 17
        arrays["depth_full_s8" if large else "depth_full"] = full[::8, ::8] if large else full
        np.savez_compressed(os.path.join(folder, "golden.npz"), **{k: v.numpy() for k, v in arrays.items()})
        meta = {"kind": kind, **(settings or {}), "net": net, "autocast": autocast(model, x, found["depth"])}
        with open(os.path.join(folder, "meta.json"), "w") as file:
            json.dump(meta, file, indent=1)
        with open(os.path.join(folder, "keys.json"), "w") as file:
            json.dump({k: [list(v.shape), str(v.dtype)] for k, v in state.items()}, file)
        depth = found["depth"]
        print(f"{folder}: input {tuple(x.shape)}, depth {depth.min():.3f} to {depth.max():.3f}, deviation {depth.std():.3f}")


def measure(arguments):
    for kind in arguments.kind.split(","):
        for seed in range(arguments.seeds):
            settings = settings_of(arguments, kind)
            model = build(kind, settings)
            randomise(model, seed)
            net = (settings or {}).get("net") or NET.get(kind, 384)
            x = transform(kind, net)(photo(arguments.image, seed))
            level(model, x)
            print(kind, seed, autocast(model, x, model(x.clone())), flush=True)


def answer(value):
    print(json.dumps(value), flush=True)


def status(name):
    line = next(line for line in open("/proc/self/status") if line.startswith(name))
    return int(line.split()[1]) * 1024


def serve(arguments):
    try:
        import cv2  # noqa: F401
        import torch

        torch.set_num_threads(arguments.threads)
        start = time.perf_counter()
        model = build(arguments.kind)
        built = time.perf_counter()
        state = torch.load(arguments.file, map_location="cpu", weights_only=True)
        read = time.perf_counter()
        model.load_state_dict(state)
        del state
        load = {"file": 1e3 * (read - built), "whole": 1e3 * (time.perf_counter() - start)}
        prepared = transform(arguments.kind, NET.get(arguments.kind, 384))
    except Exception as error:  # the other side prints why there is no comparison
        return answer({"missing": f"{type(error).__name__}: {error}"})
    loaded = status("VmRSS")
    answer({"ready": f"MiDaS, torch {torch.__version__}"})
    for line in sys.stdin:
        request = json.loads(line)
        image = photo(request["image"])
        with torch.autocast("cpu", torch.bfloat16, enabled=request["task"] == "bf16"):
            core = time.process_time()
            start = time.perf_counter()
            x = prepared(image)
            ready = time.perf_counter()
            depth = model(x)
            seen = time.perf_counter()
            full = enlarge(depth, image).numpy()
            end = time.perf_counter()
        ms = {"input": ready - start, "network": seen - ready, "enlarge": end - seen, "whole": end - start,
              "core": time.process_time() - core}
        answer({"ms": {k: 1e3 * v for k, v in ms.items()}, "sample": full[::97, ::89].flatten().tolist(), "load": load, "loaded": loaded,
                "peak": status("VmHWM")})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(required=True)
    for name, run in (("cases", cases), ("autocast", measure), ("serve", serve)):
        part = parts.add_parser(name)
        part.set_defaults(run=run)
        part.add_argument("checkout")
        if name == "serve":
            part.add_argument("kind", choices=KINDS)
            part.add_argument("file")
            part.add_argument("threads", type=int)
            continue
        if name == "cases":
            part.add_argument("folder")
            part.add_argument("--seed", type=int, default=0)
            part.add_argument("--net", type=int)
        part.add_argument("--size", choices=["tiny", "full"], default="full" if name == "autocast" else "tiny")
        part.add_argument("--kind", default=",".join(KINDS))
        part.add_argument("--image")
        part.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    prepare(arguments.checkout)
    arguments.run(arguments)


main()
