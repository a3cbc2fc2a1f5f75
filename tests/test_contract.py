"""The contract of every network in the registry: a new one is tested by being registered."""

import pytest

import modelzoo
from modelzoo.pages.markdown import read_docstring
from modelzoo.testing import NONSENSE, Contract

NAMES = tuple(modelzoo.list_models())
#: What takes seconds with a large network is tried with all of them where slow tests run, as in CI.
LARGE = {name for name in NAMES if modelzoo.get_spec(name).num_params > 100_000}
SLOW = {
    "test_neither_a_scope_around_a_builder_nor_another_name_changes_weights": LARGE,
    "test_one_chunk_of_the_lesson_recipe_lowers_the_training_loss": LARGE,
    "test_training_again_gives_the_same_weights": NAMES,
    "test_save_and_load_give_the_same_output_bit_for_bit": LARGE,
    "test_check_is_clean": LARGE,
    "test_plain_tensorflow_runs_and_fine_tunes_it": LARGE,
    "test_signatures_have_named_inputs_and_outputs": LARGE,
}


class TestZoo(Contract):
    #: test_numpy_runtime, saving/test_formats and viz/test_architecture look closer.
    test_numpy_and_onnx_runtime_give_what_keras_gives = None
    test_diagram_names_the_network = None

    def pytest_generate_tests(self, metafunc):
        slow = SLOW.get(metafunc.function.__name__, ())
        marked = [pytest.param(name, marks=pytest.mark.slow if name in slow else ()) for name in NAMES]
        metafunc.parametrize("name", marked)

    def test_what_the_zoo_declares_is_whole(self, name):
        spec = modelzoo.get_spec(name)
        assert spec.network
        assert read_docstring(spec.builder).parameters.keys() == spec.options.keys()
        assert all(recipe.source for recipe in spec.recipes.values())
        assert spec.options.keys() <= NONSENSE.keys(), "say in modelzoo.testing what is nonsense for it"
