"""What happens when something else fails: the process, the disk, the file object, the file that is being read.

python -m tests.faults.run --kills 200      # the random kills; the short run is in test_short.py
"""
