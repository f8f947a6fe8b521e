"""The generators of random numbers that a script has, in a process that others are forked from.

A fresh process has the state that the script gave a generator while it was imported or, if it gave none, one from the
system. A forked process has to have the same.
"""
import sys
from _weakref import ref

from mlpipeline import _code

# What gives the generator of a library a state. Without arguments `seed` takes one from the system.
_SETTERS = {
    "random": ("seed", "setstate"),
    "numpy.random": ("seed", "set_state", "set_bit_generator"),
    "torch": ("seed", "manual_seed", "set_rng_state"),
}
_drawn = dict.fromkeys(_SETTERS, True)  # whose state is from the system
_wrapped = []  # (owner, name, original, wrapper)
_unseeded = []  # random.Random objects that took their state from the system
_entropy = 0  # how often NumPy took one from the system
_state = None  # that of random after the import


def watch():
    """Notes from now on what is seeded."""
    later = {}
    for library in _SETTERS:
        if library in sys.modules:
            _watch(sys.modules[library])
        else:
            later[library] = _watch
    sys.meta_path.insert(0, _code.AfterImport(later))


def _watch(module):
    library = module.__name__
    for name in _SETTERS[library]:
        if hasattr(module, name):
            _wrap(module, name, _setter(library, name, getattr(module, name)))
    if library == "random":
        _wrap(module.Random, "seed", _seed(module.Random.seed))
    elif library == "numpy.random" and hasattr(getattr(module, "bit_generator", None), "randbits"):
        _wrap(module.bit_generator, "randbits", _randbits(module.bit_generator.randbits))


def _wrap(owner, name, wrapper):
    _wrapped.append((owner, name, getattr(owner, name), wrapper))
    setattr(owner, name, wrapper)


def _setter(library, name, original):
    def setter(*args, **kwargs):
        global _entropy
        before = _entropy
        result = original(*args, **kwargs)
        _entropy = before
        _drawn[library] = name == "seed" and all(value is None for value in args[:1] + tuple(kwargs.values())[:1])
        return result
    return setter


def _seed(original):
    def seed(self, a=None, *args, **kwargs):
        original(self, a, *args, **kwargs)
        _unseeded[:] = [other for other in _unseeded if other() is not self]
        # tempfile makes another one in each process.
        if a is None and sys._getframe(2).f_globals.get("__name__") != "tempfile":
            _unseeded.append(ref(self))
    return seed


def _randbits(original):
    def randbits(*args):
        global _entropy
        _entropy += 1
        return original(*args)
    return randbits


def unwatch():
    """Ends that, after the import. It returns what there is of generators that the versions would share by mistake, or ""."""
    global _state
    for owner, name, original, wrapper in reversed(_wrapped):
        if getattr(owner, name, None) is wrapper:
            setattr(owner, name, original)
    if "random" in sys.modules and not _drawn["random"]:
        _state = sys.modules["random"].getstate()
    if any(generator() is not None for generator in _unseeded):
        return "it has made a random.Random() without a seed"
    if _entropy:
        return "it has made a generator of numpy.random without a seed"
    return ""


def renew():
    """Gives the generators of a process that was forked the state that they would have in a fresh one."""
    if _state is not None:  # random has seeded itself anew
        sys.modules["random"].setstate(_state)
    numpy, torch = sys.modules.get("numpy.random"), sys.modules.get("torch")
    if _drawn["numpy.random"] and hasattr(numpy, "seed"):
        numpy.seed()
    if _drawn["torch"] and hasattr(torch, "default_generator"):
        torch.default_generator.seed()  # those of GPUs come with CUDA, which each version initialises
