"""Versions: the sets of parameters that a model is trained with. utils has the public names."""
from mlpipeline import _host


class version_parameters:
    """Keys of a version's parameters."""
    NAME = "name"
    DATALOADER = "dataloader"
    BATCH_SIZE = "batch_size"
    EPOC_COUNT = "epoc_count"
    LEARNING_RATE = "learning_rate"
    MODEL_DIR_SUFFIX = "model_dir_suffix"
    ORDER = "order"
    HOOKS = "hooks"
    CLASSES_COUNT = "classes_count"
    CLASSES_OFFSET = "classes_offset"
    USE_ALL_CLASSES = "use_all_classes"


class AttributeDict(dict):
    """A dict whose items are attributes as well."""

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError("{} has no {}".format(type(self).__name__, name)) from None

    def __setattr__(self, name, value):
        self[name] = value

    def __delattr__(self, name):
        try:
            del self[name]
        except KeyError:
            raise AttributeError("{} has no {}".format(type(self).__name__, name)) from None


class Version(AttributeDict):
    """One set of parameters: a dict that also reads by attribute."""

    def copy(self):
        return type(self)(self)


class Versions:
    """The versions of a model. What is given here is the default of each version; a version runs in ORDER, or in the place
    in which it was added.

    versions: the versions by name, in the order in which they were added."""

    def __init__(self, learning_rate=None, dataloader=None, batch_size=None, epoc_count=None, model_dir_suffix=None,
                 order=None, hooks=None, use_all_classes=None, classes_count=None, classes_offset=None):
        self.versions = {}
        self.versions_defaults = {
            "dataloader": dataloader, "batch_size": batch_size, "epoc_count": epoc_count, "learning_rate": learning_rate,
            "model_dir_suffix": model_dir_suffix, "hooks": hooks, "use_all_classes": use_all_classes,
            "classes_count": classes_count, "classes_offset": classes_offset, "order": order,
        }
        self._added = 0

    def addV(self, name, dataloader=None, batch_size=None, epoc_count=None, learning_rate=None, model_dir_suffix=None,
             order=None, custom_paramters=None, hooks=None, use_all_classes=None, classes_count=None, classes_offset=None,
             custom_parameters=None):
        """Adds a version and returns it; None takes the default. custom_paramters, in either spelling, are parameters of the
        model's own. Of two versions with one name the last counts."""
        given = {
            "dataloader": dataloader, "batch_size": batch_size, "epoc_count": epoc_count, "learning_rate": learning_rate,
            "model_dir_suffix": model_dir_suffix, "hooks": hooks, "use_all_classes": use_all_classes,
            "classes_count": classes_count, "classes_offset": classes_offset, "order": order,
        }
        if name in self.versions:
            _host.log("warn", "version {} is added twice; the last counts".format(name))
        version = Version(name=name)
        for key, value in given.items():
            version[key] = self.versions_defaults[key] if value is None else value
        if version["order"] is None:
            version["order"] = self._added
        self._added += 1
        version.update(custom_paramters or {})
        version.update(custom_parameters or {})
        self.versions[name] = version
        return version

    def getVersion(self, version_name):
        """The version of that name; ValueError if there is none."""
        try:
            return self.versions[version_name]
        except KeyError:
            raise ValueError("there is no version {!r}".format(version_name)) from None

    def rangeOnParameters(self, names=None, combining_parameters=None, parameters=None, *, combining_paramters=None,
                          paramters=None):
        """Adds a version for each combination of the values of combining_parameters, the last of them changing fastest.

        parameters: the values by parameter: a list, a tuple or a range for those to be combined; the others are the same in
        each version. What is left out takes the default.
        names: one for each combination, ValueError if they are more or fewer. Without it they are made of the values
        ("learning_rate=0.1-depth=3"), the same at each start.
        Unless a model_dir_suffix is given, here or as default, each version has a model directory that is called by its name.

            versions.rangeOnParameters(
                combining_parameters=["learning_rate", "depth"],
                parameters={"learning_rate": [0.1, 0.01], "depth": [3, 4], "batch_size": 32})
        """
        combined = combining_parameters or combining_paramters or []
        combined = [combined] if isinstance(combined, str) else list(combined)
        parameters = dict(parameters or paramters or {})
        axes = []
        for parameter in combined:
            if parameter not in parameters:
                raise ValueError("{!r} is to be combined, but parameters has no values of it".format(parameter))
            values = parameters.pop(parameter)
            axes.append(list(values) if isinstance(values, (list, tuple, range)) else [values])
        from itertools import product  # few scripts need it
        combinations = list(product(*axes))
        if names is None:
            texts = product(*[[_text(value, i) for i, value in enumerate(axis)] for axis in axes])
            names = ["-".join("{}={}".format(*pair) for pair in zip(combined, values)) or "default" for values in texts]
            names = self._unused(names)
        if len(names) != len(combinations):
            raise ValueError("{} names for {} combinations".format(len(names), len(combinations)))
        for name, values in zip(names, combinations):
            own = dict(parameters)
            own.update(zip(combined, values))
            if self.versions_defaults["model_dir_suffix"] is None:
                own.setdefault("model_dir_suffix", _suffix(name))
            standard = {key: own.pop(key) for key in self.versions_defaults if key in own}
            own.pop("name", None)
            self.addV(name, custom_paramters=own, **standard)

    def _unused(self, names):
        taken = set(self.versions)
        for i, name in enumerate(names):
            n = 1
            while names[i] in taken:
                n += 1
                names[i] = "{}-{}".format(name, n)
            taken.add(names[i])
        return names


def _suffix(name):
    """name as a part of a file name."""
    safe = "".join(c if c.isalnum() and c.isascii() or c in "+,-.=_" else "_" for c in str(name))
    if safe == name and len(safe) <= 100:
        return safe
    from zlib import crc32  # names that differ in other characters only stay apart
    return "{}-{:08x}".format(safe[:90], crc32(str(name).encode("utf-8", "replace")))


def _text(value, index):
    """value in a made-up name: never an address."""
    text = "{}{}".format(type(value).__name__, index)
    try:
        if value is None or isinstance(value, (bool, int, float, str)):
            text = str(value)
        elif callable(value) and isinstance(value.__name__, str):
            text = value.__name__
        else:
            _host.as_float(value)
            text = str(value.item())
    except Exception:  # no number, and without a name
        pass
    return "".join(c if c.isprintable() else "_" for c in text)[:60]
