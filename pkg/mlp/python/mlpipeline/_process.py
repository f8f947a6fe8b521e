"""The process of a model: it imports the script and does what the pipeline asks for."""
import _signal  # what signal is made of, without enum
import faulthandler
import os
import sys
from _json import make_scanner

from mlpipeline import _code, _execute, _host

COMMANDS = 3

_owner = os.getpid()
_stopping = False  # SIGTERM has come
_over = False  # the last word is said


class _Syntax:
    """What the scanner of json asks its decoder for."""
    strict, memo = False, {}
    object_hook = object_pairs_hook = None
    parse_float, parse_int, parse_constant = float, int, float


decode = make_scanner(_Syntax)


def main(models_dir, name, cache=None):
    os.environ.pop("MLPIPELINE_PROTOCOL", None)
    # Scripts that this one starts find the package too.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [_code.PACKAGE, os.environ.get("PYTHONPATH")]))
    os.set_inheritable(COMMANDS, False)
    _signal.signal(_signal.SIGTERM, _stop)
    _host.connect("mlpipeline for Python %d.%d.%d" % sys.version_info[:3])
    faulthandler.enable(2)  # a crash below Python says where it was
    os.register_at_fork(after_in_child=_forked)
    status = 1
    try:
        try:
            status = _serve(models_dir, name, cache)
        except KeyboardInterrupt:
            if not _stopping:
                raise
            _tell(status="interrupted")
            status = 0
    except BaseException as error:
        if os.getpid() != _owner:
            raise
        _fail(error, "")
    _leave(status)


def _stop(signum, frame):
    global _stopping
    if not _stopping and not _over:
        _stopping = True
        raise KeyboardInterrupt
    _stopping = True


def _forked():
    _host.disconnect()
    if _signal.getsignal(_signal.SIGTERM) is _stop:
        _signal.signal(_signal.SIGTERM, _signal.SIG_DFL)


def _serve(models_dir, name, cache):
    script = os.path.join(models_dir, name)
    folder = os.path.dirname(script)
    for path in models_dir, folder:
        if path not in sys.path:
            sys.path.insert(0, path)
    sys.argv = [script]
    _code.watch(os.getcwd(), os.environ.get("PWD", "/dev/null"), models_dir, cache=cache)
    try:
        model = _load(script, name)
    except BaseException as error:
        if _stopping:
            raise KeyboardInterrupt
        _fail(error, "import")
        return 1
    versions = {}
    for key, version in model.versions.versions.items():
        versions.setdefault(str(key) if key is not None else "", version)
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
            for key, version in versions.items():
                _host.put("version", **_execute.describe(key, version))
            _host.send("listed", allow_delete_model_dir=bool(getattr(model, "allow_delete_model_dir", False)),
                       reset_steps=bool(getattr(model, "reset_steps", False)))
            listed = True
        elif command["type"] == "trained":
            _host.send("trained", error="a Python model knows it only after pre_execution_hook")
        elif command["type"] == "run":
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
        _host.put("version", **_execute.describe(command["version"], version))
    execution = _execute.Execution(model, version, command, lambda: _stopping)
    try:
        execution.run()
    except BaseException as error:
        if os.getpid() != _owner:
            raise
        if _stopping:
            raise KeyboardInterrupt
        _fail(error, execution.where)
        return 1
    if os.getpid() == _owner:
        _tell(status="finished")
    return 0


def _tell(**end):
    """Says the last word, after what was loaded since the first."""
    global _over
    _over = True
    _tell_code()
    _host.send("end", **end)


def _tell_code():
    files = sorted(_code.news().items())
    for i in range(0, len(files), 200):
        _host.put("code", files=dict(files[i:i + 200]))


def _fail(error, where):
    if isinstance(error, _execute.Failure):
        return _tell(status="failed", error=str(error))
    import traceback
    if isinstance(error, SystemExit):
        text = "sys.exit(%s)" % ("" if error.code is None else repr(error.code))
    else:
        text = "".join(traceback.format_exception_only(type(error), error)).strip()
        if isinstance(error, SyntaxError):
            text = "%s: %s (%s, line %s)" % (type(error).__name__, error.msg, os.path.basename(error.filename or ""), error.lineno)
    tb = error.__traceback__
    while tb is not None and tb.tb_frame.f_code.co_filename.startswith((os.path.dirname(__file__), "<frozen importlib")):
        tb = tb.tb_next  # the user's own frames are of interest
    trace = "".join(traceback.format_exception(type(error), error, tb))
    if len(trace) > _host.MAX_TEXT:
        half = _host.MAX_TEXT // 2
        trace = trace[:half] + "\n...\n" + trace[-half:]
    _tell(status="failed", error=(where + ": " if where else "") + text[:2000], trace=trace)


def _leave(status):
    """Ends the process as the interpreter does, but for the destruction of what is left: that takes long, and helps nobody."""
    if os.getpid() != _owner:
        sys.exit(status)
    import atexit
    threading = sys.modules.get("threading")
    try:
        if threading is not None:
            threading._shutdown()
        atexit._run_exitfuncs()
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
    for stream in sys.stdout, sys.stderr:
        try:
            stream.flush()
        except Exception:
            pass
    os._exit(status)
