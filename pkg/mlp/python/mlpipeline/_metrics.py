"""Averages of metrics. utils has the public names."""
import math

from mlpipeline import _host


class Metric:
    """The average of a value, since reset and in the epoch, and the averages of the last epochs.

    track_average_epoc_count: how many epochs get_tracking_average and its like look back, at least 1."""

    _updates = 0  # calls of update in this phase of the run
    _first = None  # steps that other metrics of the same name have recorded before the first of these
    _phase = ""

    def __init__(self, track_average_epoc_count=1):
        if track_average_epoc_count < 1:
            raise ValueError("track_average_epoc_count is {}; it must be at least 1".format(track_average_epoc_count))
        self.count = self.value = 0
        self.epoc_count = self.epoc_value = 0
        self.track_average_epoc_count = track_average_epoc_count
        self.track_value_list = []

    def update(self, value, count=1):
        """Adds value to the sum and count to what it is divided by: for a batch, the sum over its samples and their number.
        value is a number, of NumPy or torch too; TypeError for anything else."""
        if type(value) is not float and type(value) is not int:
            value = _host.as_float(value)
        self.count += count
        self.value += value
        self.epoc_count += count
        self.epoc_value += value
        if self._phase != _host._prefix:
            self._phase, self._updates, self._first = _host._prefix, 0, None
        self._updates += 1

    def __getstate__(self):
        """What is kept of a run is no part of a checkpoint, and none of a copy."""
        return {k: v for k, v in self.__dict__.items() if k not in ("_updates", "_first", "_phase")}

    def reset(self):
        """Begins a new average; that of the epoch goes on."""
        self.count = self.value = 0

    def reset_epoc(self):
        """Ends an epoch: its average joins those that are tracked."""
        self.track_value_list = (self.track_value_list + [self.avg_epoc()])[-self.track_average_epoc_count:]
        self.epoc_count = self.epoc_value = 0

    def avg(self):
        """The average since reset, 0 of nothing."""
        return self.value / self.count if self.count else 0

    def avg_epoc(self):
        """The average since reset_epoc, 0 of nothing."""
        return self.epoc_value / self.epoc_count if self.epoc_count else 0

    def get_tracking_average(self):
        """The average of the tracked epochs, 0 until there are half as many as are to be tracked."""
        tracked = self.track_value_list
        if not tracked or len(tracked) < self.track_average_epoc_count / 2:
            return 0
        return _mean(tracked)

    def get_tracking_delta(self):
        """The newest tracked epoch less the oldest, 0 until there are as many as are to be tracked."""
        tracked = self.track_value_list
        return tracked[-1] - tracked[0] if len(tracked) == self.track_average_epoc_count else 0

    def get_tracking_stdev(self):
        """The standard deviation of the tracked epochs as a sample, 0 of fewer than two."""
        tracked = self.track_value_list
        if len(tracked) < 2:
            return 0
        mean = _mean(tracked)
        return math.hypot(*[v - mean for v in tracked]) / math.sqrt(len(tracked) - 1)


def _mean(values):
    try:
        return math.fsum(values) / len(values)
    except (ValueError, OverflowError):  # infinities of both signs, or a sum that is too large
        return sum(v / len(values) for v in values)


_recorded = {}  # updates that have been recorded, by the name of the metric


class MetricContainer(dict):
    """Metrics by name, which are attributes as well.

    metrics: a list of names, or of dicts {"metrics": names, "track_average_epoc_count": n}; TypeError for anything else."""

    def __init__(self, metrics=None, track_average_epoc_count=1, **kwargs):
        super().__init__()
        if metrics is None:
            metrics = []
        if not isinstance(metrics, (list, tuple)):
            raise TypeError("metrics is a {}; it must be a list".format(type(metrics).__name__))
        for name in dir(type(self)):  # a subclass may have some of its own
            if isinstance(getattr(type(self), name), Metric):
                self[name] = getattr(type(self), name)
        for item in metrics:
            names, tracked = [item], track_average_epoc_count
            if isinstance(item, dict):
                if "metrics" not in item:
                    raise TypeError("a dict of metrics has no \"metrics\": {}".format(item))
                names, tracked = item["metrics"], item.get("track_average_epoc_count", tracked)
            for name in names:
                self[name] = Metric(tracked)

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError("there is no metric {}".format(name)) from None

    def __setattr__(self, name, value):
        self[name] = value

    def __setitem__(self, name, value):
        if not isinstance(value, Metric):
            raise TypeError("{} is set to a {}; it must be a Metric".format(name, type(value).__name__))
        super().__setitem__(name, value)

    def update(self, *args, **kwargs):
        for name, value in dict(*args, **kwargs).items():
            self[name] = value

    def setdefault(self, name, value=None):
        if name not in self:
            self[name] = value
        return self[name]

    def _chosen(self, metrics):
        return [(name, metric) for name, metric in self.items() if metrics is None or name in metrics]

    def reset(self, metrics=None):
        """Metric.reset of the named metrics, or of all."""
        for _, metric in self._chosen(metrics):
            metric.reset()

    def reset_epoc(self, metrics=None):
        """Metric.reset_epoc of the named metrics, or of all."""
        for _, metric in self._chosen(metrics):
            metric.reset_epoc()

    def log_metrics(self, metrics=None, log_to_file=True, complete_epoc=False, items_per_row=3, charachters_per_row=50):
        """Logs the averages of the named metrics, or of all, since reset or, with complete_epoc, since reset_epoc; records
        those that were updated meanwhile; and returns the text.

        They are recorded by step, which is the number of calls of update, one a batch, and the steps before this run. A
        container that is made anew for each epoch goes on where the one before ended. In an evaluation their names begin with
        "train." or "test.".
        A row has at most items_per_row metrics and charachters_per_row characters."""
        from mlpipeline.utils import log
        rows, items, last = [], 0, 0
        for name, metric in self._chosen(metrics):
            value, count = (metric.avg_epoc(), metric.epoc_count) if complete_epoc else (metric.avg(), metric.count)
            text = "{}: {:.4f}    ".format(name, value)
            if not rows or items == items_per_row or len(rows[-1]) + len(text) > charachters_per_row:
                rows.append("")
                items = 0
            rows[-1] += text
            items += 1
            if count:
                full = _host.prefix() + str(name)
                if metric._first is None:
                    metric._first = _recorded.get(full, 0)
                step = _recorded[full] = max(_recorded.get(full, 0), metric._first + metric._updates)
                if not _host.prefix():
                    step += _host.steps_before()
                _host.metric(full, step, float(value))
                last = max(last, step)
        if last and not _host.prefix():
            _host.progress(last)
        for row in rows:
            log(row.rstrip(), log_to_file=log_to_file)
        return "\n".join(rows)

    def _results(self):
        """The averages of the metrics that were updated, by name: what evaluate_model means by returning the container."""
        return {_host.printable(str(name))[:_host.MAX_NAME]: float(metric.avg() if metric.count else metric.avg_epoc())
                for name, metric in self.items() if metric.count or metric.epoc_count}
