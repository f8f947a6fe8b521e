"""What is said of an exception. It is imported when there is one."""
import os

from mlpipeline import _code, _host


def line(error):
    """An exception in one line."""
    try:
        if isinstance(error, SystemExit):
            return "sys.exit(%s)" % ("" if error.code is None else repr(error.code)[:2000])
        text = str(error.msg) if isinstance(error, SyntaxError) else str(error)
        if isinstance(error, SyntaxError) and error.filename:
            text += " (%s, line %s)" % (os.path.basename(error.filename), error.lineno)
    except BaseException:
        text = "(its text cannot be told)"
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else "%s.%s" % (kind.__module__, kind.__qualname__)
    return (name + ": " + text[:2000]).rstrip(": ")


def trace(error):
    """The traceback of an exception, without the frames that are none of the user's."""
    try:
        import traceback
        told = traceback.TracebackException(type(error), error, error.__traceback__)
        _leave_out_frames(told)
        text = "".join(told.format())
    except BaseException:
        text, tb = "", error.__traceback__
        while tb is not None:
            if not _is_own(tb.tb_frame.f_code.co_filename):
                text += "%s:%d\n" % (tb.tb_frame.f_code.co_filename, tb.tb_lineno)
            tb = tb.tb_next
    if len(text) > _host.MAX_TEXT:
        half = _host.MAX_TEXT // 2
        text = text[:half] + "\n...\n" + text[-half:]
    return text


def _is_own(filename):
    return filename.startswith((_code.PACKAGE, "<frozen importlib"))


def _leave_out_frames(told):
    seen, left = set(), [told]
    while left:
        told = left.pop()
        if told is not None and id(told) not in seen:
            seen.add(id(told))
            told.stack[:] = [frame for frame in told.stack if not _is_own(frame.filename)]
            left += [told.__cause__, told.__context__] + list(getattr(told, "exceptions", None) or [])
