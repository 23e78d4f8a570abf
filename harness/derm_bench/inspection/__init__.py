"""Shows what is in a data set: finds the plugin that reads a folder, describes it, writes a matrix to start from."""
