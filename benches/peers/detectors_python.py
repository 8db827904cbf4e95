"""The original person detectors on the CPU, for `--peer` of benches/detectors/main.rs.

Arguments: <checkout of detectron2> <threads> <vitdet|regnety> <checkpoint>, or
`write <checkout> <vitdet|regnety> <checkpoint>` for a checkpoint of full size with random weights.
Needs torch, torchvision, fvcore, iopath, omegaconf and Pillow; detectron2's compiled part is not used.
Each request is a line {"task": "fp32", "image": "<a photo>"}; each answer {"ms": {stage: ms}, "boxes": …}.
Tasks: fp32, bf16 (autocast).
"""
import json
import pickle
import sys
import time
import types


def answer(value):
    print(json.dumps(value), flush=True)


def stand_ins():
    """What detectron2 takes from timm, where timm is not installed."""
    try:
        import timm.models.layers  # noqa: F401
    except ImportError:
        import torch

        class Mlp(torch.nn.Module):
            def __init__(self, in_features, hidden_features, act_layer):
                super().__init__()
                self.fc1 = torch.nn.Linear(in_features, hidden_features)
                self.act = act_layer()
                self.fc2 = torch.nn.Linear(hidden_features, in_features)

            def forward(self, x):
                return self.fc2(self.act(self.fc1(x)))

        layers = types.ModuleType("timm.models.layers")
        layers.DropPath, layers.Mlp = torch.nn.Identity, Mlp
        for name in ("timm", "timm.models"):
            sys.modules[name] = types.ModuleType(name)
        sys.modules["timm.models.layers"] = layers


def vitdet(checkout):
    """ViT-H trunk and a cascade of three heads, as the published configuration says."""
    from detectron2.config import LazyCall, LazyConfig, instantiate
    from detectron2.layers import ShapeSpec
    from detectron2.modeling.box_regression import Box2BoxTransform
    from detectron2.modeling.matcher import Matcher
    from detectron2.modeling.roi_heads import CascadeROIHeads, FastRCNNConvFCHead, FastRCNNOutputLayers

    model = LazyConfig.load(f"{checkout}/configs/common/models/mask_rcnn_vitdet.py").model
    net = model.backbone.net
    net.embed_dim, net.depth, net.num_heads, net.drop_path_rate = 1280, 32, 16, 0.0
    net.window_block_indexes = [i for i in range(32) if i % 8 != 7]
    heads = model.roi_heads
    for key in ("box_head", "box_predictor", "proposal_matcher"):
        heads.pop(key)
    stages = [(0.5, 10, 5), (0.6, 20, 10), (0.7, 30, 15)]
    heads._target_ = CascadeROIHeads
    heads.box_heads = [
        LazyCall(FastRCNNConvFCHead)(
            input_shape=ShapeSpec(channels=256, height=7, width=7),
            conv_dims=[256] * 4,
            fc_dims=[1024],
            conv_norm="LN",
        )
        for _ in stages
    ]
    heads.box_predictors = [
        LazyCall(FastRCNNOutputLayers)(
            input_shape=ShapeSpec(channels=1024),
            test_score_thresh=0.25,
            box2box_transform=LazyCall(Box2BoxTransform)(weights=(w1, w1, w2, w2)),
            cls_agnostic_bbox_reg=True,
            num_classes=80,
        )
        for _, w1, w2 in stages
    ]
    heads.proposal_matchers = [
        LazyCall(Matcher)(thresholds=[overlap], labels=[0, 1], allow_low_quality_matches=False)
        for overlap, _, _ in stages
    ]
    return instantiate(model), (1024, 1024), "RGB"


def regnety(checkout):
    from detectron2.config import LazyCall, LazyConfig, instantiate
    from detectron2.modeling.backbone import RegNet
    from detectron2.modeling.backbone.regnet import ResBottleneckBlock, SimpleStem

    model = LazyConfig.load(f"{checkout}/configs/common/models/mask_rcnn_fpn.py").model
    model.backbone.bottom_up = LazyCall(RegNet)(
        stem_class=SimpleStem,
        stem_width=32,
        block_class=ResBottleneckBlock,
        depth=22,
        w_a=31.41,
        w_0=96,
        w_m=2.24,
        group_width=64,
        se_ratio=0.25,
        norm="BN",
        out_features=["s1", "s2", "s3", "s4"],
    )
    model.backbone.in_features = ["s1", "s2", "s3", "s4"]
    model.backbone.norm = "BN"
    model.pixel_std = [57.375, 57.120, 58.395]
    heads = model.roi_heads
    heads.box_head.conv_norm = heads.mask_head.conv_norm = "BN"
    heads.box_head.conv_dims, heads.box_head.fc_dims = [256] * 4, [1024]
    model.proposal_generator.head.conv_dims = [-1, -1]
    heads.box_predictor.test_score_thresh, heads.box_predictor.test_nms_thresh = 0.5, 0.4
    return instantiate(model), (800, 1333), "BGR"


