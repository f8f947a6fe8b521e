"""A model that misbehaves. Its versions are in the file <this script>.versions, one a line, called HOOK WORD or HOOK WORD SIZE:
what WORD does is done in HOOK. A version called fine does nothing wrong."""
import os
import sys
import time

from mlpipeline.helper import DataLoader, Model
from mlpipeline.utils import MetricContainer, Versions, log, log_metric


class Own(BaseException):
    pass


class Data(DataLoader):
    def get_train_input(self, mode=None): MODEL.at("input")
    def get_test_input(self): pass
    def get_test_sample_count(self): return 1

    def get_train_sample_count(self):
        MODEL.at("count")
        return 4

    def get_dataloader_summery(self):
        MODEL.at("summary")
        return "data"


class Misbehaves(Model):
    word = ()

    def at(self, hook):
        global SIZE
        if self.word and self.word[0] == hook:
            word, size, self.word = self.word[1], self.word[2:], ()
            SIZE = int(size[0]) if size else SIZE
            self.returned = WORDS[word]()

    def clean_model_dir(self, model_dir):
        name = self.get_current_version().name
        self.word = () if name == "fine" else name.split()
        self.at("clean")

    def pre_execution_hook(self, version, model_dir):
        self.version, self.dir = version, model_dir
        self.at("setup")

    def get_trained_step_count(self):
        self.at("trained")

    def train_model(self, input_fn, steps):
        log_metric("loss", 0.5, 1)
        self.at("train")
        log_metric("loss", 0.25, 2)

    evaluations = 0
    returned = None

    def evaluate_model(self, input_fn, steps):
        self.evaluations += 1
        self.at("evaluate" if self.evaluations == 1 else "test")
        return {"accuracy": 1} if self.returned is None else self.returned


WORDS = {}


def word(f):
    WORDS[f.__name__] = f
    return f


def raises(name, error):
    def f(): raise error
    WORDS[name] = f


raises("error", ValueError("an error"))
raises("exit0", SystemExit(0))
raises("exit3", SystemExit(3))
raises("exits_text", SystemExit("a text"))
raises("keyboard", KeyboardInterrupt())
raises("generator", GeneratorExit())
raises("base", Own("not an Exception"))
raises("stop", StopIteration())
raises("memory", MemoryError())


@word
def os_exit0(): os._exit(0)


@word
def os_exit3(): os._exit(3)


@word
def abort(): os.abort()


@word
def kill(): os.kill(os.getpid(), 9)


@word
def segfault():
    import ctypes
    ctypes.string_at(0)


@word
def recursion():
    def f(): f()
    f()


@word
def deep():
    """Recursion through C until the stack is used up."""
    sys.setrecursionlimit(10**9)
    def f(n): return max([n], key=f)
    f(1)


@word
def loop():
    while True:
        pass


@word
def sleep(): time.sleep(600)


@word
def lock():
    import threading
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


@word
def call():
    """Waits below Python, with the lock of the interpreter: no signal handler of Python's can run."""
    import ctypes
    mutex = ctypes.create_string_buffer(256)
    ctypes.PyDLL(None).pthread_mutex_lock(mutex)
    ctypes.PyDLL(None).pthread_mutex_lock(mutex)


@word
def ignores():
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sleep()


@word
def handles():
    import signal
    signal.signal(signal.SIGTERM, lambda *_: print("never mind"))
    sleep()


@word
def blocks():
    import signal
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    sleep()


@word
def swallows():
    while True:
        try:
            sleep()
        except BaseException:
            print("never mind")


SIZE = 1 << 20  # how many bytes floods have


