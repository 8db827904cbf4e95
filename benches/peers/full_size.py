"""Writes random checkpoints of full size: HMR2's Lightning file and ViTDet-H's pickle.

usage: full_size.py <folder>

Names and shapes are those of the original networks (4D-Humans 6ec7965, detectron2 02b5c4e);
values are random, since loading does not care.
"""

import collections
import os
import pickle
import sys

import numpy as np
import torch


def vit(prefix, width, depth, tokens, relative):
    yield f"{prefix}pos_embed", (1, tokens, width)
    yield f"{prefix}patch_embed.proj.weight", (width, 3, 16, 16)
    yield f"{prefix}patch_embed.proj.bias", (width,)
    for i in range(depth):
        block = f"{prefix}blocks.{i}."
        for norm in ("norm1", "norm2"):
            yield f"{block}{norm}.weight", (width,)
            yield f"{block}{norm}.bias", (width,)
        if relative:
            length = 127 if i % 8 == 7 else 27
            yield f"{block}attn.rel_pos_h", (length, width // 16)
            yield f"{block}attn.rel_pos_w", (length, width // 16)
        for name, rows, columns in (
            ("attn.qkv", 3 * width, width),
            ("attn.proj", width, width),
            ("mlp.fc1", 4 * width, width),
            ("mlp.fc2", width, 4 * width),
        ):
            yield f"{block}{name}.weight", (rows, columns)
            yield f"{block}{name}.bias", (rows,)


def hmr2():
    yield from vit("backbone.", 1280, 32, 193, relative=False)
    yield "backbone.last_norm.weight", (1280,)
    yield "backbone.last_norm.bias", (1280,)
    for name, size in (("body_pose", 144), ("betas", 10), ("cam", 3)):
        yield f"smpl_head.init_{name}", (1, size)
    for i in range(6):
        layer = f"smpl_head.transformer.transformer.layers.{i}."
        for part in range(3):
            yield f"{layer}{part}.norm.weight", (1024,)
            yield f"{layer}{part}.norm.bias", (1024,)
        yield f"{layer}0.fn.to_qkv.weight", (1536, 1024)
        yield f"{layer}0.fn.to_out.0.weight", (1024, 512)
        yield f"{layer}1.fn.to_kv.weight", (1024, 1280)
        yield f"{layer}1.fn.to_q.weight", (512, 1024)
        yield f"{layer}1.fn.to_out.0.weight", (1024, 512)
        yield f"{layer}2.fn.net.0.weight", (1024, 1024)
        yield f"{layer}2.fn.net.3.weight", (1024, 1024)
    for name, size in (("decpose", 144), ("decshape", 10), ("deccam", 3)):
        yield f"smpl_head.{name}.weight", (size, 1024)
        yield f"smpl_head.{name}.bias", (size,)
    yield "discriminator.D_alljoints_fc1.weight", (1024, 736)
    yield "discriminator.D_alljoints_fc2.weight", (1024, 1024)
    for name, shape in (
        ("shapedirs", (6890, 3, 10)),
        ("v_template", (6890, 3)),
        ("J_regressor", (24, 6890)),
        ("posedirs", (207, 20670)),
        ("lbs_weights", (6890, 24)),
    ):
        yield f"smpl.{name}", shape


def vitdet():
    yield from vit("backbone.net.", 1280, 32, 197, relative=True)
    for level, channels in ((2, 320), (3, 640), (4, 1280), (5, 1280)):
        yield f"backbone.simfp_{level}.4.weight", (256, channels, 1, 1)
        yield f"backbone.simfp_{level}.5.weight", (256, 256, 3, 3)
    yield "backbone.simfp_2.0.weight", (1280, 640, 2, 2)
    yield "backbone.simfp_2.3.weight", (640, 320, 2, 2)
    yield "backbone.simfp_3.0.weight", (1280, 640, 2, 2)
    for conv in ("conv0", "conv1"):
        yield f"proposal_generator.rpn_head.conv.{conv}.weight", (256, 256, 3, 3)
    for stage in range(3):
        head = f"roi_heads.box_head.{stage}."
        for conv in range(1, 5):
            yield f"{head}conv{conv}.weight", (256, 256, 3, 3)
        yield f"{head}fc1.weight", (1024, 12544)
        yield f"roi_heads.box_predictor.{stage}.cls_score.weight", (81, 1024)
    for conv in range(1, 5):
        yield f"roi_heads.mask_head.mask_fcn{conv}.weight", (256, 256, 3, 3)


def main(folder):
    os.makedirs(folder, exist_ok=True)
    generator = np.random.default_rng(20)

    def random(shape):
        return generator.standard_normal(shape, dtype=np.float32) * 0.02

    state = collections.OrderedDict((name, torch.from_numpy(random(shape))) for name, shape in hmr2())
    lightning = {
        "epoch": 35,
        "global_step": 1000000,
        "pytorch-lightning_version": "1.8.1",
        "state_dict": state,
        "callbacks": {},
        "lr_schedulers": [],
    }
    torch.save(lightning, os.path.join(folder, "hmr2.ckpt"))
    del state, lightning
    model = {name: random(shape) for name, shape in vitdet()}
    for protocol in (2, 4):
        with open(os.path.join(folder, f"vitdet_p{protocol}.pkl"), "wb") as file:
            content = {"model": model, "__author__": "random", "matching_heuristics": True}
            pickle.dump(content, file, protocol=protocol)


main(sys.argv[1])
