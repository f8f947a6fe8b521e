"""The user's code: what is imported from the project, with the hash of what was executed.

Under the pipeline the user's modules have no .pyc. One is told by the second and the size of its source, and a source that
was edited within a second of the last run would run as it was. What was compiled is kept by its content instead.
"""
import marshal
import os
import sys
from _io import open
from _frozen_importlib import ModuleSpec  # what importlib.machinery has, without the cost of importing it
from _frozen_importlib_external import MAGIC_NUMBER, PathFinder, SourceFileLoader

try:
    from _sha2 import sha256  # CPython 3.12 and later
except ImportError:
    try:
        from _sha256 import sha256
    except ImportError:
        from hashlib import sha256

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_roots = ()  # folders of the project, with a slash at the end
_others = ()  # folders in them that are not the user's
_loaded = {}  # hash of what was executed, by path
_dicts = {}  # what is in their modules, by path
_latest = None  # the last module that was looked at
_told = set()
_cache = None  # the folder of what was compiled
_WATCHED = "MLPIPELINE_WATCHED"  # tells spawned processes of the folders
_SCRIPT = "MLPIPELINE_SCRIPT"  # tells them of the name of the script as a module, and of its path


def is_own(path):
    """Whether the absolute path is in the project, and not in an environment of Python."""
    path += "/"
    return (path.startswith(_roots) and not path.startswith(_others)
            and "/site-packages/" not in path and "/dist-packages/" not in path)


def watch(*folders, cache=None):
    """Takes what is imported from folders for the user's code. What is compiled is kept in the folder cache. Processes that
    are spawned do the same."""
    global _roots, _others, _cache
    os.environ[_WATCHED] = "\n".join([cache or ""] + list(folders))
    _cache = cache
    _roots = tuple({folder.rstrip("/") + "/" for folder in folders})
    environments = {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix, PACKAGE}
    _others = tuple(e for e in (e.rstrip("/") + "/" for e in environments) if e.startswith(_roots) and e not in _roots)
    SourceFileLoader.get_code = _get_code


def watch_again():
    """What a process does that multiprocessing has spawned."""
    from mlpipeline import _host
    cache, *folders = os.environ.get(_WATCHED, "").split("\n")
    if folders:
        _host._child = True
        watch(*folders, cache=cache or None)
        _import_first([path for path in sys.path if is_own(os.path.abspath(path)) and os.path.isdir(path)])
        sys.meta_path.append(_Script)


class _Script:
    """Finds the script by its name as a module, in a process that it has spawned."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        module, _, file = os.environ.get(_SCRIPT, "").partition("\n")
        if name != module:
            return None
        spec = ModuleSpec(name, SourceFileLoader(name, file), origin=file)
        spec.has_location = True
        return spec


_get_any_code = SourceFileLoader.get_code


def _get_code(self, fullname):
    path = os.path.abspath(self.get_filename(fullname))
    if not is_own(path):
        return _get_any_code(self, fullname)
    source = self.get_data(path)
    content = sha256(source)
    _loaded[path] = content.hexdigest()[:16]
    if _cache is None or type(self).source_to_code is not SourceFileLoader.source_to_code:
        return self.source_to_code(source, path)
    content.update(b"%b %d %b" % (MAGIC_NUMBER, sys.flags.optimize, os.fsencode(path)))
    file = os.path.join(_cache, content.hexdigest()[:32])
    try:
        with open(file, "rb", buffering=0) as kept:
            info = os.fstat(kept.fileno())
            if info.st_uid == os.geteuid() and not info.st_mode & 0o22:  # nobody else has written it
                return marshal.loads(kept.read())
    except (OSError, ValueError, EOFError, TypeError):
        pass
    code = self.source_to_code(source, path)
    try:
        new = "%s.%d" % (file, os.getpid())
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as kept:
            kept.write(marshal.dumps(code))
        os.replace(new, file)
    except OSError:  # next time, then
        pass
    return code


# Modules that the tool of 2019 had imported before its scripts. One of the user's that has such a name was never what an
# `import` in a script, or in a library, found.
_FIRST = frozenset("""
    argparse array ast atexit bisect bz2 collections contextlib copyreg datetime decimal dis enum errno fnmatch fractions
    functools gettext grp heapq importlib inspect itertools keyword linecache locale logging lzma math multiprocessing numbers
    opcode operator pickle pwd random re reprlib select selectors shutil signal socket sre_compile sre_constants sre_parse
    statistics string struct textwrap threading token tokenize traceback types warnings weakref zlib
