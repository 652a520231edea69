r"""Any command, as a script for a cluster.

ray job submit --address http://localhost:8265 --working-dir . -- \
  python jobs/psol.py train localizer --config jobs/imagenet.yaml --data.root /mnt/psol/data/imagenet \
  --run_dir /mnt/psol/runs/imagenet
"""

import sys

from psol_ray.cli import main

sys.exit(main())
