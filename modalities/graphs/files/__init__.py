"""One module for each format of files; `modalities.graphs.formats` goes by the ending of the name."""
