"""The greatest memory of a process that a test starts, as text for its script."""

# Not `ru_maxrss` of getrusage, which begins with what the parent had: a worker of pytest has 2 GB in the end.
PEAK_MB = """
def peak_mb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024
"""
