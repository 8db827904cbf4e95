"""Writes expected.json: what PyYAML with OmegaConf's loader reads in the fixtures.

python src/checkpoint/yaml_fixtures/generate.py
"""
import json
import math
import os

import yaml
from omegaconf._yaml import get_yaml_loader

HERE = os.path.dirname(os.path.abspath(__file__))
SCALARS = """
1 0 -0 +1 -17 1_000 0_1 017 -017 08 0o17 0x1F -0xff 0X1F 0b101 1:30 190:20:30 1:60 01:30 1:3:
12345678901234567890 18446744073709551615 -9223372036854775808 1__0 _1 1_ 0b 0x
1.0 1. .5 -.5 +.5 -0.0 1.0e-05 1e-5 1E5 1e+5 1e5 -1e-5 1.e5 1.5e 1e 1e- .5e5 .5e-5 .5e+5 1_0.5 1_0e2
1.2.3 1-2 1:30.5 -1:30.5 1:60.5 0:0.5 .inf -.inf +.inf .Inf .INF .iNf .nan .NaN .NAN -.nan inf nan
1e400 -1e400 1e-400 ._ ._5 5._ . - + -- +- ... e5 +e5
yes Yes YES yEs no No NO y n Y N on On ON off Off OFF true True TRUE tRue false null Null NULL nULL ~ ~~
none None 2024-01-02 2024-01-02T03:04:05Z 2024-1-2 12:30:45 1.2e3.4 0.1.2 v1.0 1px 3d 0.5x =
${now:%Y-%m-%d}_${now:%H-%M-%S} ${oc.env:HOME} ${a.b} /path/to/x C:\\x a:b a#b *x &x !x %x @x `x
1_e5 1__0e5 5_. 5_.5 5_.e1 1_0:30.5 0_8.5 08.5 -08 +08.5e1 0777 0888 00 000 -0x -0b1 +0b11 -0b2 0b12 1,000 1e5_0 ١٢
""".split()


def plain(text):
    return text[0] not in "*&!%@`" and not text.endswith(":") and text not in ("-", "...")


def as_json(value):
    if isinstance(value, dict):
        return {key if isinstance(key, str) else json.dumps(key): as_json(item)
                for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def load(text):
    return as_json(yaml.load(text, Loader=get_yaml_loader()))


def scalar(text):
    try:
        value = load(f"x: {text}\n")["x"]
    except (ValueError, yaml.YAMLError):
        return None
    # Integers beyond 64 bits stay text.
    if isinstance(value, int) and not isinstance(value, bool) and not -2**63 <= value < 2**64:
        value = text
    return [text, value]


with open(os.path.join(HERE, "tricky.yaml")) as file:
    tricky = load(file.read())
scalars = [found for found in map(scalar, filter(plain, SCALARS)) if found]
with open(os.path.join(HERE, "expected.json"), "w") as out:
    json.dump({"tricky": tricky, "scalars": scalars}, out, indent=0, ensure_ascii=False)
    out.write("\n")
print(len(scalars), "scalars")
