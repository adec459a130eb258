"""Independent judges: other people's engines that are asked the questions our own evaluators answer."""
