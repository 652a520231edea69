"""`python -m psol_ray.cli`."""

import sys

from psol_ray.cli import main

sys.exit(main())
