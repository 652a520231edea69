"""Where pseudo boxes come from: a folder or module a generator, and the registry that names them."""
