"""Runs a program and tells its highest resident memory on standard error: `RSS bytes`."""
import resource
import subprocess
import sys

code = subprocess.call(sys.argv[1:])
print("RSS", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024, file=sys.stderr)
sys.exit(code)
