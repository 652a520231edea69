"""Where pseudo boxes come from: a folder a generator, and the registry that names them."""
