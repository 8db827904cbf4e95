"""Loads one checkpoint as the original programs do, and prints what it took as one line of JSON.

usage: load_python.py <file.ckpt | file.pkl> [bfloat16]

4D-Humans: torch.load(path, map_location="cpu")["state_dict"], then load_state_dict, which copies; MiDaS keeps the bare state;
detectron2: pickle.load(file, encoding="latin1")["model"], then torch.from_numpy.
"""

import json
import pickle
import resource
import sys
import time

import torch

path = sys.argv[1]
dtype = getattr(torch, sys.argv[2]) if len(sys.argv) > 2 else None
start = time.perf_counter()
if path.endswith(".pkl"):
    with open(path, "rb") as file:
        arrays = pickle.load(file, encoding="latin1")["model"]
    state = {name: torch.from_numpy(array) for name, array in arrays.items()}
else:
    state = torch.load(path, map_location="cpu", weights_only=False)
    state = state.get("state_dict", state)
if dtype is not None:
    state = {name: tensor.to(dtype) for name, tensor in state.items()}
seconds = time.perf_counter() - start
total = float(sum(tensor.flatten()[::1024].double().sum() for tensor in state.values()))
print(
    json.dumps(
        {
            "seconds": seconds,
            "tensors": len(state),
            "bytes": sum(tensor.numel() * tensor.element_size() for tensor in state.values()),
            "sum": total,
            "peakRss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "version": f"torch {torch.__version__}",
        }
    )
)
