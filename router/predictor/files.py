"""The predictor's folder: ``manifest.json``, ``text.skops`` and ``arrays.safetensors``; never a pickle."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from router.artifacts import artifact_path, read_artifact
from router.errors import ArtifactInvalid
from router.features.evidence import FEATURES
from router.predictor.arrays import from_arrays, to_arrays
from router.predictor.card import card
from router.predictor.manifest import Manifest
from router.predictor.predictor import Predictor

CARD = "README.md"
MANIFEST = "manifest.json"
TEXT = "text.skops"
ARRAYS = "arrays.safetensors"

COMMAND = "gradus fit"

_TRUSTED = ("router.features.text.", "router.fitting.text_models.")
"""Our own estimators; besides them, what skops itself trusts: scikit-learn's, numpy's, scipy's."""


def save_predictor(predictor: Predictor, folder: Path) -> Manifest:
    """Write the folder, made if it does not exist; the manifest comes last, with the hashes of the others."""
    from safetensors.numpy import save

    folder.mkdir(parents=True, exist_ok=True)
    estimators = {"text": predictor.text, "features": predictor.features}
    _skops().dump(estimators, folder / TEXT, compression=zipfile.ZIP_DEFLATED)
    (folder / ARRAYS).write_bytes(save(to_arrays(predictor)))
    hashes = {name: sha256((folder / name).read_bytes()).hexdigest() for name in (TEXT, ARRAYS)}
    manifest = predictor.manifest.model_copy(update={"files": hashes})
    return write_manifest(manifest, folder)


def write_manifest(manifest: Manifest, folder: Path) -> Manifest:
    """``manifest.json``, with its digest, and the card that is made of it."""
    digest = digest_of(json.loads(manifest.model_dump_json()))
    manifest = manifest.model_copy(update={"digest": digest})
    (folder / CARD).write_text(card(manifest), encoding="utf-8")
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return manifest


def digest_of(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest as read from JSON, less its digest: keys sorted, without spaces, UTF-8."""
    content = {key: value for key, value in manifest.items() if key != "digest"}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256(canonical.encode()).hexdigest()


def load_predictor(reference: str) -> Predictor:
    """Read a folder, by its path or ``embedded:<name>``.

    Raises :class:`ArtifactInvalid` for one that is not there, of another version, changed, or that holds what
    is not trusted.
    """
    folder = artifact_path(reference)
    try:
        manifest = read_artifact(f"{reference}/{MANIFEST}", Manifest, "predictor", COMMAND)
        content = {name: (folder / name).read_bytes() for name in (TEXT, ARRAYS)}
    except OSError as error:
        raise ArtifactInvalid(
            f"{reference}: no predictor there ({error}); make one with `{COMMAND}`"
        ) from error
    if manifest.digest != digest_of(json.loads((folder / MANIFEST).read_text("utf-8"))):
        raise ArtifactInvalid(
            f"{reference}/{MANIFEST} is not as it was written; copy the whole folder again, or make it anew "
            f"with `{COMMAND}`"
        )
    for name, data in content.items():
        if sha256(data).hexdigest() != manifest.files.get(name):
            raise ArtifactInvalid(
                f"{reference}/{name} is not the file that {MANIFEST} was written for; copy the whole folder "
                f"again, or make it anew with `{COMMAND}`"
            )
    if manifest.evidence_features != FEATURES:
        raise ArtifactInvalid(
            f"{reference}: fitted to other features of probes than this release has; make it anew with "
            f"`{COMMAND}`"
        )
    estimators = _load_estimators(content[TEXT], f"{reference}/{TEXT}", manifest)
    arrays = _load_arrays(content[ARRAYS])
    try:
        return from_arrays(arrays, manifest, estimators["text"], estimators["features"])
    except (KeyError, TypeError) as error:  # missing, or not known here
        raise ArtifactInvalid(
            f"{reference}/{ARRAYS}: of another release ({error}); make it anew with `{COMMAND}`"
        ) from error


def _load_estimators(data: bytes, source: str, manifest: Manifest) -> Mapping[str, Any]:
    skops = _skops()
    try:
        unknown = skops.get_untrusted_types(data=data)
        refused = [name for name in unknown if not name.startswith(_TRUSTED)]
        if refused:
            raise ArtifactInvalid(f"{source}: holds {', '.join(refused)}, which no predictor needs: refused")
        estimators: Mapping[str, Any] = skops.loads(data, trusted=unknown)
        estimators["text"].predict(("",))  # another release's may load, and be of no use
    except ArtifactInvalid:
        raise
    except Exception as error:  # whatever skops or an estimator makes of what is not its own
        made_by = manifest.created_by.get("scikit-learn")
        raise ArtifactInvalid(
            f"{source}: cannot be read (written with scikit-learn {made_by}): {error}; make it anew with "
            f"`{COMMAND}`"
        ) from error
    return estimators


def _skops() -> Any:
    """``skops.io``, without torch.

    It looks through all of scikit-learn, also at what adapts it to torch, which would load torch: in gateways
    for nothing. What cannot be imported is passed by.
    """
    adapter = "sklearn.externals.array_api_compat.torch"
    there = sys.modules.get(adapter)
    sys.modules[adapter] = there  # type: ignore[assignment]  # None: it cannot be imported
    try:
        import skops.io
    finally:
        if there is None:
            del sys.modules[adapter]
    return skops.io


def _load_arrays(data: bytes) -> dict[str, NDArray[np.generic]]:
    from safetensors.numpy import load

    arrays: dict[str, NDArray[np.generic]] = load(data)
    return arrays
