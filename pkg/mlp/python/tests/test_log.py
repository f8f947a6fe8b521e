import logging
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

from recorder import PACKAGE, PipelineTest, python

import mlpipeline
from mlpipeline import utils
from mlpipeline.utils import (ExecutionModeKeys, ModeKeys, VersionLog, console_colors, log, log_special_tokens,
                              set_logger)

STAMP = r"\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\]"


def public(constants):
    return {name: value for name, value in vars(constants).items() if not name.startswith("_")}


class NamesTest(unittest.TestCase):
    def test_constants_of_2019(self):
        self.assertEqual(public(ModeKeys), {"TRAIN": "Train", "PREDICT": "Predict", "EVALUATE": "Evaluate"})
        self.assertEqual(public(ExecutionModeKeys), {"TRAIN": "Train", "TEST": "Test"})
        colors = ["BLACK", "RED", "GREEN", "YELLOW", "BLUE", "MEGENTA", "CYAN", "WHITE"]
        codes = {"RESET": "\033[0m", "BOLD": "\033[1m"}
        for i, color in enumerate(colors):
            codes[color + "_FG"], codes[color + "_BG"] = "\033[%dm" % (30 + i), "\033[%dm" % (40 + i)
        self.assertEqual(public(console_colors), codes)

    def test_names_that_old_scripts_import(self):
        self.assertIs(utils.use_mlflow, False)
        self.assertEqual(log_special_tokens.MODEL_TRAINED, "Model trained")
        self.assertEqual(log_special_tokens["MODE_TESTING"], "TESTING")
        self.assertEqual(sorted(log_special_tokens), [
            "MODEL_EVALED", "MODEL_TRAINED", "MODE_RUNNING", "MODE_TESTING", "SESSION_ENDED", "SESSION_STARTED"])
        self.assertEqual(mlpipeline.__version__, "0.1.0")

    def test_import_of_all(self):
        names = ["ModeKeys", "ExecutionModeKeys", "console_colors", "copy_related_files", "version_parameters",
                 "Versions", "VersionLog", "set_logger", "use_mlflow", "log", "log_special_tokens",
                 "add_script_dir_to_PATH",
                 "MetricContainer", "Metric", "log_metric"]
        out = python("from mlpipeline.utils import *\nfrom mlpipeline.helper import *\nprint(*globals())").split()
        self.assertEqual(set(names + ["Model", "DataLoader"]) - set(out), set())
        self.assertEqual([name for name in out if name.startswith("_") and not name.startswith("__")], [])

    def test_the_start_is_cheap(self):
        out = python("import os, sys; before = set(sys.modules)\n"
                     "import mlpipeline.helper, mlpipeline.utils\n"
                     "print(*set(sys.modules) - before)", "-S")
        new = {name for name in out.split() if name.split(".")[0] != "mlpipeline"}
        self.assertLessEqual(new, {"_json", "itertools", "math", "time"})  # all of them in C

    def test_by_hand_nothing_needs_a_pipeline(self):
        out = python(
            "from mlpipeline.utils import *\n"
            "from mlpipeline.helper import *\n"
            "log('hello')\n"
            "log_metric('a', 1, 1)\n"
            "container = MetricContainer(['loss'])\n"
            "container.loss.update(2)\n"
            "container.log_metrics()\n"
            "versions = Versions()\n"
            "versions.addV('a')\n"
            "Model(versions).log('from the model')\n"
            "set_logger().warning('from logging')\n")
        self.assertEqual([line.rstrip() for line in out.splitlines()],
                         ["hello", "loss: 2.0000", "Model- from the model", "from logging"])


