"""Times the same networks on the TFLite interpreter (XNNPACK, fp32, batch 1) for `npm run bench`.

Arguments: MODEL_FOLDER PHOTO THREADS. Requests and answers as in benches/networks.rs; tasks are
`detector`, `lite`, `full`, `heavy` as shipped and `lite-pruned` and so on without segmentation.
Needs ai-edge-litert (or tflite-runtime), numpy, and opencv or Pillow.
"""
import json
import sys
import time
from pathlib import Path

MASK = (1, 256, 256, 1)


def say(value):
    print(json.dumps(value), flush=True)


def load_modules():
    import numpy
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter
    import flatbuffers
    return numpy, schema, Interpreter, flatbuffers


def read_rgb(path):
    try:
        import cv2
        return cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)
    except ImportError:
        from PIL import Image
        return np.asarray(Image.open(path).convert("RGB"))


def square(image, side):
    """The photo on a black square, nearest pixel: what is in the crop does not change the time."""
    height, width = image.shape[:2]
    at = (np.arange(side) + 0.5) / side * max(width, height)
    xs, ys = at - (max(width, height) - width) / 2, at - (max(width, height) - height) / 2
    out = np.zeros((side, side, 3), np.float32)
    inside = np.ix_((ys >= 0) & (ys < height), (xs >= 0) & (xs < width))
    out[inside] = image[np.ix_(ys[(ys >= 0) & (ys < height)].astype(int), xs[(xs >= 0) & (xs < width)].astype(int))]
    return out / np.float32(255)


def pruned(content):
    """The file without the segmentation output and without every operator only it needs."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    shape = lambda t: tuple(int(d) for d in graph.tensors[t].shape)
    graph.outputs = [t for t in graph.outputs if shape(t) != MASK]
    needed, kept = set(graph.outputs), []
    for op in reversed(graph.operators):
        if needed & set(op.outputs):
            needed |= {t for t in op.inputs if t >= 0}
            kept.append(op)
    dropped = len(graph.operators) - len(kept)
    graph.operators = kept[::-1]
    model.signatureDefs = None
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output()), dropped


class Net:
    def __init__(self, content, threads):
        self.net = Interpreter(model_content=content, num_threads=threads)
        self.net.allocate_tensors()
        self.input = self.net.get_input_details()[0]["index"]
        self.outputs = [d["index"] for d in self.net.get_output_details()]

    def __call__(self, crop):
        self.net.set_tensor(self.input, crop)
        self.net.invoke()
        return [self.net.get_tensor(i) for i in self.outputs]


def main():
    folder, photo, threads = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    image = read_rgb(photo)
    crop = square(image, 256)[None]
    detector = (folder / "pose_solution_packed_assets.data").read_bytes()
    jobs = {"detector": (Net(detector, threads), square(image, 224)[None] * 2 - 1)}
    dropped = {}
    for name in ("lite", "full", "heavy"):
        content = (folder / f"pose_landmark_{name}.tflite").read_bytes()
        jobs[name] = (Net(content, threads), crop)
        small, dropped[name] = pruned(content)
        jobs[f"{name}-pruned"] = (Net(small, threads), crop)
        # The pruned graph must be the same network: its landmarks decide.
        whole, part = (max(n(crop), key=lambda t: t.shape == (1, 195)) for n in (jobs[name][0], jobs[f"{name}-pruned"][0]))
        if not np.array_equal(whole, part):
            raise SystemExit(f"pruning changed the landmarks of {name}")
    import importlib.metadata
    version = importlib.metadata.version("ai-edge-litert")
    say({"ready": f"ai-edge-litert {version}, XNNPACK; pruned graphs drop {dropped} operators"})
    for line in sys.stdin:
        request = json.loads(line)
        net, data = jobs[request["task"]]
        ms = []
        for _ in range(request["repeat"]):
            start = time.perf_counter()
            net(data)
            ms.append((time.perf_counter() - start) * 1e3)
        say({"ms": ms})


try:
    np, schema, Interpreter, flatbuffers = load_modules()
except ImportError as error:
    say({"missing": f"{error}; pip install ai-edge-litert numpy flatbuffers opencv-python-headless"})
else:
    main()
