"""What the pipeline is told of a version: its parameters as JSON can hold them, the same at each start."""
import math

from mlpipeline import _code, _host


def places(versions):
    """The place in which each value of ORDER comes: the protocol knows whole numbers, and a script may order by any."""
    orders = {number(version.get("order")) for version in versions.values() if isinstance(version, dict)} - {None}
    if all(type(order) is int for order in orders):
        return {}
    return {order: place for place, order in enumerate(sorted(orders))}


def describe(name, version, places={}):
    """The fields of the event that tells of a version. places is the place of each ORDER that is no whole number."""
    told = {"name": name, "order": 0, "batch_size": 0, "epochs": 0, "learning_rate": 0.0, "dataloader": ""}
    problem = ""
    if not name:
        problem = "NAME is missing"
    if version.get("dataloader") is None:
        problem = problem or "DATALOADER is missing"
    else:
        told["dataloader"] = type_name(version["dataloader"])
    fractions = {}
    for key, field, label in ("batch_size", "batch_size", "BATCH_SIZE"), ("epoc_count", "epochs", "EPOC_COUNT"):
        value = version.get(key)
        exact = number(value)
        if value is None:
            problem = problem or label + " is missing"
        elif exact is None or abs(exact) > 2**53:
            problem = problem or "%s is %s; it must be a number" % (label, text_of(value)[:100])
        else:
            told[field] = math.ceil(exact)
            if told[field] != exact:
                fractions[key] = exact
    order = version.get("order")
    if order is not None:
        place = places.get(number(order), number(order))
        if type(place) is int and abs(place) <= 2**53:
            told["order"] = place
        else:
            problem = problem or "ORDER is %s; it must be a number" % text_of(order)[:100]
    suffix = version.get("model_dir_suffix")
    if suffix is not None and str(suffix):
        told["model_dir_suffix"] = str(suffix).replace("/", "_").replace("\\", "_")
    params = {k: v for k, v in version.items() if k not in _OWN and (v is not None or k not in _OPTIONAL)}
    rate = version.get("learning_rate")
    if rate is not None:
        try:
            told["learning_rate"] = _host.as_float(rate)
        except (TypeError, ValueError, OverflowError):
            params["learning_rate"] = rate  # a schedule
    if params or fractions:
        try:
            params = {_key(k): plain(v) for k, v in params.items()}
            params.update(fractions)
            if len(_host.encode(params)) > _MAX_PARAMS:
                raise _TooLong
            told["params"] = params
        except _TooLong:
            problem = problem or "its parameters are longer than %d bytes" % _MAX_PARAMS
    return dict({"version": told}, **({"error": problem} if problem else {}))


_OWN = {"name", "dataloader", "batch_size", "epoc_count", "learning_rate", "model_dir_suffix", "order"}
_OPTIONAL = {"hooks", "use_all_classes", "classes_count", "classes_offset"}
_MAX_PARAMS = 500_000


class _TooLong(Exception):
    pass


def type_name(value):
    kind = value if isinstance(value, type) else type(value)
    return "%s.%s" % (kind.__module__, kind.__qualname__)


def number(value):
    """value as a finite int or float, None if it is none."""
    try:
        exact = _host.as_float(value)
        return int(value) if exact == int(exact) else exact
    except Exception:
        return None


def plain(value, around=(), left=None):
    """value as JSON can hold it, the same at each start: without addresses, and sets in an order. around are the ids of the
    values that it is in, left how many more are looked at before it is _TooLong: each takes two bytes at least, and of
    objects that hold one another there is no end."""
    left = left or [_MAX_PARAMS // 2]
    left[0] -= 1
    if left[0] < 0:
        raise _TooLong
    if value is None or isinstance(value, (bool, float, str)):
        return value
    if isinstance(value, int):
        return value if value.bit_length() < 10_000 else hex(value)  # Python refuses to write very long ones
    if id(value) in around or len(around) > 50:
        return type_name(value)
    around += (id(value),)
    if isinstance(value, dict):
        return {_key(k): plain(v, around, left) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v, around, left) for v in value]
    if isinstance(value, (set, frozenset)):
        return sorted(_key(plain(v, around, left)) for v in value)
    try:
        return _host.as_float(value) if number(value) is None else number(value)
    except Exception:  # no number
        text = text_of(value)
    try:  # the text of a large array leaves most of it out
        return "%s %s" % (text, _code.sha256(value.tobytes()).hexdigest()[:16])
    except Exception:
        return text


def _key(value):
    """value as a key of an object in JSON."""
    value = value if isinstance(value, str) else plain(value)
    return value if isinstance(value, str) else _host.encode(value)


def text_of(value):
    """value for people, without the addresses that stand in the repr of most objects."""
    if callable(value) and hasattr(value, "__qualname__") and getattr(value, "__module__", None):
        return "%s.%s" % (value.__module__, value.__qualname__)
    if type(value).__repr__ is object.__repr__:
        return type_name(value)
    try:
        text = repr(value)
    except Exception:
        return type_name(value)
    parts = text.split(" at 0x")
    for i in range(1, len(parts)):
        parts[i] = parts[i].lstrip("0123456789abcdefABCDEF")
    return "".join(parts)
