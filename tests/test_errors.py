"""Every deliberate error is a ModelZooError and also what a caller of Python would expect."""

import inspect
import os
import pickle
import warnings

import pytest

import modelzoo
from modelzoo import datasets, errors, pages, saving, training, viz
from modelzoo.training import DivergedError


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.InputError, ValueError),
        (errors.DataError, ValueError),
        (errors.ArtifactError, ValueError),
        (errors.TargetExistsError, FileExistsError),
        (errors.TargetError, OSError),
        (DivergedError, ArithmeticError),
    ],
)
def test_family(error, builtin):
    assert issubclass(error, errors.ModelZooError)
    assert issubclass(error, builtin)
    assert str(error("one line")) == "one line"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("two_conv_cn", " Did you mean 'two_conv_cnn'?"),
        ("TWO_CONV_CNN", " Did you mean 'two_conv_cnn'?"),
        ("zzz", ""),
        (None, ""),
    ],
)
def test_unknown_name_suggests_the_closest(name, hint):
    error = errors.unknown_name("model", name, {"xor_mlp", "two_conv_cnn"})
    assert isinstance(error, errors.InputError)
    assert str(error) == f"Unknown model {name!r}.{hint} Available: two_conv_cnn, xor_mlp."
    assert "(none)" in str(errors.unknown_name("version", name, []))


def test_unknown_keywords_of_public_functions_are_our_errors():
    for package in (modelzoo, datasets, pages, saving, training, viz):
        for name in package.__all__:
            function = getattr(package, name)
            if not inspect.isfunction(function) or inspect.getfullargspec(function).varkw:  # which say themselves
                continue
            with pytest.raises(errors.InputError, match=f"Unknown argument of {function.__name__} 'nonsense'"):
                function(nonsense=1)
            assert pickle.loads(pickle.dumps(function)) is function
    with pytest.raises(errors.InputError, match=r"'overwite'. Did you mean 'overwrite'"):
        modelzoo.save(None, overwite=True)


def test_a_forked_process_gets_an_error_where_tensorflow_would_hang():
    model = modelzoo.create_model("xor_mlp", seed=0)
    modelzoo.predict(model, [[0.0, 1.0]])
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python too says that forking is dangerous
        child = os.fork()
    if child == 0:
        text = "it computed"
        try:
            modelzoo.predict(model, [[0.0, 1.0]])
        except errors.ModelZooError as error:
            text = str(error)
        finally:
            os.write(write, text.encode())
            os._exit(0)
    os.waitpid(child, 0)
    assert "get_context('spawn')" in os.read(read, 10_000).decode()
    os.close(read)
    os.close(write)


#: Run without any environment, this is a user whom the system does not know.
NOBODY = """
import os, pwd, sys

def getpwuid(uid):
    raise KeyError(uid)

pwd.getpwuid = getpwuid
"""


@pytest.mark.slow
def test_without_a_home_directory_all_that_is_bundled_works(tmp_path, python):
    code = """
import modelzoo
from modelzoo import datasets, viz
data = datasets.load("four_class")
model, _ = modelzoo.finetune("tanh_mlp", data, recipe=modelzoo.get_spec("tanh_mlp").recipe("lesson").replace(steps=20))
modelzoo.save(model, "mine")
viz.save_figure(viz.plot_architecture(modelzoo.load("mine")), "net.svg")
sys.argv = ["modelzoo", "evaluate", "relu_mlp"]
from modelzoo.cli import main; main()
"""
    assert "agrees" in python("-c", NOBODY + code, env={}, cwd=tmp_path).stdout
    written = {path.name for path in tmp_path.iterdir()}
    assert written - {"~"} == {"mine", "net.svg"}  # Keras puts its settings into ~/.keras, whatever that is


def test_a_download_without_a_home_directory_asks_for_a_place(tmp_path, python):
    code = "from modelzoo import datasets; datasets.load('fashion_mnist', download=True)"
    done = python("-c", NOBODY + code, env={}, cwd=tmp_path, status=1)
    assert "XDG_CACHE_HOME" in done.stderr.splitlines()[-1]
    assert not list(tmp_path.iterdir())
