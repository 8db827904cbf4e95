"""PHALP's tracker step with its networks on the CPU, for `--peer` of benches/phalp.rs.

Arguments: <checkout of PHALP> <threads> <folder> <golden_tracker_inputs.npz> <smpl_mean_params.npz>. Writes networks of the
released sizes with random weights into the folder (pose_predictor.pth and .yaml, mean_std.npy, hmar_v2_weights.pth), then a
line {"ready": …}. Each request is a line {"frames": n}: a fresh tracker takes the first n frames of the case; the answer is
{"ms": [per frame], "matches": [per frame]}. Needs torch, einops, omegaconf, scipy and scikit-learn; the tracker's own methods
are taken out of `trackers/PHALP.py` one by one, so that what else that file imports is not needed.
"""

import ast
import json
import sys
import time
import types

PREDICTOR = """
configs:
  frame_length: 125
  in_feat: 256
  max_people: 1
  num_smpl_heads: 1
  mask_ratio: 0.4
  mask_type: random
  mask_type_test: zero
  ava: {num_action_classes: 80, num_valid_action_classes: 60, predict_valid: true}
  extra_feat: {enable: '', pose_shape: {dim: 229, mid_dim: 229, en_dim: 256}}
  transformer: {depth: 16, heads: 8, mlp_dim: 512, dim_head: 64, dropout: 0.1, emb_dropout: 0.1, droppath: 0.4,
    conv: {pad: 1, stride: 5}}
"""
SIDE = 256


def answer(value):
    print(json.dumps(value), flush=True)


def methods(path, owner, names, scope):
    """Functions of a class, without the file's imports."""
    tree = ast.parse(open(path).read())
    body = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == owner).body
    chosen = [node for node in body if isinstance(node, ast.FunctionDef) and node.name in names]
    exec(compile(ast.Module(chosen, []), path, "exec"), scope)
    return [scope[name] for name in names]


def functions(path, names, scope):
    tree = ast.parse(open(path).read())
    chosen = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in names]
    exec(compile(ast.Module(chosen, []), path, "exec"), scope)


def config(folder, mean_params):
    space = types.SimpleNamespace
    return space(
        verbose=False,
        use_gt=False,
        SMPL=space(NUM_BODY_JOINTS=23),
        MODEL=space(SMPL_HEAD=space(SMPL_MEAN_PARAMS=mean_params)),
        pose_predictor=space(config_path=f"{folder}/pose_predictor.yaml", mean_std=f"{folder}/mean_std.npy"),
        phalp=space(predict="TPL", pose_distance="smpl", distance_type="EQ_019", alpha=0.1, hungarian_th=100.0, track_history=7,
                    max_age_track=50, n_init=5, past_lookback=1, encode_type="4c", shot=0),
    )