""".split())


def add_path(*folders):
    """Puts folders in front of what is imported from, the last of them first."""
    _import_first(folders)
    for folder in folders:
        if folder in sys.path:
            sys.path.remove(folder)
        sys.path.insert(0, folder)


def _import_first(folders):
    names = {entry.partition(".")[0] for folder in folders for entry in os.listdir(folder)} & _FIRST
    before, sys.path[:] = sys.path[:], [path for path in sys.path if path not in folders]
    for name in names:
        __import__(name)
    sys.path[:] = before


def _module_name(path):
    """The name that a script has as a module: its own, unless an import of that name means something else."""
    stem = os.path.splitext(os.path.basename(path))[0]
    if stem in sys.modules or "." in stem:
        return os.path.basename(path).replace(".", "_")
    for folder in sys.path[:2]:
        other = os.path.join(folder, stem)
        if os.path.isfile(os.path.join(other, "__init__.py")) or other + ".py" != path and os.path.isfile(other + ".py"):
            return stem + "_py"
    return stem


def execute(path):
    """Executes the script at path as a module of its own, and returns it."""
    name = _module_name(path)
    os.environ[_SCRIPT] = name + "\n" + path
    module = type(sys)(name)
    loader = SourceFileLoader(name, path)
    module.__file__, module.__loader__ = path, loader
    module.__spec__ = ModuleSpec(name, loader, origin=path)
    module.__package__ = ""
    sys.modules[name] = module  # for pickle, and whoever else looks a class up by its module
    exec(loader.get_code(name), module.__dict__)
    return module


class AfterImport:
    """Calls functions with the modules that they are for, once those have been imported. calls has them by name."""

    def __init__(self, calls):
        self.calls = calls

    def find_spec(self, name, path=None, target=None):
        if name not in self.calls:
            return None
        call = self.calls.pop(name)
        spec = PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                call(module)
            spec.loader.exec_module = exec_module
        return spec


def _modules():
    """The modules that were loaded since the last call: their files and dicts. All that are loaded may be very many, and in a
    forked process each that is looked at is copied."""
    global _latest
    names = []
    try:
        for name in reversed(sys.modules):
            if name == _latest:
                break
            names.append(name)
    except RuntimeError:  # another thread is importing
        names = list(sys.modules)
    found = []
    for name in reversed(names):
        try:  # a module may be any object, and one that loads itself when it is touched
            names_in_it = object.__getattribute__(sys.modules[name], "__dict__")
            path = names_in_it.get("__file__")
        except (AttributeError, KeyError):
            continue
        _latest = name
        if isinstance(path, str):
            found.append((path, names_in_it))
    return found


def scan():
    """Paths of the user's files that are loaded, those included that came by other ways than import."""
    if not _roots:  # the script was started by hand
        script = getattr(sys.modules["__main__"], "__file__", None) or "."
        watch(os.path.dirname(os.path.abspath(script)))
    for path, names in _modules():
        try:
            path = os.path.abspath(path)
            if path not in _loaded and is_own(path) and os.path.isfile(path):
                with open(path, "rb") as file:
                    _loaded[path] = sha256(file.read()).hexdigest()[:16]
        except OSError:  # the file, or the current folder, is gone
            pass
        if path in _loaded:
            _dicts[path] = names
    return sorted(_loaded)


def dicts():
    """What is in the user's modules, in the order in which they were loaded, as far as scan has seen them."""
    return [_dicts[path] for path in _loaded if path in _dicts]


def news():
    """Hashes of the files that were loaded since the last call, by path."""
    new = [path for path in scan() if path not in _told]
    _told.update(new)
    return {path: _loaded[path] for path in new}
