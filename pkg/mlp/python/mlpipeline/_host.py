"""This process's end of the plugin protocol or, in a script that was started by hand, the terminal in its place.

Messages are lines of JSON on descriptor 4; docs/protocol.md has them all. What is imported here is paid for by every
version of every model, so that json, signal and hashlib are kept out.
"""
import os
import sys
from _io import open
from _json import encode_basestring_ascii as quote
from time import sleep, time

EVENTS = 4
HIGH = 900  # where descriptor 4 is kept
# A metric is written at once when the last write is longer ago than IDLE seconds. Otherwise it waits for company, for
# LAG seconds at most: a loop that measures each step pays for a copy, not for a system call.
IDLE, LAG = 0.002, 0.01
# The longest text in one message, in characters: at 12 bytes each it stays below the megabyte of the protocol.
MAX_TEXT = 80_000
MAX_NAME = 1000
MAX_SUMMARY = 1_000_000
MAX_MESSAGE = 1 << 20

_out = None  # the buffered descriptor; None when no pipeline listens
_descriptor = None
_parents = None  # that of the process that this one was forked from
_child = False  # this process was started by a script
_warned = False  # that metrics of such a process are not recorded
_late = []  # lines that could not be written when they came
_last = 0.0  # time of the last write
_armed = False  # the ticker is to flush
_ticker = None  # the lock that wakes it
_starts = {}  # the constant start of a metric's line, by name
_progress = 0.0  # time of the last progress
_furthest = 0  # its step

_before = 0  # steps trained before this run
_total = 0  # the step at which training ends, 0 outside of it
_prefix = ""  # of the names of metrics


def connect():
    """Opens the protocol with its first message."""
    global _out, _descriptor
    # A script that closes low descriptors, and opens files in their place, must not be sent the protocol.
    try:
        _descriptor = os.dup2(EVENTS, HIGH, inheritable=False)
        os.close(EVENTS)
    except OSError:  # so many are not allowed
        _descriptor = EVENTS
        os.set_inheritable(EVENTS, False)
    _out = open(_descriptor, "wb", buffering=65536, closefd=False)
    # What a script prints never fails for the characters in it: an odd file name, or any in a locale of few.
    for stream in sys.stdout, sys.stderr:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    hello()


def hello():
    """The first message."""
    send("hello", protocol=1, sdk="mlpipeline for Python %d.%d.%d" % sys.version_info[:3])


def disconnect():
    """Leaves the conversation to the parent of this forked process. What waits in the buffer is the parent's to send."""
    global _out, _parents, _child
    _out, _parents, _child = None, _out, True
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, _descriptor, inheritable=False)
    os.close(null)


def encode(value):
    """value, made of None, bool, int, float, str, dict and list or tuple, as JSON of the protocol."""
    if isinstance(value, str):
        return quote(value)
    if value is None or value is True or value is False:
        return "null" if value is None else "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, dict):
        return "{" + ",".join([quote(k) + ":" + encode(v) for k, v in value.items()]) + "}"
    return "[" + ",".join(map(encode, value)) + "]"


def number(value):
    """A float as the protocol writes it: JSON has no NaN and no infinities."""
    value = float(value)
    if value - value == 0:
        return float.__repr__(value)
    return '"NaN"' if value != value else '"Infinity"' if value > 0 else '"-Infinity"'


def as_float(value):
    """value as a float: of any type that is a number, those of NumPy and torch included. TypeError for what is none."""
    number = value
    if not isinstance(value, (int, float)):
        if hasattr(value, "item"):
            try:
                number = value.item()
            except (TypeError, ValueError, RuntimeError):  # it holds several
                number = None
        if isinstance(number, (str, bytes, bytearray)) or not hasattr(number, "__float__"):
            raise TypeError("%s is not a number" % type(value).__name__)
    return float(number)


def put(type, **fields):
    """send, for a message that another follows soon."""
    if _out is None:
        return
    line = '{"type":"%s"' % type + "".join([',"%s":%s' % (k, encode(v)) for k, v in fields.items()]) + "}\n"
    if len(line) > MAX_MESSAGE:
        raise ValueError("a %s of %d bytes; the protocol allows %d" % (type, len(line), MAX_MESSAGE))
    _write(line.encode())


