"""The command `pfgm`: what may be typed and how mistakes are answered. The work is done in `commands`.

Nothing but the standard library is imported here, so that help is there at once.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from pfgm_science.errors import PfgmError

USER_ERROR, LEFT_OUT = 2, 3  # exit codes; see EXIT_CODES
EXIT_CODES = """exit codes: 0 done; 1 an unexpected error; 2 a mistake that you can mend; 3 done, but records were left
out (named on stderr); 130 and 143 stopped by Ctrl-C or SIGTERM. PFGM_DEBUG=1 shows the traceback of an error."""

_DIMENSION = "extra dimensions D of PFGM++: a number > 0 (1 is PFGM) or inf (diffusion)"
_RUN = "folder of a run, its .safetensors file, or the name of a shipped model"
_PACKAGES = {"PIL": "pillow", "sklearn": "scikit-learn", "skimage": "scikit-image", "Bio": "biopython"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run `pfgm` with these words (those of the process if None) and return the exit code; never raises for an error.

    SystemExit(0) is raised after --help and --version, as by argparse.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        with _terminable():
            code = _run(words)
            sys.stdout.flush()
            return code
    except BrokenPipeError:  # the reader of our output has gone, as in `pfgm data | head`
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (Exception, KeyboardInterrupt, _Terminated) as error:
        if os.environ.get("PFGM_DEBUG"):
            import traceback

            traceback.print_exc()
        code, message = _answer(error)
        if rank() == 0:
            print(f"pfgm: {message}", file=sys.stderr)
        elif code < 128:
            print(f"pfgm (process {rank()}): {message}", file=sys.stderr)
        return code


def rank() -> int:
    """Which of the processes of a run this is, as torchrun or Lightning Fabric number them; 0 for one alone."""
    return int(os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or 0)


class Parser(argparse.ArgumentParser):
    """Refuses a word that is not known with the nearest right one, and leaves exiting to `main`."""

    def error(self, message: str) -> NoReturn:
        raise PfgmError(f"{message}\nSee `{self.prog} --help`.")

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.choices is not None and value not in action.choices:
            known = [str(choice) for choice in action.choices]
            raise argparse.ArgumentError(action, f"{value!r} is not one of {', '.join(known)}.{nearest(value, known)}")


def nearest(word: object, known: Sequence[str]) -> str:
    """' Did you mean ...?', or nothing when no known word is near."""
    import difflib

    near = difflib.get_close_matches(str(word), known, 1)
    return f" Did you mean {near[0]}?" if near else ""


def _run(words: list[str]) -> int:
    parser, commands = _parsers()
    _check_options(words, parser, commands)
    args = parser.parse_args(words)
    if args.command is None:
        parser.print_help()
        return 0
    from pfgm_science import commands as work

    command: Callable[[argparse.Namespace], int] = getattr(work, args.command.replace("-", "_"))
    work.prepare(args.threads)
    return command(args)


def _check_options(words: Sequence[str], parser: Parser, commands: dict[str, Parser]) -> None:
    """Name an unknown option first: argparse would complain of what is missing because of it."""
    chosen = next((word for word in words if word in commands), None)
    if chosen is None:
        return
    known = sorted({*parser._option_string_actions, *commands[chosen]._option_string_actions})
    for word in words:
        if word == "--" or (word == chosen == "benchmark"):
            return
        name = word.partition("=")[0]
        if re.match(r"-+[A-Za-z]", word) and name not in known:
            hint = nearest(name, known)
            raise PfgmError(f"{name} is not an option of `pfgm {chosen}`.{hint}\nSee `pfgm {chosen} --help`.")


class _Terminated(BaseException):
    """SIGTERM arrived where nobody waits for it: unwind, so that temporary files are removed."""


@contextmanager
def _terminable() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _answer(error: BaseException) -> tuple[int, str]:
    """Exit code and message for whatever went wrong."""
    if isinstance(error, PfgmError):
        number = getattr(error, "signal_number", 0)  # of training.Interrupted, which cannot be imported without torch
        return (128 + number if number else USER_ERROR), str(error)
    if isinstance(error, KeyboardInterrupt):
        return 130, "stopped by Ctrl-C"
    if isinstance(error, _Terminated):
        return 143, "stopped by SIGTERM"
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("pfgm_science"):
        module = error.name.partition(".")[0]
        package = _PACKAGES.get(module, module)
        return USER_ERROR, f"the Python package {module!r} is missing. Install it with `pip install {package}`."
    if isinstance(error, MemoryError) or _out_of_memory(error):
        return USER_ERROR, f"out of memory ({error}). Use a smaller --batch-size, network or data set.".replace(
            " ()", ""
        )
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename is not None else ""
        return USER_ERROR, f"{place}{error.strerror}. Check the path, its permissions and the space on the disk."
    reason = str(error).strip().partition("\n")[0]
    if type(error).__module__.startswith(("torch._inductor", "torch._dynamo")):
        return (
            USER_ERROR,
            f"the network cannot be compiled here: {reason}. Leave --compile out, or install a C++ compiler.",
        )
    return 1, (
        f"unexpected error, {type(error).__name__}: {reason}\n"
        "This looks like a fault of pfgm and not of yours. PFGM_DEBUG=1 before the command shows where it happened."
    )


def _out_of_memory(error: BaseException) -> bool:
    """Torch has a type of its own for this on CUDA alone."""
    signs = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs)


def _parsers() -> tuple[Parser, dict[str, Parser]]:
    """The parser of `pfgm` and those of its commands."""
    parser = Parser(
        prog="pfgm",
        description="Scientific generation with PFGM++: train on your own data, sample, and measure how good it is.",
        epilog=_examples(
            "pfgm demo                                             # images from real digits, in minutes on a laptop",
            "pfgm train images digits --out runs/digits            # a data set by name",
            "pfgm train images photos/ --size 64 --out runs/photos # files of your own",
            "pfgm sample runs/digits --count 100 --out new.png",
            "pfgm evaluate runs/digits --out page",
        )
        + f"\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and leave")
    threads = "CPU threads to use, at least 1 (default: as torch finds best)"
    parser.add_argument("--threads", type=_whole(1), metavar="N", help=threads)
    room = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    commands: dict[str, Parser] = {}

    def add(name: str, summary: str, *examples: str, more: str = "") -> Parser:
        made = room.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}. {more}".strip(),
            epilog=_examples(*examples),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        made.add_argument("--threads", type=_whole(1), metavar="N", default=argparse.SUPPRESS, help=threads)
        commands[name] = made
        return made

    _demo(
        add(
            "demo",
            "train on real digits, sample, and write a page to look at",
            "pfgm demo",
            "pfgm demo --out demo --seed 1",
        )
    )
    _train(
        add(
            "train",
            "train a model on data by name or on your own files",
            "pfgm train images digits --dimension 128 --out runs/digits",
            "pfgm train vectors table.csv --label species --dimension inf --steps 2000 --out runs/table",
            "pfgm train images photos/ --size 64 --dimension-range 8,2048 --out runs/photos",
            "pfgm train vectors wine --config my.toml --set training.batch_size=64 --set network.width=128",
            "pfgm train graphs mine.g6 --start planar-20 --steps 2000 --out runs/mine",
            "pfgm train images photos.zip --devices 2 --device cuda",
            more="Run the same command again to go on with a run that was stopped.",
        )
    )
    _sample(
        add(
            "sample",
            "draw new objects from a trained model",
            "pfgm sample runs/digits --count 100 --out new.png",
            "pfgm sample runs/digits --label 3 --seed 1 --out threes.npz",
            "pfgm sample runs/digits --dimension 64 --evaluations 9 --solver unipc --out folder",
            "pfgm sample runs/digits --label 7 --guidance 2 --guidance-interval 0.2,3",
            "pfgm sample runs/weather --condition season=winter --condition wind=0.5,1.2",
            "pfgm sample planar-20 --sizes 16-20 --count 50 --out graphs.g6",
            "pfgm sample planar-20 --from part.g6 --out completed.g6",
            "pfgm sample runs/vh --template t.fasta --redesign CDR-H3 --length 10-16 --deny N-glycosylation",
            "pfgm sample runs/digits --keep mask.npy --from x.npy --repeats 5",
            "pfgm sample syllables --from word.wav --gap 120-170 --count 4",
            "pfgm sample runs/table --measure A.npy --result z.npy --measure-noise 0.1 --repeats 20",
            more="Sample i depends on the seed and on i alone.",
        )
    )
    _vary(
        add(
            "vary",
            "draw variations of given objects: noise is added to them and taken away again",
            "pfgm vary runs/digits --from x.npy --level 0.5",
            "pfgm vary runs/table --from table.csv --read label=species --each 3 --out new.csv",
        )
    )
    _interpolate(
        add(
            "interpolate",
            "draw what lies between given objects, on the way that the flow gives",
            "pfgm interpolate runs/digits --from x.npy --points 9 --out between.png",
            more="From each object to the next; both ends of each way are drawn too.",
        )
    )
    _evaluate(
        add(
            "evaluate",
            "compare samples of a model with real data, and write a page",
            "pfgm evaluate runs/digits --out page",
            "pfgm evaluate runs/table --data table.csv --read label=species --count 2000",
        )
    )
    _find_d(
        add(
            "find-d",
            "find the number of extra dimensions D that suits data and network",
            "pfgm find-d runs/photos                   # a run trained with --dimension inf or a --dimension-range",
            "pfgm find-d images digits --steps 2000    # one network for every D, trained here",
            "pfgm find-d vectors table.csv --way search --dimensions 8,128,inf --seeds 3",
            more="The distance of samples to real data against D, the D that cannot be told from the best, and a page. "
            "Run the same command again to go on with one that was stopped.",
        )
    )
    _robustness(
        add(
            "robustness",
            "what samples lose to errors in each step, few steps, coarse weights or a coarse state",
            "pfgm robustness runs/photos --dimensions 64,2048,inf",
            "pfgm robustness runs/d64 runs/dinf --troubles step-errors,weight-bits",
        )
    )
    _likelihood(
        add(
            "likelihood",
            "how likely a model finds data: log p, with the errors of its estimate",
            "pfgm likelihood runs/table",
            "pfgm likelihood runs/table --data other.csv --read label=species --out likely.csv",
            "pfgm likelihood runs/digits --data digits --probes 8 --steps 16",
        )
    )
    _benchmark(
        add(
            "benchmark",
            "run a benchmark, or list them",
            "pfgm benchmark",
            "pfgm benchmark speed",
            "pfgm benchmark images --help",
        )
    )
    _info(
        add(
            "info",
            "show what a run holds or, without one, what this installation has",
            "pfgm info",
            "pfgm info runs/digits",
            "pfgm info runs/digits --json",
        )
    )
    _data(
        add(
            "data",
            "list the data sets known by name, write one out, or check your own files",
            "pfgm data",
            "pfgm data images",
            "pfgm data images digits --out digits.npz",
            "pfgm data check photos/ --adapter images",
        )
    )
    return parser, commands


def _demo(parser: Parser) -> None:
    parser.add_argument("--out", default="demo", metavar="FOLDER", help="where the page goes (default: demo)")
    parser.add_argument("--seed", type=_whole(0), default=0, metavar="N", help="seed, a whole number >= 0 (default: 0)")


def _train(parser: Parser) -> None:
    parser.add_argument("modality", metavar="MODALITY", help="kind of data: images, vectors, ... (see `pfgm info`)")
    parser.add_argument("data", metavar="DATA", help="a name that `pfgm data MODALITY` lists, or a file or folder")
    parser.add_argument("--out", metavar="FOLDER", help="folder of the run (default: runs/ and the name of the data)")
    parser.add_argument("--dimension", type=_dimension, metavar="D", help=f"{_DIMENSION} (default: as suits the data)")
    parser.add_argument(
        "--dimension-range", type=_range, metavar="LOW,HIGH", help="one network for every D between and for inf: 8,2048"
    )
    parser.add_argument("--steps", type=_whole(1), metavar="N", help="optimiser steps (default: as suits the data)")
    parser.add_argument("--batch-size", type=_whole(1), metavar="N", help="samples a step, over all devices")
    parser.add_argument("--seed", type=_whole(0), metavar="N", help="seed, a whole number >= 0 (default: 0)")
    parser.add_argument("--start", metavar="RUN", help="a trained model to go on from: a run, a file or a shipped name")
    _settings(parser)
    _reading(parser)
    parser.add_argument("--licence", metavar="WORDS", help="licence of your data, kept in the model: CC-BY-4.0")
    _device(parser)
    parser.add_argument(
        "--devices", type=_whole(1), default=1, metavar="N", help='processes, one a device (needs the extra "scale")'
    )


def _settings(parser: Parser) -> None:
    parser.add_argument("--config", metavar="FILE", help="settings as TOML; the options above and --set go before it")
    parser.add_argument(
        "--set",
        type=_pair,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any setting, such as training.learning_rate=3e-4 or network.width=128; may be repeated",
    )


def _sample(parser: Parser) -> None:
    parser.add_argument("run", nargs="?", metavar="RUN", help=f"{_RUN}; with --template one that designs, if none")
    parser.add_argument(
        "--count", type=_whole(1), metavar="N", help="how many (default: 100, or as many as --from holds if several)"
    )
    parser.add_argument(
        "--sizes",
        metavar="N|LOW-HIGH",
        help="sizes of objects that differ in size, such as nodes (default: as the data)",
    )
    _steering(parser)
    _sampling(parser)
    parser.add_argument("--keep", metavar="FILE", help="a mask as .npy: true where the values of --from are kept")
    parser.add_argument(
        "--from",
        dest="given",
        metavar="DATA",
        help="objects to keep parts of: one, or one a sample; without --keep: a graph that every sample has in it",
    )
    parser.add_argument(
        "--repeats",
        type=_whole(1),
        metavar="N",
        help="takes of each step with what is known, so that all agrees (1; with a part of a graph 10)",
    )
    parser.add_argument(
        "--repeats-interval",
        type=_interval,
        metavar="LOW,HIGH",
        help="noise levels of the steps that are repeated, for data of size 0.5 (all; with a part of a graph 0.1,3)",
    )
    parser.add_argument("--structure", metavar="DOT-BRACKET", help="that samples fit (RNA, DNA): '((((....))))'")
    design = parser.add_argument_group("regions of a template drawn anew (sequences)")
    design.add_argument("--template", metavar="FILE", help="one object; all that is not redesigned stays as it is")
    design.add_argument("--redesign", action="append", default=[], metavar="REGION", help="CDR-H3; again for more")
    design.add_argument(
        "--length", action="append", default=[], metavar="LOW-HIGH", help="of the region; REGION=LOW-HIGH for several"
    )
    design.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="PLACE=LETTERS",
        help="H3:3=CDE for a letter of a region, or H107=AG",
    )
    design.add_argument(
        "--deny",
        action="append",
        default=[],
        metavar="WHAT",
        help='letters (CM), letters of a place (H3:3=C), or a motif such as "N-glycosylation"',
    )
    design.add_argument("--temperature", type=float, metavar="T", help="below 1 for likelier letters (default: 1)")
    mend = parser.add_argument_group("a given sound mended, with --from (audio)")
    mend.add_argument(
        "--gap", type=_span, action="append", default=[], metavar="FROM-TO", help="milliseconds to fill in; may repeat"
    )
    mend.add_argument("--band", type=float, metavar="HZ", help="frequency from which on a band is missing")
    mend.add_argument("--declip", action="store_true", help="restore peaks that were cut off")
    mend.add_argument("--ceiling", type=float, metavar="C", help="where peaks were cut (default: the loudest sample)")
    mend.add_argument("--seconds", type=float, metavar="S", help="continue the sound, or samples, up to this length")
    parser.add_argument("--measure", metavar="FILE", help="A as .npy, [measurements, entries of an object]: z = A y")
    parser.add_argument("--result", metavar="FILE", help="z as .npy, [measurements], or one row a sample")
    parser.add_argument("--measure-noise", type=float, metavar="S", help="standard deviation of z (default: 0)")
    _read_option(parser)
    _samples_out(parser)


def _vary(parser: Parser) -> None:
    _run_argument(parser)
    _given(parser)
    parser.add_argument(
        "--level",
        type=float,
        default=0.5,
        metavar="S",
        help="noise that is added, for data of size 0.5: 0.1 changes details, 10 nearly all (default: 0.5)",
    )
    parser.add_argument("--each", type=_whole(1), default=8, metavar="N", help="variations of each object (default: 8)")
    _steering(parser)
    _sampling(parser)
    _samples_out(parser)


def _interpolate(parser: Parser) -> None:
    _run_argument(parser)
    _given(parser)
    parser.add_argument("--points", type=_whole(2), default=9, metavar="N", help="a way, ends included (default: 9)")
    _steering(parser)
    _sampling(parser)
    _samples_out(parser)


def _given(parser: Parser) -> None:
    parser.add_argument("--from", dest="given", required=True, metavar="DATA", help="objects, by name or path")
    _read_option(parser)


def _steering(parser: Parser) -> None:
    parser.add_argument("--label", "--class", metavar="CLASS", help="class to draw: short for --condition label=CLASS")
    parser.add_argument(
        "--condition",
        type=_pair,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a class, or the numbers of a vector with commas between; may be repeated",
    )
    parser.add_argument(
        "--guidance", type=float, metavar="W", help="pull towards the condition: 1 is none, 2 a common start"
    )
    parser.add_argument(
        "--guidance-interval",
        type=_interval,
        default=(0.0, math.inf),
        metavar="LOW,HIGH",
        help="noise levels with guidance, for data of size 0.5 (default: all; with a part of a graph 0.1,3)",
    )
    parser.add_argument("--guide", metavar="RUN", help="be guided by this weaker model rather than by no condition")


def _samples_out(parser: Parser) -> None:
    parser.add_argument("--batch-size", type=_whole(1), default=250, metavar="N", help="samples at once (default: 250)")
    parser.add_argument(
        "--precision", metavar="NAME", help="of the network: float32, or bfloat16 (default: as trained)"
    )
    parser.add_argument("--compile", action="store_true", help="compile the network: pays for thousands of samples")
    parser.add_argument(
        "--graph", action="store_true", help="record the whole loop as one CUDA graph, replayed for every batch"
    )
    parser.add_argument(
        "--out", metavar="PATH", help="file or folder; its ending says the format (default: beside the model)"
    )
    parser.add_argument("--force", action="store_true", help="replace the file if it exists")


def _evaluate(parser: Parser) -> None:
    _run_argument(parser)
    parser.add_argument("--data", metavar="DATA", help="real data, by name or path (default: those of the training)")
    _read_option(parser)
    parser.add_argument("--count", type=_whole(2), default=1000, metavar="N", help="samples to compare (default: 1000)")
    _sampling(parser)
    parser.add_argument("--out", metavar="FOLDER", help="where the page goes (default: evaluation, beside the model)")


def _find_d(parser: Parser) -> None:
    parser.add_argument("target", metavar="RUN|MODALITY", help="a trained model, or the modality of data to train on")
    parser.add_argument("data", nargs="?", metavar="DATA", help="by name or path; beside a run: real data, if others")
    parser.add_argument(
        "--way",
        choices=("analysis", "one-network", "search"),
        help="analysis: a diffusion model run at every D; one-network, trained for every D (default for data); search: "
        'a network trained at each D, the hopeless stopped early (needs the extra "search")',
    )
    parser.add_argument("--steps", type=_whole(1), metavar="N", help="optimiser steps (default: as suits the data)")
    parser.add_argument("--batch-size", type=_whole(1), metavar="N", help="samples a step")
    _settings(parser)
    _reading(parser)
    _against_data(parser)
    parser.set_defaults(dimension=None, dimension_range=None, seed=None)


def _robustness(parser: Parser) -> None:
    parser.add_argument("runs", nargs="+", metavar="RUN", help=f"{_RUN}; several stand at the D each was trained at")
    parser.add_argument("--data", metavar="DATA", help="real data, by name or path (default: those of the training)")
    parser.add_argument(
        "--troubles",
        type=_names("step-errors", "steps", "weight-bits", "state-bits", "weight-noise"),
        metavar="NAME,...",
        help="step-errors, steps, weight-bits, state-bits, weight-noise (default: all)",
    )
    parser.add_argument(
        "--solver",
        metavar="NAME",
        help="errors come before each of its steps: 35 of trig2m (default), 18 of heun, as in the paper",
    )
    _read_option(parser)
    _against_data(parser)


def _against_data(parser: Parser) -> None:
    """What measurements of the distance to data share."""
    grid = (2.0, 8.0, 32.0, 128.0, 512.0, 2048.0, math.inf)
    parser.add_argument(
        "--dimensions", type=_dimensions, metavar="D,...", help="default: 2,8,32,128,512,2048,inf, as far as they go"
    )
    parser.add_argument(
        "--measure",
        choices=("frechet", "kernel", "sliced-wasserstein"),
        default="frechet",
        help="distance to data, on the features of the modality (default: frechet)",
    )
    parser.add_argument("--count", type=_whole(20), default=500, metavar="N", help="samples a point (default: 500)")
    parser.add_argument("--seeds", type=_whole(1), default=3, metavar="N", help="of sampling, and of a search also of "
                        "training (default: 3)")  # fmt: skip
    parser.add_argument("--evaluations", type=_whole(1), metavar="N", help="of the denoiser a sample (default: 35)")
    parser.add_argument("--again", action="store_true", help="forget what was measured, and measure anew")
    parser.add_argument("--out", metavar="FOLDER", help="where the page goes (default: a folder beside the model)")
    _device(parser)
    parser.set_defaults(default_dimensions=grid)


def _likelihood(parser: Parser) -> None:
    _run_argument(parser)
    parser.add_argument("--data", metavar="DATA", help="data, by name or path (default: those of the training)")
    _read_option(parser)
    parser.add_argument("--unconditional", action="store_true", help="do not tell the model the labels of the data")
    parser.add_argument("--dimension", type=_dimension, metavar="D", help=f"{_DIMENSION} (default: as trained)")
    parser.add_argument("--steps", type=_whole(2), default=32, metavar="N", help="steps of the flow (default: 32)")
    parser.add_argument(
        "--probes",
        type=_whole(0),
        default=0,
        metavar="N",
        help="of the divergence; 0 (default): exact up to 16 coordinates, one probe above",
    )
    parser.add_argument("--seed", type=_whole(0), default=0, metavar="N", help="seed, a whole number >= 0 (default: 0)")
    parser.add_argument("--out", metavar="FILE", help="a table with a line an object, as .csv")
    parser.add_argument("--force", action="store_true", help="replace the file if it exists")
    _device(parser)


def _benchmark(parser: Parser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="which one; without it, all are listed")
    parser.add_argument("rest", nargs=argparse.REMAINDER, metavar="...", help="passed on: `pfgm benchmark NAME --help`")


def _info(parser: Parser) -> None:
    parser.add_argument("run", nargs="?", metavar="RUN", help="folder of a run, or its .safetensors file")
    parser.add_argument("--json", action="store_true", help="everything, as JSON")


def _data(parser: Parser) -> None:
    parser.add_argument("what", nargs="?", metavar="MODALITY", help="images, vectors, ..., or the word check")
    parser.add_argument("name", nargs="?", metavar="NAME", help="a data set to write out, or the path to check")
    parser.add_argument("--out", metavar="PATH", help="where to write it; the ending says the format")
    parser.add_argument("--force", action="store_true", help="replace the file if it exists")
    parser.add_argument("--adapter", metavar="MODALITY", help="with check: how to read the path (default: by endings)")
    _reading(parser)
    parser.add_argument("--json", action="store_true", help="the list as JSON")


def _run_argument(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help=_RUN)


def _sampling(parser: Parser) -> None:
    parser.add_argument("--dimension", type=_dimension, metavar="D", help=f"{_DIMENSION} (default: as trained)")
    parser.add_argument(
        "--evaluations", type=_whole(1), metavar="N", help="evaluations of the denoiser a sample (default: 35)"
    )
    parser.add_argument(
        "--solver",
        metavar="NAME",
        help="trig2m (default), heun, euler, dpm2m, dpm3m, deis, ipndm, unipc; stochastic, which adds noise; dopri5, "
        "which chooses its own evaluations",
    )
    parser.add_argument(
        "--grid",
        choices=("karras", "log-uniform", "fitted"),
        metavar="NAME",
        help="where the steps go: fitted, where the trajectories of the model bend (default where no solver is named); "
        "karras (default where one is); log-uniform",
    )
    parser.add_argument("--churn", type=float, metavar="C", help="of stochastic: noise added, 0 to 1 (default: 0.5)")
    parser.add_argument("--tolerance", type=float, metavar="T", help="of dopri5, relative, a step (default: 1e-4)")
    parser.add_argument("--seed", type=_whole(0), default=0, metavar="N", help="seed, a whole number >= 0 (default: 0)")
    _device(parser)


def _reading(parser: Parser) -> None:
    parser.add_argument("--size", type=_whole(1), metavar="N", help="images: pixels of each side, resized and cropped")
    parser.add_argument(
        "--label", metavar="COLUMN", help="the column of a table that is the class; of sequences also A,B"
    )
    _read_option(parser)


def _read_option(parser: Parser) -> None:
    parser.add_argument(
        "--read",
        type=_pair,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any option of the reader of files, such as channels=1; may be repeated",
    )


def _device(parser: Parser) -> None:
    parser.add_argument(
        "--device",
        type=_device_name,
        default="auto",
        metavar="DEVICE",
        help="auto (default: a GPU if there is one), cpu, cuda or cuda:N",
    )


class _Version(argparse.Action):
    """Looks the version up when asked, which takes longer than all the rest of this file."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from pfgm_science import __version__

        print(f"pfgm-science {__version__}")
        parser.exit()


