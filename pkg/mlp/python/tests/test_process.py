"""run_model.py, with its end of the pipes in the place of the pipeline."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

from recorder import DIR, PACKAGE

RUN_MODEL = os.path.join(PACKAGE, "run_model.py")

SCRIPT = '''
import os, sys
from mlpipeline.helper import DataLoader, Model
from mlpipeline.utils import *

class Data(DataLoader):
    def get_train_input(self, mode=ModeKeys.TRAIN): return [1, 2, 3, 4]
    def get_test_input(self): return [5, 6]
    def get_train_sample_count(self): return 4
    def get_test_sample_count(self): return 2

class Own(Model):
    def pre_execution_hook(self, version, model_dir, exec_mode=None):
        print("setup", self.name, version.name, model_dir, exec_mode)
    def train_model(self, data, steps):
        self.metrics = MetricContainer(["loss"])
        for step in range(steps):
            self.metrics.loss.update(1 / (step + 1))
        self.metrics.log_metrics()
    def evaluate_model(self, data, steps):
        return {"sum": sum(data)}

v = Versions(0.1, Data(), 2, 1)
v.addV("one")
v.addV("zwei \\u20ac", order=-1, custom_paramters={"depth": 3})
MODEL = Own(v)
'''
RUN = {"type": "run", "model": "m.py", "version": "one", "mode": "execution", "dir": DIR}


def strict(line):
    def refuse(constant):
        raise AssertionError("%s is no JSON: %s" % (constant, line))
    return json.loads(line, parse_constant=refuse)


class ProcessTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.models = os.path.join(os.path.realpath(folder.name), "models")
        os.mkdir(self.models)

    def write(self, name, text):
        path = os.path.join(self.models, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def start(self, name):
        """A process whose descriptor 3 is its standard input here, 4 its standard output, and all it prints its standard error."""
        environment = dict(os.environ, MLPIPELINE_PROTOCOL="1", PYTHONIOENCODING="utf-8", PYTHONUNBUFFERED="1")
        process = subprocess.Popen(
            ["sh", "-c", 'exec "$@" 3<&0 4>&1 </dev/null >&2', "sh", sys.executable, "-W", "error", RUN_MODEL, self.models, name],
            cwd=os.path.dirname(self.models), env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for pipe in process.stdin, process.stdout, process.stderr:
            self.addCleanup(pipe.close)
        self.addCleanup(process.kill)
        return process

    def converse(self, script, *commands, name="m.py"):
        """The events of a model that is given commands, what it prints, and its exit status."""
        self.write(name, script)
        process = self.start(name)
        lines = "".join((command if isinstance(command, str) else json.dumps(command)) + "\n" for command in commands)
        out, printed = process.communicate(lines.encode(), timeout=60)
        self.assertTrue(out.endswith(b"\n"), printed.decode())
        return [strict(line) for line in out.decode("utf-8").splitlines()], printed.decode("utf-8"), process.returncode

    def end(self, script, **kwargs):
        """The last word of a run."""
        events, _, status = self.converse(script, RUN, **kwargs)
        self.assertEqual((events[0]["type"], events[-1]["type"]), ("hello", "end"))
        return events[-1], status

    def test_list_and_run(self):
        events, printed, status = self.converse(SCRIPT, {"type": "list"}, RUN)
        self.assertEqual(events.pop(0), {
            "type": "hello", "protocol": 1, "sdk": "mlpipeline for Python %d.%d.%d" % sys.version_info[:3]})
        for event in events:
            event.pop("time", None)
        [code] = [event for event in events if event["type"] == "code"]
        self.assertEqual(list(code["files"]), [os.path.join(self.models, "m.py")])
        one = {"name": "one", "order": 0, "batch_size": 2, "epochs": 1, "learning_rate": 0.1, "dataloader": "m.Data"}
        self.assertEqual([event for event in events if event["type"] != "code"], [
            {"type": "version", "version": one},
            {"type": "version", "version": dict(one, name="zwei \u20ac", order=-1, params={"depth": 3})},
            {"type": "listed", "allow_delete_model_dir": False, "reset_steps": False},
            {"type": "phase", "phase": "setup"},
            {"type": "phase", "phase": "train", "step": 0, "total": 2, "train_samples": 4, "test_samples": 2},
            {"type": "metric", "name": "loss", "step": 2, "value": 0.75},
            {"type": "progress", "step": 2, "total": 2},
            {"type": "phase", "phase": "evaluate_train", "total": 4},
            {"type": "result", "set": "train", "metrics": {"sum": 10.0}},
            {"type": "phase", "phase": "evaluate_test", "total": 2},
            {"type": "result", "set": "test", "metrics": {"sum": 11.0}},
            {"type": "end", "status": "finished"}])
        self.assertEqual((printed, status), ("setup m.py one %s Train\nloss: 0.7500\n" % DIR, 0))

    def test_run_without_list_tells_its_version_first(self):
        events, printed, _ = self.converse(SCRIPT, dict(RUN, version="zwei \u20ac", mode="test"))
        self.assertEqual([event["type"] for event in events][:4], ["hello", "code", "version", "phase"])
        self.assertEqual(events[2]["version"]["name"], "zwei \u20ac")
        self.assertEqual(printed, "setup m.py zwei \u20ac %s Test\nloss: 1.0000\n" % DIR)

    def test_end_of_commands(self):
        events, _, status = self.converse(SCRIPT, {"type": "list"})
        self.assertEqual((events[-1]["type"], status), ("listed", 0))

    def test_trained_is_not_known(self):
        events, _, _ = self.converse(SCRIPT, dict(RUN, type="trained"))
        self.assertEqual((events[-1]["type"], "error" in events[-1]), ("trained", True))

    def test_commands_and_fields_that_are_unknown(self):
        events, _, status = self.converse(SCRIPT, {"type": "nonsuch"}, dict(RUN, nonsuch=[1]))
        self.assertEqual((events[-1], status), ({"type": "end", "status": "finished"}, 0))

    def test_an_empty_command(self):
        self.assertEqual(self.converse(SCRIPT, "", RUN)[0][-1]["status"], "finished")

    def test_a_version_that_cannot_be_told_fails_alone(self):
        script = """
