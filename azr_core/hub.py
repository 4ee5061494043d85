"""Hugging Face's hub, as far as `azr export --push` needs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from azr_core.errors import ConfigError, RunError

STALE = ["*.safetensors", "*.safetensors.index.json"]  # of an earlier export, where this one has no file of that name


class Api(Protocol):
    """The part of huggingface_hub's HfApi that is used."""

    token: str | bool | None

    def whoami(self) -> Any:
        """The account behind the token."""

    def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> Any:
        """Make a model repository, unless it exists."""

    def upload_folder(self, *, repo_id: str, folder_path: str, commit_message: str, delete_patterns: list[str]) -> Any:
        """Put a folder's files into it, in one commit."""


def connect(repo: str, api: Api | None = None) -> Api:
    """The hub, ready to take `repo`; asked before anything is written. Raises UsageError without a token or a network."""
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # documented, but not marked as public

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise ConfigError(f"--push {repo!r}: {error}") from None
    if "/" not in repo:
        raise ConfigError(f"--push {repo!r} has no owner; write OWNER/NAME")
    if api is None:
        token = get_token()
        if not token:
            raise ConfigError("--push needs a token of the hub; log in with `hf auth login`, or set HF_TOKEN, or leave --push out")
        api = HfApi(token=token)
    _ask(api.whoami, "cannot reach the hub with this token", "check the network and `hf auth whoami`, or leave --push out")
    return api


def push(api: Api, folder: Path, repo: str, message: str) -> str:
    """Upload a model's folder into a repository, a new one being private; returns its address. Raises RunError; the folder stays."""

    def upload() -> None:
        api.create_repo(repo, private=True, exist_ok=True)
        api.upload_folder(repo_id=repo, folder_path=str(folder), commit_message=message, delete_patterns=STALE)

    _ask(upload, f"{folder} is written, but could not be pushed", f"mend it and use `hf upload {repo} {folder}`")
    return f"https://huggingface.co/{repo}"


def _ask(request: Callable[[], Any], what: str, mend: str) -> None:
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # of the client it uses, which differs by version

    try:
        request()
    except (OSError, HTTPError) as error:
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise RunError(f"{what} ({reason}); {mend}") from None
