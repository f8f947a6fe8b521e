"""run_model.py as a process that others are forked from, with the guardian's end of its socket in the place of that."""
import array
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import unittest

import test_process
from recorder import DIR
from test_process import RUN, RUN_MODEL, SCRIPT, strict

NAME = "MLPIPELINE_RUN"


@unittest.skipUnless(sys.platform == "linux", "forks on Linux only")
class ForkTest(unittest.TestCase):
    setUp, write = test_process.ProcessTest.setUp, test_process.ProcessTest.write

    def parent(self, script, **environment):
        """A parent that has told the versions of script, and what it said then."""
        self.write("m.py", script)
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(60)
        environment = dict(os.environ, MLPIPELINE_PROTOCOL="1", MLPIPELINE_FORK="5", MLPIPELINE_RUN="parent-",
                           PWD=os.path.dirname(self.models), **environment)
        high = fcntl.fcntl(theirs, fcntl.F_DUPFD, 20)

        def arrange():
            for descriptor, place in (0, 3), (1, 4), (high, 5), (os.open(os.devnull, os.O_RDONLY), 0), (2, 1):
                os.dup2(descriptor, place)

        self.process = subprocess.Popen(
            [sys.executable, "-u", RUN_MODEL, self.models, "m.py"], cwd=os.path.dirname(self.models), env=environment,
            preexec_fn=arrange, pass_fds=[3, 4, 5], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        theirs.close()
        os.close(high)
        for pipe in self.process.stdin, self.process.stdout, self.process.stderr, self.socket:
            self.addCleanup(pipe.close)
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.kill)
        self.process.stdin.write(b'{"type":"list"}\n')
        self.process.stdin.flush()
        for line in self.process.stdout:
            event = strict(line)
            if event["type"] in ("listed", "end"):
                return event
        self.fail(self.process.stderr.read().decode())

    def fork(self, number, name="version", **command):
        """Asks for a process, and returns its pid and its ends of the pipes."""
        pipes = [os.pipe() for _ in range(4)]
        theirs = [pipes[0][1], pipes[1][1], pipes[2][0], pipes[3][1]]
        ours = [pipes[0][0], pipes[1][0], pipes[2][1], pipes[3][0]]
        self.socket.sendmsg([("fork %d\0%s=%s\0MLPIPELINE_PROTOCOL=1\0OF_ITS_OWN=%d" % (number, NAME, name, number)).encode()],
                            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", theirs))])
        for descriptor in theirs:
            os.close(descriptor)
        verb, asked, pid = self.socket.recv(4096).split()
        self.assertEqual((verb, int(asked)), (b"forked", number))
        ours = [os.fdopen(descriptor, "rb" if i != 2 else "wb") for i, descriptor in enumerate(ours)]
        for file in ours:
            self.addCleanup(file.close)
        return (int(pid), *ours)

    def finish(self, forked, **command):
        """The events of a forked process that runs a version, what it prints, its status and the signal that has ended it."""
        pid, out, err, commands, events = forked
        commands.write((json.dumps(dict(RUN, **command)) + "\n").encode())
        commands.close()
        events = [strict(line) for line in events]
        printed = out.read().decode() + err.read().decode()
        return events, printed, self.ended(pid)

    def ended(self, pid):
        verb, number, code, killed = self.socket.recv(4096).split()
        self.assertEqual((verb, int(number)), (b"ended", pid))
        os.kill(pid, 0)  # its number is still its own
        self.socket.send(b"collect %d" % pid)
        return int(code), int(killed)

    def test_versions_are_processes_of_their_own(self):
        listed = self.parent("print('imported')\n" + SCRIPT.replace("self.metrics =", '''
        print(os.getpid() == os.getsid(0) == os.getpgid(0), os.environ["OF_ITS_OWN"], os.environ["MLPIPELINE_RUN"],
              "MLPIPELINE_PROTOCOL" in os.environ, "MLPIPELINE_FORK" in os.environ)
        print("\\0MLPIPELINE_RUN=version\\0" in "\\0" + open("/proc/self/environ").read())
        self.metrics ='''))
        self.assertEqual(listed["forks"], True)
        self.assertEqual(listed["error"], "")
        for number in 1, 2:
            events, printed, status = self.finish(self.fork(number))
            self.assertEqual(events[0]["type"], "hello")
            self.assertEqual(events[-1], {"type": "end", "status": "finished"})
            self.assertEqual([event["type"] for event in events if event["type"] in ("version", "code")], [])
            self.assertEqual((printed, status), (
                "setup m.py one %s Train\nTrue %d version False False\nTrue\nloss: 0.7500\n" % (DIR, number), (0, 0)))
        self.process.stdin.close()
        self.assertEqual((self.process.stdout.read(), self.process.stderr.read()), (b"", b"imported\n"))
        self.assertEqual(self.process.wait(60), 0)

    def test_several_at_once_and_how_they_end(self):
        self.parent(SCRIPT + """
import signal
def train(self, data, steps):
    how = self.get_current_version()["depth"]
    os._exit(how) if how > 0 else os.kill(os.getpid(), -how)
Own.train_model = train
v.addV("exit", custom_paramters={"depth": 7})
v.addV("killed", custom_paramters={"depth": -9})
v.addV("dumped", custom_paramters={"depth": -6})
""")
        forked = {name: self.fork(i, name[:7]) for i, name in enumerate(["exit", "killed", "dumped"])}
        for name, status in ("killed", (0, 9)), ("exit", (7, 0)), ("dumped", (0, 6)):
            self.assertEqual(self.finish(forked[name], version=name)[2], status)

    def test_to_be_asked_to_stop(self):
        self.parent(SCRIPT + """
import time
def train(self, data, steps):
    try:
        print("ready")
        while True:
            time.sleep(0.01)
    finally:
        print("saved")
Own.train_model = train
""")
        forked = self.fork(1)
        pid, out, err, commands, events = forked
        commands.write((json.dumps(RUN) + "\n").encode())
        commands.flush()
        while out.readline() != b"ready\n":
            pass
        self.process.send_signal(signal.SIGTERM)  # is not heard
        os.kill(pid, signal.SIGTERM)
        self.assertEqual(out.readline(), b"saved\n")
        self.assertEqual(strict(list(events)[-1])["status"], "interrupted")
        self.assertEqual(self.ended(pid), (0, 0))
        self.assertEqual(strict(self.fork(2)[4].readline())["type"], "hello")

    def test_they_end_with_their_parent(self):
        self.parent(SCRIPT)
        pid, out, err, commands, events = self.fork(1)
        self.assertEqual(strict(events.readline())["type"], "hello")
        self.process.kill()
        self.assertEqual(events.read(), b"")

    def drawn(self, script):
        """What two forked versions draw, and a fresh one."""
        script = SCRIPT.replace("import os, sys", "import os, sys, random") + script + """
def train(self, data, steps):
    print(random.random(), random.gauss(0, 1), numbers())
Own.train_model = train
"""
        self.assertEqual(self.parent(script).get("error"), "")
        forked = [self.finish(self.fork(number))[1].splitlines()[-1] for number in (1, 2)]
        process = test_process.ProcessTest.start(self, "m.py")
        _, printed = process.communicate((json.dumps(RUN) + "\n").encode(), timeout=60)
        return forked + [printed.decode().splitlines()[-1]]

    def test_what_the_script_seeds_is_as_in_a_fresh_process(self):
        self.numpy()
        for seeds in ("random.seed(1)\nnumpy.random.seed(7)", "random.seed()\nrandom.seed(a=1)\nnumpy.random.set_state(5)",
                      "random.setstate(random.Random(3).getstate())\nrandom.gauss(0, 1)\nnumpy.random.seed(seed=7)\nnumpy.random.numbers()",
                      "def setup(self, *_): random.seed(2); numpy.random.seed(7)\nOwn.pre_execution_hook = setup"):
            first, second, fresh = self.drawn("import numpy\n%s\ndef numbers(): return numpy.random.numbers()\n" % seeds)
            self.assertEqual((first, second), (fresh, fresh), seeds)

    def test_what_it_does_not_seed_is_another_each_time(self):
        self.numpy()
        for seeds in "", "random.seed(1)\nrandom.seed()\nnumpy.random.seed(7)\nnumpy.random.seed(None)":
            lines = self.drawn("import numpy\n%s\ndef numbers(): return numpy.random.numbers()\n" % seeds)
            for place in range(3):
                self.assertEqual(len({line.split()[place] for line in lines}), 3, lines)

    def numpy(self):
        """A library that looks like NumPy as far as it is looked at."""
        self.write("numpy/__init__.py", "from . import random\n")
        self.write("numpy/random/bit_generator.py", "import os\ndef randbits(n): return int.from_bytes(os.urandom(n // 8), 'big')\n")
        self.write("numpy/random/__init__.py", """
from . import bit_generator
def seed(seed=None): set_state(bit_generator.randbits(32) if seed is None else seed)
def set_state(new):
    global state
    state = new
def numbers():
    global state
    state = state * 6364136223846793005 % 2**64 + 1
    return state
def default_rng(seed=None): return bit_generator.randbits(64) if seed is None else seed
seed()
""")

    def test_torch_has_another_state_each_time_unless_the_script_gives_it_one(self):
        self.write("torch.py", """
import os
class Generator:
    def seed(self): self.state = int.from_bytes(os.urandom(8), "big")
default_generator = Generator()
default_generator.seed()
def manual_seed(n): default_generator.state = n
def seed(): default_generator.seed()
""")
        for seeds, same in ("", False), ("torch.manual_seed(1)", True), ("torch.seed()", False), ("torch.seed(); torch.manual_seed(1)", True):
            lines = self.drawn("import torch\n%s\ndef numbers(): return torch.default_generator.state\n" % seeds)
            self.assertEqual(len({line.split()[2] for line in lines}), 1 if same else 3, (seeds, lines))

    def test_refusals(self):
        self.numpy()
        for script, error in (
                ("import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()", "it has 2 threads after its import"),
                ("import subprocess\np = subprocess.Popen(['true'])", "its import has started processes"),
                ("import signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)", "it handles SIGCHLD"),
                ("import signal\nsignal.setitimer(signal.ITIMER_REAL, 600)", "it has set an alarm"),
                ("f = open('models/m.py')", "it has .*/models/m.py open after its import"),
                ("f = open('models/m.py', 'r+')", "it has .*/models/m.py open after its import"),
                ("f = os.pipe()", "it has pipe:.* open after its import"),
                ("os.dup2(0, 1)", "its import has closed or redirected descriptor 1"),
                ("import tempfile\nf = tempfile.TemporaryDirectory()", "it has a temporary folder after its import, .*"),
                ("import random\nr = random.Random()", r"it has made a random.Random\(\) without a seed"),
                ("import random\nclass Own(random.Random): pass\nr = Own()", r"it has made a random.Random\(\) without a seed"),
                ("import numpy\nr = numpy.random.default_rng()", "it has made a generator of numpy.random without a seed")):
            listed = self.parent(SCRIPT + script)
            self.assertEqual(listed["forks"], False)
            self.assertRegex(listed["error"], "^%s$" % error)
            self.process.stdin.close()
            self.assertEqual(self.process.wait(60), 0)

    def test_what_is_not_refused(self):
        self.numpy()
        listed = self.parent(SCRIPT + """
import numpy, random, tempfile
generators = random.Random(1), random.SystemRandom(), numpy.random.default_rng(1), random.Random()
generators[3].seed(2)
random.Random()
os.close(tempfile.mkstemp()[0])
with open("models/m.py") as file:
    file.read()
log_file = open(os.devnull), open("appended", "a")
with tempfile.TemporaryDirectory():
    pass
""")
        self.assertEqual((listed["error"], listed["forks"]), ("", True))

    def test_what_a_file_holds_is_written_once(self):
        self.parent(SCRIPT + """
file = open("appended", "a")
file.write("import\\n")
def train(self, data, steps):
    import gc
    file.write("%s\\n" % os.environ["OF_ITS_OWN"])
    later = open("later", "a")
    later.write("later\\n")
    self.later = [later, later.__iter__]
    gc.freeze()
Own.train_model = train
""")
        for number in 1, 2:
            self.finish(self.fork(number))
        for name, text in ("appended", "import\n1\n2\n"), ("later", "later\nlater\n"):
            with open(os.path.join(os.path.dirname(self.models), name)) as file:
                self.assertEqual(file.read(), text)