class Odd:
    def __call__(self): pass
    def __getattr__(self, name): raise KeyError(name)
""" + SCRIPT.replace('"depth": 3', '"depth": Odd()')
        events, _, status = self.converse(script, {"type": "list"}, RUN)
        self.assertEqual(["error" in event for event in events if event["type"] == "version"], [False, True])
        self.assertEqual((events[-1], status), ({"type": "end", "status": "finished"}, 0))

    def test_a_version_that_is_gone(self):
        events, _, status = self.converse(SCRIPT, dict(RUN, version="gone"))
        self.assertEqual((events[-1], status), ({"type": "end", "status": "failed", "error": "version gone does not exist any more"}, 1))

    def test_an_exception_with_the_traceback_of_the_script(self):
        end, status = self.end(SCRIPT + "\ndef train_model(self, data, steps):\n    return {}['lost']\nOwn.train_model = train_model\n")
        self.assertEqual((end["status"], end["error"], status), ("failed", "train_model: KeyError: 'lost'", 1))
        self.assertRegex(end["trace"], r"(?s)^Traceback .*m\.py\", line \d+, in train_model.*KeyError: 'lost'\n$")
        self.assertNotIn("_execute.py", end["trace"])

    def test_exit_is_a_failure(self):
        for code, error in ("0", "sys.exit(0)"), ("", "sys.exit()"), ("'no data'", "sys.exit('no data')"):
            end, status = self.end(SCRIPT + "\nOwn.train_model = lambda *_: sys.exit(%s)\n" % code)
            self.assertEqual((end["status"], status), ("failed", 1))
            self.assertRegex(end["error"], r": %s$" % error.replace("(", r"\(").replace(")", r"\)"))

    def test_a_script_that_cannot_be_imported(self):
        for script, error in (
                ("import nonsuch", "import: ModuleNotFoundError: No module named 'nonsuch'"),
                ("def f(:\n", r"import: SyntaxError: .* \(m\.py, line 1\)"),
                ("raise SystemExit(0)", r"import: sys\.exit\(0\)"),
                ("", "it has no MODEL: .*"), ("MODEL = None", "it has no MODEL: .*"),
                ("MODEL = 5", "MODEL is a int and no mlpipeline.helper.Model: it has no versions"),
                (SCRIPT + "MODEL.versions = None", r"MODEL\.versions is None, and not a mlpipeline\.utils\.Versions"),
                ("from mlpipeline.helper import Model\nMODEL = Model({})", r"import: ValueError: versions is a dict; .*")):
            end, status = self.end(script)
            self.assertEqual((end["status"], status), ("failed", 1))
            self.assertRegex(end["error"], "^%s$" % error)

    def test_missing_hooks_are_named(self):
        end, _ = self.end(SCRIPT + "\ndel Own.train_model\n")
        self.assertEqual(end["error"], "train_model: NotImplementedError: Own has no train_model")

    def test_modules_of_the_project(self):
        self.write("sub/beside.py", "import top\n")
        self.write("top.py", "X = 1\n")
        self.write("later.py", "")
        script = "import beside\n" + SCRIPT.replace("self.metrics =", "import later; self.metrics =")
        events, _, _ = self.converse(script, RUN, name="sub/m.py")
        codes = [sorted(os.path.relpath(path, self.models) for path in event["files"]) for event in events if event["type"] == "code"]
        self.assertEqual(codes, [["sub/beside.py", "sub/m.py", "top.py"], ["later.py"]])
        self.assertEqual(events[-1]["status"], "finished")

    def test_the_script_is_a_module(self):
        script = SCRIPT + '''
import pickle, dataclasses, inspect
@dataclasses.dataclass
class Point:
    x: "int" = 1
assert pickle.loads(pickle.dumps(Point(3))) == Point(3)
assert "class Own" in inspect.getsource(Own)
assert __name__ == "m" and os.path.isabs(__file__) and sys.argv == [__file__]
assert __spec__.name == "m" and __package__ == "" and sys.modules["m"].__dict__ is globals()
'''
        self.assertEqual(self.end(script)[0], {"type": "end", "status": "finished"})

    def test_a_name_with_a_dot(self):
        script = SCRIPT + "import pickle\nassert type(pickle.loads(pickle.dumps(Data()))) is Data\n"
        self.assertEqual(self.end(script, name="resnet.v2.py")[0], {"type": "end", "status": "finished"})

    def test_packages(self):
        self.write("net/__init__.py", "from .parts import layer as first\nfrom . import parts\n")
        self.write("net/parts/__init__.py", "from ..shape import layer\n")
        self.write("net/shape.py", "def layer(): pass\n")
        self.write("space/inner.py", "")
        script = "import net, space.inner, pkgutil, importlib\n" + SCRIPT + """