class LogTest(PipelineTest):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = os.path.join(folder.name, "log")
        patch = mock.patch.object(utils, "_logger", None)
        patch.start()
        self.addCleanup(patch.stop)
        self.addCleanup(logging.getLogger("mlp").handlers.clear)

    def written(self):
        if not os.path.exists(self.file):
            return None
        with open(self.file, encoding="utf-8") as file:
            return file.read()

    def test_levels(self):
        levels = (0, 10, 19, 20, 25, 29, 30, 39, 40, 50)
        for level in levels:
            log("x", level)
        self.assertEqual([level for level, _ in self.logged], [
            "debug", "debug", "debug", "info", "info", "info", "warn", "warn", "error", "error"])
        log("x")
        self.assertEqual(self.logged[-1], ("info", "x"))

    def test_a_message_may_be_anything(self):
        for message in None, 5, ["a"], ValueError("no"), "{} %s %d":
            log(message)
        self.assertEqual(self.messages(), ["None", "5", "['a']", "no", "{} %s %d"])

    def test_by_hand_any_output_will_do(self):
        self.assertEqual(python("""
from mlpipeline.utils import log
class Tee:
    def __init__(self, out): self.out = out
    def write(self, text): self.out.write(text)
sys.stdout = Tee(sys.stdout)
log("to a Tee")
log("no text of UTF-8: \\ud800")
sys.stdout = None
log("to nothing")
""").splitlines()[0], "to a Tee")

    def test_modifiers(self):
        log("x", modifier_1="1")
        log("x", modifier_2="2")
        log("x", 20, True, console_colors.RED_FG, console_colors.BOLD)
        log("x", modifier_1=None, modifier_2=None)
        self.assertEqual(self.messages(), ["1x\033[0m", "2x\033[0m", "\033[31m\033[1mx\033[0m", "x"])

    def test_a_file_of_the_scripts_own(self):
        set_logger(test_mode=False, no_log=False, log_file=self.file)
        log("a \033[1;31mcoloured\033[0m é", modifier_1=console_colors.RED_FG)
        log("bad", logging.ERROR)
        log("left out", log_to_file=False)
        lines = self.written().splitlines()
        self.assertEqual(len(lines), 2)
        self.assertRegex(lines[0], "^" + STAMP + "::INFO - a coloured é$")
        self.assertRegex(lines[1], "^" + STAMP + "::ERROR - bad$")
        self.assertEqual(len(self.logged), 3)

    def test_no_file_unless_all_agree(self):
        for test_mode, no_log, file in (True, False, self.file), (False, True, self.file), (False, False, None):
            set_logger(test_mode, no_log, file)
            log("x")
        set_logger()
        log("x")
        self.assertIsNone(self.written())
        self.assertEqual(len(self.logged), 4)

    def test_the_logger(self):
        logger = set_logger(test_mode=False, no_log=True, log_file="f")
        self.assertIs(logger, logging.getLogger("mlp"))
        self.assertEqual((logger.TEST_MODE, logger.NO_LOG, logger.LOG_FILE), (False, True, "f"))
        self.assertEqual((logger.level, len(logger.handlers), logger.propagate), (logging.INFO, 1, False))
        logger = set_logger()
        self.assertEqual((logger.TEST_MODE, logger.NO_LOG, logger.LOG_FILE), (True, True, None))
        self.assertEqual(len(logger.handlers), 1)

    def test_records_of_the_logger_come_once(self):
        for _ in range(2):
            logger = set_logger(False, False, self.file)
        logger.debug("below INFO")
        logger.info("%d of %d", 1, 2)
        logger.error("bad")
        self.assertEqual(self.logged, [("info", "1 of 2"), ("error", "bad")])
        self.assertEqual([re.sub(STAMP, "", line) for line in self.written().splitlines()],
                         ["::INFO - 1 of 2", "::ERROR - bad"])

    def test_records_have_their_traceback(self):
        try:
            raise KeyError("lost")
        except KeyError:
            set_logger().exception("failed")
        [(level, message)] = self.logged
        self.assertEqual(level, "error")
        self.assertRegex(message, "(?s)^failed\nTraceback.*KeyError: 'lost'$")


