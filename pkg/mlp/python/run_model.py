"""Runs a model script for the pipeline: run_model.py MODELS_DIR NAME [CACHE].

This file is read by Pythons that are too old for the rest, so that they can say so.
"""
import os
import sys

OLDEST = (3, 8)


def refuse():
    text = "Python %d.%d of %s is too old: models need %d.%d or later (python in mlp.config)" % (
        sys.version_info[:2] + (sys.executable,) + OLDEST)
    message = '{"type":"hello","protocol":1}\n{"type":"end","status":"failed","error":"%s"}\n'
    os.write(4, (message % text.replace("\\", "\\\\").replace('"', '\\"')).encode("utf-8"))
    sys.exit(1)


# A process that multiprocessing has spawned imports this file too.
if __name__ == "__mp_main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # before a mlpipeline.py of the user's
    from mlpipeline import _code

    del sys.path[0]
    _code.watch_again()
if __name__ == "__main__":
    if "MLPIPELINE_PROTOCOL" not in os.environ:
        sys.exit("run_model.py is what mlpipeline starts models with; by hand run the script itself")
    if sys.version_info < OLDEST:
        refuse()
    folder = os.path.dirname(os.path.abspath(__file__))
    if folder not in sys.path:
        sys.path.insert(0, folder)
    # The compiled package is kept even where PYTHONDONTWRITEBYTECODE is set: it lies in a cache, not among the user's files.
    keep, sys.dont_write_bytecode = sys.dont_write_bytecode, False
    from mlpipeline import _process, helper  # noqa: F401 (what every script imports)

    sys.dont_write_bytecode = keep
    _process.main(*sys.argv[1:4])
