"""pfgm-science: scientific generation with PFGM++."""
