"""What each domain adds to the engine, a package a domain: adapter, formats, data sets, network, metrics, views."""