class PathTest(PipelineTest):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = os.path.realpath(folder.name)
        patch = mock.patch.object(sys, "path", list(sys.path))
        patch.start()
        self.addCleanup(patch.stop)

    def test_a_given_folder_once_in_front(self):
        for _ in range(2):
            utils.add_script_dir_to_PATH(self.folder)
        self.assertEqual((sys.path[0], sys.path.count(self.folder)), (self.folder, 1))
        [(_, message)] = self.logged
        self.assertIn(self.folder, message)
        self.assertNotIn("\n", message)

    def test_a_path_of_pathlib(self):
        utils.add_script_dir_to_PATH(pathlib.Path(self.folder))
        self.assertEqual(sys.path[0], self.folder)

    def test_the_folder_of_the_script_that_calls(self):
        script = os.path.join(self.folder, "script.py")
        code = compile("from mlpipeline import utils\nutils.add_script_dir_to_PATH()", script, "exec")
        exec(code, {})
        self.assertEqual(sys.path[0], self.folder)


class CopyTest(PipelineTest):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = os.path.realpath(folder.name)
        self.target = os.path.join(self.folder, "new", "target")

    def source(self, *path):
        file = os.path.join(self.folder, *path)
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "w") as out:
            out.write(path[-1])
        self.files.append(file)

    def copied(self):
        return sorted(os.path.relpath(os.path.join(top, file), self.target)
                      for top, _, files in os.walk(self.target) for file in files)

    def test_keeps_the_structure_below_the_common_folder(self):
        self.source("project", "models", "a.py")
        self.source("project", "lib", "deep", "b.py")
        utils.copy_related_files(None, self.target)
        self.assertEqual(self.copied(), ["lib/deep/b.py", "models/a.py"])
        with open(os.path.join(self.target, "models", "a.py")) as file:
            self.assertEqual(file.read(), "a.py")
        self.assertEqual(len([m for m in self.messages() if "a.py" in m or "b.py" in m]), 2)

    def test_one_file(self):
        self.source("project", "a.py")
        for _ in range(2):  # over its own copy
            utils.copy_related_files(None, self.target)
        self.assertEqual(self.copied(), ["a.py"])

    def test_no_file(self):
        utils.copy_related_files(None, self.target)
        self.assertTrue(os.path.isdir(self.target))
        self.assertEqual(self.copied(), [])

    def test_onto_itself(self):
        self.source("project", "a.py")
        utils.copy_related_files(None, os.path.join(self.folder, "project"))
        with open(self.files[0]) as file:
            self.assertEqual(file.read(), "a.py")

    def test_of_a_script_by_hand(self):
        script = os.path.join(self.folder, "project", "main.py")
        self.source("project", "helper_of_mine.py")
        self.source("project", "main.py")
        with open(self.files[0], "w"):
            pass
        with open(script, "w") as file:
            file.write("import sys\nimport helper_of_mine\nfrom mlpipeline.utils import copy_related_files\n"
                       "copy_related_files(None, sys.argv[1])\n")
        subprocess.run([sys.executable, "-W", "error", "-B", script, self.target], check=True, stdout=subprocess.PIPE,
                       env=dict(os.environ, PYTHONPATH=PACKAGE))
        self.assertEqual(self.copied(), ["helper_of_mine.py", "main.py"])


class VersionLogTest(unittest.TestCase):
    def test_a_version_from_start_to_end(self):
        log = VersionLog()
        self.assertEqual((log.executed_versions, log.executing_version, log.executing_v_time), ([], None, 0.0))
        self.assertEqual((VersionLog.EXECUTED, VersionLog.EXECUTING, VersionLog.NOT_EXECUTED), (0, 1, 2))
        self.assertEqual(log.executed("a"), log.NOT_EXECUTED)
        log.addExecutingVersion("a", 12.5)
        self.assertEqual(log.executed("".join(["a"])), log.EXECUTING)
        self.assertEqual((log.executing_version, log.executing_v_time), ("a", 12.5))
        log.moveExecutingToExecuted()
        self.assertEqual(log.executed("a"), log.EXECUTED)
        self.assertEqual((log.executing_version, log.executing_v_time), (None, 0.0))
        log.addExecutedVersion("b")
        self.assertEqual(log.executed_versions, ["a", "b"])
        self.assertEqual(VersionLog().executed_versions, [])
        log.clean()
        self.assertEqual((log.executed_versions, log.executed("a")), ([], log.NOT_EXECUTED))


if __name__ == "__main__":
    unittest.main()
