"""From a release to what others load: which media may be given away, the files, the Hub, and other places."""