assert sorted(m.name for m in pkgutil.iter_modules(net.__path__)) == ["parts", "shape"]
assert importlib.reload(net).first.__module__ == "net.shape"
"""
        events, _, _ = self.converse(script, RUN)
        [code] = [event["files"] for event in events if event["type"] == "code"]
        self.assertEqual([os.path.relpath(path, self.models) for path in code],
                         ["m.py", "net/__init__.py", "net/parts/__init__.py", "net/shape.py", "space/inner.py"])
        self.assertEqual(events[-1], {"type": "end", "status": "finished"})

    def test_a_script_with_the_name_of_a_module(self):
        self.assertEqual(self.end(SCRIPT, name="os.py")[0], {"type": "end", "status": "finished"})

    def test_a_child_process_is_not_heard(self):
        script = SCRIPT + '''
def fork(self, data, steps):
    child = os.fork()
    if not child:
        log_metric("loss", 1, 1)
        log("from the child")
        os._exit(0)
    os.waitpid(child, 0)
Own.train_model = fork
'''
        events, printed, _ = self.converse(script, RUN)
        self.assertEqual([event["type"] for event in events if event["type"] in ("metric", "log")], [])
        self.assertIn("from the child\n", printed)
        self.assertEqual(events[-1]["status"], "finished")

    def test_processes_of_multiprocessing(self):
        for method in "fork", "spawn":
            script = """
import multiprocessing
def square(x):
    log_metric("inner", x, x)
    return x * x
""" + SCRIPT + """
def train_model(self, data, steps):
    with multiprocessing.get_context(%r).Pool(2) as pool:
        print(pool.map(square, [3, 4]))
