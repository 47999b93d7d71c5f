"""A publication on the Hub, read by huggingface_hub; who may read it without a token needs none."""

import logging
from pathlib import Path

from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import (
    HFValidationError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from curation.errors import NotPublished, TransientError
from curation.publishing.hub_errors import asking
from rules.errors import ConfigurationError

# It warns of a cut line with the address that was asked, which holds a key.
_downloads = logging.getLogger("huggingface_hub.file_download")


def found(where: str, revision: str | None) -> str:
    """Return the commit that a revision of a data set is now; main's if it is None.

    Raises:
        ConfigurationError: there is no such data set or revision, or it may not be read.
        TransientError: the Hub is busy.
    """
    with asking(where, f"show {revision or 'main'}"):
        try:
            return str(HfApi().dataset_info(where, revision=revision).sha)
        except HFValidationError as error:
            raise ConfigurationError(f"{where!r}: expected owner/name: {error}") from None
        except RevisionNotFoundError:
            tags = HfApi().list_repo_refs(where, repo_type="dataset").tags
            there = ", ".join(sorted(tag.name for tag in tags)) or "none"
            raise ConfigurationError(f"{where} has no revision {revision}; its versions are {there}") from None
        except RepositoryNotFoundError:
            raise NotPublished(
                f"the Hub shows no data set {where}: expected the name of one, or a token that may read it, by "
                "`hf auth login` or in HF_TOKEN"
            ) from None


def fetch(where: str, commit: str, name: str, folder: Path) -> Path:
    """Download a file into a folder, or the rest of one whose beginning is there; raises as `found`."""
    _downloads.setLevel(logging.ERROR)
    with asking(where, f"give {name}"):
        try:
            return Path(hf_hub_download(where, name, repo_type="dataset", revision=commit, local_dir=folder))
        except RemoteEntryNotFoundError:
            raise ConfigurationError(f"{where} has no {name}: expected what `artune publish` made") from None
        except LocalEntryNotFoundError as error:  # whatever kept it from finding the file
            if isinstance(error.__cause__, Exception):
                raise error.__cause__ from None
            raise
        except OSError as error:
            if type(error) is OSError and error.errno is None:  # fewer bytes came than were announced
                raise TransientError(f"{where}: {name} was cut off; the same command goes on from there") from None
            raise
