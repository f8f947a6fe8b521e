"""The process of a model: it imports the script and does what the pipeline asks for."""
import _signal  # what signal is made of, without enum
import faulthandler
import os
import sys
from _io import open
from _json import make_scanner
from os import _exit, getpid  # as they are before the script replaces something

from mlpipeline import _code, _describe, _execute, _host

COMMANDS = 3

_owner = getpid()
_stopping = False  # SIGTERM has come
_place = ""  # where the script was then
_over = False  # the last word is said
_asked = None  # the last command: descriptor 3 is closed
_parent = None  # _fork, in a process that others are forked from
_inherited = []  # in one that was forked from it: the files that have come along,
_mark = None  # and an object that has not


class _Syntax:
    """What the scanner of json asks its decoder for."""
    strict, memo = False, {}
    object_hook = object_pairs_hook = None
    parse_float, parse_int, parse_constant = float, int, float


decode = make_scanner(_Syntax)


def main(models_dir, name, cache=None):
    os.environ.pop("MLPIPELINE_PROTOCOL", None)
    os.environ.pop("MLPIPELINE_VERSION", None)
    # Scripts that this one starts find the package too, and what they print comes at once.
    os.environ["PYTHONUNBUFFERED"] = "1"
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [_code.PACKAGE, os.environ.get("PYTHONPATH")]))
    os.set_inheritable(COMMANDS, False)
    _set_handler(_signal.SIGTERM, _stop)
    _signal.signal, _signal.getsignal = _signal_signal, _signal_getsignal
    _host.connect()
    fork = os.environ.pop("MLPIPELINE_FORK", None)
    if fork is not None:
        _prepare_fork(int(fork))
    faulthandler.enable(2)  # a crash below Python says where it was
    os.register_at_fork(after_in_child=_forked)
    os.fork, os.forkpty = _held(os.fork), _held(os.forkpty)
    status = 1
    try:
        try:
            status = _serve(models_dir, name, cache)
        except KeyboardInterrupt:
            if not _stopping:
                raise
            _tell(status="interrupted", trace=_place)
            status = 0
    except BaseException as error:
        if getpid() != _owner:
            raise
        _fail(error, "")
    _leave(status)


def _prepare_fork(descriptor):
    global _parent
    from mlpipeline import _fork
    _parent = _fork
    _fork.prepare(descriptor)


def _stop(signum, frame):
    first = not _stopping
    _note(frame)
    if first and not _over:
        raise KeyboardInterrupt


def _note(frame):
    """Notes that the script is to stop, and where it is: if it was its time that was over, that is where it hung."""
    global _stopping, _place
    if _stopping:
        return
    _stopping = True
    lines = []
    while frame is not None and len(lines) < 100:
        code = frame.f_code
        if not code.co_filename.startswith(_code.PACKAGE):
            lines.append('  File "%s", line %s, in %s\n' % (code.co_filename, frame.f_lineno, code.co_name))
        frame = frame.f_back
    if lines:
        _place = ("When it was asked to stop (most recent call last):\n" + "".join(reversed(lines)))[:_host.MAX_TEXT]


_set_handler, _get_handler = _signal.signal, _signal.getsignal


def _signal_signal(number, handler):
    """signal.signal, but for a handler of the script's own for SIGTERM: the wish to stop is noted before it is called."""
    if number == _signal.SIGTERM and callable(handler) and handler is not _stop:
        own = handler

        def handler(signum, frame):
            _note(frame)
            own(signum, frame)
        handler.__wrapped__ = own
    old = _set_handler(number, handler)
    return getattr(old, "__wrapped__", old)


def _signal_getsignal(number):
    handler = _get_handler(number)
    return getattr(handler, "__wrapped__", handler) if number == _signal.SIGTERM else handler


def _held(forks):
    """forks, with SIGTERM held back until the child ends by it again. One that came earlier would be lost, and who waits
    for the child, as multiprocessing's Pool does, would wait for ever."""
    def fork():
        mask = _signal.pthread_sigmask(_signal.SIG_BLOCK, ())
        try:
            _signal.pthread_sigmask(_signal.SIG_BLOCK, {_signal.SIGTERM})
            return forks()
        finally:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, mask)
    fork.__name__ = fork.__qualname__ = forks.__name__
    return fork


