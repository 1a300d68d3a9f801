"""One module a format: each reads a stream of records, good or bad, and writes the good ones."""
