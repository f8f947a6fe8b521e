"""The user's code: what is imported from the project, with the hash of what was executed.

Under the pipeline the user's modules have no .pyc. One is told by the second and the size of its source, and a source that
was edited within a second of the last run would run as it was. What was compiled is kept by its content instead.
"""
import marshal
import os
import sys
from _frozen_importlib import ModuleSpec  # what importlib.machinery has, without the cost of importing it
from _frozen_importlib_external import MAGIC_NUMBER, ExtensionFileLoader, FileFinder, SourceFileLoader, SourcelessFileLoader
from _imp import extension_suffixes

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
_told = set()
_cache = None  # the folder of what was compiled


def is_own(path):
    """Whether the absolute path is in the project, and not in an environment of Python."""
    path += "/"
    return (path.startswith(_roots) and not path.startswith(_others)
            and "/site-packages/" not in path and "/dist-packages/" not in path)


def watch(*folders, cache=None):
    """Takes what is imported from folders for the user's code. What is compiled is kept in the folder cache."""
    global _roots, _others, _cache
    _cache = cache
    _roots = tuple({folder.rstrip("/") + "/" for folder in folders})
    environments = {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix, PACKAGE}
    _others = tuple(e for e in (e.rstrip("/") + "/" for e in environments) if e.startswith(_roots) and e not in _roots)
    sys.path_hooks.insert(0, _finder)
    for path in list(sys.path_importer_cache):
        if is_own(os.path.abspath(path)):
            del sys.path_importer_cache[path]


def _finder(path):
    if not is_own(os.path.abspath(path)) or not os.path.isdir(path or "."):
        raise ImportError("not a folder of the project")
    return FileFinder(path, (ExtensionFileLoader, extension_suffixes()), (_Loader, [".py"]), (SourcelessFileLoader, [".pyc"]))


class _Loader(SourceFileLoader):
    def get_code(self, fullname):
        path = self.get_filename(fullname)
        source = self.get_data(path)
        content = sha256(source)
        _loaded[os.path.abspath(path)] = content.hexdigest()[:16]
        if _cache is None:
            return self.source_to_code(source, path)
        content.update(b"%b %d %b" % (MAGIC_NUMBER, sys.flags.optimize, os.fsencode(path)))
        file = os.path.join(_cache, content.hexdigest()[:32])
        try:
            with open(file, "rb", buffering=0) as kept:
                return marshal.loads(kept.read())
        except (OSError, ValueError, EOFError, TypeError):
            code = self.source_to_code(source, path)
        try:
            new = "%s.%d" % (file, os.getpid())
            with open(new, "wb") as kept:
                kept.write(marshal.dumps(code))
            os.replace(new, file)
        except OSError:  # next time, then
            pass
        return code


def execute(path):
    """Executes the script at path as a module of its own, and returns it."""
    name = os.path.splitext(os.path.basename(path))[0]
    if name in sys.modules:
        name += ".py"
    module = type(sys)(name)
    loader = _Loader(name, path)
    module.__file__, module.__loader__ = path, loader
    module.__spec__ = ModuleSpec(name, loader, origin=path)
    module.__package__ = ""
    sys.modules[name] = module  # for pickle, and whoever else looks a class up by its module
    exec(loader.get_code(name), module.__dict__)
    return module


def scan():
    """Paths of the user's files that are loaded, those included that came by other ways than import."""
    if not _roots:  # the script was started by hand
        script = getattr(sys.modules["__main__"], "__file__", None) or "."
        watch(os.path.dirname(os.path.abspath(script)))
    for module in list(sys.modules.values()):
        try:  # a module may be any object, and one that loads itself when it is touched
            path = object.__getattribute__(module, "__dict__").get("__file__")
        except AttributeError:
            continue
        if isinstance(path, str) and path not in _loaded:
            path = os.path.abspath(path)
            if path not in _loaded and is_own(path) and os.path.isfile(path):
                with open(path, "rb") as file:
                    _loaded[path] = sha256(file.read()).hexdigest()[:16]
    return sorted(_loaded)


def news():
    """Hashes of the files that were loaded since the last call, by path."""
    new = [path for path in scan() if path not in _told]
    _told.update(new)
    return {path: _loaded[path] for path in new}
