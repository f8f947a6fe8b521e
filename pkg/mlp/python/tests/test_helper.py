import unittest

from recorder import PipelineTest

from mlpipeline.helper import DataLoader, Model
from mlpipeline.utils import ExecutionModeKeys, ModeKeys, Versions, console_colors


class Own(Model):
    """As scripts write them, with an __init__ that calls that of Model."""

    def __init__(self, versions, **kwargs):
        super().__init__(versions, **kwargs)


class Bare(Model):
    def __init__(self):
        pass


class Data(DataLoader):
    def __init__(self):  # without super().__init__
        self.log("creating")
        self.add_to_summery("digits")

    def get_train_input(self, **kwargs):
        return kwargs

    def get_train_sample_count(self):
        return 10


def label(text):
    return "{}{}- {}".format(console_colors.CYAN_FG, text, console_colors.RESET)


class ModelTest(PipelineTest):
    def test_attributes(self):
        versions = Versions()
        model = Model(versions)
        self.assertIs(model.versions, versions)
        self.assertEqual((model.allow_delete_model_dir, model.reset_steps), (False, False))
        self.assertEqual((model.summery, model.name), (None, None))
        model = Own(versions, allow_delete_model_dir=True, reset_steps=True)
        self.assertEqual((model.allow_delete_model_dir, model.reset_steps), (True, True))
        model = Model(versions, True, True)
        self.assertEqual((model.allow_delete_model_dir, model.reset_steps), (True, True))

    def test_versions_must_be_versions(self):
        for versions in None, {}, [], "v", Versions:
            with self.assertRaisesRegex(ValueError, "Versions"):
                Model(versions)

    def test_everything_is_on_the_class(self):
        model = Bare()
        self.assertEqual((model.versions, model.name, model.summery), (None, None, None))
        self.assertEqual((model.allow_delete_model_dir, model.reset_steps), (False, False))
        self.assertIsNone(model.get_current_version())

    def test_what_must_be_written_is_named(self):
        model = Own(Versions())
        for hook in "pre_execution_hook", "train_model", "evaluate_model":
            with self.assertRaisesRegex(NotImplementedError, "Own.*" + hook):
                getattr(model, hook)(None, 1)
        with self.assertRaises(NotImplementedError):
            model.pre_execution_hook(version={}, model_dir="dir", exec_mode=ExecutionModeKeys.TRAIN)
        with self.assertRaises(NotImplementedError):
            model.evaluate_model(input_fn=None, steps=1)

    def test_nothing_is_deleted_by_default(self):
        with self.assertRaises(NotImplementedError):
            Model(Versions()).clean_model_dir("dir")

    def test_no_step_is_trained_by_default(self):
        self.assertIsNone(Model(Versions()).get_trained_step_count())

    def test_current_version(self):
        versions = Versions()
        model = Model(versions)
        self.assertIsNone(model.get_current_version())
        model._mlpipeline_version = versions.addV("a")  # as the runtime does
        self.assertIs(model.get_current_version(), versions.getVersion("a"))

    def test_summary_belongs_to_the_object(self):
        first, second = Model(Versions()), Model(Versions())
        first.add_to_summery("a")
        first.add_to_summery(5)
        self.assertEqual(first.summery, "\t\ta\n\t\t5\n")
        self.assertIsNone(second.summery)

    def test_log(self):
        model = Model(Versions())
        model.log("hello")
        model.log(5, log_to_file=True, level=40)
        model.log("x", modifier_1=console_colors.BOLD, modifier_2=console_colors.RED_FG)
        self.assertEqual(self.logged, [
            ("info", label("Model") + "hello"), ("error", label("Model") + "5"),
            ("info", console_colors.BOLD + console_colors.RED_FG + label("Model") + "x" + console_colors.RESET)])

    def test_attributes_of_the_scripts_own(self):
        data = Data()
        data._label = [0, 1, 1]
        data.log("x")
        self.assertEqual(self.logged[-1], ("info", label("Dataloader") + "x"))

    def test_copy_related_files(self):
        from tempfile import TemporaryDirectory
        with TemporaryDirectory() as folder:
            self.files = [__file__]
            Model(Versions()).copy_related_files(folder + "/copy")
            with open(folder + "/copy/test_helper.py") as copy, open(__file__) as file:
                self.assertEqual(copy.read(), file.read())


class DataLoaderTest(PipelineTest):
    def test_a_subclass_need_not_call_init(self):
        data = Data()
        self.assertEqual(self.logged, [("info", label("Dataloader") + "creating")])
        self.assertEqual(data.summery, "\t\tdigits\n")
        self.assertEqual(data.get_train_sample_count(), 10)
        self.assertEqual(data.get_train_input(mode=ExecutionModeKeys.TEST), {"mode": "Test"})
        self.assertIsNone(DataLoader.summery)

    def test_init_takes_keywords(self):
        self.assertIsNone(DataLoader(root="data", shuffle=True).summery)

    def test_the_training_input_is_for_training_by_default(self):
        self.assertEqual(DataLoader.get_train_input.__defaults__, (ModeKeys.TRAIN,))

    def test_what_must_be_written(self):
        data = DataLoader()
        for hook in ("get_train_input", "get_test_input", "get_train_sample_count", "get_test_sample_count",
                     "get_dataloader_summery"):
            with self.assertRaises(NotImplementedError):
                getattr(data, hook)()
        with self.assertRaises(NotImplementedError):
            data.get_train_input(mode=ExecutionModeKeys.TEST, extra=1)
        with self.assertRaises(NotImplementedError):
            data.get_test_input(extra=1)
        with self.assertRaises(NotImplementedError):
            data.get_dataloader_summery(extra=1)

    def test_log(self):
        DataLoader().log("x", log_to_file=True, level=30)
        self.assertEqual(self.logged, [("warn", label("Dataloader") + "x")])


if __name__ == "__main__":
    unittest.main()
