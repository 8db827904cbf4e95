"""Times MediaPipe's Python pipeline, encoded bytes to landmarks, for `npm run bench`.

Arguments: FRAME_FOLDER (JPEGs). Requests and answers as in benches/networks.rs; tasks are `single`
(the first frame, static image mode) and `track` (all frames in order, tracking; one figure per
frame). Needs mediapipe < 0.10.30 (which still has mp.solutions) and opencv.
"""
import json
import os
import sys
import time
from pathlib import Path

# Its logs would otherwise be all there is to see.
os.environ.setdefault("GLOG_minloglevel", "3")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def say(value):
    print(json.dumps(value), flush=True)


def run(pose, content):
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    result = pose.process(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
    if result.pose_landmarks is None:
        return []
    return [(p.x, p.y, p.z, p.visibility) for p in result.pose_landmarks.landmark]


def timed(pose, frames):
    ms, seen = [], 0
    for content in frames:
        start = time.perf_counter()
        seen += bool(run(pose, content))
        ms.append((time.perf_counter() - start) * 1e3)
    return {"ms": ms, "seen": seen}


def main():
    frames = [path.read_bytes() for path in sorted(Path(sys.argv[1]).glob("*.jpg"))]
    cv2.setNumThreads(1)
    options = {"model_complexity": 1, "smooth_landmarks": False}
    single = mp.solutions.pose.Pose(static_image_mode=True, **options)
    say({"ready": f"mediapipe {mp.__version__}, mp.solutions.pose, full model; OpenCV {cv2.__version__}"})
    for line in sys.stdin:
        request = json.loads(line)
        if request["task"] == "single":
            say(timed(single, frames[:1] * request["repeat"]))
        else:
            with mp.solutions.pose.Pose(static_image_mode=False, **options) as tracking:
                say(timed(tracking, frames * request["repeat"]))


try:
    import cv2
    import mediapipe as mp
    import numpy as np
    mp.solutions.pose
except (ImportError, AttributeError) as error:
    say({"missing": f"{error}; pip install mediapipe==0.10.21"})
else:
    main()
