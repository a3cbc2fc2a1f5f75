"""The pretrained SavedModels, NAME/VERSION/; installed with the package as ``modelzoo.saved_models``."""