def _forked():
    if _parent is not None:  # for a version
        return
    _host.disconnect()
    if _asked is None:
        os.dup2(_host._descriptor, COMMANDS, inheritable=False)  # nothing is to be read there
    if _get_handler(_signal.SIGTERM) is _stop:
        _set_handler(_signal.SIGTERM, _signal.SIG_DFL)


def _serve(models_dir, name, cache):
    global _asked
    script = os.path.join(models_dir, name)
    folder = os.path.dirname(script)
    _code.watch(os.getcwd(), os.environ.get("PWD", "/dev/null"), models_dir, cache=cache)
    _code.add_path(models_dir, folder)
    sys.argv = [script]
    try:
        model = _load(script, name)
    except BaseException as error:
        if getpid() != _owner:
            raise
        if _stopping:
            raise _interrupted(error)
        _fail(error, "import")
        return 1
    if getpid() != _owner:  # the script has forked, and does not end its child
        return 0
    versions = {}
    for key, version in model.versions.versions.items():
        versions.setdefault(_host.printable(str(key)) if key is not None else "", version)
    commands = open(COMMANDS, "rb", closefd=False)
    listed = False
    while True:
        line = commands.readline()
        if not line:
            return 0
        try:
            command = decode(line.decode(), 0)[0]
        except (ValueError, StopIteration):
            continue  # nothing, or nothing that this version knows
        if command["type"] == "list":
            places = _describe.places(versions)
            for key, version in versions.items():
                _tell_version(key, version, places)
            told = {"allow_delete_model_dir": bool(getattr(model, "allow_delete_model_dir", False)),
                    "reset_steps": bool(getattr(model, "reset_steps", False))}
            listed = True
            if _parent is None:
                _host.send("listed", **told)
                continue
            refusal = _parent.refusal()
            _host.send("listed", error=refusal, forks=not refusal, **told)
            if refusal:
                continue
            commands.close()
            if not _parent.serve():
                return 0
            commands = open(COMMANDS, "rb", closefd=False)
        elif command["type"] == "trained":
            _host.send("trained", error="a Python model knows it only after pre_execution_hook")
        elif command["type"] == "run":
            _asked = command
            commands.close()
            os.close(COMMANDS)
            return _run(model, versions, command, listed)


def _load(script, name):
    module = _code.execute(script)
    model = getattr(module, "MODEL", None)
    if model is None:
        raise _execute.Failure("it has no MODEL: a model script sets the global MODEL to a mlpipeline.helper.Model")
    for attribute in "versions", "pre_execution_hook", "train_model", "evaluate_model":
        if not hasattr(model, attribute):
            raise _execute.Failure("MODEL is a %s and no mlpipeline.helper.Model: it has no %s" % (type(model).__name__, attribute))
    if not hasattr(model.versions, "versions"):
        raise _execute.Failure("MODEL.versions is %r, and not a mlpipeline.utils.Versions" % (model.versions,))
    model.name = name
    _tell_code()
    return model


def _run(model, versions, command, listed):
    version = versions.get(command["version"])
    if version is None:
        _fail(_execute.Failure("version %s does not exist any more" % command["version"]), "")
        return 1
    if not listed:  # the script may have changed since another process told of this version
        _tell_version(command["version"], version, _describe.places(versions))
    execution = _execute.Execution(model, version, command, lambda: _stopping)
    try:
        execution.run()
    except BaseException as error:
        if getpid() != _owner:
            raise
        if _stopping:
            raise _interrupted(error)
        _fail(error, execution.where)
        return 1
    if getpid() == _owner:
        _tell(status="finished")
    return 0


def _tell_version(name, version, places):
    try:
        told = _describe.describe(name, version, places)
    except Exception as error:  # of a parameter that does not want to be looked at
        from mlpipeline import _failure
        told = {"version": {"name": name}, "error": "its parameters cannot be told: " + _failure.line(error)}
    try:
        _host.put("version", **told)
    except ValueError as error:  # it is too long
        _host.put("version", version={"name": name[:100]}, error="it cannot be told: %s" % error)


