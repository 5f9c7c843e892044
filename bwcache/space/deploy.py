"""`deploy`: assemble the Space's folder, check it, and upload it or keep it."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import HTTPError, OfflineModeIsEnabled

from ..errors import ConfigError, DeployError
from ..files import replacing
from . import space_folder
from .space_card import HARDWARE, ZERO, repo_name

# The client's own, the network's and, from the upload of large files, the transfer's.
HUB_ERRORS = (HTTPError, OSError, RuntimeError)
NEW = (".gitattributes", "README.md")  # all that a Space has when it is made
OURS = "bwcache/__init__.py"


def deploy_command(args: argparse.Namespace) -> int:
    """Put the page on a Space, or with `--dry-run` write its folder; returns the exit status."""
    check_arguments(args)
    try:
        told = _write(args) if args.dry_run else _upload(args)
    except DeployError as error:
        print(f"bwcache: {error}", file=sys.stderr)
        return 2
    print(told)
    return 0


def check_arguments(args: argparse.Namespace) -> None:
    """Refuse them before anything is done.

    Raises:
        ConfigError: One cannot be used.
    """
    if not repo_name(args.space):
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


def _assemble(folder: Path, args: argparse.Namespace) -> None:
    # The card suggests ZeroGPU; its torch runs on any hardware.
    hardware = args.hardware or ZERO
    space_folder.assemble(folder, args.space, hardware)
    space_folder.check(folder, hardware)


def _write(args: argparse.Namespace) -> str:
    try:
        with replacing(args.out) as folder:
            _assemble(folder, args)
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
    with tempfile.TemporaryDirectory(prefix="bwcache-space-") as space:
        folder = Path(space)
        _assemble(folder, args)
        try:
            made = api.create_repo(
                args.space,
                repo_type="space",
                space_sdk="gradio",
                private=True if args.private else None,
                exist_ok=True,
            )
            _check_ours(api.list_repo_files(args.space, repo_type="space"), args.space)
            api.upload_folder(
                repo_id=args.space,
                repo_type="space",
                folder_path=folder,
                commit_message="Deploy BWCache",
                delete_patterns=["bwcache/*", "assets/*"],  # what an older version had there
            )
        except HUB_ERRORS as error:
            raise DeployError(sentence(error, args.space)) from None
    if args.hardware is not None:
        try:
            api.request_space_hardware(args.space, args.hardware)
        except HUB_ERRORS as error:
            raise DeployError(
                f"the Space is uploaded, {made}, but {args.hardware} was refused "
                f"({_reason(error)}): choose it under the Space's Settings; ZeroGPU and paid "
                "hardware need an account that may use them"
            ) from None
    return f"Space: {made}"


def _check_ours(files: list[str], space: str) -> None:
    """Refuse to overwrite a Space of something else."""
    if set(files) - set(NEW) and OURS not in files:
        raise ConfigError("space", space, "a new name, or a Space that this page is on")


def sentence(error: Exception, space: str) -> str:
    """What kept the hub from taking a Space, and what to do.

    Args:
        error: What its client raised.
        space: OWNER/NAME.
    """
    owner, status = space.split("/")[0], _status(error)
    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE forbids asking the Hugging Face hub: unset it"
    if status is None and isinstance(error, HTTPError | ConnectionError | TimeoutError):
        return f"the Hugging Face hub cannot be reached ({_reason(error)}): check the network"
    if status == 401:
        return "the Hugging Face hub refused the access token: log in anew with hf auth login"
    if status == 402:
        return f"the account of {owner} may not make such a Space: it needs a paid plan"
    if status == 403:
        return (
            f"the access token may not write to {space}: use one that may, of {owner} or of a "
            "member of that organisation"
        )
    if status == 404:
        return f"the hub knows no owner {owner!r}, or the token may not see it"
    if status == 409:
        return f"the name {space} is taken by something that is no Space: choose another"
    return f"the Hugging Face hub did not take {space} ({_reason(error)}): try again later"


def _status(error: Exception) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def _reason(error: Exception) -> str:
    status = _status(error)
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return f"HTTP {status}" if status else lines[0]