def send(type, **fields):
    """Sends a message. The pipeline that is gone is no error here: its guardian ends this process."""
    put(type, **fields)
    flush()


def _write(line):
    # A BufferedWriter keeps its state when a signal's KeyboardInterrupt comes out of it, unless the line is longer than
    # its buffer.
    try:
        if _late:
            late = b"".join(_late)
            del _late[:]
            _out.write(late)
        if len(line) < 60_000:
            _out.write(line)
            return
        import _signal
        blocked = _signal.pthread_sigmask(_signal.SIG_BLOCK, {_signal.SIGTERM, _signal.SIGINT})
        try:
            _out.write(line)
        finally:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, blocked)
    except OSError:
        pass
    except RuntimeError:  # a signal handler of the script's, in the middle of a write
        _late.append(line)


def flush():
    global _last, _armed
    _armed = False
    _last = time()
    try:
        if _out is not None:
            _out.flush()
    except (OSError, RuntimeError):
        pass


def metric(name, step, value):
    """Records the float value that the metric name has after step."""
    global _armed, _warned
    if _out is None:
        if _child and not _warned:
            _warned = True
            log("warn", "metrics of a process that a script starts are not recorded: return them to the script")
        return
    start = _starts.get(name) or _start(name)
    if not start:
        return
    now = time()
    text = repr(value) if value - value == 0 else number(value)
    _write(f'{start}{step:d},"value":{text},"time":{int(now * 1000)}}}\n'.encode())
    if not 0 <= now - _last <= IDLE:
        flush()
    elif not _armed:
        _armed = True
        _wake()


def _start(name):
    name = printable(str(name))
    if not 0 < len(name.encode()) <= MAX_NAME:
        if "" not in _starts:
            _starts[""] = ""
            log("warn", "a metric is ignored: its name has %d characters; it must have 1 to %d bytes" % (len(name), MAX_NAME))
        return ""
    start = _starts[name] = '{"type":"metric","name":%s,"step":' % quote(name)
    return start


def _wake():
    global _ticker
    import _thread
    if _ticker is None:
        lock = _thread.allocate_lock()
        lock.acquire()
        try:
            _thread.start_new_thread(_tick, (lock,))
        except RuntimeError:  # a limit of processes, or of memory
            return flush()
        _ticker = lock
    if _ticker.locked():
        _ticker.release()


def _tick(lock):
    while True:
        lock.acquire()
        sleep(LAG)
        if _armed:
            flush()


def progress(step):
    """Tells that step steps are trained, those of earlier runs included; about 20 times a second."""
    global _progress, _furthest
    now = time()
    if _out is not None and _total and step > _furthest and not 0 <= now - _progress < 0.05:
        _progress, _furthest = now, step
        send("progress", step=step, total=_total)


def log(level, message):
    """Writes a message to the log. level is debug, info, warn or error."""
    text = str(message)
    if _out is None:
        if not getattr(sys.stdout, "isatty", bool)():
            import re
            text = re.sub("\x1b\\[[0-9;]*m", "", text)
        if sys.stdout is not None:
            sys.stdout.write(printable(text) + "\n")
        return
    if level == "info":  # printed, it keeps its place among what the script prints
        try:
            sys.__stdout__.write(printable(text) + "\n")
            return
        except (AttributeError, OSError, ValueError):  # there is no output any more
            pass
    for i in range(0, len(text), MAX_TEXT):
        send("log", level=level, message=text[i:i + MAX_TEXT])


def printable(text):
    """text as it can be told and printed: a lone surrogate, of an odd file name, cannot."""
    return text.encode("utf-8", "backslashreplace").decode()


def begin(phase, prefix="", **fields):
    """Tells that a phase of the run begins."""
    global _before, _prefix, _total, _progress
    _prefix, _total, _progress = prefix, 0, 0.0
    if phase == "train":
        _before, _total = fields["step"], fields["total"]
    send("phase", phase=phase, **fields)


def steps_before():
    """Steps that were trained before this run."""
    return _before


def prefix():
    """What the names of metrics begin with in this phase."""
    return _prefix


def user_files():
    """Absolute paths of the user's source files that are loaded."""
    from mlpipeline import _code
    return _code.scan()
