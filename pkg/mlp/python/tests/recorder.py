"""What the tests share: the package on the path, and a stand-in for the pipeline."""
import os
import subprocess
import sys
import tempfile
from unittest import TestCase, mock

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if PACKAGE not in sys.path:
    sys.path.insert(0, PACKAGE)

from mlpipeline import _host, _metrics  # noqa: E402

DIR = tempfile.gettempdir()  # a model directory that nothing is written to


class PipelineTest(TestCase):
    """Keeps what the package tells the pipeline in logged, metrics and steps."""

    def setUp(self):
        self.logged, self.metrics, self.steps = [], [], []
        self.before, self.prefix, self.files = 0, "", []
        for name, function in {
            "log": lambda level, message: self.logged.append((level, message)),
            "metric": lambda name, step, value: self.metrics.append((name, step, value)),
            "progress": self.steps.append,
            "steps_before": lambda: self.before,
            "prefix": lambda: self.prefix,
            "user_files": lambda: list(self.files),
        }.items():
            patch = mock.patch.object(_host, name, function)
            patch.start()
            self.addCleanup(patch.stop)
        _metrics._recorded.clear()

    def messages(self):
        return [message for _, message in self.logged]


def python(code, *options):
    """What code prints, as a script of a bare interpreter that has the package on its path."""
    code = "import sys; sys.path.insert(0, {!r})\n{}".format(PACKAGE, code)
    done = subprocess.run([sys.executable, "-W", "error", "-B", "-I", *options, "-c", code],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    if done.returncode or done.stderr:
        raise AssertionError("exit status {}\n{}".format(done.returncode, done.stderr))
    return done.stdout
