"""From a published revision to batches: the order, the media, the cache, the threads."""
