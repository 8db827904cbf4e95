"""The original HMR2 network on the CPU, with random weights of full size, for `--peer` of benches/hmr2/main.rs.

Arguments: <checkout of 4D-Humans> <threads>. Each request is a line {"task": "fp32", "batch": 8, "repeat": 1};
each answer a line {"ms": [...]}, one figure per pass: trunk, decoder head and what is read off it; the body
model (2 ms) is left out. Tasks: fp32, bf16 (autocast), compiled (bf16, torch.compile with frozen weights).
{"task": "crop", "width": 1920, "height": 1080, "side": 950} crops a square in the middle of an image that
both sides make by one rule; its answer also holds every 1,009th number of the crop.
"""
import importlib.util
import json
import sys
import time
import types


def answer(value):
    print(json.dumps(value), flush=True)


def stand_ins():
    """The three helpers the trunk takes from timm, where timm is not installed."""
    try:
        import timm.models.layers  # noqa: F401
    except ImportError:
        import torch

        layers = types.ModuleType("timm.models.layers")
        layers.drop_path = lambda x, *_: x
        layers.to_2tuple = lambda x: x if isinstance(x, tuple) else (x, x)
        layers.trunc_normal_ = torch.nn.init.trunc_normal_
        for name in ("timm", "timm.models"):
            sys.modules[name] = types.ModuleType(name)
        sys.modules["timm.models.layers"] = layers


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def network(checkout):
    import torch

    stand_ins()
    models = f"{checkout}/hmr2/models"
    vit = load("vit", f"{models}/backbones/vit.py")
    package = types.ModuleType("components")
    package.__path__ = [f"{models}/components"]
    sys.modules["components"] = package
    load("components.t_cond_mlp", f"{models}/components/t_cond_mlp.py")
    transformer = load("components.pose_transformer", f"{models}/components/pose_transformer.py")

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = vit.vit(None)
            self.decoder = transformer.TransformerDecoder(
                num_tokens=1, token_dim=1, dim=1024, depth=6, heads=8, mlp_dim=1024, dim_head=64, context_dim=1280
            )
            self.readout = torch.nn.ModuleList(torch.nn.Linear(1024, n) for n in (144, 10, 3))

        def forward(self, crops):
            features = self.backbone(crops).flatten(2).transpose(1, 2)
            token = self.decoder(torch.zeros(len(crops), 1, 1), context=features).squeeze(1)
            return [layer(token) for layer in self.readout]

    whole = Network()
    # The trunk's own `train` returns nothing, so `eval` cannot be chained.
    whole.training = False
    for module in whole.modules():
        module.training = False
    return whole


def cropper(checkout):
    """The original's data set on an image, once it can be imported."""
    import numpy as np

    try:
        import skimage.filters  # noqa: F401
    except ImportError:
        from scipy import ndimage

        # What scikit-image's function comes down to with these arguments.
        def gaussian(image, sigma, channel_axis, preserve_range):
            assert channel_axis == 2 and preserve_range
            return ndimage.gaussian_filter(image.astype(float), [sigma, sigma, 0], mode="nearest", truncate=4)

        for name in ("skimage", "skimage.filters", "skimage.transform"):
            sys.modules[name] = types.ModuleType(name)
        sys.modules["skimage.filters"].gaussian = gaussian
        sys.modules["skimage.transform"].rotate = sys.modules["skimage.transform"].resize = None
    package = types.ModuleType("datasets")
    package.__path__ = [f"{checkout}/hmr2/datasets"]
    sys.modules["datasets"] = package
    load("datasets.utils", f"{checkout}/hmr2/datasets/utils.py")
    module = load("datasets.vitdet_dataset", f"{checkout}/hmr2/datasets/vitdet_dataset.py")
    module.print = lambda *_: None

    class Model(dict):
        IMAGE_SIZE, IMAGE_MEAN, IMAGE_STD = 256, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]

    config = types.SimpleNamespace(MODEL=Model(BBOX_SHAPE=[192, 256]))
    images = {}

    def crop(width, height, side):
        if (width, height) not in images:
            images.clear()
            index = np.arange(width * height * 3, dtype=np.uint64)
            bytes_ = ((index * np.uint64(2654435761)) >> np.uint64(7)).astype(np.uint8)
            images[width, height] = np.ascontiguousarray(bytes_.reshape(height, width, 3)[..., ::-1])
        # The box's height is the larger side.
        x, y = width / 2, height / 2
        box = np.array([[x - side / 4, y - side / 2, x + side / 4, y + side / 2]])
        start = time.perf_counter()
        patch = module.ViTDetDataset(config, images[width, height], box)[0]["img"]
        ms = (time.perf_counter() - start) * 1e3
        return {"ms": [ms], "pixels": [float(v) for v in patch.reshape(-1)[::1009]]}

    return crop


def main():
    try:
        import torch

        torch.set_num_threads(int(sys.argv[2]))
        torch.set_grad_enabled(False)
        whole = network(sys.argv[1])
    except Exception as error:  # the other side prints why there is no comparison
        return answer({"missing": f"{type(error).__name__}: {error}"})
    compiled = crop = None
    answer({"ready": f"4D-Humans, torch {torch.__version__}"})
    for line in sys.stdin:
        request = json.loads(line)
        if request["task"] == "crop":
            crop = crop or cropper(sys.argv[1])
            answer(crop(request["width"], request["height"], request["side"]))
            continue
        crops = torch.randn(request["batch"], 3, 256, 192)
        run, half = whole, request["task"] != "fp32"
        if request["task"] == "compiled":
            if compiled is None:
                import torch._inductor.config

                torch._inductor.config.freezing = True
                compiled = torch.compile(whole)
            run = compiled
        ms = []
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            run(crops)
            for _ in range(request["repeat"]):
                start = time.perf_counter()
                run(crops)
                ms.append((time.perf_counter() - start) * 1e3)
        answer({"ms": ms})


main()