def _interrupted(error):
    """What is raised in the place of error, which came after a wish to stop. One of saving is told."""
    if not isinstance(error, (KeyboardInterrupt, SystemExit)):
        from mlpipeline import _failure
        _host.log("error", "while it was stopped: %s\n%s" % (_failure.line(error), _failure.trace(error)))
    return KeyboardInterrupt()


def _tell(**end):
    """Says the last word, after what was loaded since the first."""
    global _over
    _over = True
    try:
        _tell_code()
    except Exception as error:  # whatever the script has done to Python
        _host.put("log", level="warn", message="what it has loaded cannot be told: %s" % type(error).__name__)
    _host.send("end", **end)


def _tell_code():
    files = sorted(_code.news().items())
    for i in range(0, len(files), 200):
        _host.put("code", files=dict(files[i:i + 200]))


def _fail(error, where):
    if isinstance(error, _execute.Failure):
        return _tell(status="failed", error=str(error)[:2000])
    tb = error.__traceback__
    while isinstance(error, MemoryError) and tb is not None:  # the frames hold what there is too much of
        try:
            tb.tb_frame.clear()
        except RuntimeError:  # it is executing
            pass
        tb = tb.tb_next
    try:
        from mlpipeline import _failure
        line, trace = _failure.line(error), _failure.trace(error)
    except BaseException:  # there are no more files, or the script has cleared sys.modules
        line, trace = type(error).__name__, ""
        try:
            line += ": " + str(error)[:2000]
        except BaseException:
            pass
    _tell(status="failed", error=(where + ": " if where else "") + line, trace=trace)


def _leave(status):
    """Ends the process as the interpreter does, but for the destruction of what is left, which takes long."""
    if getpid() != _owner:
        sys.exit(status)
    for leave in _run_exit_functions, _drop_script, _flush_files:
        try:
            leave()
        except BaseException as error:
            try:
                sys.excepthook(type(error), error, error.__traceback__)
            except BaseException:  # of a hook of the script's own
                pass
    _exit(status)


def _run_exit_functions():
    import atexit
    threading = sys.modules.get("threading")
    if threading is not None:
        threading._shutdown()
    atexit._run_exitfuncs()


def _drop_script():
    """Lets go of what the script's modules hold, as the end of the interpreter would: files are closed, temporary ones removed.
    Objects go first, what came last before what came first: a __del__ may need functions, modules and constants. Not while a
    thread may need it."""
    threading = sys.modules.get("threading")
    if threading is not None and threading.active_count() > 1:
        return
    all_names = _code.dicts()
    for names in all_names:
        for name in reversed(list(names)):
            if not callable(names.get(name)) and not isinstance(names.get(name), (type(sys), str, int, float)):
                names.pop(name, None)
    for names in all_names:
        names.clear()


def _flush_files():
    """Writes what open files still hold in their buffers. What wraps another file comes before it."""
    from _io import BufferedRandom, BufferedWriter, TextIOWrapper

    def depth(file):
        kind = type(file)
        if kind in (BufferedWriter, BufferedRandom):
            return 3
        return 1 if kind is TextIOWrapper else 2 if kind.__name__ in _COMPRESSED else 0

    for file in sorted(_files(), key=depth):
        try:
            file.flush()
            if depth(file) == 2 and file.writable():
                file.close()  # it writes an end
        except Exception:
            pass


_COMPRESSED = "GzipFile", "BZ2File", "LZMAFile"


def _files():
    """The open files, as objects."""
    import gc
    from _io import FileIO, _IOBase
    objects = gc.get_objects()
    if not any(o is _mark for o in objects):  # what a script has frozen is not among them
        gc.unfreeze()
        objects = gc.get_objects()
    return _inherited + [o for o in objects if issubclass(type(o), _IOBase) and type(o) is not FileIO]


def settle():
    """Has nothing in memory that the processes would write that are forked from this one."""
    global _inherited
    _flush_files()
    _inherited = _files()


def become():
    """Makes this a process of its own, that has been forked."""
    global _owner, _parent, _mark
    _owner, _parent, _mark = getpid(), None, []
