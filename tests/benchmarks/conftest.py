"""Benchmarks are run, not tested: pytest collects nothing here."""

collect_ignore_glob = ["*.py", "peers/*.py"]
