r"""Algorithm 1 whole.

ray job submit --address http://localhost:8265 --working-dir . -- \
  python jobs/run.py --config jobs/imagenet.yaml --data.root /mnt/psol/data/imagenet \
  --run_dir /mnt/psol/runs/imagenet
"""

import sys

from psol_ray.cli import main

sys.exit(main(["run", *sys.argv[1:]]))
