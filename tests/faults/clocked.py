"""The warm process on a machine whose clock is wrong: `python -m tests.faults.clocked DAYS`."""

import sys
from datetime import UTC, datetime, timedelta

import time_machine

if __name__ == "__main__":
    days = timedelta(days=float(sys.argv.pop(1)))
    time_machine.travel(datetime.now(UTC) + days, tick=True).start()
    from tests.faults import child  # only now: whatever it imports has this clock

    child.serve()
