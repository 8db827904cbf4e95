"""Reads the exports that exports.mjs made with numpy, pickle and joblib, and compares them with the JSON Lines.

python exports.py folder
"""

import json
import pickle
import sys
from pathlib import Path

import joblib
import numpy as np

SEEN = ("detected", "recovered")


def records(path):
    """(frame, person) of every line."""
    for line in path.read_text().splitlines():
        frame = json.loads(line)
        if frame["type"] == "frame":
            for person in frame["persons"]:
                yield frame, person


def close(found, expected, what, tolerance=2e-5):
    expected = np.asarray(expected, dtype=np.float64)
    assert found.shape == expected.shape, f"{what}: {found.shape} {expected.shape}"
    apart = np.abs(found - expected).max(initial=0)
    assert apart <= tolerance, f"{what}: {apart}"
    return apart


def check_npz(folder):
    rows = list(records(folder / "poses.jsonl"))
    npz = np.load(folder / "poses.npz")
    assert npz["track_id"].tolist() == [p["trackId"] for _, p in rows]
    assert npz["frame"].tolist() == [f["frameNumber"] for f, _ in rows]
    assert npz["source"].tolist() == [p["source"] for _, p in rows]
    names = npz["angle_names"].tolist()
    for row, (_, person) in enumerate(rows):
        close(npz["box"][row], person["box"], "box", 1e-3)
        close(npz["joints3d"][row].ravel(), person["joints3d"], "joints3d")
        for name, value in person["jointAngles3d"].items():
            close(npz["angles"][row, names.index(name)], value, name, 1e-3)
        if "smpl" in person:
            close(npz["body_pose"][row].ravel(), person["smpl"]["bodyPose"], "body_pose")
            close(npz["betas"][row], person["smpl"]["betas"], "betas")
        else:
            assert np.isnan(npz["betas"][row]).all() and not npz["has_smpl"][row]
    return f"{len(rows)} records, {len(npz.files)} arrays"


def check_pickle(folder):
    with open(folder / "poses.pkl", "rb") as file:
        plain = pickle.load(file)
    tracks = joblib.load(folder / "poses.pkl")
    assert list(plain) == list(tracks) == sorted(tracks)
    by_frame = {}
    for frame, person in records(folder / "poses.jsonl"):
        by_frame.setdefault(frame["frameNumber"], []).append((frame, person))
    worst = 0.0
    for time, (path, found) in enumerate(tracks.items()):
        people = by_frame.get(time, [])
        assert found["time"] == time and found["frame_path"] == path
        assert found["tid"] == [p["trackId"] for _, p in people]
        assert found["tracked_ids"] == [p["trackId"] for _, p in people if p["source"] in SEEN]
        lists = [key for key, value in found.items() if isinstance(value, list)]
        assert all(len(found[key]) == len(people) for key in lists if not key.startswith("tracked_") or key == "tracked_time")
        for i, (frame, person) in enumerate(people):
            x1, y1, x2, y2 = person["box"]
            close(found["bbox"][i], [x1, y1, x2 - x1, y2 - y1], "bbox", 2e-3)
            if "smpl" not in person:
                assert found["smpl"][i] is None and found["camera"][i] is None
                continue
            smpl = found["smpl"][i]
            assert smpl["global_orient"].shape == (1, 3, 3) and smpl["betas"].shape == (10,)
            close(smpl["body_pose"].ravel(), person["smpl"]["bodyPose"], "smpl.body_pose")
            if found["3d_joints"][i] is not None:
                worst = max(worst, reproject(found, i))
    return f"{len(tracks)} frames; joints seen by upstream's camera within {worst:.2e} of the padded side of 2d_joints"


def reproject(found, i):
    """Upstream's own camera: f = 5000 on a padded square of 256 pixels, centre 128."""
    joints = found["3d_joints"][i].astype(np.float64) + found["camera"][i].astype(np.float64)
    assert joints.shape == (45, 3)
    seen = (5000 * joints[:, :2] / joints[:, 2:] + 128) / 256
    return close(found["2d_joints"][i].reshape(45, 2), seen, "2d_joints", 1e-4)


for folder in map(Path, sys.argv[1:]):
    print(f"{folder.name}: npz {check_npz(folder)}; pkl {check_pickle(folder)}")
