"""RouteLLM's matrix factorisation, trained by its own code in an environment of its own.

    python benchmarks/peers/routellm_mf.py SEED < questions.npz

``vectors`` [N, D] and ``strong_won`` [N] of the questions on which just one of the two models was right.
Prints the JSON list [D] whose product with a question's vector is the log-odds that strong wins: the model
is linear in it.
"""

import json
import os
import random
import sys
import tempfile
from io import BytesIO

import numpy as np
import torch

os.environ.setdefault("OPENAI_API_KEY", "unused")
from routellm.routers.matrix_factorization.train_matrix_factorization import (
    MODEL_IDS,
    MFModel_Train,
    PairwiseDataset,
    train_loops,
)

WEAK, STRONG = "mixtral-8x7b-instruct-v0.1", "gpt-4-1106-preview"


def main():
    seed = int(sys.argv[1])
    random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    held = np.load(BytesIO(sys.stdin.buffer.read()))
    vectors = held["vectors"].astype(np.float32)
    samples = [
        {"idx": row, "model_a": STRONG, "model_b": WEAK, "winner": "model_a" if won else "model_b"}
        for row, won in enumerate(held["strong_won"].tolist())
    ]
    random.shuffle(samples)
    cut = int(len(samples) * 0.95)
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        np.save(file, vectors)
        file.flush()
        # Sizes and rates as in its own example of training.
        model = MFModel_Train(
            dim=128,
            num_models=len(MODEL_IDS),
            num_prompts=len(samples),
            text_dim=vectors.shape[1],
            npy_path=file.name,
        )
    training = PairwiseDataset(samples[:cut]).get_dataloaders(batch_size=64, shuffle=True)
    test = PairwiseDataset(samples[cut:]).get_dataloaders(1024, shuffle=False)
    train_loops(model, training, test, lr=3e-4, weight_decay=1e-5, alpha=0.1, num_epochs=100, device="cpu")
    with torch.no_grad():
        models = torch.nn.functional.normalize(model.P.weight, p=2, dim=1)
        apart = (models[MODEL_IDS[STRONG]] - models[MODEL_IDS[WEAK]]) * model.classifier.weight[0]
        print(json.dumps((apart @ model.text_proj.weight).tolist()))


if __name__ == "__main__":
    main()
