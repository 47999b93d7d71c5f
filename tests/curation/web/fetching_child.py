"""Downloads one file into a home and is killed meanwhile: `python fetching_child.py HOST ADDRESS HOME`."""

import sys
from pathlib import Path

from curation.store import Home
from curation.web import Download, Web, WebSettings

host, address, home = sys.argv[1:]
web = Web(WebSettings("tester@example.org", frozenset({host})))
print([result for _, result in web.download_all([Download(address)], Home(Path(home)))], flush=True)  # noqa: T201
