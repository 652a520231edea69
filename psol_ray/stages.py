"""The one list of commands and of the folders that they make in a run directory: order, help and messages follow it.

Names and sentences alone: everything else of a command is imported once it is called.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

__all__ = ["COMMANDS", "STAGES", "Argument", "Command", "ModelName", "Stage"]

ModelName = Literal["localizer", "classifier", "joint"]
"""What can be trained: a network for boxes, one for classes, or one for both."""


@dataclass(frozen=True)
class Stage:
    """A folder of a run directory and the command that makes it, `train localizer`, say."""

    name: str
    command: str


@dataclass(frozen=True)
class Argument:
    """What a command is given beside its settings: its name in the help, and what may be given.

    An `optional` one says that the command does something else. With one that stands `alone` it needs neither
    `run_dir` nor `data.root`.
    """

    name: str
    help: str
    choices: tuple[str, ...] = ()
    several: bool = False
    optional: bool = False
    alone: bool = False


@dataclass(frozen=True)
class Command:
    """A command of `psol`.

    Attributes:
        name: as the user types it.
        purpose: one sentence of help.
        function: `module:function` in `psol_ray.pipeline`.
        sections: what it uses of the configuration beside `run_dir`: fields, sections, or sections in sections. A
            command without any takes no settings at all.
        stages: the folders that it makes.
        argument: what it is given beside the settings.
        overwrites: whether results of another configuration stop it, unless there is `--overwrite`.
        skips: whether parts that are set aside stop it, unless there is `--skip`.
        in_run: whether its settings begin with a run directory.
        short: flags of one word, by the settings that they stand for.
    """

    name: str
    purpose: str
    function: str
    sections: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()
    argument: Argument | None = None
    overwrites: bool = False
    skips: bool = False
    in_run: bool = True
    short: Mapping[str, str] = field(default_factory=dict)


# Where the images are is the command's argument.
_OF_IMAGES = tuple(f"data.{name}" for name in ("layout", "metadata", "coordinates", "max_pixels", "max_unreadable"))
_NETWORKS: tuple[ModelName, ...] = get_args(ModelName)

_ALL = (
    Command(
        "run",
        "Run Algorithm 1 whole: index, boxes, train, predict, evaluate and report.",
        "run:run",
        ("data", "seed", "boxes", *_NETWORKS, "predict", "evaluate", "cluster"),
        overwrites=True,
        skips=True,
    ),
    Command(
        "label",
        "Draw a box on every image of a folder, and write them in the format that the next tool reads.",
        "label:label",
        (*_OF_IMAGES, "boxes", "export.format", "export.out", "export.min_quality", "cluster"),
        argument=Argument("images", "Folder of images, or a list of them, in any layout of data.layout."),
        overwrites=True,
        skips=True,
        in_run=False,
        short={"out": "export.out", "format": "export.format", "min-quality": "export.min_quality"},
    ),
    Command(
        "doctor",
        "Look at every machine before a run: what will not work, and what will be slow.",
        "doctor:doctor",
        ("data", "boxes", *_NETWORKS, "predict", "cluster"),
    ),
    Command(
        "plan",
        "Say before a run what it takes: images, hours, storage and traffic.",
        "plan:plan",
        ("data", "boxes", *_NETWORKS, "predict", "cluster"),
    ),
    Command(
        "index",
        "Make the catalog of a data set: its images with class, split, size and ground truth.",
        "index:index",
        ("data", "cluster"),
        (Stage("catalog", "index"),),
        overwrites=True,
    ),
    Command(
        "pack",
        "Write the images of the catalog into tar shards (WebDataset's), for object stores and other training code.",
        "pack:pack",
        ("data", "pack"),
    ),
    Command(
        "boxes",
        "Draw a pseudo box on every image, by Deep Descriptor Transformation or another generator.",
        "boxes:boxes",
        ("data", "boxes", "cluster"),
        (Stage("boxes", "boxes"), Stage("maps", "boxes"), Stage("heat", "boxes")),
        overwrites=True,
        skips=True,
    ),
    Command(
        "import",
        "Take the boxes of another project as this run's pseudo boxes.",
        "boxes:import_boxes",
        ("data", "boxes.imported"),
        overwrites=True,
    ),
    Command(
        "train",
        "Train the localizer, the classifier, or one network for both.",
        "train:train",
        ("data", "seed", *_NETWORKS, "cluster"),
        tuple(Stage(name, f"train {name}") for name in _NETWORKS),
        Argument("model", "Network to train.", choices=_NETWORKS),
        overwrites=True,
    ),
    Command(
        "predict",
        "Predict boxes and classes of the test images, or of photos that are named.",
        "predict:predict",
        ("data", "predict", "cluster"),
        (Stage("predictions", "predict"),),
        Argument(
            "photo",
            "File, folder, pattern in quotes, or - for one image on stdin; without any the run's test images.",
            several=True,
            optional=True,
            alone=True,
        ),
        overwrites=True,
        skips=True,
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
        overwrites=True,
        skips=True,
    ),
    Command(
        "export",
        "Write boxes in the format of another project.",
        "export:export",
        ("export",),
    ),
    Command(
        "export-model",
        "Write the networks that predict as one file for other programs: whole photos in, boxes in pixels out.",
        "export_model:export_model",
        ("predict",),
        argument=Argument("file", "File to write: .onnx for ONNX, .pt2 for torch.export.", alone=True),
    ),
    Command(
        "serve",
        "Answer photos that are sent by HTTP with their boxes, and show a page on which one is dropped.",
        "serve:serve",
        ("serve", "cluster"),
        argument=Argument("model", "Run directory, or a model.safetensors that says boxes."),
        in_run=False,
    ),
    Command(
        "status",
        "Say of runs what is done, what is made where, how long it takes, and what was set aside; for a ticket, too.",
        "status:status",
        argument=Argument("run", "Run directory.", several=True),
    ),
    Command(
        "paper-tables",
        "Print the paper's tables with the figures of these run directories beside the paper's.",
        "paper_tables:paper_tables",
        argument=Argument("run", "Run directory.", several=True),
    ),
)

COMMANDS = {command.name: command for command in _ALL}
STAGES = {stage.name: stage for command in _ALL for stage in command.stages}
