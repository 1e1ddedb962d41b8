"""What every test gets: one thread for linear algebra, no display, and reproducible examples."""

from __future__ import annotations

import os

from hypothesis import settings

# Before numpy is first imported: small matrices on many threads are slower, and sums would depend on the core count.
for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ.setdefault("MPLBACKEND", "agg")

settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")
