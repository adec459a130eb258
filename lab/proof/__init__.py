"""`make proof`: what a sample declares, beside what independent engines, the kernel and Envoy make of it, way by way."""
