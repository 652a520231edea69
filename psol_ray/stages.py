"""The one list of commands and of the folders that they make in a run directory: order, help and messages follow it.

Names and sentences alone: everything else of a command is imported once it is called.
"""

from dataclasses import dataclass

__all__ = ["COMMANDS", "STAGES", "Command", "Stage"]


@dataclass(frozen=True)
class Stage:
    """A folder of a run directory and the command that makes it, `train localizer`, say."""

    name: str
    command: str


@dataclass(frozen=True)
class Command:
    """A command of `psol`.

    `function` is `module:function` in `psol_ray.pipeline`; `sections` are the sections of the configuration that it
    uses, beside `run_dir`; `stages` are the folders that it makes.
    """

    name: str
    purpose: str
    function: str
    sections: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()


COMMANDS = (
    Command(
        "run",
        "Run Algorithm 1 whole: index, boxes, train, predict, evaluate and report.",
        "run:run",
        ("data", "seed", "boxes", "localizer", "classifier", "joint", "predict", "evaluate", "cluster"),
    ),
    Command(
        "index",
        "Make the catalog of a data set: its images with class, split, size and true boxes.",
        "index:index",
        ("data", "cluster"),
        (Stage("catalog", "index"),),
    ),
    Command(
        "boxes",
        "Draw a pseudo box on every image, by Deep Descriptor Transformation or another generator.",
        "boxes:boxes",
        ("data", "boxes", "cluster"),
        (Stage("boxes", "boxes"), Stage("maps", "boxes")),
    ),
    Command(
        "import",
        "Take the boxes of another project as this run's pseudo boxes.",
        "boxes:import_boxes",
        ("data", "boxes", "cluster"),
    ),
    Command(
        "train",
        "Train the localizer, the classifier, or one network for both.",
        "train:train",
        ("data", "seed", "localizer", "classifier", "joint", "cluster"),
        tuple(Stage(name, f"train {name}") for name in ("localizer", "classifier", "joint")),
    ),
    Command(
        "predict",
        "Predict boxes and classes of the test images.",
        "predict:predict",
        ("data", "predict", "cluster"),
        (Stage("predictions", "predict"),),
    ),
    Command(
        "evaluate",
        "Score boxes and predictions: write the scores table and metrics.json, and print the scores.",
        "evaluate:evaluate",
        ("evaluate",),
        (Stage("scores", "evaluate"),),
    ),
    Command(
        "report",
        "Write the page with pictures, report/index.html.",
        "report:report",
        ("data",),
    ),
    Command(
        "transfer",
        "Score another run's localizer on these images: index, predict, evaluate and report.",
        "run:transfer",
        ("data", "predict", "evaluate", "cluster"),
    ),
    Command(
        "export",
        "Write boxes in the format of another project.",
        "export:export",
        ("export",),
    ),
    Command(
        "paper-tables",
        "Print the paper's Tables 1 to 5 with the figures of these run directories beside the paper's.",
        "paper_tables:paper_tables",
    ),
)

STAGES = {stage.name: stage for command in COMMANDS for stage in command.stages}
