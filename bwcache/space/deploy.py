"""`deploy`: assemble the Space's folder, and upload it or keep it."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from pathlib import Path

import yaml
from huggingface_hub import HfApi, SpaceCard, SpaceHardware, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError
from huggingface_hub.utils import validate_repo_id

from ..errors import ConfigError, DeployError, first_line
from ..files import replacing
from ..models.hub.errors import hub_problem

ROOT = Path(__file__).parents[2]
CARD, REQUIREMENTS = "Spaces-README.md", "requirements.txt"
MODELS = ("assets/tinyworld", "assets/tinyworld-skip")
SHIPPED = ("app.py", "LICENSE", "bwcache", *MODELS, "assets/runs")
# training makes the weights: nothing that the page does imports it
LEFT_OUT = shutil.ignore_patterns("tinyworld_training", "__pycache__", "*.py[co]", ".*")
NEEDED = (  # patterns, of each of which a file must be there
    "app.py",
    "LICENSE",
    CARD,
    REQUIREMENTS,
    "bwcache/__init__.py",
    "assets/tinyworld/model_index.json",
    "assets/tinyworld/transformer/*.safetensors",
    "assets/tinyworld/vae/*.safetensors",
    "assets/tinyworld/text_encoder/*.safetensors",
    "assets/runs/*/run.json",
)
HARDWARE = tuple(flavour.value for flavour in SpaceHardware)
ZERO = SpaceHardware.ZERO_A10G.value
ZERO_TORCH = "2.11.0"  # the newest that the hub's "Spaces ZeroGPU" page lists
TORCH = re.compile(r"^torch(?![\w.-]).*$", re.MULTILINE)
# of the hub's client, of the network, of the transfer of large files, and of a card refused
HUB_ERRORS = (HTTPError, OSError, RuntimeError, ValueError)
NEW = (".gitattributes", "README.md")  # all that a Space has when it is made
OURS = "bwcache/__init__.py"


def deploy_command(args: argparse.Namespace) -> int:
    """Put the page on a Space, or with `--dry-run` write its folder; returns the exit status."""
    check_arguments(args)
    try:
        print(_write(args) if args.dry_run else _upload(args))
    except DeployError as error:
        print(f"bwcache: {error}", file=sys.stderr)
        return 2
    return 0


def check_arguments(args: argparse.Namespace) -> None:
    """Refuse them before anything is done.

    Raises:
        ConfigError: One cannot be used.
    """
    try:
        validate_repo_id(args.space)
        named = args.space.count("/") == 1
    except HFValidationError:
        named = False
    if not named:
        allowed = "OWNER/NAME, each of letters, digits, '-', '_' and '.'"
        raise ConfigError("space", args.space, allowed)
    if args.hardware not in (None, *HARDWARE):
        raise ConfigError("hardware", args.hardware, ", ".join(HARDWARE))
    if args.dry_run and args.out is None:
        raise ConfigError("out", args.out, "a new or empty folder, which --dry-run needs")
    if not args.dry_run and args.out is not None:
        raise ConfigError("out", str(args.out), "nothing without --dry-run")
    if args.out is not None and args.out.exists():
        empty = args.out.is_dir() and not any(args.out.iterdir())
        if not empty:
            raise ConfigError("out", str(args.out), "a new or empty folder")


def assemble(folder: Path, space: str, hardware: str | None, root: Path = ROOT) -> None:
    """Write a Space's files.

    Args:
        folder: Empty.
        space: OWNER/NAME.
        hardware: One of `HARDWARE`. None for what the card suggests, ZeroGPU, whose torch runs on
            any hardware.
        root: A checkout of the repository.

    Raises:
        DeployError: The checkout lacks a file, or its card cannot be read.
        OSError: The folder cannot be written to.
    """
    hardware = hardware or ZERO
    for pattern in NEEDED:
        if not any(root.glob(pattern)):
            raise DeployError(f"{pattern}: missing; deploy from a whole checkout of the repository")
    try:
        card = SpaceCard.load(root / CARD)
    except (ValueError, yaml.YAMLError) as error:
        raise DeployError(f"{CARD}: no card that can be read ({first_line(error)})") from None
    picture = str(card.data.get("thumbnail"))
    if not (root / picture).is_file():
        raise DeployError(f"{CARD}: thumbnail is {picture!r}; allowed is a picture that is there")
    for name in (*SHIPPED, picture):
        source, target = root / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=LEFT_OUT)
        else:
            shutil.copyfile(source, target)
    card.data["suggested_hardware"] = hardware
    # Spaces show no relative one
    card.data["thumbnail"] = f"https://huggingface.co/spaces/{space}/resolve/main/{picture}"
    if hardware.startswith("cpu"):  # what is fetched at the build needs a GPU
        card.data.pop("preload_from_hub")
        card.data.pop("startup_duration_timeout")
    card.save(folder / "README.md")
    text = (root / REQUIREMENTS).read_text(encoding="utf-8")
    if hardware == ZERO:
        text = TORCH.sub(f"torch=={ZERO_TORCH}  # the newest that ZeroGPU lists", text, count=1)
    (folder / REQUIREMENTS).write_text(text, encoding="utf-8")


def _write(args: argparse.Namespace) -> str:
    try:
        with replacing(args.out) as folder:
            assemble(folder, args.space, args.hardware)
            files = [path for path in folder.rglob("*") if path.is_file()]
            size = sum(path.stat().st_size for path in files) / 1e6
    except OSError as error:
        allowed = f"a folder that can be written to ({error.strerror or error})"
        raise ConfigError("out", str(args.out), allowed) from None
    return (
        f"Written: {args.out}, {len(files)} files, {size:.1f} MB. Nothing was uploaded.\n"
        "To try it: pip install -r requirements.txt && python app.py, in that folder."
    )


def _upload(args: argparse.Namespace) -> str:
    token = get_token()
    if token is None:
        raise DeployError(
            "no access token of the Hugging Face hub: make one that may write, under Settings, "
            "Access Tokens, then run hf auth login, or set HF_TOKEN"
        )
    api = HfApi(token=token)
    with tempfile.TemporaryDirectory(prefix="bwcache-space-") as folder:
        assemble(Path(folder), args.space, args.hardware)
        try:
            made = api.create_repo(
                args.space,
                repo_type="space",
                space_sdk="gradio",
                private=True if args.private else None,
                exist_ok=True,
            )
            there = api.list_repo_files(args.space, repo_type="space")
            if set(there) - set(NEW) and OURS not in there:
                allowed = "a new name, or a Space that this page is on"
                raise ConfigError("space", args.space, allowed)
            api.upload_folder(  # checks the card, too
                repo_id=args.space,
                repo_type="space",
                folder_path=folder,
                commit_message="Deploy BWCache",
                delete_patterns=["bwcache/*", "assets/*"],  # what an older version had there
            )
        except ConfigError:
            raise
        except HUB_ERRORS as error:
            raise DeployError(upload_problem(error, args.space)) from None
    if args.hardware is not None:
        try:
            api.request_space_hardware(args.space, args.hardware)
        except HUB_ERRORS as error:
            raise DeployError(
                f"the Space is uploaded, {made}, but {args.hardware} was refused "
                f"({first_line(error)}): choose it under the Space's Settings; ZeroGPU and paid "
                "hardware need an account that may use them"
            ) from None
    return f"Space: {made}"


def upload_problem(error: Exception, space: str) -> str:
    """What kept the hub from taking a Space, and what to do.

    Args:
        error: What its client raised.
        space: OWNER/NAME.
    """
    owner = space.split("/")[0]
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    if status == 402:
        return f"the account of {owner} may not make such a Space: it needs a paid plan"
    if status == 404:
        return f"the hub knows no owner {owner!r}, or the token may not see it"
    if status == 409:
        return f"the name {space} is taken by something that is no Space: choose another"
    remedy = f"log in with hf auth login, with a token that may write to {space}"
    otherwise = f"the hub did not take {space} ({first_line(error)}); try again later"
    return hub_problem(error, remedy) or otherwise