@word
def one_line():
    chunk = "x" * 65536
    for _ in range(SIZE // len(chunk)):
        sys.stdout.write(chunk)


@word
def lines():
    text = "a line of output that is as long as lines are, 64 bytes or so..\n" * 1024
    for _ in range(SIZE // len(text)):
        sys.stdout.write(text)


@word
def stderr_line():
    for _ in range(SIZE // 65536):
        sys.stderr.write("y" * 65536)


@word
def descriptor():
    for _ in range(SIZE // 65536):
        os.write(1, b"\xff\xfe\x00" * 21845 + b"\n")


@word
def subprocesses():
    import subprocess
    subprocess.run("head -c %d /dev/zero | tr '\\0' z" % SIZE, shell=True, check=True)


@word
def threads():
    import threading
    def flood(i):
        for _ in range(SIZE // 8 // 128):
            print("%d %s\n" % (i, "t" * 125), end="")
    all = [threading.Thread(target=flood, args=(i,)) for i in range(8)]
    for t in all: t.start()
    for t in all: t.join()


@word
def logging():
    import logging
    for _ in range(SIZE // 128):
        logging.warning("w" * 127)


@word
def logs():
    log("l" * SIZE, level=40)
    log("m" * SIZE)


@word
def metrics():
    for step in range(SIZE // 100):
        log_metric("flood", 0.5, step)


@word
def names():
    for i in range(SIZE // 1024):
        log_metric("name %d" % i, 0.5, 1)


@word
def garbage():
    for descriptor in range(3, 1024):
        try:
            os.write(descriptor, b"\x00\xff{garbage\n" * 10 + b"[]\n1\nnull\n{}\n")
        except OSError:
            pass


@word
def half():
    for descriptor in range(3, 1024):
        try:
            os.write(descriptor, b'{"type":"metric","name":"half')
        except OSError:
            pass
    os._exit(0)


@word
def half_goes_on():
    for descriptor in range(3, 1024):
        try:
            os.write(descriptor, b'{"type":"metric","name":"half')
        except OSError:
            pass


@word
def long_message():
    for descriptor in range(3, 1024):
        try:
            for _ in range(SIZE // 65536):
                os.write(descriptor, b"x" * 65536)
            os.write(descriptor, b"\n")
        except OSError:
            pass


@word
def long_summary(): MODEL.add_to_summery("s" * SIZE)


@word
def long_text(): return "r" * SIZE


@word
def long_list(): return [0.5] * (SIZE // 5)


@word
def long_error(): raise ValueError("e" * SIZE)


@word
def odd_text():
    print("surrogate \ud800 \udcff", "nul \0 bell \a escape \033[31m bidi \u202e")
    sys.stderr.write("surrogate \ud800\n")
    os.write(1, b"bytes \xff\xfe\xc0\x80\n")
    log("surrogate \ud800")
    log("surrogate \ud800", level=40)
    MODEL.add_to_summery("surrogate \ud800 \033[31m \0")
    log_metric("surrogate \ud800", 1, 1)
    log_metric("nul \0 escape \033[31m\n", 1, 1)
    return {"surrogate \udcff": 1, "escape \033[31m\n": 2}


@word
def odd_error(): raise ValueError("surrogate \ud800 nul \0 escape \033[31m\nsecond \udcff")


@word
def error_without_text():
    class Bad(Exception):
        __module__ = None
        def __str__(self): raise KeyboardInterrupt
        __repr__ = __str__
    raise Bad


@word
def exit_without_text():
    class Bad:
        def __repr__(self): raise KeyboardInterrupt
    sys.exit(Bad())


@word
def chained():
    error = None
    for i in range(5000):
        new = ValueError(str(i))
        new.__cause__ = error
        error = new
    raise error


class Number:
    def __float__(self): return 0.5


def values():
    from decimal import Decimal
    from fractions import Fraction
    return {
        "nan": float("nan"), "inf": float("inf"), "minus": float("-inf"), "zero": -0.0, "large": 1e308, "larger": 1e999,
        "small": 5e-324, "number": Number(), "decimal": Decimal("0.1"), "decimalnan": Decimal("NaN"), "snan": Decimal("sNaN"),
        "fraction": Fraction(1, 3), "true": True, "int": 2**62, "huge": 10**400, "text": "0.5", "none": None, "complex": 1j,
        "bytes": b"1", "list": [1],
    }


@word
def odd_metrics():
    for name, value in values().items():
        try:
            log_metric(name, value, 1)
        except Exception as e:
            print("refused", name, type(e).__name__, e)
    for step in -1, 2**63, 2**64, 10**30, True, 1.5:
        log_metric("step", 1, step)
    for name in "", "n" * 10**6, 7, None, ("a",):
        log_metric(name, 1, 1)
    return values()


@word
def returns_list(): return [1, 2]


@word
def returns_nothing(): MODEL.evaluate_model = lambda input_fn, steps: None


@word
def returns_generator():
    MODEL.evaluate_model = lambda input_fn, steps: (x for x in "abc")


@word
def returns_empty(): MODEL.evaluate_model = lambda input_fn, steps: MetricContainer(["loss"])


@word
def closes(): os.closerange(0, 256)


@word
def closes_all(): os.closerange(0, 4096)


@word
def oom():
    """Is killed by the kernel: the test has made the memory cgroup."""
    with open(__file__ + ".cgroup") as group, open(group.read() + "/cgroup.procs", "w") as file:
        file.write(str(os.getpid()))
    kept = []
    while True:
        kept.append(os.urandom(1 << 20))


@word
def closes_stdout():
    sys.stdout.close()
    sys.stderr.close()
    os.close(1)


@word
def child_holds():
    if os.fork() == 0:
        os.setsid()
        os.environ.clear()
        sleep()


@word
def child_escapes():
    """A daemon: a session of its own, no parent, and no environment by which it could be known."""
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        while not os.path.exists(MODEL.dir + "/pid"):
            time.sleep(0.01)
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    with open(MODEL.dir + "/pid.new", "w") as file:
        file.write(str(os.getpid()))
    os.rename(MODEL.dir + "/pid.new", MODEL.dir + "/pid")
    os.execve("/bin/sleep", ["sleep", "600"], {})


@word
def child_without_handlers():
    import ctypes
    if ctypes.CDLL(None).fork() == 0:
        sleep()


@word
def both_go_on():
    os.fork()
    for step in range(1000):
        log_metric("both", step, step)


@word
def both_without_handlers():
    import ctypes
    ctypes.CDLL(None).fork()
    for step in range(100):
        log_metric("both", step, step)
        time.sleep(0.001)


def work(n):
    time.sleep(600 if n else 0)
    return n


@word
def pool():
    import multiprocessing
    MODEL.pool = multiprocessing.Pool(3)
    MODEL.pool.map_async(work, [1, 2])
    MODEL.pool.apply(work, [0])


@word
def forkserver():
    import multiprocessing
    MODEL.pool = multiprocessing.get_context("forkserver").Pool(3)
    MODEL.pool.map_async(work, [1, 2])
    MODEL.pool.apply(work, [0])


@word
def spawn():
    import multiprocessing
    MODEL.pool = multiprocessing.get_context("spawn").Pool(3)
    MODEL.pool.map_async(work, [1, 2])
    MODEL.pool.apply(work, [0])


@word
def executor():
    from concurrent.futures import ProcessPoolExecutor
    MODEL.pool = ProcessPoolExecutor(2)
    MODEL.pool.submit(work, 1)


@word
def execs(): os.execv("/bin/sh", ["sh", "-c", "echo something else"])


@word
def execs_long(): os.execv("/bin/sleep", ["sleep", "600"])


@word
def replaces():
    import builtins
    def bad(*args, **kwargs): raise RuntimeError("replaced")
    sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = sys.excepthook = None
    builtins.print = builtins.open = builtins.input = builtins.exit = bad


@word
def patches():
    import gc, json, threading
    def bad(*args, **kwargs): raise RuntimeError("replaced")
    json.dumps = json.loads = time.time = time.sleep = gc.get_objects = bad
    os.getpid = os.path.abspath = os.path.isfile = os.path.join = os.makedirs = os.write = os.dup2 = os._exit = bad
    threading._shutdown = threading.active_count = bad


@word
def patches_and_fails():
    patches()
    raise ValueError("an error")


@word
def mocks():
    from unittest import mock
    for name in "time.time", "os.path.abspath", "os.path.isfile", "os.getpid", "builtins.open":
        mock.patch(name).start()


@word
def clears():
    sys.modules.clear()
    os.environ.clear()
    sys.path.clear()


@word
def clears_and_fails():
    clears()
    raise ValueError("an error")


@word
def chdir(): os.chdir("/")


@word
def deletes_dir():
    import shutil
    os.chdir(MODEL.dir)
    shutil.rmtree(MODEL.dir)
    sys.path.insert(0, "relative")


@word
def file_for_dir():
    os.rmdir(MODEL.dir)
    open(MODEL.dir, "w").close()


@word
def deletes_source(): os.remove(__file__)


@word
def changes_source():
    with open(__file__, "a") as f:
        f.write("\n# changed\n")


@word
def low_recursion(): sys.setrecursionlimit(60)


@word
def low_recursion_fails():
    sys.setrecursionlimit(60)
    raise ValueError("an error")


@word
def thread_raises():
    import threading
    t = threading.Thread(target=error)
    t.start()
    t.join()


def error(): raise ValueError("in a thread")


@word
def thread_exits():
    import threading
    threading.Thread(target=os._exit, args=(3,)).start()
    sleep()


@word
def thread_stays():
    import threading
    threading.Thread(target=sleep).start()


@word
def daemon_prints():
    import threading
    def f():
        while True:
            print("x")
            log_metric("daemon", 1, 1)
    threading.Thread(target=f, daemon=True).start()


@word
def traces():
    def bad(*args): raise RuntimeError("trace")
    sys.settrace(lambda *a: None)
    sys.setprofile(bad)


@word
def asyncs():
    import asyncio
    async def f():
        await asyncio.sleep(0.01)
        raise ValueError("in a coroutine")
    asyncio.run(f())


@word
def asyncs_hang():
    import asyncio
    asyncio.run(asyncio.sleep(600))


def at_exit(f):
    def do():
        import atexit
        atexit.register(f)
    do.__name__ = "atexit_" + f.__name__
    word(do)


for f in error, os_exit3, sleep, segfault: at_exit(f)


def exits(): sys.exit(5)


at_exit(exits)


@word
def excepthook():
    sys.excepthook = None
    __import__("atexit").register(error)


class Del:
    def __init__(self, f): self.f = f
    def __del__(self): self.f()


@word
def del_raises(): MODEL.kept = Del(error)


@word
def del_exits(): MODEL.kept = Del(os_exit3)


@word
def del_hangs(): MODEL.kept = Del(sleep)


@word
def frozen():
    import gc
    MODEL.file = open(MODEL.dir + "/text", "w")
    MODEL.file.write("text")
    gc.freeze()
    gc.disable()


@word
def big():
    MODEL.kept = [[] for _ in range(10**6)]


@word
def no_threads():
    import _thread
    def bad(*args): raise RuntimeError("can't start new thread")
    _thread.start_new_thread = bad
    for step in range(1000):
        log_metric("alone", 1, step)


@word
def limited():
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (1 << 28, 1 << 28))
    kept = []
    while True:
        kept.append(bytearray(1 << 20))


@word
def alarm():
    import signal
    signal.alarm(1)
    sleep()


@word
def few_files():
    import resource
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))


@word
def few_files_fails():
    few_files()
    raise ValueError("an error")


@word
def fsize():
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


versions = Versions(0.1, Data(), 1, 1)
for line in open(__file__ + ".versions"):
    versions.addV(line.strip("\n"), model_dir_suffix="".join(c if c.isalnum() else "-" for c in line.strip()))
MODEL = Misbehaves(versions, allow_delete_model_dir=True)
