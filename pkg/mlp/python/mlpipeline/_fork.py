"""A process that imports a script once, and forks one for each version that is to run: python_start=fork in mlp.config.

What a version finds is what a process of its own would have after the import. Where that cannot be had, refusal says why,
and the versions start fresh. Linux only.

It is asked by the guardian (internal/pipeline/local/fork.go has the messages), through a socket.
"""
import _signal
import _socket
import ctypes
import fcntl
import gc
import os
import select
import sys
from os import fork, getpid  # as they are before the script replaces something

from mlpipeline import _code, _host, _process, _random

_RUN = b"MLPIPELINE_RUN"  # what others tell the processes of a run by, in their environment
_HARMLESS = "/dev/null", "/dev/random", "/dev/urandom"

_socket_of = None  # where it is asked
_before = {}  # what was open before the script was imported
_name = 0, 0  # where the value of _RUN lies in memory, and its length
_wake = ()  # the pipe that is written to when a process has ended
_mask = ()  # signals that the script has blocked
_used = False  # a process has been forked
_prctl = None


def prepare(descriptor):
    """Begins to watch what the script does while it is imported."""
    global _socket_of
    _socket_of = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 900))
    os.close(descriptor)
    _before.update(_open())
    _random.watch()


def _open():
    """What is open, by descriptor."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink("/proc/self/fd/" + name)
        except OSError:  # the one that the list was read from
            pass
    return found


def refusal():
    """Why no version can be forked from this process, or "". What the script has printed is written, and what it has opened."""
    global _prctl
    shared = _random.unwatch()
    gc.collect()  # what the script has let go of is closed
    try:
        reason = _threads() or _processes() or _descriptors() or _cuda() or shared or _find_name()
    except Exception as error:
        reason = "%s: %s" % (type(error).__name__, error)
    if not reason:
        _process.settle()
        libc = ctypes.CDLL(None)
        libc.fflush(None)
        _prctl = libc.prctl
    return reason


def _threads():
    threads = os.stat("/proc/self/task").st_nlink - 2
    return "" if threads == 1 else "it has %d threads after its import" % threads


def _processes():
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        if _signal.getsignal(_signal.SIGCHLD) != _signal.SIG_DFL:
            return "it handles SIGCHLD"
        if any(_signal.getitimer(_signal.ITIMER_REAL)):
            return "it has set an alarm"
        return ""
    return "its import has started processes"


def _descriptors():
    now = _open()
    for descriptor in 0, 1, 2, _process.COMMANDS, _host._descriptor, _socket_of.fileno():
        if _before.get(descriptor) != now.get(descriptor):
            return "its import has closed or redirected descriptor %d" % descriptor
    for descriptor, what in sorted(now.items()):
        # One place in a file would be that of all versions; what is appended goes to its end anyway.
        if (_before.get(descriptor) != what and what not in _HARMLESS
                and not fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND):
            return "it has %s open after its import" % _host.printable(what)
    tempfile = sys.modules.get("tempfile")
    if tempfile is not None:
        from weakref import finalize
        if any(info.func.__qualname__ == "TemporaryDirectory._cleanup" for info in finalize._registry.values()):
            return "it has a temporary folder after its import, which the first version to end would remove"
    return ""


def _cuda():
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    return "it has initialised CUDA" if getattr(cuda, "is_initialized", bool)() else ""


def _find_name():
    """Finds where the kernel shows the name of the run from."""
    global _name
    with open("/proc/self/stat", "rb") as file:
        start = int(file.read().rpartition(b")")[2].split()[47])  # env_start, the 50th field of proc(5)
    with open("/proc/self/environ", "rb") as file:
        environment = file.read()
    at = (b"\0" + environment).find(b"\0" + _RUN + b"=")
    value = environment[at + len(_RUN) + 1:].partition(b"\0")[0]
    address = start + at + len(_RUN) + 1
    if at < 0 or not start or ctypes.string_at(address, len(value)) != value:
        return "its environment cannot be renamed"
    _name = address, len(value)
    return ""


def serve():
    """Forks a process whenever that is asked for. True is returned in such a process, and False in this one when no other
    will be."""
    global _wake, _mask
    # To be asked to stop is for the versions. They would not outlive this process.
    _mask = _signal.pthread_sigmask(_signal.SIG_BLOCK, {_signal.SIGTERM, _signal.SIGINT})
    _wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    _signal.set_wakeup_fd(_wake[1])
    _process._set_handler(_signal.SIGCHLD, lambda *_: None)
    poll = select.poll()
    for descriptor in _process.COMMANDS, _socket_of.fileno(), _wake[0]:
        poll.register(descriptor, select.POLLIN)
    gc.freeze()  # what a collection looks at is copied
    ended = None  # the process whose end has been told, and not been taken note of yet
    while True:
        if ended is None:
            ended = _tell_end()
        ready = dict(poll.poll())
        if _process.COMMANDS in ready:
            break
        if _wake[0] in ready:
            os.read(_wake[0], 4096)
        if _socket_of.fileno() in ready:
            message, ancillary, _, _ = _socket_of.recvmsg(1 << 16, 1 << 8, _socket.MSG_CMSG_CLOEXEC)
            verb, _, rest = message.partition(b" ")
            if verb == b"collect":
                os.waitpid(int(rest), 0)
                ended = None
            elif verb == b"fork":
                if _fork(rest, [int.from_bytes(data[i:i + 4], sys.byteorder) for _, _, data in ancillary for i in range(0, len(data), 4)]):
                    return True
            else:  # the guardian is gone
                break
    if _used:  # what is to be done at the end each version has done
        os._exit(0)
    return False


def _tell_end():
    """Tells the end of a process, if one has ended, and returns its pid. It keeps that until it is collected."""
    try:
        info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    if info is None:
        return None
    exited = info.si_code == os.CLD_EXITED
    _socket_of.send(b"ended %d %d %d" % (info.si_pid, info.si_status if exited else 0, 0 if exited else info.si_status))
    return info.si_pid


def _fork(request, descriptors):
    """Forks a process, and returns whether this is it."""
    global _used
    number, *environment = request.split(b"\0")
    parent = getpid()
    try:
        reason = _threads()
        _used = True
        pid = 0 if reason else fork()
    except OSError as error:
        reason = str(error)
    if reason:
        _socket_of.send(b"failed %b %b" % (number, reason.encode()))
    elif pid:
        _socket_of.send(b"forked %b %d" % (number, pid))
    else:
        _become(parent, environment, descriptors)
        return True
    for descriptor in descriptors:
        os.close(descriptor)
    return False


def _become(parent, environment, descriptors):
    """Makes the process of a version of this one, which has just been forked."""
    _process.become()
    _prctl(1, _signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it was too late
        os.kill(getpid(), _signal.SIGKILL)
    os.setsid()
    _signal.set_wakeup_fd(-1)
    _process._set_handler(_signal.SIGCHLD, _signal.SIG_DFL)
    for descriptor in _wake:
        os.close(descriptor)
    _socket_of.close()
    for descriptor, place in zip(descriptors, (1, 2, _process.COMMANDS, _host._descriptor)):
        os.dup2(descriptor, place, inheritable=place < 3)
        os.close(descriptor)
    _host.hello()
    for entry in environment:
        name, _, value = entry.partition(b"=")
        if name != b"MLPIPELINE_PROTOCOL":
            os.environb[name] = value
        if name == _RUN and len(value) == _name[1]:
            ctypes.memmove(_name[0], value, len(value))
    _random.renew()
    _signal.pthread_sigmask(_signal.SIG_SETMASK, _mask)
