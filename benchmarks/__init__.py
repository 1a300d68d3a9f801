"""Benchmarks of the engine and of each domain. `pfgm benchmark` lists them; results lie in the folder results."""
