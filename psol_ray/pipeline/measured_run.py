"""A run directory as a row of a paper's table: on what, by which networks, seen how."""

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from psol_ray.errors import UserError
from psol_ray.pipeline.evaluate import teacher_of
from psol_ray.pipeline.predict import SOURCES_FILE
from psol_ray.tables import BOXES, CATALOG, PREDICTIONS, Provenance, RunDir

__all__ = ["MeasuredRun"]

_STAGES = ("catalog", "boxes", "localizer", "classifier", "joint", "predictions")
_NAMES = {"cub": r"\d{3}\..+", "imagenet": r"n\d{8}"}
_VIEWS = {"whole": "whole images", "center": "centre crops", "ten": "ten crops"}


@dataclass(frozen=True, eq=False)
class MeasuredRun:
    """What lies in a run directory."""

    run_dir: str
    made_by: dict[str, Provenance]

    @classmethod
    def read(cls, run_dir: str) -> "MeasuredRun":
        """Raises a UserError where there is no catalog, or where predictions do not say whose they are."""
        stages = RunDir(run_dir)
        made_by = {name: found for name in _STAGES if (found := stages.stage(name).made_by())}
        if "catalog" not in made_by:
            raise UserError(f"{run_dir}: found no complete catalog, expected the run_dir of a run; give another one")
        run = cls(run_dir, made_by)
        if "predictions" in made_by and run._sources is None:
            raise UserError(
                f"{run_dir}: found predictions of an earlier version, which do not say whose they are;"
                " run `psol predict --overwrite` on it"
            )
        return run

    @cached_property
    def catalog(self) -> pa.Table:
        return RunDir(self.run_dir).stage("catalog").read(CATALOG)

    @cached_property
    def boxes(self) -> pa.Table:
        return RunDir(self.run_dir).stage("boxes").read(BOXES) if "boxes" in self.made_by else BOXES.empty_table()

    @cached_property
    def predictions(self) -> pa.Table:
        stage = RunDir(self.run_dir).stage("predictions")
        return stage.read(PREDICTIONS) if "predictions" in self.made_by else PREDICTIONS.empty_table()

    @cached_property
    def _sources(self) -> dict[str, Any] | None:
        text = RunDir(self.run_dir).stage("predictions").read_text(SOURCES_FILE)
        return None if text is None else json.loads(text)

    @cached_property
    def data_set(self) -> str:
        """cub or imagenet, by layout or, whatever the layout, by the names of classes; else the layout."""
        layout = str(self.made_by["catalog"].config.get("layout"))
        names = pc.unique(self.catalog.column("class_name")).to_pylist()
        for data_set, pattern in _NAMES.items():
            if layout == data_set or all(re.fullmatch(pattern, name) for name in names):
                return data_set
        return layout

    @property
    def localizer_backbone(self) -> str:
        """Of the network that predicted boxes."""
        return "?" if self._sources is None else str(self._sources["localizer"]["backbone"])

    def boxes_row(self) -> tuple[str, str, str] | None:
        """Method, backbone and note of pseudo boxes; None where they are of no method that tables have."""
        made_by = self.made_by.get("boxes")
        method = teacher_of(made_by)
        if made_by is None or method not in ("DDT", "CAM", "Grad-CAM"):
            return None
        config = made_by.config
        if method == "DDT":
            note = f"{self._images()}; {config['input_size']} pixels, {config['upsample']}"
            return method, config["backbone"], note
        classifier = config["classifier"]
        note = f"{self._images()}; {classifier['input_size']} pixels, threshold {config['threshold']}"
        return method, classifier["backbone"], note

    def predictions_row(self) -> tuple[int, str, str, str] | None:
        """Table, method, backbone and note of predictions; None where no table has such."""
        if self._sources is None:
            return None
        config = self.made_by["predictions"].config
        classifiers = config["classifiers"]
        localizer, note = self._sources["localizer"], f"{self._images()}; {self._how()}"
        if not classifiers:
            origin = localizer["file"] and _origin(localizer["file"])
            return (3, f"from {origin}", localizer["backbone"], note) if origin else None
        if config["localizer"] == "joint" and classifiers == ["joint"]:
            return 2, "PSOL-Joint", localizer["backbone"], note
        if config["localizer"] == "localizer" and classifiers == ["classifier"]:
            return 2, "PSOL-Sep", localizer["backbone"], note
        names = " + ".join(classifier["backbone"] for classifier in self._sources["classifiers"])
        return 4, f"{localizer['backbone']} with {names}", "", note

    def own_networks(self) -> list[tuple[str, int, int | None, int | None]]:
        """Backbone, boxes, classes and input size of each network, where all are this run's own."""
        num_classes = pc.max(self.catalog.column("label")).as_py() + 1
        predicted = self.made_by["predictions"].config
        found = []
        for name in dict.fromkeys([predicted["localizer"], *predicted["classifiers"]]):
            config = self.made_by[name].config
            num_boxes = num_classes if config.get("regression") == "per_class" else 1
            boxes, classes = (0 if name == "classifier" else num_boxes), (None if name == "localizer" else num_classes)
            found.append((config["backbone"], boxes, classes, config["input_size"]))
        return found

    def _images(self) -> str:
        counts = {split: pc.sum(pc.equal(self.catalog["split"], split)).as_py() or 0 for split in ("train", "test")}
        classes = len(pc.unique(self.catalog["label"]))
        return f"{self.run_dir}: {classes:,} classes, {counts['train']:,} training and {counts['test']:,} test images"

    def _how(self) -> str:
        """How networks have seen images, and which of their weights."""
        assert self._sources is not None
        config, localizer = self.made_by["predictions"].config, self._sources["localizer"]
        words = [f"boxes at {localizer['input_size']} pixels of {_VIEWS[config['view']]}"]
        if self._sources["classifiers"]:
            sizes = sorted({classifier["input_size"] for classifier in self._sources["classifiers"]})
            words.append(f"classes at {' and '.join(map(str, sizes))} of {_VIEWS[config['class_view']]}")
        if config["checkpoint"] == "best":
            words.append("weights chosen on the test images")
        learned = self.made_by.get(config["localizer"])
        if learned and learned.config.get("regression") == "per_class":
            words.append("a box for each class")
        teacher = teacher_of(self.made_by.get("boxes"))
        if teacher not in (None, "DDT"):
            words.append(f"learned from {teacher}")
        return ", ".join(words)


def _origin(file: str) -> str:
    """The data set on which a localizer of another run has learned, or that run's name."""
    folder = file.rsplit("/", 2)[0] if file.count("/") > 1 else "."
    made_by = RunDir(folder).stage("catalog").made_by()
    return MeasuredRun(folder, {"catalog": made_by}).data_set if made_by else folder.rsplit("/", 1)[-1]