def tracker_of(checkout, cfg, folder):
    import numpy as np
    import scipy.ndimage
    import torch
    from scipy import stats
    from sklearn.linear_model import Ridge

    # Where scipy no longer has it.
    old = types.ModuleType("scipy.ndimage.filters")
    old.gaussian_filter1d = scipy.ndimage.gaussian_filter1d
    sys.modules.setdefault("scipy.ndimage.filters", old)
    for name in ("phalp", "phalp.utils", "phalp.models", "phalp.models.heads", "phalp.models.predictor", "phalp.external",
                 "phalp.external.deep_sort_"):
        package = types.ModuleType(name)
        package.__path__ = [f"{checkout}/{name.replace('.', '/')}"]
        sys.modules[name] = package
    from phalp.external.deep_sort_ import nn_matching
    from phalp.external.deep_sort_.detection import Detection
    from phalp.external.deep_sort_.tracker import Tracker
    from phalp.models.heads.encoding_head import EncodingHead
    from phalp.models.predictor.pose_transformer_v2 import Pose_transformer_v2

    torch.Tensor.cuda = lambda self, *_: self
    scope = {"np": np, "torch": torch, "Ridge": Ridge, "stats": stats}
    functions(f"{checkout}/phalp/utils/utils.py", ["get_prediction_interval"], scope)
    names = ["forward_for_tracking", "get_uv_distance", "get_pose_distance"]

    class Phalp:
        pass

    for name, method in zip(names, methods(f"{checkout}/phalp/trackers/PHALP.py", "PHALP", names, scope)):
        setattr(Phalp, name, method)
    torch.manual_seed(0)
    phalp = Phalp()
    phalp.cfg = cfg
    head = EncodingHead(cfg=cfg).eval()
    phalp.HMAR = types.SimpleNamespace(smpl=None, autoencoder_hmar=lambda maps, en: head(maps, en=en))
    phalp.pose_predictor = Pose_transformer_v2(cfg, phalp).eval()
    # Its head keeps what it was started with; the released file has it as buffers.
    torch.save({"model": {f"encoder.{k}": v for k, v in phalp.pose_predictor.encoder.state_dict().items()}},
               f"{folder}/pose_predictor.pth")
    torch.save({"model": {f"hmar.encoding_head.{k}": v for k, v in head.state_dict().items()}}, f"{folder}/hmar_v2_weights.pth")

    def fresh():
        metric = nn_matching.NearestNeighborDistanceMetric(cfg, cfg.phalp.hungarian_th, cfg.phalp.past_lookback)
        return Tracker(cfg, metric, max_age=50, n_init=5, phalp_tracker=phalp, dims=[4096, 4096, 99])

    return fresh, Detection


def people(path, Detection):
    """As the parity test has them: maps of 32 texels enlarged to 256."""
    import numpy as np

    case = np.load(path)
    frames = {}
    for row, number in enumerate(case["frame"]):
        colour, mask = case["uvc"][row], case["uvm"][row]
        factor = SIDE // mask.shape[-1]
        uv = np.concatenate([colour, mask[None]]).astype(np.float32)
        uv = uv.repeat(factor, 1).repeat(factor, 2)
        uv[3] = np.where(uv[3] == 1, 1.0, -1.0)
        uv[:3] *= uv[3:] > 0
        appe = np.tile(case["appe"][row], 4096 // case["appe"].shape[1])
        frames.setdefault(int(number), []).append(
            lambda row=row, uv=uv, appe=appe, number=int(number): Detection({
                "bbox": [0, 0, 1, 1], "size": [1, 1], "scale": [1, 1], "time": number, "conf": float(case["conf"][row]),
                "appe": appe.astype(np.float32), "pose": case["pose"][row], "loca": case["loca"][row], "uv": uv.copy(),
                "ground_truth": 1, "annotations": [],
            }))
    return frames


def main():
    checkout, threads, folder, case, mean_params = sys.argv[1:6]
    try:
        import numpy as np
        import torch

        torch.set_num_threads(int(threads))
        torch.set_grad_enabled(False)
        with open(f"{folder}/pose_predictor.yaml", "w") as file:
            file.write(PREDICTOR)
        np.save(f"{folder}/mean_std.npy", np.stack([np.zeros((1, 226)), np.ones((1, 226))]).astype(np.float32))
        fresh, Detection = tracker_of(checkout, config(folder, mean_params), folder)
        frames = people(case, Detection)
    except (ImportError, OSError, StopIteration) as error:
        return answer({"missing": f"{type(error).__name__}: {error}"})
    answer({"ready": f"PHALP in torch {torch.__version__}"})
    for line in sys.stdin:
        count = json.loads(line)["frames"]
        tracker, spent, matches = fresh(), [], []
        for number in range(count):
            detections = [make() for make in frames.get(number, [])]
            start = time.perf_counter()
            tracker.predict()
            found = tracker.update(detections, number, str(number), 0)
            spent.append(1e3 * (time.perf_counter() - start))
            matches.append([[int(a), int(b)] for a, b in found])
        answer({"ms": spent, "matches": matches})


main()
