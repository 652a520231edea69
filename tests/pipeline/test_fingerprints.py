"""A new setting anywhere makes no finished table another configuration's: fingerprints hold what matters, by name."""

from dataclasses import field, fields, make_dataclass, replace
from typing import Any

import pytest

from psol_ray.config import Config
from psol_ray.pipeline import boxes, index, predict, train
from psol_ray.pipeline.context import Context
from psol_ray.pipeline.evaluate import evaluate
from psol_ray.tables import Provenance, RunDir

from .conftest import Run, context_of

SECTIONS = [f.name for f in fields(Config) if f.name not in ("run_dir", "seed")]


def with_a_new_setting(config: Config, section: str) -> Config:
    """The configuration of a later version, in which a section has a setting more."""
    settings = getattr(config, section)
    later = make_dataclass("Later", [("dummy", int, field(default=7))], bases=(type(settings),), frozen=True)
    values: dict[str, Any] = {f.name: getattr(settings, f.name) for f in fields(settings)}
    return replace(config, **{section: later(**values)})


def provenances(context: Context) -> list[Provenance]:
    """What would make each stage."""
    return [
        index.provenance(context),
        boxes.provenance(context),
        train.provenance(context, "localizer"),
        train.provenance(context, "classifier"),
        train.provenance(context, "joint"),
        predict.provenance(context),
    ]


@pytest.mark.parametrize("section", SECTIONS)
def test_a_new_setting_changes_no_fingerprint(whole: Run, copy: Run, section: str) -> None:
    before = context_of(whole)
    after = replace(context_of(copy), config=with_a_new_setting(context_of(copy).config, section))
    assert [p.fingerprint for p in provenances(after)] == [p.fingerprint for p in provenances(before)]
    evaluate(after)
    scores = [RunDir(str(run.run_dir)).stage("scores").require().fingerprint for run in (whole, copy)]
    assert scores[0] == scores[1]


def test_a_setting_that_matters_does(whole: Run) -> None:
    context = context_of(whole)
    changed = replace(context.config, data=replace(context.config.data, layout="cub"))
    assert index.provenance(replace(context, config=changed)).fingerprint != index.provenance(context).fingerprint