Own.train_model = train_model
""" % method
            events, printed, status = self.converse(script, RUN)
            self.assertIn("[9, 16]\n", printed)
            self.assertEqual([event for event in events if event["type"] == "metric"], [])
            self.assertEqual((events[-1], status), ({"type": "end", "status": "finished"}, 0))

    def test_modules_of_the_project_with_names_of_others(self):
        for name in "mlpipeline", "json", "traceback", "linecache", "contextlib":
            self.write(name + ".py", "raise RuntimeError('of the project')\n")
        self.write("work.py", "from mlpipeline.utils import log\ndef work(x): return x\n")
        for method in "spawn", "forkserver":
            script = "import work\n" + SCRIPT + """
def train(self, data, steps):
    import multiprocessing
    process = multiprocessing.get_context(%r).Process(target=work.work, args=(1,))
    process.start()
    process.join()
    raise ValueError(process.exitcode)
Own.train_model = train
""" % method
            events, printed, _ = self.converse(script, RUN)
            self.assertEqual(events[-1]["error"], "train_model: ValueError: 0", printed)
            self.assertRegex(events[-1]["trace"], r"m\.py.* in train\n    raise ValueError\(process.exitcode\)")

    def test_many_metrics(self):
        script = SCRIPT + "\ndef train(self, data, steps):\n    for i in range(20000):\n        log_metric('loss', i / 7, i)\nOwn.train_model = train\n"
        events, _, _ = self.converse(script, RUN)
        metrics = [event for event in events if event["type"] == "metric"]
        self.assertEqual([(event["step"], event["value"]) for event in metrics], [(i, i / 7) for i in range(20000)])

    def test_a_metric_is_not_held_back(self):
        self.write("m.py", SCRIPT + """
def train_model(self, data, steps):
    for step in range(5):
        log_metric("loss", 1, step)
    sys.stdin.read() or __import__("time").sleep(60)
Own.train_model = train_model
""")
        process = self.start("m.py")
        process.stdin.write((json.dumps(RUN) + "\n").encode())
        process.stdin.flush()
        late = threading.Timer(30, process.kill)
        late.start()
        steps = []
        while steps[-1:] != [4]:
            line = process.stdout.readline()
            self.assertTrue(line, steps)
            steps += [event["step"] for event in [strict(line)] if event["type"] == "metric"]
        late.cancel()
        self.assertEqual(steps, [0, 1, 2, 3, 4])
        process.kill()
        process.communicate()

    def test_a_pipeline_that_is_gone(self):
        self.write("m.py", SCRIPT + """
def train_model(self, data, steps):
    sys.stdin.read()
    while not os.path.exists("go"):
        pass
    for step in range(50000):
        log_metric("loss", 1, step)
    log("x" * 500000)
    print("trained")
Own.train_model = train_model
""")
        process = self.start("m.py")
        process.stdin.write((json.dumps(RUN) + "\n").encode())
        process.stdin.close()
        process.stdout.close()
        with open(os.path.join(os.path.dirname(self.models), "go"), "w"):
            pass
        printed = process.stderr.read().decode()
        self.assertEqual((printed, process.wait(timeout=60)), ("setup m.py one %s Train\n%s\ntrained\n" % (DIR, "x" * 500000), 0))

    def test_progress_is_told_in_training_only(self):
        script = SCRIPT.replace("class Data", """
early = MetricContainer(["early"])
early.early.update(1)
early.log_metrics()
class Data""").replace('print("setup"', 'early.log_metrics(); print("setup"')
        events, _, _ = self.converse(script, RUN)
        self.assertEqual([(event["step"], event["total"]) for event in events if event["type"] == "progress"], [(2, 2)])

    def test_values_and_names_of_metrics(self):
        script = SCRIPT + '''
def train(self, data, steps):
    for value in float("nan"), float("inf"), -float("inf"), True, 10**300:
        log_metric("a\\n\\u20ac\\ud800", value, 1)
    log_metric("", 1, 1)
    log_metric("m" * 2000, 1, 1)
    log_metric(5, 1, 1.0)
Own.train_model = train
'''
        events, _, _ = self.converse(script, RUN)
        metrics = [(event["name"], event["step"], event["value"]) for event in events if event["type"] == "metric"]
        self.assertEqual(metrics, [("a\n\u20ac\\ud800", 1, value) for value in ("NaN", "Infinity", "-Infinity", 1.0, 1e300)] + [("5", 1, 1.0)])
        self.assertEqual(len([event for event in events if event["type"] == "log" and event["level"] == "warn"]), 1)

    def test_a_long_message_comes_in_parts(self):
        script = SCRIPT + "\nOwn.train_model = lambda *_: log('\\u20ac' * 500000, 30)\n"
        events, _, _ = self.converse(script, RUN)
        messages = [event["message"] for event in events if event["type"] == "log"]
        self.assertEqual("".join(messages), "\u20ac" * 500000)
        self.assertLess(max(len(json.dumps(message)) for message in messages), 2**20 - 200)

    def stopped(self, body):
        """What comes of a run that is told to stop when training prints that it is ready."""
        # One long sleep could begin just after the signal has come, and not hear of it.
        self.write("m.py", SCRIPT + """