def _examples(*lines: str) -> str:
    return "examples:\n" + "\n".join(f"  {line}" for line in lines)


def _whole(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if number < least:
            raise argparse.ArgumentTypeError(f"{number} is too small; at least {least}")
        return number

    return parse


def _dimension(text: str) -> float:
    try:
        D = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number; D is a number > 0, or inf") from None
    if not D > 0:
        raise argparse.ArgumentTypeError(f"D is {text}; it must be > 0 (1 is PFGM, inf is diffusion)")
    return D


def _dimensions(text: str) -> list[float]:
    return sorted({_dimension(word) for word in text.split(",")})


def _names(*allowed: str) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        given = text.split(",")
        for name in given:
            if name not in allowed:
                raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(allowed)}")
        return given

    return parse


def _range(text: str) -> tuple[float, float]:
    low, comma, high = text.partition(",")
    if not comma:
        raise argparse.ArgumentTypeError(f"{text!r} is not LOW,HIGH, such as 8,2048")
    return _dimension(low), _dimension(high)


def _interval(text: str) -> tuple[float, float]:
    low, _, high = text.partition(",")
    try:
        bounds = float(low), float(high)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not LOW,HIGH, such as 0.2,3") from None
    if not 0 <= bounds[0] < bounds[1]:
        raise argparse.ArgumentTypeError(f"{text!r}: 0 <= LOW < HIGH is needed")
    return bounds


def _span(text: str) -> tuple[float, float]:
    low, _, high = text.partition("-")
    try:
        bounds = float(low), float(high)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not FROM-TO in milliseconds, such as 120-170") from None
    if not 0 <= bounds[0] < bounds[1]:
        raise argparse.ArgumentTypeError(f"{text!r}: 0 <= FROM < TO is needed")
    return bounds


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name.strip(), value.strip()


def _device_name(text: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not auto, cpu, cuda or cuda:N")
    return text
