"""What a model script is made of: a Model, and a DataLoader for its data."""
from mlpipeline import utils
from mlpipeline.utils import ExecutionModeKeys, ModeKeys, Versions, console_colors

__all__ = ["Model", "DataLoader"]


class _Speaker:
    """What models and data loaders share. Everything is on the class: a subclass need not call __init__."""
    summery = None
    _mlpipeline_label = ""

    def add_to_summery(self, content):
        """Adds a line to the summary, which is recorded with the results."""
        self.summery = (self.summery or "") + "\t\t{}\n".format(content)

    def log(self, message, log_to_file=False, **kwargs):
        """Writes message to the log; kwargs are those of utils.log."""
        text = "{}{}- {}{}".format(console_colors.CYAN_FG, self._mlpipeline_label, console_colors.RESET, message)
        utils.log(text, log_to_file=log_to_file, **kwargs)


class Model(_Speaker):
    """A model: it trains and evaluates its versions. Each run of a version is a process of its own, in which the hooks are
    called in this order: clean_model_dir (when allowed), pre_execution_hook, get_current_version, get_trained_step_count,
    train_model, evaluate_model on the training data, evaluate_model on the test data. An exception in any of them fails the
    run. To be asked to stop is a KeyboardInterrupt."""
    versions = None
    name = None  # in the queue, set by the pipeline: "vision/resnet.py"
    allow_delete_model_dir = False
    reset_steps = False
    _mlpipeline_label = "Model"
    _mlpipeline_version = None

    def __init__(self, versions, allow_delete_model_dir=False, reset_steps=False):
        """versions: a utils.Versions; ValueError for anything else.
        allow_delete_model_dir: clean_model_dir is called when a version starts from scratch.
        reset_steps: steps that are trained already are not deducted."""
        if not isinstance(versions, Versions):
            raise ValueError("versions is a {}; it must be a mlpipeline.utils.Versions".format(type(versions).__name__))
        self.versions = versions
        self.allow_delete_model_dir = allow_delete_model_dir
        self.reset_steps = reset_steps

    def pre_execution_hook(self, version, model_dir, exec_mode=ExecutionModeKeys.TEST):
        """Prepares for a version: builds the network, loads a checkpoint from model_dir, which exists. exec_mode is
        ExecutionModeKeys.TEST (one step of everything, in a temporary model_dir) or TRAIN."""
        raise NotImplementedError("{} has no pre_execution_hook".format(type(self).__name__))

    def train_model(self, input_fn, steps):
        """Trains for steps steps on what the data loader's get_train_input returned. Numbers that it returns, in a dict or a
        MetricContainer, are recorded as results of training."""
        raise NotImplementedError("{} has no train_model".format(type(self).__name__))

    def evaluate_model(self, input_fn, steps):
        """Evaluates on what get_train_input(mode=ExecutionModeKeys.TEST) or get_test_input returned. steps is the number of
        samples, 1 in test mode. The numbers that it returns, in a dict or a MetricContainer, are the results of the run."""
        raise NotImplementedError("{} has no evaluate_model".format(type(self).__name__))

    def get_current_version(self):
        """The version that is executed."""
        return self._mlpipeline_version

    def get_trained_step_count(self):
        """How many steps the model in model_dir has been trained, None or 0 for none: they are deducted."""
        return None

    def clean_model_dir(self, model_dir):
        """Deletes what an earlier run left in model_dir. Nothing is deleted where it is not implemented."""
        raise NotImplementedError

    def copy_related_files(self, dst_dir):
        """Copies the script and the modules of the project that it has imported to dst_dir."""
        utils.copy_related_files(self, dst_dir)


class DataLoader(_Speaker):
    """The data that a version is trained and evaluated on. Load it when it is asked for: a script is imported often."""
    _mlpipeline_label = "Dataloader"

    def __init__(self, **kwargs):
        pass

    def get_train_input(self, mode=ModeKeys.TRAIN, **kwargs):
        """What train_model is given and, with mode=ExecutionModeKeys.TEST, what evaluate_model is given for the training data."""
        raise NotImplementedError("{} has no get_train_input".format(type(self).__name__))

    def get_test_input(self, **kwargs):
        """What evaluate_model is given for the test data."""
        raise NotImplementedError("{} has no get_test_input".format(type(self).__name__))

    def get_train_sample_count(self):
        """Number of samples in the training data, > 0."""
        raise NotImplementedError("{} has no get_train_sample_count".format(type(self).__name__))

    def get_test_sample_count(self):
        """Number of samples in the test data, > 0."""
        raise NotImplementedError("{} has no get_test_sample_count".format(type(self).__name__))

    def get_dataloader_summery(self, **kwargs):
        """A text about the data for the record, beside what add_to_summery has collected."""
        raise NotImplementedError
