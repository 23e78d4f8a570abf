"""A plugin whose import fails, and that prints on the way."""

import a_module_that_is_not_installed

print("imported", a_module_that_is_not_installed)
