"""torchaudio, also where its compiled extension does not load: `from modalities.audio.torch_audio import torchaudio`.

The package of PyPI is built for CUDA, and its extension cannot be loaded beside a torch that is built for the CPU.
What is used of it here (resampling, spectrograms, mel filters, Griffin-Lim) is written in torch and needs no extension;
files are read and written by soundfile.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from pfgm_science.errors import PfgmError

_EXTENSION = "torchaudio._extension"


def _imported() -> ModuleType:
    try:
        return _import()
    except ModuleNotFoundError:
        raise PfgmError("sounds need torchaudio, which is not installed: pip install torchaudio") from None
    except (OSError, ImportError, RuntimeError):  # the library is of another build, or of another CUDA
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchaudio"]:
            del sys.modules[name]
    sys.modules[_EXTENSION] = _without_extension()
    try:
        return _import()
    except (OSError, ImportError) as error:
        raise PfgmError(f"torchaudio does not load ({error}): install a version that goes with your torch") from None


def _import() -> ModuleType:
    import torchaudio

    module: ModuleType = torchaudio
    return module


def _without_extension() -> ModuleType:
    """What stands in for the extension: it says that there is none, and refuses the one thing that needs it."""
    stub = ModuleType(_EXTENSION)

    def refuse(function: Any) -> Any:
        def unavailable(*_: Any, **__: Any) -> None:
            raise PfgmError(f"torchaudio's {function.__name__} needs its compiled extension, which does not load here")

        return unavailable

    vars(stub).update(_IS_TORCHAUDIO_EXT_AVAILABLE=False, _IS_ALIGN_AVAILABLE=False, fail_if_no_align=refuse)
    return stub


torchaudio = _imported()
