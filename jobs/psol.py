"""Any command, as a script for a cluster.

ray job submit --working-dir . -- python jobs/psol.py train localizer --config jobs/imagenet.yaml
"""

import sys

from psol_ray.cli import main

sys.exit(main())
