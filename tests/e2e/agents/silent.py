"""Says one word, then hangs: nothing that is typed shows, and Ctrl-C is not heard."""

import time
import tty

tty.setraw(0)
print("hello", flush=True)
while True:
    time.sleep(3600)
