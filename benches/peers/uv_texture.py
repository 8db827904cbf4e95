"""What PHALP's texture sampler makes of a body, for tests/parity: `python benches/peers/uv_texture.py OUT.npz`.

neural_renderer runs on CUDA only; its depth pass is restated here in NumPy as its kernel does it, pixel by pixel over all
triangles. Everything else is torch, in the order of 4D-Humans' `track.py`. The body is made up: two ellipsoids, one before the
other, with an atlas over both; the picture is noise, so that a texel from a wrong place shows.
"""

import sys

import numpy as np
import torch

SIDE, ATLAS, FOCAL, FAR = 256, 64, 5000.0, 100.0


def ellipsoid(rows, columns, centre, radii):
    lat = np.linspace(0, np.pi, rows)[:, None]
    lon = np.linspace(0, 2 * np.pi, columns, endpoint=False)[None]
    unit = np.stack([np.sin(lat) * np.cos(lon), -np.cos(lat) + 0 * lon, np.sin(lat) * np.sin(lon)], -1)
    vertices = (unit * radii + centre).reshape(-1, 3)
    at = lambda r, c: r * columns + c % columns
    faces = []
    for r in range(rows - 1):
        for c in range(columns):
            faces.append([at(r, c), at(r + 1, c), at(r, c + 1)])
            faces.append([at(r + 1, c), at(r + 1, c + 1), at(r, c + 1)])
    return vertices, np.array(faces)


def depth(vertices, faces):
    """Of neural_renderer: both sides of a triangle, pixel centres, edges included, 1/z."""
    x = FOCAL * vertices[:, 0] / (vertices[:, 2] + 1e-9) + SIDE / 2
    y = FOCAL * vertices[:, 1] / (vertices[:, 2] + 1e-9) + SIDE / 2
    points = np.stack([2 * x / SIDE - 1, -(2 * y / SIDE - 1), vertices[:, 2]], -1).astype(np.float32)
    grid = (2 * np.arange(SIDE, dtype=np.float32) + 1 - SIDE) / SIDE
    xp, yp = np.meshgrid(grid, grid)
    best = np.full((SIDE, SIDE), FAR, np.float32)
    for face in np.concatenate([faces, faces[:, ::-1]]):
        a, b, c = points[face]
        if (c[1] - a[1]) * (b[0] - a[0]) < (b[1] - a[1]) * (c[0] - a[0]):
            continue
        edge = lambda p, q: (yp - p[1]) * (q[0] - p[0]) < (xp - p[0]) * (q[1] - p[1])
        inside = ~(edge(a, b) | edge(b, c) | edge(c, a))
        if not inside.any():
            continue
        pixel = lambda p: 0.5 * (p[:2] * SIDE + SIDE - 1)
        matrix = np.stack([np.append(pixel(p), 1) for p in (a, b, c)], 1).astype(np.float64)
        if abs(np.linalg.det(matrix)) < 1e-12:
            continue
        rows, columns = np.nonzero(inside)
        weights = np.linalg.inv(matrix) @ np.stack([columns, rows, np.ones_like(rows)])
        weights = np.clip(weights, 0, 1)
        weights /= weights.sum(0)
        z = (1 / (weights / np.array([a[2], b[2], c[2]])[:, None]).sum(0)).astype(np.float32)
        nearer = (z > 0.1) & (z < FAR) & (z < best[rows, columns])
        best[rows[nearer], columns[nearer]] = z[nearer]
    # The renderer's rows run upwards.
    return best[::-1].copy()


def main():
    random = np.random.default_rng(7)
    torso, torso_faces = ellipsoid(24, 32, [0.0, 0.0, 0.0], [0.35, 0.8, 0.25])
    arm, arm_faces = ellipsoid(16, 20, [0.25, -0.1, -0.45], [0.12, 0.5, 0.12])
    vertices = np.concatenate([torso, arm]).astype(np.float32)
    faces = np.concatenate([torso_faces, arm_faces + len(torso)])
    fmap = random.integers(0, len(faces), (ATLAS, ATLAS))
    fmap[random.random((ATLAS, ATLAS)) < 0.1] = -1
    bmap = random.dirichlet([1, 1, 1], (ATLAS, ATLAS)).astype(np.float32)
    cameras = np.array([[0.9, 0.05, -0.1], [1.6, 0.3, 0.4]], np.float32)
    picture = random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[20:240, 40:180] = 1
    mask[random.random((SIDE, SIDE)) < 0.05] = 0
    mean, std = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
    image = torch.from_numpy(((picture - mean) / std).transpose(2, 0, 1).astype(np.float32))
    rgba = torch.cat([image, torch.from_numpy(mask.astype(np.float32))[None]])[None]
    valid = torch.from_numpy(fmap >= 0)
    corners = torch.from_numpy(faces)[torch.from_numpy(fmap)[valid]]
    uv = []
    for s, tx, ty in cameras:
        shift = np.array([tx, ty, 2 * FOCAL / (SIDE * s + 1e-9)], np.float32)
        body = torch.from_numpy(vertices + shift)
        places = torch.einsum("nij,ni->nj", body[corners], torch.from_numpy(bmap)[valid])
        projected = FOCAL / (SIDE / 2) * places[:, :2] / places[:, 2:3]
        drawn = torch.from_numpy(depth(vertices + shift, faces))[None, None]
        sample = lambda t: torch.nn.functional.grid_sample(t, projected[None, None], align_corners=False)[0, :, 0]
        colours = sample(rgba)
        colours[3, ~(places[:, 2] <= sample(drawn)[0] + 1e-4)] = 0
        out = torch.zeros(4, ATLAS, ATLAS)
        out[:, valid] = colours
        seen = out[3:] != 0
        uv.append(torch.cat([out[:3] / 5 * seen, seen.float()]).numpy())
        print(f"camera {s, tx, ty}: {int(seen.sum())} of {int(valid.sum())} texels seen")
    np.savez_compressed(sys.argv[1], vertices=vertices, faces=faces, bmap=bmap, fmap=fmap, cameras=cameras,
                        picture=picture, mask=mask, uv=np.stack(uv))


main()
