"""What only tests and benchmarks need. Not installed: pyproject.toml and the benchmarks put tests/ on the path."""