import time
def wait():
    while True:
        time.sleep(0.01)
""" + "\ndef train(self, data, steps):\n%s\nOwn.train_model = train\n" % body)
        process = self.start("m.py")
        process.stdin.write((json.dumps(RUN) + "\n").encode())
        process.stdin.flush()
        printed = b""
        while not printed.endswith(b"ready\n"):
            line = process.stderr.readline()
            self.assertTrue(line, printed)
            printed += line
        process.send_signal(signal.SIGTERM)
        out, rest = process.communicate(timeout=60)
        end = strict(out.splitlines()[-1])
        self.assertRegex(end.pop("trace"), r'^When it was asked to stop \(most recent call last\):\n  File ".*m\.py", line \d+, in train\n')
        return end, rest.decode(), process.returncode

    def test_stop(self):
        end, printed, status = self.stopped("    try:\n        print('ready')\n        wait()\n    finally:\n        print('saved')")
        self.assertEqual((end, printed, status), ({"type": "end", "status": "interrupted"}, "saved\n", 0))

    def test_stop_that_is_swallowed(self):
        end, printed, status = self.stopped(
            "    try:\n        print('ready')\n        wait()\n    except KeyboardInterrupt:\n        pass")
        self.assertEqual((end, printed, status), ({"type": "end", "status": "interrupted"}, "", 0))

    def test_an_error_while_it_stops(self):
        end, _, status = self.stopped("    try:\n        print('ready')\n        wait()\n    finally:\n        1 / 0")
        self.assertEqual((end, status), ({"type": "end", "status": "interrupted"}, 0))

    def test_an_interrupt_of_the_scripts_own(self):
        end, _ = self.end(SCRIPT + "\ndef stop(*_): raise KeyboardInterrupt\nOwn.train_model = stop\n")
        self.assertEqual((end["status"], end["error"]), ("failed", "train_model: KeyboardInterrupt"))

    def trains(self, body, **kwargs):
        """The last word of a run in which training does what body does, and what it prints."""
        script = SCRIPT + "\ndef train(self, data, steps):\n" + "".join("    %s\n" % line for line in body.splitlines())
        events, printed, status = self.converse(script + "Own.train_model = train\n", RUN, **kwargs)
        self.assertEqual((events[0]["type"], events[-1]["type"], status), ("hello", "end", events[-1]["status"] != "finished"))
        return events[-1], printed

    def test_what_a_script_prints_is_printed_whatever_it_is(self):
        self.assertEqual(self.trains("print('a \\ud800 \\u20ac'); sys.stderr.write('b \\ud800\\n')"), (
            {"type": "end", "status": "finished"}, "setup m.py one %s Train\na \\ud800 \u20ac\nb \\ud800\n" % DIR))

    def test_a_script_that_replaces_what_python_is_made_of(self):
        for damage in (
                "import builtins; builtins.open = builtins.print = bad; sys.stdout = sys.__stdout__ = sys.excepthook = None",
                "import time; os.getpid = os._exit = os.path.abspath = os.path.isfile = os.path.join = time.time = bad",
                "import threading; threading.active_count = threading._shutdown = bad; sys.excepthook = bad",
                "sys.modules.clear(); sys.path.clear(); os.environ.clear()",
                "sys.setrecursionlimit(60)",
                "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))",
                "import tempfile; os.chdir(tempfile.mkdtemp()); os.rmdir(os.getcwd()); sys.modules['relative'] = type(sys)('x'); "
                "sys.modules['relative'].__file__ = 'x.py'"):
            body = "def bad(*args): raise RuntimeError('replaced')\n" + damage
            self.assertEqual(self.trains(body)[0], {"type": "end", "status": "finished"}, damage)
            end, _ = self.trains(body + "\nraise ValueError('of the script')")
            self.assertEqual((end["status"], end["error"]), ("failed", "train_model: ValueError: of the script"), damage)

    def test_an_exception_that_cannot_be_told(self):
        for error in (
                "class Bad(Exception):\n    __module__ = None\n    def __str__(self): raise KeyboardInterrupt\nraise Bad",
                "class Bad:\n    def __repr__(self): raise KeyboardInterrupt\nsys.exit(Bad())"):
            end, _ = self.trains(error)
            self.assertEqual(end["status"], "failed")
            self.assertRegex(end["error"], r"^train_model: .*: \(its text cannot be told\)$")

    def test_an_exception_with_very_many_causes(self):
        end, _ = self.trains("error = None\nfor i in range(5000):\n    new = ValueError(i)\n    new.__cause__ = error\n    error = new\nraise error")
        self.assertEqual(end["error"], "train_model: ValueError: 4999")
        self.assertRegex(end["trace"], r"m\.py")
        self.assertNotIn("_execute.py", end["trace"])

    def test_metrics_without_a_thread_that_writes_them(self):
        script = SCRIPT + """
