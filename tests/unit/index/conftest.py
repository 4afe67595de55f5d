from tests.unit.store.scene import house, template

__all__ = ["house", "template"]
