"""Captum imports matplotlib for pictures. Where it is not installed, import this first: nobody draws here."""

import importlib.abc
import importlib.machinery
import sys
import types


class Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        wanted = name.split(".")[0] in ("matplotlib", "mpl_toolkits")
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if wanted else None

    def create_module(self, spec):
        module = types.ModuleType(spec.name)
        module.__getattr__ = lambda name: None if name.startswith("__") else type(name, (), {})
        return module

    def exec_module(self, module):
        pass


# Last, so that a matplotlib that is there is found before.
sys.meta_path.append(Absent())
