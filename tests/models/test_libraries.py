import subprocess
import sys
import textwrap
from pathlib import Path

import pytest


def run(code: str) -> str:
    """What a fresh process prints; what this one has loaded already is no matter there."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_networks_run_without_the_compiler_which_works_all_the_same_once_asked_for() -> None:
    printed = run(
        """
        import sys

        import torch

        from psol_ray.models import libraries
        from psol_ray.models.libraries import load_timm, load_torchvision

        def loaded(name):
            return name in sys.modules

        torchvision = load_torchvision()
        assert not loaded("timm") and torchvision is load_torchvision()
        images_NCHW = torch.zeros(1, 3, 32, 32)
        vgg16 = torchvision.models.get_model("vgg16", weights=None, init_weights=False).eval()
        with torch.inference_mode():
            assert vgg16(images_NCHW).shape == (1, 1000)
        extractor = torchvision.models.feature_extraction.create_feature_extractor(vgg16, {"features": "map"})
        assert extractor(images_NCHW)["map"].shape == (1, 512, 1, 1)
        timm = load_timm()
        assert timm.create_model("test_resnet").eval()(images_NCHW).shape == (1, 1000)
        assert len(timm.data.ImageNetInfo("imagenet-1k").label_names()) == 1000
        assert not loaded("torch._dynamo") and not loaded("torch._dynamo.utils") and not loaded("sympy")

        # Functions that kept the stand-in's pass the question on to the real ones.
        from torchvision.ops import roi_align
        assert not loaded("torch._dynamo")
        supported = sys.modules["torchvision.ops.roi_align"].is_compile_supported
        assert supported("cpu") is True and supported("meta") is False
        assert supported._dynamo_marked_constant
        assert not isinstance(sys.modules["torch._dynamo"], libraries._StandIn)
        assert torch._dynamo is sys.modules["torch._dynamo"]

        # A method that timm keeps the compiler out of, in a network that calls it.
        flexible = timm.create_model("naflexvit_base_patch16_siglip", depth=1, embed_dim=32, num_heads=2, img_size=32)
        assert flexible(images_NCHW).shape[0] == 1

        linear = torch.nn.Linear(3, 1)
        doubled = torch.compile(lambda x: linear(x) * 2, backend="eager")
        optimizer = torch.optim.SGD(linear.parameters(), lr=0.1)
        doubled(torch.ones(2, 3)).sum().backward()
        optimizer.step()
        boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0]])
        assert roi_align(torch.ones(1, 1, 8, 8), [boxes], output_size=2).shape == (1, 1, 2, 2)
        print("done")
        """
    )
    assert printed == "done\n"


def test_a_part_that_the_stand_in_lacks_is_imported_the_plain_way(tmp_path: Path) -> None:
    (tmp_path / "newer_library.py").write_text("import torch._dynamo.eval_frame\n")
    (tmp_path / "broken_library.py").write_text("import no_such_module\n")
    printed = run(
        f"""
        import sys

        sys.path.insert(0, {str(tmp_path)!r})
        from psol_ray.models.libraries import _import

        try:
            _import("broken_library")
        except ModuleNotFoundError as error:
            assert error.name == "no_such_module"
        assert "torch._dynamo" not in sys.modules
        _import("newer_library")
        assert sys.modules["newer_library"].torch._dynamo.eval_frame.innermost_fn
        print("done")
        """
    )
    assert printed == "done\n"


def test_a_question_beyond_the_stand_in_loads_the_real_compiler_at_once() -> None:
    printed = run(
        """
        import sys

        import torch

        from psol_ray.models.libraries import _postponed_compiler

        with _postponed_compiler():
            import torch._dynamo
            from torch import _dynamo as kept
            assert not hasattr(kept, "__path__") and "sympy" not in sys.modules
            postponed = torch.compiler.disable(lambda x: x + 1, reason="a test")
            assert "sympy" not in sys.modules
            size = torch._dynamo.config.cache_size_limit
            assert "sympy" in sys.modules and sys.modules["torch._dynamo"] is not kept
            import torch._dynamo.eval_frame
        assert kept.config is sys.modules["torch._dynamo"].config and postponed(1) == 2
        assert type(kept) is not type(sys.modules["torch._dynamo"])

        with _postponed_compiler():
            assert sys.modules["torch._dynamo"] is torch._dynamo
        print("done")
        """
    )
    assert printed == "done\n"


def test_the_backbones_module_loads_neither_library_and_vgg16_no_timm() -> None:
    printed = run(
        """
        import sys

        from psol_ray.models.backbones import find_backbone
        from psol_ray.models.features import FeatureExtractor
        import psol_ray.models.weights

        assert not {"timm", "torchvision"} & set(sys.modules)
        import torch

        vgg16 = find_backbone("vgg16")
        with torch.device("meta"):
            assert vgg16.build()
        assert FeatureExtractor(vgg16, {})(torch.zeros(1, 32, 32, 3, dtype=torch.uint8)).shape == (1, 1, 1, 512)
        assert "timm" not in sys.modules and "torchvision" in sys.modules and "sympy" not in sys.modules
        print("done")
        """
    )
    assert printed == "done\n"
