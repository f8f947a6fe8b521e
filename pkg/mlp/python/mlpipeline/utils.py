"""Versions, metrics and the log, for model scripts."""
import os
import sys

from mlpipeline import _host
from mlpipeline._versions import AttributeDict, Version, Versions, version_parameters

__all__ = [
    "ExecutionModeKeys", "Metric", "MetricContainer", "ModeKeys", "Version", "VersionLog", "Versions",
    "add_script_dir_to_PATH", "console_colors", "copy_related_files", "log", "log_metric", "log_special_tokens", "set_logger",
    "use_mlflow", "version_parameters",
]

use_mlflow = False


def __getattr__(name):
    """Imports what not every script uses when it is wanted."""
    if name not in ("Metric", "MetricContainer"):
        raise AttributeError("module {!r} has no attribute {!r}".format(__name__, name))
    from mlpipeline import _metrics
    return getattr(_metrics, name)


class ModeKeys:
    """What data is for."""
    TRAIN = "Train"
    PREDICT = "Predict"
    EVALUATE = "Evaluate"


class ExecutionModeKeys:
    """How a version is executed, and in get_train_input what the training data is for."""
    TRAIN = "Train"
    TEST = "Test"


class console_colors:
    """Escape sequences of a terminal."""
    RESET = "\033[0m"
    BOLD = "\033[1m"
    BLACK_FG, RED_FG, GREEN_FG, YELLOW_FG = "\033[30m", "\033[31m", "\033[32m", "\033[33m"
    BLUE_FG, MEGENTA_FG, CYAN_FG, WHITE_FG = "\033[34m", "\033[35m", "\033[36m", "\033[37m"
    BLACK_BG, RED_BG, GREEN_BG, YELLOW_BG = "\033[40m", "\033[41m", "\033[42m", "\033[43m"
    BLUE_BG, MEGENTA_BG, CYAN_BG, WHITE_BG = "\033[44m", "\033[45m", "\033[46m", "\033[47m"


log_special_tokens = AttributeDict(
    MODE_RUNNING="RUNNING MODEL TRAINING",
    MODE_TESTING="TESTING",
    MODEL_TRAINED="Model trained",
    MODEL_EVALED="Model evaluation complete",
    SESSION_STARTED="=====================ML-Pipeline session started",
    SESSION_ENDED="=====================ML-Pipeline Session ended",
)


class VersionLog:
    """Which versions have been executed, for scripts that keep count themselves."""
    EXECUTED, EXECUTING, NOT_EXECUTED = 0, 1, 2

    def __init__(self):
        self.clean()

    def clean(self):
        """Forgets everything."""
        self.executed_versions = []
        self.executing_version = None
        self.executing_v_time = 0.0

    def executed(self, version):
        """EXECUTED, EXECUTING or NOT_EXECUTED."""
        if version is not None and version == self.executing_version:
            return self.EXECUTING
        return self.EXECUTED if version in self.executed_versions else self.NOT_EXECUTED

    def addExecutingVersion(self, version_name, train_start_time):
        self.executing_version, self.executing_v_time = version_name, train_start_time

    def addExecutedVersion(self, version_name):
        self.executed_versions.append(version_name)

    def moveExecutingToExecuted(self):
        self.addExecutedVersion(self.executing_version)
        self.executing_version, self.executing_v_time = None, 0.0


def log_metric(name, value, step):
    """Records the number value that the metric name has after step, counted from the very first step of training. It is
    cheap enough for every step. NaN and infinities are values."""
    if type(value) is not float:
        value = _host.as_float(value)
    _host.metric(name, int(step), value)


_logger = None  # what set_logger made


def log(message, level=20, log_to_file=True, modifier_1=None, modifier_2=None):
    """Writes message to the log. level is one of the module logging: INFO by default, ERROR, ... The modifiers are
    console_colors for the message."""
    name = "error" if level >= 40 else "warn" if level >= 30 else "info" if level >= 20 else "debug"
    text = str(message)
    if _logger is not None and log_to_file and _logger.LOG_FILE and not _logger.TEST_MODE and not _logger.NO_LOG:
        _append(_logger.LOG_FILE, name, text)
    if modifier_1 or modifier_2:
        text = "{}{}{}{}".format(modifier_1 or "", modifier_2 or "", text, console_colors.RESET)
    _host.log(name, text)


def _append(path, level, text):
    import re
    from datetime import datetime
    with open(path, "a", encoding="utf-8") as file:
        file.write("[{}]::{} - {}\n".format(datetime.now().isoformat(), level.upper(), re.sub("\x1b\\[[0-9;]*m", "", text)))


def set_logger(test_mode=True, no_log=True, log_file=None):
    """Returns the logging.Logger "mlp", whose records go where log writes. With a log_file, and neither test_mode nor
    no_log, all of it is appended to that file as well."""
    global _logger
    import logging

    class Handler(logging.Handler):
        def emit(self, record):
            log(self.format(record), level=record.levelno)

    _logger = logging.getLogger("mlp")
    _logger.handlers = [Handler()]
    _logger.setLevel(logging.INFO)
    _logger.propagate = False
    _logger.TEST_MODE, _logger.NO_LOG, _logger.LOG_FILE = test_mode, no_log, log_file
    return _logger


def add_script_dir_to_PATH(current_dir=None):
    """Puts current_dir, or the folder of the script that calls, in front of what Python imports from."""
    if current_dir is None:
        current_dir = os.path.dirname(os.path.abspath(sys._getframe(1).f_code.co_filename))
    current_dir = os.fspath(current_dir)
    if current_dir not in sys.path:
        sys.path.insert(0, current_dir)
        log("{} is imported from".format(current_dir))


def _collect_related_files(model, root, additional_files=None):
    """Nothing: copy_related_files knows them. Scripts of 2019 may import it."""


def copy_related_files(model, dst_dir):
    """Copies the script and the modules of the project that it has imported to dst_dir, which is made."""
    import shutil
    files = _host.user_files()
    root = os.path.commonpath([os.path.dirname(file) for file in files]) if files else ""
    os.makedirs(dst_dir, exist_ok=True)
    for file in files:
        target = os.path.join(dst_dir, os.path.relpath(file, root))
        if os.path.exists(target) and os.path.samefile(target, file):
            continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy(file, target)
        log("{} is copied to {}".format(file, dst_dir))
