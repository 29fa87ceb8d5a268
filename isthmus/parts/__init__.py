"""The parts that a composition is made of. All are imported together, so that a model file may name any of them."""

import importlib
import pkgutil

for _module in pkgutil.walk_packages(__path__, f"{__name__}."):
    importlib.import_module(_module.name)