def build(checkout, kind):
    stand_ins()
    sys.path.insert(0, checkout)
    model, size, order = {"vitdet": vitdet, "regnety": regnety}[kind](checkout)
    return model.eval(), size, order


def write(checkout, kind, path):
    import torch

    torch.manual_seed(7)
    model, _, _ = build(checkout, kind)
    state = {}
    for name, value in model.state_dict().items():
        if name in ("pixel_mean", "pixel_std") or ".cell_anchors." in name:
            continue
        if name.endswith("pos_embed") or "rel_pos" in name:
            value = torch.randn_like(value) * 0.02
        if "cls_score" in name or "bbox_pred" in name:
            # Trained heads are surer of themselves than fresh ones.
            value = torch.randn_like(value) * 0.05
        state[name] = value.numpy()
    with open(path, "wb") as file:
        pickle.dump({"model": state, "__author__": "random"}, file, protocol=4)


class Clock:
    """The time a module's calls take, by its forward hooks."""

    def __init__(self, module):
        self.total, self.started = 0.0, 0.0
        module.register_forward_pre_hook(self.start)
        module.register_forward_hook(self.stop)

    def start(self, *_):
        self.started = time.perf_counter()

    def stop(self, *_):
        self.total += time.perf_counter() - self.started

    def take(self):
        total, self.total = self.total, 0.0
        return total * 1e3


def main():
    try:
        import numpy
        import torch
        from PIL import Image

        checkout, threads, kind, checkpoint = sys.argv[1:5]
        torch.set_num_threads(int(threads))
        torch.set_grad_enabled(False)
        model, (short, long), order = build(checkout, kind)
        with open(checkpoint, "rb") as file:
            stored = pickle.load(file)["model"]
        state = {name: torch.from_numpy(value) for name, value in stored.items()}
        # What is written down nowhere is constant.
        missing, unexpected = model.load_state_dict(state, strict=False)
        del stored, state
        missing = [m for m in missing if "cell_anchors" not in m and not m.startswith("pixel_")]
        if missing or unexpected:
            raise ValueError(f"missing {missing[:3]}, unexpected {unexpected[:3]}")
        import detectron2.data.transforms as transforms
    except Exception as error:  # the other side prints why there is no comparison
        return answer({"missing": f"{type(error).__name__}: {error}"})
    resize = transforms.ResizeShortestEdge(short_edge_length=short, max_size=long)
    trunk = model.backbone.net if kind == "vitdet" else model.backbone.bottom_up
    clocks = {"trunk": trunk, "backbone": model.backbone, "rpn": model.proposal_generator, "heads": model.roi_heads}
    clocks = {name: Clock(module) for name, module in clocks.items()}
    answer({"ready": f"detectron2, torch {torch.__version__}"})
    for line in sys.stdin:
        request = json.loads(line)
        photo = numpy.asarray(Image.open(request["image"]).convert("RGB"))
        if order == "BGR":
            photo = photo[:, :, ::-1]
        with torch.autocast("cpu", torch.bfloat16, enabled=request["task"] == "bf16"):
            start = time.perf_counter()
            image = resize(transforms.AugInput(photo)).apply_image(photo)
            image = torch.as_tensor(image.astype("float32").transpose(2, 0, 1))
            ready = time.perf_counter()
            found = model([{"image": image, "height": photo.shape[0], "width": photo.shape[1]}])[0]["instances"]
            end = time.perf_counter()
        ms = {name: clock.take() for name, clock in clocks.items()}
        ms["pyramid"] = ms.pop("backbone") - ms["trunk"]
        ms["resize"], ms["whole"] = (ready - start) * 1e3, (end - start) * 1e3
        answer(
            {
                "ms": ms,
                "boxes": found.pred_boxes.tensor.float().tolist(),
                "scores": found.scores.float().tolist(),
                "classes": found.pred_classes.tolist(),
                "peak": int(next(s for s in open("/proc/self/status") if s.startswith("VmHWM")).split()[1]) * 1024,
            }
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["write"]:
        write(*sys.argv[2:5])
    else:
        main()
