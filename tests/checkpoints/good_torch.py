"""Good files of PyTorch: zip and legacy checkpoints, saved by PyTorch itself or rewritten as other versions did."""

import argparse
import collections
import functools
import io
import sys
import tempfile
import zipfile
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch import nn

from common import Corpus, Truth, array, tensor

DTYPES = [
    torch.bool, torch.uint8, torch.int8, torch.uint16, torch.int16, torch.uint32, torch.int32,
    torch.uint64, torch.int64, torch.float8_e4m3fn, torch.float8_e5m2, torch.float16,
    torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128,
]  # fmt: skip
# Types that have a storage class of their own, as files of PyTorch 1 name them.
CLASSIC = [
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16,
    torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128,
]  # fmt: skip


def short(dtype):
    return str(dtype).removeprefix("torch.")


def save(value, protocol=2, legacy=False, name=None):
    """The bytes that `torch.save` writes; `name` is the file's, which names the zip's folder."""
    options = dict(pickle_protocol=protocol, _use_new_zipfile_serialization=not legacy)
    if name is None:
        buffer = io.BytesIO()
        torch.save(value, buffer, **options)
        return buffer.getvalue()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        torch.save(value, path, **options)
        return path.read_bytes()


def register(*classes):
    """Puts classes where they say they are: pickle looks for them there."""
    for cls in classes:
        parts = cls.__module__.split(".")
        for depth in range(1, len(parts) + 1):
            name = ".".join(parts[:depth])
            sys.modules.setdefault(name, type(sys)(name))
        setattr(sys.modules[cls.__module__], cls.__name__, cls)


def load(data, **options):
    return torch.load(io.BytesIO(data), weights_only=False, **options)