import _thread
def bad(*args): raise RuntimeError("can't start new thread")
def train(self, data, steps):
    _thread.start_new_thread = bad
    for step in range(1000):
        log_metric("loss", 1, step)
Own.train_model = train
"""
        events, _, _ = self.converse(script, RUN)
        self.assertEqual([event["step"] for event in events if event["type"] == "metric"], list(range(1000)))
        self.assertEqual(events[-1]["status"], "finished")

    def test_what_is_written_at_the_end(self):
        end, _ = self.trains("import gc\nglobal file\nfile = open('frozen', 'w')\nfile.write('text')\ngc.freeze()\ngc.disable()")
        self.assertEqual(end["status"], "finished")
        with open(os.path.join(self.models, "..", "frozen")) as file:
            self.assertEqual(file.read(), "text")

    def test_the_destruction_of_what_a_script_holds(self):
        self.write("tools.py", "import json\ndef text(): return json.dumps([1])\n")
        script = "import tools\n" + SCRIPT + """
class Del:
    def __del__(self): print("deleted", helping(), tools.text(), Own.__name__)
def helping(): return os.sep
v.kept = Del()
"""
        _, printed, status = self.converse(script, RUN)
        self.assertIn("deleted / [1] Own\n", printed)
        self.assertEqual(status, 0)

    def test_names_that_cannot_be_told(self):
        script = SCRIPT + 'v.addV("odd \\udcff")\nv.addV("long " * 300000)\nv.addV("x", custom_paramters={"y" * 300000: 1})\n'
        events, _, _ = self.converse(script, {"type": "list"}, dict(RUN, version="odd \\udcff"))
        versions = [(event["version"]["name"][:8], "error" in event) for event in events if event["type"] == "version"]
        self.assertEqual(versions[2:], [("odd \\udc", False), ("long lon", True), ("x", False)])
        self.assertEqual(events[-1], {"type": "end", "status": "finished"})

    def test_parameters_that_hold_one_another(self):
        script = SCRIPT + """
nodes = [{} for _ in range(30)]
for node in nodes:
    node.update(enumerate(nodes))
v.addV("graph", custom_paramters={"nodes": nodes})
"""
        events, _, _ = self.converse(script, {"type": "list"})
        [graph] = [event for event in events if event.get("version", {}).get("name") == "graph"]
        self.assertEqual(graph["error"], "its parameters are longer than 500000 bytes")

    def test_by_hand(self):
        environment = {k: v for k, v in os.environ.items() if k != "MLPIPELINE_PROTOCOL"}
        done = subprocess.run([sys.executable, RUN_MODEL], env=environment, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"run_model.py is what mlpipeline starts models with", done.stderr)


if __name__ == "__main__":
    unittest.main()
