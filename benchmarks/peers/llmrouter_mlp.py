"""LLMRouter's multilayer perceptron, trained by its own code in an environment of its own.

    python benchmarks/peers/llmrouter_mlp.py SEED < questions.npz

``vectors`` [N, D] and ``strong_best`` [N]: whether strong is the better of the two models; of equals its data
loader takes the first, which is the weak one here. Prints the JSON list of layers, each its weights
[out, in] and biases [out], with max(0, x) between them; the last one has a score for weak and one for strong.
"""

import contextlib
import json
import os
import random
import sys
import tempfile
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
from llmrouter.models.mlprouter import MLPTrainer


def main():
    seed = int(sys.argv[1])
    random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    held = np.load(BytesIO(sys.stdin.buffer.read()))
    vectors = torch.from_numpy(held["vectors"].astype(np.float32))
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        # What its router would have read from files; sizes and rates are the trainer's own.
        router = SimpleNamespace(
            query_embedding_list=vectors,
            label_indices=torch.from_numpy(held["strong_best"].astype(np.int64)),
            input_dim=vectors.shape[1],
            num_classes=2,
            hparam={},
            cfg={"model_path": {"ini_model_path": "", "save_model_path": str(Path(folder) / "mlp.pkl")}},
        )
        trainer = MLPTrainer(router)
        trainer.train()
    layers = [(each.weight.tolist(), each.bias.tolist()) for each in trainer.model.layers]
    print(json.dumps(layers))


if __name__ == "__main__":
    main()