def repack(data, change=lambda name, body: (name, body), compression=zipfile.ZIP_STORED, **more):
    """The same zip written by Python's zipfile; `change` may rename, rewrite or drop members."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", compression) as new:
        for info in old.infolist():
            changed = change(info.filename, old.read(info))
            if changed is not None:
                new.writestr(zipfile.ZipInfo(changed[0]), changed[1], compression)
        for name, body in more.get("extra", []):
            new.writestr(zipfile.ZipInfo(name), body, compression)
    return out.getvalue()


def views(dtype, salt):
    """Tensors that are not plain, by what they are."""
    base = tensor(dtype, (6, 8), salt)
    cube = tensor(dtype, (2, 3, 4), salt + "cube")
    line = tensor(dtype, (40,), salt + "line")
    return {
        "transpose": base.t(),
        "permute": cube.permute(2, 0, 1),
        "row": base[2],
        "column": base[:, 3],
        "block": base[1:4, 2:7],
        "every_third": line[1::3],
        "expand": base[:1].expand(5, 8),
        "expand_scalar": line[7].expand(3, 4),
        "overlapping": line.as_strided((5, 4), (3, 1), 2),
        "diagonal": torch.diagonal(base),
        "windows": line.unfold(0, 6, 5),
        "scalar_of": base[3, 5],
        "tail": line[37:],
        "empty_slice": base[4:4],
        "ones_with_odd_strides": line.as_strided((1, 4, 1), (999, 2, 77), 3),
        "channels_last": tensor(dtype, (2, 3, 2, 2), salt).to(memory_format=torch.channels_last),
        "same_storage": base,
    }


def zip_cases(corpus):
    add = lambda name, data, value=None, **facts: corpus.good(
        f"torch-zip/{name}", "torch-zip", data, load(data, **facts.pop("load", {})), **facts
    )
    for dtype in DTYPES:
        value = collections.OrderedDict(
            (name, tensor(dtype, shape, name))
            for name, shape in [("a.weight", (3, 4)), ("a.bias", (3,)), ("s", ()), ("none", (0, 2))]
        )
        for protocol in (2, 3, 4, 5):
            add(f"dtype-{short(dtype)}-p{protocol}.pt", save(value, protocol), root="")
        nested = {"state_dict": value, "epoch": 3, "lr": 0.5, "name": "é", "none": None, "on": True}
        add(f"state_dict-{short(dtype)}.ckpt", save(nested), root="state_dict")
        add(f"views-{short(dtype)}.pth", save(views(dtype, "v")), root="")
        for name, view in views(dtype, "w").items():
            if dtype in (torch.float32, torch.int64, torch.bfloat16, torch.uint8):
                add(f"view-{name}-{short(dtype)}.pt", save({"x": view}, 2 + len(name) % 4), root="")
    big_endian(add)
    shapes = [(1,), (1, 1, 1, 1, 1), (2, 1, 3), (5, 0, 4), (0,), (7, 3, 1, 2), (1, 2, 1, 2, 1, 2, 1), (257,)]
    for shape in shapes:
        for dtype in (torch.float32, torch.float16, torch.bool):
            name = "x".join(map(str, shape))
            add(f"shape-{name}-{short(dtype)}.pt", save({"t": tensor(dtype, shape, 1)}), root="")
    containers(add)
    modules(add)
    lightning(add)
    other_writers(add)


def big_endian(add):
    """As a big-endian machine writes: the storages swapped and a `byteorder` record that says so."""
    for dtype in DTYPES:
        if dtype in (torch.uint16, torch.uint32, torch.uint64):
            # These lie in untyped storages, which PyTorch forgets to swap: it reads other
            # numbers than the big-endian machine wrote. We swap them.
            continue
        value = {"w": tensor(dtype, (3, 5), "be"), "t": tensor(dtype, (4, 2), "be").t()}
        width = value["w"].element_size() // (2 if dtype.is_complex else 1)

        def swap(name, body):
            if name.endswith("/byteorder"):
                return name, b"big"
            if "/data/" in name:
                words = np.frombuffer(body, dtype=f"V{width}")
                body = b"".join(bytes(word)[::-1] for word in words.tolist())
            return name, body

        add(f"byteorder-big-{short(dtype)}.pt", repack(save(value), swap), root="")


def containers(add):
    """Dictionaries, lists and what else stands around tensors."""
    t = lambda *shape: tensor(torch.float32, shape, len(shape))
    shared = t(4, 4)
    tied = {"embed.weight": shared, "head.weight": shared, "part": shared[1:]}
    deep = t(2)
    for level in range(20):
        deep = {f"l{level}": deep}
    metadata = collections.OrderedDict(w=t(2, 2))
    metadata._metadata = collections.OrderedDict([("", {"version": 1})])
    objects = {
        "tied": tied,
        "deep": deep,
        "metadata": metadata,
        "list": {"layers": [t(2), t(3), {"inner": t(1)}], "pair": (t(2), t(2, 2))},
        "bare_list": [t(2), t(3)],
        "bare_tuple": (t(2, 1), t(3)),
        "bare_tensor": t(3, 2),
        "bare_parameter": nn.Parameter(t(3, 2)),
        "parameters": {"p": nn.Parameter(t(2, 3)), "frozen": nn.Parameter(t(2), requires_grad=False)},
        "buffer": {"b": nn.Buffer(t(2, 3))},
        "int_keys": {0: t(2), 1: t(3), 10: {2: t(1)}},
        "defaultdict": collections.defaultdict(dict, {"a": {"w": t(2)}, "b": {"w": t(3)}}),
        "model": {"model": {"backbone.w": t(2, 2), "head.b": t(2)}, "iteration": 90000},
        "model_state_dict": {"epoch": 12, "model_state_dict": {"w": t(3)}, "loss": 0.25},
        "ema": {"state_dict": {"w": t(3)}, "ema_state_dict": {"w": t(3)}, "step": 10},
        "numbers": {"w": t(1), "big": 1 << 62, "neg": -5, "f": 1e-300, "list": [1, 2.5, "x", None], "t": (1, (2, 3)), "empty": {}, "no": [], "s": ""},
        "requires_grad": {"w": t(3).requires_grad_(), "o": torch.nn.Linear(2, 2).weight},
        "odd_names": {"": t(1), " space ": t(1), "a/b": t(1), "ünïcode.☃": t(1), "quote'\"\\": t(1), "x" * 300: t(1), "new\nline": t(1)},
        "many": {f"block.{i}.w{i % 7}": tensor(torch.float16, (i % 3 + 1,), i) for i in range(700)},
        "set_beside": {"w": t(2), "names": {"a"}, "flags": frozenset([1]), "b": b"\x00\xff", "ba": bytearray(b"xy"), "c": 1 + 2j, "sl": slice(1, 2)},
        "torch_objects": {"w": t(2), "size": torch.Size([1, 2]), "dtype": torch.float16, "device": torch.device("cpu")},
        "numpy_beside": {"w": t(2), "mean": array("<f4", (3,), 1), "std": array("<f8", (2, 2), 1), "n": np.float64(0.5), "k": np.int64(3)},
        "numpy_only": {"a": array("<f4", (3,), 2), "b": array("<i8", (2,), 3), "c": array("<f4", (2, 3), 3).T},
        "path_beside": {"w": t(2), "path": Path("/home/x/y"), "when": __import__("datetime").date(2024, 1, 2)},
        "namespace": {"w": t(2), "args": argparse.Namespace(lr=0.1, name="n")},
        "none": {"w": t(2), "optimizer": None},
    }  # fmt: skip
    for name, value in objects.items():
        plain = name not in ("set_beside", "path_beside")
        for protocol in (2, 4) if plain else (2,):
            root = {"model": "model", "model_state_dict": "model_state_dict", "ema": "state_dict"}
            add(f"holds-{name}-p{protocol}.pt", save(value, protocol), root=root.get(name), values=plain)


def modules(add):
    """state_dicts of real layers."""
    torch.manual_seed(1)
    layers = {
        "linear": nn.Linear(3, 2),
        "conv": nn.Conv2d(2, 3, 3, padding=1),
        "norm": nn.BatchNorm2d(3),
        "layernorm": nn.LayerNorm((2, 3)),
        "lstm": nn.LSTM(2, 3, num_layers=2, bidirectional=True),
        "attention": nn.MultiheadAttention(4, 2),
        "embedding": nn.Embedding(5, 3),
        "deconv": nn.ConvTranspose2d(2, 2, 4),
        "encoder": nn.TransformerEncoderLayer(4, 2, 8),
        "bare": nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.ModuleDict({"a": nn.PReLU()})),
    }
    for name, layer in layers.items():
        for half in (False, True):
            layer = layer.half() if half else layer
            add(f"module-{name}-{'half' if half else 'float'}.pth", save(layer.state_dict()), root="")
        optimizer = torch.optim.Adam(layer.float().parameters(), lr=1e-3)
        sum(p.sum() for p in layer.parameters()).backward()
        optimizer.step()
        value = {"model_state_dict": layer.state_dict(), "optimizer_state_dict": optimizer.state_dict()}
        add(f"trained-{name}.tar.pt", save(value), root="model_state_dict")


def lightning(add):
    """Checkpoints as Lightning writes them: hyper-parameters, callbacks and optimizers beside the weights."""
    import omegaconf
    import yacs.config

    config = {"MODEL": {"BACKBONE": {"TYPE": "vit"}, "IMAGE_SIZE": 256}, "LR": [1e-4, 2e-5], "NONE": None}
    attribute_dict = type("AttributeDict", (dict,), {"__module__": "pytorch_lightning.utilities.parsing"})
    attribute_dict.__qualname__ = "AttributeDict"
    path = type("CheckpointPath", (), {"__module__": "lightning.pytorch.callbacks.model_checkpoint"})
    register(attribute_dict, path)
    keep = path()
    keep.best = tensor(torch.float32, (), "best")
    hyper = {
        "omegaconf": {"cfg": omegaconf.OmegaConf.create(config)},
        "omegaconf_list": {"cfg": omegaconf.OmegaConf.create([1, {"a": 2}])},
        "yacs": {"cfg": yacs.config.CfgNode(config), "init_renderer": False},
        "attribute": attribute_dict({"lr": 0.1}),
        "namespace": argparse.Namespace(lr=0.1),
        "plain": {"lr": 0.1, "layers": [1, 2]},
    }
    optimizers = {
        "adam": torch.optim.Adam,
        "adamw": functools.partial(torch.optim.AdamW, amsgrad=True),
        "sgd": functools.partial(torch.optim.SGD, lr=0.1, momentum=0.9),
        "rmsprop": torch.optim.RMSprop,
    }
    torch.manual_seed(2)
    for h, (hyper_name, hyper_value) in enumerate(hyper.items()):
        for o, (optimizer_name, make) in enumerate(optimizers.items()):
            net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
            optimizer = make(net.parameters())
            sum(p.sum() for p in net.parameters()).backward()
            optimizer.step()
            schedule = torch.optim.lr_scheduler.StepLR(optimizer, 10)
            state = schedule.state_dict()
            state.pop("_get_lr_called_within_step", None)
            weights = net.state_dict() if o % 2 else dict(net.state_dict())
            value = {
                "epoch": 35,
                "global_step": 1000000,
                "pytorch-lightning_version": "1.8.1",
                "state_dict": weights,
                "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 36}}}},
                "callbacks": {
                    "ModelCheckpoint{'monitor': None}": {
                        "best_model_score": tensor(torch.float32, (), "score"),
                        "best_model_path": "/x/y.ckpt",
                        "kth_value": tensor(torch.float32, (), "kth"),
                        "best_k_models": {"/x/y.ckpt": tensor(torch.float32, (), "k")},
                        **({"kept": keep} if h % 2 else {}),
                    }
                },
                "optimizer_states": [optimizer.state_dict()],
                "lr_schedulers": [state],
                "hparams_name": "cfg",
                "hyper_parameters": hyper_value,
            }
            data = save(value, 2 + (h + o) % 4)
            add(f"lightning-{hyper_name}-{optimizer_name}.ckpt", data, root="state_dict", values=False)


def other_writers(add):
    """The same file as other versions and tools leave it."""
    value = {"w": tensor(torch.float32, (4, 3), "o"), "h": tensor(torch.float16, (5,), "o")}
    value["view"] = value["w"].t()
    for name in ("archive", "epoch=35-step=1000000.ckpt", "a b.pt", "émodèle.pth", "x.tar", "model.v1.2.bin"):
        add(f"named-{len(name)}.pt", save(value, name=name), root="")
    data = save(value)
    drop = lambda *ends: lambda name, body: None if name.endswith(ends) else (name, body)
    # PyTorch 1.6 to 2.0 wrote no byteorder, no alignment record and no serialization id.
    add("old-1.6.pt", repack(data, drop("byteorder", ".format_version", ".storage_alignment", "serialization_id")), root="")
    add("old-2.0.pt", repack(data, drop(".format_version", ".storage_alignment")), root="")
    add("deflated.pt", repack(data, compression=zipfile.ZIP_DEFLATED), root="")
    rename = lambda name, body: ("other_folder/" + name.split("/", 1)[1], body)
    add("folder-renamed.pt", repack(data, rename), root="")
    version = lambda number: lambda n, b: (n, number) if n.endswith("/version") else (n, b)
    for number in (b"1\n", b"2\n", b"4", b"10\n"):
        if int(number) < 10:
            add(f"version-{int(number)}.pt", repack(data, version(number)), root="")
    add("extra-records.pt", repack(data, extra=[("archive/notes.txt", b"hello"), ("archive/extra/x", b"y")]), root="")
    swapped = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(swapped, "w") as new:
        for info in reversed(old.infolist()):
            new.writestr(zipfile.ZipInfo(info.filename), old.read(info))
    add("members-reversed.pt", swapped.getvalue(), root="")
    streamed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        unseekable = mock.Mock(wraps=streamed, spec=["write", "flush"])
        with zipfile.ZipFile(unseekable, "w") as new:
            for info in old.infolist():
                new.writestr(zipfile.ZipInfo(info.filename), old.read(info))
    add("data-descriptors.pt", streamed.getvalue(), root="")
    forced = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(forced, "w") as new:
        for info in old.infolist():
            with new.open(zipfile.ZipInfo(info.filename), "w", force_zip64=True) as member:
                member.write(old.read(info))
    add("zip64-extras.pt", forced.getvalue(), root="")
    commented = io.BytesIO(data)
    with zipfile.ZipFile(commented, "a") as zip_file:
        zip_file.comment = b"made by nobody" * 20
    add("zip-comment.pt", commented.getvalue(), root="")
    with mock.patch("torch.serialization.location_tag", lambda storage: "cuda:0"):
        on_gpu = save(value)
    add("saved-on-cuda.pt", on_gpu, root="", load={"map_location": "cpu"})
    torch.serialization.set_crc32_options(False)
    add("crc-not-computed.pt", save(value), root="")
    torch.serialization.set_crc32_options(True)


def legacy_cases(corpus):
    add = lambda name, data, **facts: corpus.good(
        f"torch-legacy/{name}", "torch-legacy", data, load(data, **facts.pop("load", {})), **facts
    )
    for dtype in DTYPES:
        if dtype in (torch.uint16, torch.uint32, torch.uint64, torch.float8_e4m3fn, torch.float8_e5m2):
            continue  # PyTorch's legacy writer knows no storage class for these
        value = collections.OrderedDict(
            (name, tensor(dtype, shape, name))
            for name, shape in [("a.weight", (3, 4)), ("a.bias", (3,)), ("s", ()), ("none", (0, 2))]
        )
        for protocol in (2, 3, 4, 5):
            add(f"dtype-{short(dtype)}-p{protocol}.pt", save(value, protocol, legacy=True), root="")
        add(f"views-{short(dtype)}.pth", save(views(dtype, "l"), 2, legacy=True), root="")
        nested = {"state_dict": value, "epoch": 1}
        add(f"state_dict-{short(dtype)}.ckpt", save(nested, 2, legacy=True), root="state_dict")
    for name, view in views(torch.float32, "lv").items():
        add(f"view-{name}.pt", save({"x": view}, 2, legacy=True), root="")
    torch.manual_seed(3)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    optimizer = torch.optim.Adam(net.parameters())
    sum(p.sum() for p in net.parameters()).backward()
    optimizer.step()
    value = {"state_dict": net.state_dict(), "optimizer": optimizer.state_dict(), "args": argparse.Namespace(a=1)}
    add("trained.pth.tar", save(value, 2, legacy=True), root="state_dict")
    shared = tensor(torch.float32, (4, 4), "s")
    add("tied.pth", save({"a": shared, "b": shared, "c": shared[2:]}, 2, legacy=True), root="")
    add("bare_tensor.pth", save(shared, 2, legacy=True))
    add("many.pth", save({f"w{i}": tensor(torch.float32, (i % 4,), i) for i in range(300)}, 2, legacy=True))
    with mock.patch("torch.serialization.location_tag", lambda storage: "cuda:1"):
        data = save({"w": shared}, 2, legacy=True)
    add("saved-on-cuda.pth", data, root="", load={"map_location": "cpu"})


class _Block(nn.Module):
    def __init__(self, width, kept):
        super().__init__()
        self.conv = nn.Conv2d(1, width, 1)
        self.norm = nn.BatchNorm2d(width)
        self.register_buffer("grid", torch.arange(6.0).reshape(2, 3))
        self.kept = kept

    def forward(self, x):
        return self.norm(self.conv(x)) * self.kept + self.grid.sum()


def script_cases(corpus):
    """TorchScript archives; the truth is the state_dict of the module that PyTorch loads."""
    torch.manual_seed(4)
    nets = {
        "linear": nn.Linear(3, 2),
        "sequential": nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)),
        "conv": nn.Conv2d(1, 2, 3),
        "block": _Block(2, 1.5),
        "nested": nn.Sequential(_Block(1, 2.0), nn.Sequential(_Block(1, 0.5))),
        "embedding": nn.Embedding(4, 3),
        "gru": nn.GRU(2, 3),
        "half": nn.Linear(3, 2).half(),
        "double": nn.Linear(3, 2).double(),
        "bfloat16": nn.Linear(3, 2).bfloat16(),
        "prelu": nn.PReLU(3),
        "modulelist": nn.Sequential(*[nn.Linear(2, 2) for _ in range(12)]),
    }
    inputs = {
        "linear": torch.ones(1, 3), "sequential": torch.ones(1, 2), "conv": torch.ones(1, 1, 4, 4),
        "block": torch.ones(1, 1, 2, 2), "nested": torch.ones(1, 1, 2, 2), "half": torch.ones(1, 3).half(),
        "double": torch.ones(1, 3).double(), "bfloat16": torch.ones(1, 3).bfloat16(), "modulelist": torch.ones(1, 2),
    }  # fmt: skip
    for name, net in nets.items():
        made = {"script": torch.jit.script(net.eval())}
        if name in inputs:
            made["trace"] = torch.jit.trace(net, inputs[name])
        if name in ("block", "sequential"):
            made["frozenless"] = torch.jit.script(nn.Sequential(net))
        for how, module in made.items():
            buffer = io.BytesIO()
            torch.jit.save(module, buffer)
            data = buffer.getvalue()
            state = torch.jit.load(io.BytesIO(data)).state_dict()
            corpus.good(f"torchscript/{how}-{name}.pt", "torch-script", data, state, root="", ordered=False)
        if name in ("linear", "block"):
            data = made["script"]._save_to_buffer_for_lite_interpreter()
            state = torch.jit.load(io.BytesIO(data)).state_dict()
            corpus.good(f"torchscript/lite-{name}.ptl", "torch-script", data, state, root="", ordered=False)
    extra = io.BytesIO()
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), extra, _extra_files={"config.json": "{}"})
    state = torch.jit.load(io.BytesIO(extra.getvalue())).state_dict()
    corpus.good("torchscript/extra-files.pt", "torch-script", extra.getvalue(), state, root="")


def add_all(corpus: Corpus):
    zip_cases(corpus)
    legacy_cases(corpus)
    script_cases(corpus)
