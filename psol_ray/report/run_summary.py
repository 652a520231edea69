"""A run directory as rows of the paper's tables: on what, by which networks, seen how."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from psol_ray.errors import UserError
from psol_ray.evaluation.metrics import Metrics, nested
from psol_ray.evaluation.scoring import ScoringProtocol
from psol_ray.evaluation.stage import read_scores
from psol_ray.stages import STAGES
from psol_ray.tables.provenance import Provenance
from psol_ray.tables.run_dir import RunDir
from psol_ray.tables.schemas import CATALOG, TEST, TRAIN

__all__ = ["NetworkSpec", "RowName", "RunSummary"]

_NAMES = {"cub": r"\d{3}\..+", "imagenet": r"n\d{8}"}
_VIEWS = {"whole": "whole images", "center": "centre crops", "ten": "ten crops"}
_PUBLISHED_CLASSES = 1000  # of a classifier that was not trained here, but on ImageNet


class RowName(NamedTuple):
    """Where a run's figures stand, and what they were measured on, in words."""

    table: int
    method: str
    backbone: str
    note: str


class NetworkSpec(NamedTuple):
    """The arguments of `psol_ray.models.costs.cost`."""

    backbone: str
    num_boxes: int
    num_classes: int | None
    input_size: int | None


@dataclass(frozen=True, eq=False)
class RunSummary:
    """What a run directory holds, of which its tables are read when they are asked for."""

    run_dir: str
    made_by: Mapping[str, Provenance]

    @classmethod
    def read(cls, run_dir: str) -> "RunSummary":
        """Read what made each stage.

        Raises:
            UserError: there is no catalog, or predictions do not say which networks made them.
        """
        stages = RunDir(run_dir)
        made_by = {name: provenance for name in STAGES if (provenance := stages.stage(name).made_by())}
        if "catalog" not in made_by:
            raise UserError(f"{run_dir}: found no complete catalog, expected the run_dir of a run; give another one")
        if "predictions" in made_by and "localizer" not in made_by["predictions"].details:
            raise UserError(
                f"{run_dir}: found predictions that do not say which networks made them, expected those of this"
                " version; run `psol predict --overwrite` on it"
            )
        return cls(run_dir, made_by)

    @cached_property
    def scores(self) -> pa.Table:
        return read_scores(RunDir(self.run_dir))

    @cached_property
    def data_set(self) -> str:
        """cub or imagenet, by layout or, whatever the layout, by the names of classes; else the layout."""
        layout = str(self.made_by["catalog"].config.get("layout"))
        catalog = RunDir(self.run_dir).stage("catalog").read(CATALOG, ["class_name"])
        names = pc.unique(catalog.column("class_name")).to_pylist()
        for data_set, pattern in _NAMES.items():
            if layout == data_set or all(re.fullmatch(pattern, name) for name in names):
                return data_set
        return layout

    @cached_property
    def papers_means(self) -> dict[str, Any]:
        """Means of class means of the test images, scored as the paper does: in its crop, right above an IoU of 0.5."""
        metrics = Metrics.of(self.scores, TEST, ScoringProtocol(above=True), "_crop")
        return nested(metrics.names, metrics.mean_of_classes())

    def boxes_row(self) -> RowName | None:
        """Name the row of the pseudo boxes; None where their generator says that Table 1 has no place for them."""
        made_by = self.made_by.get("boxes")
        if made_by is None or not made_by.details.get("paper_row"):
            return None
        row = made_by.details["paper_row"]
        return RowName(1, made_by.details["title"], row["backbone"], f"{self._images()}; {row['note']}")

    def predictions_row(self) -> RowName | None:
        """Name the row of the predictions; None where no table has such."""
        if "predictions" not in self.made_by:
            return None
        predicted = self.made_by["predictions"]
        own, localizer, classifiers = predicted.config["localizer"], *self._networks()
        note = f"{self._images()}; {self._how()}"
        if not classifiers:
            origin = localizer["file"] and _origin(localizer["file"])
            return RowName(3, f"from {origin}", localizer["backbone"], note) if origin else None
        if own == "joint" and predicted.config["classifiers"] == ["joint"]:
            return RowName(2, "PSOL-Joint", localizer["backbone"], note)
        if own == "localizer" and [network["backbone"] for network in classifiers] == [localizer["backbone"]]:
            return RowName(2, "PSOL-Sep", localizer["backbone"], note)
        # timm's tags say which weights, which the paper's rows do not have in their names.
        names = " + ".join(network["backbone"].partition(".")[0] for network in classifiers)
        return RowName(4, f"{localizer['backbone']} with {names}", "", note)

    def networks(self) -> list[NetworkSpec]:
        """List the networks of a row of Table 2, each once."""
        num_classes = pc.max(self.scores.column("label")).as_py() + 1
        config, (_, classifiers) = self.made_by["predictions"].config, self._networks()
        specs = [self._trained(config["localizer"], num_classes)]
        for name, network in zip(config["classifiers"], classifiers, strict=True):
            if name in ("classifier", "joint"):
                specs.append(self._trained(name, num_classes))
            else:
                # From a file, which is known by a hash, or a published one, which is by its weights.
                known = num_classes if isinstance(name, str) else _PUBLISHED_CLASSES
                specs.append(NetworkSpec(network["backbone"], 0, known, network["input_size"]))
        return list(dict.fromkeys(specs))

    def _trained(self, name: str, num_classes: int) -> NetworkSpec:
        config = self.made_by[name].config
        num_boxes = num_classes if config.get("regression") == "per_class" else 1
        return NetworkSpec(
            config["backbone"],
            0 if name == "classifier" else num_boxes,
            None if name == "localizer" else num_classes,
            config["input_size"],
        )

    def _networks(self) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
        """What predictions say of their localizer and classifiers: backbone, file and input size."""
        details = self.made_by["predictions"].details
        return details["localizer"], details["classifiers"]

    def _images(self) -> str:
        counts = {split: pc.sum(pc.equal(self.scores["split"], split)).as_py() or 0 for split in (TRAIN, TEST)}
        classes = len(pc.unique(self.scores["label"]))
        return f"{self.run_dir}: {classes:,} classes, {counts[TRAIN]:,} training and {counts[TEST]:,} test images"

    def _how(self) -> str:
        """How networks have seen images, and which of their weights."""
        config, (localizer, classifiers) = self.made_by["predictions"].config, self._networks()
        words = [f"boxes at {localizer['input_size']} pixels of {_VIEWS[config['view']]}"]
        if classifiers:
            sizes = sorted({network["input_size"] for network in classifiers})
            words.append(f"classes at {' and '.join(map(str, sizes))} of {_VIEWS[config['class_view']]}")
        if config["checkpoint"] == "best":
            words.append("weights chosen on the test images")
        learned = self.made_by.get(config["localizer"])
        if learned and learned.config.get("regression") == "per_class":
            words.append("a box for each class")
        generator = self.made_by["boxes"].details.get("title") if "boxes" in self.made_by else None
        if generator not in (None, "DDT"):
            words.append(f"learned from {generator}")
        return ", ".join(words)


def _origin(file: str) -> str:
    """The data set on which a localizer of another run has learned, or that run's name."""
    folder = file.rsplit("/", 2)[0] if file.count("/") > 1 else "."
    made_by = RunDir(folder).stage("catalog").made_by()
    return RunSummary(folder, {"catalog": made_by}).data_set if made_by else folder.rsplit("/", 1)[-1]
