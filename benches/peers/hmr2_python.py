"""The original HMR2 network on the CPU, with random weights of full size, for `--peer` of benches/hmr2/main.rs.

Arguments: <checkout of 4D-Humans> <threads>. Each request is a line {"task": "fp32", "batch": 8, "repeat": 1};
each answer a line {"ms": [...]}, one figure per pass: trunk, decoder head and what is read off it; the body
model (2 ms) is left out. Tasks: fp32, bf16 (autocast), compiled (bf16, torch.compile with frozen weights).
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


def main():
    try:
        import torch

        torch.set_num_threads(int(sys.argv[2]))
        torch.set_grad_enabled(False)
        whole = network(sys.argv[1])
    except Exception as error:  # the other side prints why there is no comparison
        return answer({"missing": f"{type(error).__name__}: {error}"})
    compiled = None
    answer({"ready": f"4D-Humans, torch {torch.__version__}"})
    for line in sys.stdin:
        request = json.loads(line)
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
