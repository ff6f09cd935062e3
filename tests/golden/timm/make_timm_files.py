# SPDX-License-Identifier: Apache-2.0
"""Writes the files in this folder with torch and timm, which the project does not require.

python make_timm_files.py  # made with torch 1.12.1, timm 0.6.13, safetensors 0.8.0
"""

import pathlib

import numpy as np
import safetensors.torch
import torch
from timm.models.mlp_mixer import MlpMixer

FOLDER = pathlib.Path(__file__).parent


def main():
    torch.manual_seed(0)
    model = MlpMixer(num_classes=3, img_size=8, patch_size=4, num_blocks=2, embed_dim=6).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    weights = model.state_dict()
    safetensors.torch.save_file(weights, FOLDER / "mixer.safetensors")
    torch.save(weights, FOLDER / "mixer_zip.pth")
    torch.save(weights, FOLDER / "mixer_sequence.pth", _use_new_zipfile_serialization=False)
    torch.save(
        {"epoch": 3, "state_dict": {name: w.bfloat16() for name, w in weights.items()}},
        FOLDER / "mixer_bfloat16.pth",
    )
    torch.save(model, FOLDER / "mixer_whole_module.pth")
    np.savez(FOLDER / "logits.npz", **compute_logits(model))


def compute_logits(model) -> dict[str, np.ndarray]:
    """Logits with timm's exact GELU, and with the authors' tanh approximation."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    image = torch.tensor(pixels / np.float32(127.5) - 1).permute(0, 3, 1, 2)
    with torch.no_grad():
        exact = model(image).numpy()
        for module in model.modules():
            if hasattr(module, "act"):
                module.act = torch.nn.GELU(approximate="tanh")
        return {"pixels": pixels, "exact": exact, "tanh": model(image).numpy()}


if __name__ == "__main__":
    main()
