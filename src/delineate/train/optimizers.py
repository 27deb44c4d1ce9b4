"""torch's own optimisers, by their names in lower case."""

from torch import optim

adadelta = optim.Adadelta
adagrad = optim.Adagrad
adam = optim.Adam
adamax = optim.Adamax
adamw = optim.AdamW
nadam = optim.NAdam
radam = optim.RAdam
rmsprop = optim.RMSprop
sgd = optim.SGD

__all__ = ["adadelta", "adagrad", "adam", "adamax", "adamw", "nadam", "radam", "rmsprop", "sgd"]
