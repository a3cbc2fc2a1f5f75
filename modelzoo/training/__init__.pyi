from .callbacks import ProgressBar as ProgressBar
from .distribution import Replicas as Replicas
from .distribution import WorkerLostError as WorkerLostError
from .distribution import create_strategy as create_strategy
from .objective import compile_model as compile_model
from .objective import compute_metrics as compute_metrics
from .trainer import DivergedError as DivergedError
from .trainer import train as train
