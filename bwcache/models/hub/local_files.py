"""A pipeline's files in the local cache of the Hugging Face hub: which, all there, sound?

Makes no request. Code and pickles are none of them.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

from huggingface_hub import constants, get_cached_repo_tree, snapshot_download
from huggingface_hub import try_to_load_from_cache as find_in_cache
from huggingface_hub.errors import CachedRepoTreeNotFoundError, LocalEntryNotFoundError

from ...files import parse_json, read_bytes
from ..spec import ModelSpec

INDEX = "model_index.json"
KINDS = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")
OTHER_TYPES = (  # second copies of the weights, in another number type
    "*/diffusion_pytorch_model.*.safetensors",
    "*/model.*.safetensors",
    "*-of-*.*.safetensors",
)


def cache() -> Path:
    """The folder that all repositories are kept in."""
    return Path(constants.HF_HUB_CACHE).expanduser()


def free_bytes() -> int:
    """Room left where the cache is, or will be."""
    folder = cache().absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def at_hand(spec: ModelSpec) -> bool:
    """Whether a model needs no download; found out without the network."""
    return not spec.weights.on_hub or local(spec) is not None


def local(spec: ModelSpec) -> Path | None:
    """A hub model's folder in the cache; None where a file is missing. Makes no request."""
    index = find_in_cache(spec.weights.source, INDEX, revision=spec.weights.revision)
    if not isinstance(index, str):
        return None
    folder = Path(index).parent
    try:
        snapshot_download(
            spec.weights.source,
            revision=folder.name,
            local_files_only=True,
            **patterns(folder),
        )
    except (LocalEntryNotFoundError, ValueError):
        return None
    try:
        get_cached_repo_tree(spec.weights.source, revision=folder.name)
    except CachedRepoTreeNotFoundError:  # fetched by an older tool: nothing was checked above
        return folder if _looks_complete(folder) else None
    return folder


def patterns(folder: Path) -> dict[str, Any]:
    """The files that a pipeline is made of, as arguments of `snapshot_download`.

    Args:
        folder: Holds its index.

    Raises:
        ValueError: The index is damaged.
    """
    kinds = [f"{part}/{kind}" for part in _components(folder) for kind in KINDS]
    return {"allow_patterns": [INDEX, *kinds], "ignore_patterns": list(OTHER_TYPES)}


def _components(folder: Path) -> list[str]:
    index = parse_json(read_bytes(folder / INDEX))
    if not isinstance(index, dict):
        raise ValueError(f"{INDEX} holds no object")
    named = {name: kind for name, kind in index.items() if isinstance(kind, list)}
    return [name for name, kind in named.items() if all(kind)]


def _looks_complete(folder: Path) -> bool:
    """Whether each component has its files, as far as their own lists of shards tell."""
    for part in (folder / name for name in _components(folder)):
        there = {path.name for path in part.glob("*") if path.exists()}
        shards = set()
        for listing in part.glob("*.safetensors.index.json"):
            shards |= set(parse_json(read_bytes(listing))["weight_map"].values())
        if shards - there or not any(name.endswith(".json") for name in there):
            return False
        if "config.json" in there and not any(name.endswith(".safetensors") for name in there):
            return False
    return True


def discard_damaged(folder: Path) -> list[str]:
    """Delete the files of a model whose content is not what the hub said it would be.

    Args:
        folder: As `fetch` returned it.

    Returns:
        Their names within the folder. The next `fetch` brings them anew.
    """
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        blob = path.resolve()
        if len(blob.name) in (40, 64) and _digest(blob) != blob.name:
            blob.unlink()
            path.unlink(missing_ok=True)
            found.append(str(path.relative_to(folder)))
    return found


def _digest(blob: Path) -> str:
    """What the cache names a file after: its SHA-256, or git's SHA-1 for one kept in git itself."""
    in_git = len(blob.name) == 40
    with blob.open("rb") as file:
        if not in_git:
            return hashlib.file_digest(file, "sha256").hexdigest()
        header = f"blob {blob.stat().st_size}\0".encode()
        return hashlib.sha1(header + file.read()).hexdigest()
